"""Day keys from one machine's shell into another's."""

import io
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.sites import FixedClock, Site
from tocsin.model.base64url import encode
from tocsin.model.times import day_of
from tocsin.service.key_folder import DAYS_AHEAD


@pytest.fixture
def named(site: Site) -> Site:
    """A site whose day keys are named in the journal, as `tocsin serve` does."""
    site.name_day_keys()
    return site


def give(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def days(site: Site) -> Path:
    return site.deployment.keys.folder / "days"


def test_keys_that_were_exported_are_taken(
    run: Run, named: Site, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = run("keys", "days", "export")
    assert exported.out.count("tocsin-day-key ") == DAYS_AHEAD + 1 and not exported.err
    held = {path.name: path.read_bytes() for path in days(named).iterdir()}
    for path in days(named).iterdir():
        path.unlink()
    states = [each["state"] for each in run("keys", "days", "list", "--json").json]
    assert states == ["missing"] * (DAYS_AHEAD + 1)
    for taken, there in ((DAYS_AHEAD + 1, 0), (0, DAYS_AHEAD + 1)):
        give(monkeypatch, exported.out)
        assert run("keys", "days", "import").words == f"{taken} day keys taken; {there} were there. "
    assert {path.name: path.read_bytes() for path in days(named).iterdir()} == held
    assert {path.stat().st_mode & 0o777 for path in days(named).iterdir()} == {0o600}
    assert "there" in run("keys", "days", "list").out and str(day_of(clock.at)) in run("keys", "days", "list").out


def test_status_takes_another_key_for_none(run: Run, named: Site, clock: FixedClock) -> None:
    (days(named) / str(day_of(clock.at) + 2)).write_bytes(bytes(32))
    assert run("status", "--json").json["day_keys"] == {"today": True, "days_ahead": 1, "lost": []}
    states = [each["state"] for each in run("keys", "days", "list", "--json").json]
    assert states == ["there", "there", "other"] + ["there"] * 5


def test_publishing_once_erases_what_is_due(run: Run, site: Site, clock: FixedClock) -> None:
    """A machine without `tocsin serve` forgets as well."""
    day, keys = day_of(clock.at), site.deployment.keys
    site.report("ada", 0)
    clock.wait(16 * 86_400)
    done = run("publish", "--today", "2026-03-04")
    assert done.code == 0 and "What was reported on 2026-02-16 is erased." in done.words, done.err
    assert not (keys.folder / "days" / str(day)).exists()
    assert run("publish", "--json").json["erased"] is None


def test_they_are_not_shown_on_a_terminal(run: Run, named: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    refused = run("keys", "days", "export")
    assert refused.code == 1 and "pipe" in refused.err and "tocsin-day-key" not in refused.out


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "tocsin-day-key 1",
        "tocsin-day-key 1 AAAA",
        "tocsin-day-key x " + "A" * 43,
        "other 1 " + "A" * 43,
        "a b c d",
    ],
)
def test_what_is_no_day_key_is_refused_and_not_repeated(
    run: Run, named: Site, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, text)
    refused = run("keys", "days", "import")
    assert refused.code == 1 and "no day keys" in refused.err and text not in refused.err


def test_another_key_is_refused(run: Run, named: Site, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (days(named) / str(day_of(clock.at))).read_bytes()
    give(monkeypatch, f"tocsin-day-key {day_of(clock.at)} {encode(bytes(32))}\n")
    refused = run("keys", "days", "import")
    assert refused.code == 1 and "another key" in refused.err
    assert (days(named) / str(day_of(clock.at))).read_bytes() == before
