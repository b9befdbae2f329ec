"""A few hundred cases of schemathesis, always the same, against `tocsin serve`: users.md E3 and E4 in short."""

from pathlib import Path

import pytest

from tests.fuzz.door.__main__ import Outcome, fuzz
from tocsin.model.calls import Verdict


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return fuzz(tmp_path_factory.mktemp("door"), cases=400, jobs=1, seed=20)


def test_no_5xx_and_nothing_that_is_not_documented(outcome: Outcome) -> None:  # cases 55, 57
    assert outcome.troubles == ()


def test_calls_get_behind_the_door(outcome: Outcome) -> None:
    for verdict in (Verdict.TAKEN, Verdict.CODE_UNKNOWN, Verdict.NO_KEY_LEFT, Verdict.MALFORMED, Verdict.UNSUPPORTED):
        assert outcome.tally[f"verdict {verdict}"] > 0, verdict
    assert outcome.tally["cases"] >= 400


def test_a_check_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_FAIL", "noted")
    outcome = fuzz(tmp_path, cases=1, jobs=1, seed=20, phases="examples")
    assert outcome.troubles == ("schemathesis 0 ended with 1",)
