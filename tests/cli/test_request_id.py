"""`--request-id`: the very same act is done once and told again; an ID that another act has used is refused."""

import re
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.cli.conftest import Done, Run
from tests.sites import FixedClock, Site
from tocsin.cli.acting import ActOptions, act
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Refused
from tocsin.model.events import Draft
from tocsin.model.policy import Policy
from tocsin.model.times import QUARTER_SECONDS, Instant
from tocsin.rules.attribution import Attribution
from tocsin.rules.issuance import activate_batch
from tocsin.service.deployment import Deployment
from tocsin.service.perform import Performer

_ID = ["--request-id", "00112233445566778899aabbccddeeff"]
_WHY = ["--why", "stack stolen"]
_ISSUE = ["codes", "issue", "1", "--count", "10"]
_REVOKE = ["revoke", "--batch", "1", *_WHY]
_ROLLBACK = ["rollback", "--select", "batch=1", *_WHY]

ACTS = {
    "provider add": ["provider", "add", "Clinic"],
    "codes issue": _ISSUE,
    "codes issue for days": [*_ISSUE, "--valid-days", "7"],
    "codes phone": ["codes", "phone", "1", "--count", "3"],
    "codes activate": ["codes", "activate", "2"],
    "revoke": _REVOKE,
    "revoke since": [*_REVOKE, "--since", "2026-02-16T09:10Z"],
    "revoke serials": ["revoke", "--serials", "1:3-5", *_WHY],
    "rollback": _ROLLBACK,
    "reinstate": ["reinstate", "6", *_WHY],
    "pause": ["pause", *_WHY],
    "quarantine begin": ["quarantine", "begin", "--batch", "1", *_WHY],
    "provider suspend": ["provider", "suspend", "1", *_WHY],
}
ANOTHER = [
    (["provider", "add", "Clinic"], ["provider", "add", "Klinik"]),
    (_ISSUE, ["codes", "issue", "1", "--count", "5"]),
    (_ISSUE, ["codes", "issue", "2", "--count", "10"]),
    (_ISSUE, [*_ISSUE, "--training"]),
    (_ISSUE, [*_ISSUE, "--report-type", "likely"]),
    (_ISSUE, [*_ISSUE, "--valid-days", "7"]),
    (_ISSUE, _REVOKE),
    (["codes", "phone", "1"], ["codes", "phone", "1", "--count", "2"]),
    (["codes", "phone", "1"], ["codes", "phone", "1", "--valid-quarters", "2"]),
    (_ISSUE, ["codes", "activate", "2"]),
    (["codes", "activate", "2"], ["codes", "activate", "1"]),
    (_REVOKE, ["revoke", "--batch", "2", *_WHY]),
    (_REVOKE, ["revoke", "--provider", "1", *_WHY]),
    (_REVOKE, ["revoke", "--serials", "1:0-99", *_WHY]),
    (_REVOKE, [*_REVOKE, "--since", "2026-02-16T09:00Z"]),
    ([*_REVOKE, "--since", "2026-02-16T09:00Z"], _REVOKE),
    (_REVOKE, [*_REVOKE[:-1], "another reason"]),
    (_REVOKE, [*_REVOKE, "--approved-by", "Grace"]),
    (_REVOKE, [*_REVOKE, "--who", "Grace"]),
    (_ROLLBACK, ["rollback", "--select", "serials=1:0-0", *_WHY]),
    (_ROLLBACK, _REVOKE),
    (["reinstate", "6", *_WHY], ["reinstate", "7", *_WHY]),
    (["pause", *_WHY], ["resume", *_WHY]),
    (["quarantine", "begin", "--batch", "1", *_WHY], ["quarantine", "begin", "--self-reports", *_WHY]),
    (["provider", "suspend", "1", *_WHY], ["provider", "suspend", "2", *_WHY]),
    (["provider", "suspend", "1", *_WHY], ["provider", "restore", "1", *_WHY]),
]


def _without_repeated(done: Done) -> dict[str, object]:
    return {name: value for name, value in done.json.items() if name != "repeated"}


@pytest.fixture
def busy(run: Run, site: Site, clock: FixedClock) -> Site:
    """Provider 2, a dormant batch 2, revocations 6 and 7, and two reports."""
    run("codes", "issue", "1", "--count", "3")
    run("revoke", "--serials", "1:90-91", *_WHY)
    run("revoke", "--serials", "1:92-93", *_WHY)
    run("provider", "add", "Labor")
    site.report("one", 0)
    clock.wait(QUARTER_SECONDS + 7)
    site.report("two", 1)
    return site


def _later(run: Run, site: Site, clock: FixedClock) -> None:
    """What happens between the two times that a command is given."""
    clock.wait(5 * QUARTER_SECONDS)
    site.withdraw("one")
    run("codes", "issue", "1", "--count", "1")
    run("publish")


@pytest.mark.parametrize("words", ACTS.values(), ids=ACTS)
def test_the_very_same_is_told_again_and_done_once(run: Run, busy: Site, clock: FixedClock, words: list[str]) -> None:
    first = run(*words, *_ID, "--json")
    assert first.code == 0 and first.json["repeated"] is False
    _later(run, busy, clock)
    before = busy.deployment.journal.tip()
    again = run(*words, *_ID, "--json")
    assert (again.code, again.err, again.json["repeated"]) == (0, "", True)
    assert _without_repeated(again) == _without_repeated(first)
    assert busy.deployment.journal.tip() == before


@pytest.mark.parametrize(("first", "other"), ANOTHER, ids=lambda words: " ".join(words))
def test_an_id_that_was_used_for_another_act_is_refused(
    run: Run, busy: Site, clock: FixedClock, first: list[str], other: list[str]
) -> None:
    done = run(*first, *_ID, "--json")
    assert done.code == 0
    _later(run, busy, clock)
    before = busy.deployment.journal.tip()
    for more in ([], ["--dry-run"]):
        refused = run(*other, *_ID, *more)
        assert (refused.code, refused.out) == (1, "")
        assert f"event {done.json['sequence']}" in refused.err and "another act" in refused.err
    assert busy.deployment.journal.tip() == before


def test_a_dry_run_of_what_was_done_says_so(run: Run, busy: Site) -> None:
    first = run(*_ISSUE, *_ID, "--json").json
    rehearsed = run(*_ISSUE, *_ID, "--dry-run", "--json").json
    assert rehearsed == {"dry_run": True, "repeated": True} | {
        name: first[name] for name in ("sequence", "kind", "body")
    }
    assert "was done before" in run(*_ISSUE, *_ID, "--dry-run").words


def test_what_was_issued_under_other_settings_is_not_said_to_be_this(run: Run, busy: Site) -> None:
    """Decision 0017: the settings are part of what a command means."""
    settings = busy.deployment.folders.settings
    run(*_ISSUE, *_ID)
    settings.write_text(re.sub(r"\[policy\]", "[policy]\ncard_life_quarters = 96", settings.read_text()))
    refused = run(*_ISSUE, *_ID)
    assert refused.code == 1 and "valid_until" in refused.err and "settings" in refused.err
    assert run(*_ISSUE, "--valid-days", "90", *_ID).code == 0


def test_a_clock_that_was_behind_the_journal_makes_no_other_act(run: Run, busy: Site, clock: FixedClock) -> None:
    clock.wait(-60)
    assert clock.now() < busy.deployment.journal.tip().recorded_at
    assert run(*_ISSUE, *_ID).code == 0
    clock.wait(600)
    assert run(*_ISSUE, *_ID).code == 0


class _Overtaken(Deployment):
    """A deployment in which the same command gets in first, right after it was found not to be done."""

    def __init__(self, site: Site, twin: Callable[[], object]) -> None:
        super().__init__(site.top, site.clock)
        self._twins = [twin]

    def performer(self) -> Performer:
        while self._twins:
            self._twins.pop()()
        return super().performer()


@pytest.mark.parametrize("batch", [2, 9])
def test_a_twin_that_gets_in_first_is_told_again_and_no_other_refusal_is_hidden(busy: Site, batch: int) -> None:
    """Case 28: by then the rule says no (the batch is active), and still it is this very act that is done."""
    options = ActOptions(data=busy.top, request_id="00" * 16)

    def decide(ledger: Ledger, policy: Policy, now: Instant, by: Attribution) -> Draft:
        return activate_batch(ledger, batch, now, by)

    overtaken = _Overtaken(busy, lambda: batch == 2 and act(busy.deployment, options, "routine", decide))
    with closing(overtaken):
        if batch == 2:
            assert act(overtaken, options, "routine", decide).repeated
        else:
            with pytest.raises(Refused, match="no such batch"):
                act(overtaken, options, "routine", decide)
