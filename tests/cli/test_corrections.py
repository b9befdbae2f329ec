"""`tocsin revoke`, `rollback`, `reinstate`, `pause`, `resume`."""

from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.sites import FixedClock, Site
from tocsin.model.calls import Verdict
from tocsin.model.times import QUARTER_SECONDS


@pytest.fixture
def reported(site: Site, clock: FixedClock) -> Site:
    """Three reports that are public: serials 0, 1 and 2."""
    for serial in range(3):
        site.report(f"phone {serial}", serial)
    clock.wait(QUARTER_SECONDS)
    site.deployment.publisher().publish()
    return site


_WORDS: list[list[str]] = [
    ["revoke", "--serials", "1:0-1", "--since", "2026-02-16T09:00Z"],
    ["revoke", "--batch", "1"],
    ["revoke", "--provider", "1", "--since", "2026-02-16"],
    ["rollback", "--select", "serials=1:0-1", "since=2026-02-16T09:00Z"],
    ["rollback", "--select", "reports=5,6"],
    ["rollback", "--select", "provider=1", "--select", "until=2026-02-16T09:01Z"],
    ["pause"],
    ["quarantine", "begin", "--provider", "1"],
    ["quarantine", "begin", "--batch", "1"],
    ["quarantine", "begin", "--self-reports"],
]


@pytest.mark.parametrize("words", _WORDS, ids=" ".join)
def test_a_dry_run_is_the_act(run: Run, reported: Site, words: list[str]) -> None:
    before = reported.deployment.journal.tip()
    rehearsed = run(*words, "--why", "bad lab", "--dry-run", "--json").json
    assert reported.deployment.journal.tip() == before
    acted = run(*words, "--why", "bad lab", "--json").json
    assert (rehearsed["kind"], rehearsed["body"]) == (acted["kind"], acted["body"])
    assert acted["sequence"] == before.sequence + 1


def test_the_figures_of_a_dry_run_come_true(run: Run, reported: Site) -> None:
    words = ["revoke", "--serials", "1:0-1", "--since", "2026-02-16", "--why", "stolen"]
    changed: dict[str, Any] = run(*words, "--dry-run", "--json").json["effect"]
    assert (changed["reports"], changed["public_reports"], changed["keys_leaving"]) == (2, 2, 6)
    told = run(*words, "--dry-run").out
    assert "A dry run" in told and "public keys that would leave" in told
    run(*words)
    reported.clock.wait(QUARTER_SECONDS)
    assert "(+0 −6)" in run("publish").out


def test_revoking_refuses_new_reports_and_reinstating_lets_them_in(run: Run, reported: Site) -> None:
    revoked = run("revoke", "--serials", "1:10-20", "--why", "stack stolen", "--json").json
    assert "The way back: tocsin reinstate" in run("revoke", "--serials", "1:30-40", "--why", "another").out
    from tests.sites import report

    refused = report("late", reported.cards[10], 2, reported.clock.now())
    reported.performer.catch_up()
    assert reported.answer(refused.body).verdict is Verdict.CODE_CUT_OFF
    lifted = run("reinstate", str(revoked["sequence"]), "--why", "found again")
    assert lifted.code == 0 and "no longer stands" in lifted.out
    assert reported.answer(refused.body).verdict is Verdict.TAKEN


def test_a_rollback_is_seen_by_the_reporter_and_in_status(run: Run, reported: Site) -> None:
    done = run("rollback", "--select", "serials=1:0-0", "--why", "false positive", "--json").json
    reported.performer.catch_up()
    assert reported.track("phone 0") is Verdict.CUT_OFF
    assert reported.track("phone 1") is Verdict.TAKEN
    standing = run("status", "--json").json["objections"]
    assert standing == [{"sequence": done["sequence"], "kind": "rollback", "target": "1 report"}]


def test_quarantine_and_lift(run: Run, site: Site) -> None:
    site.report("before", 0)
    begun = run("quarantine", "begin", "--batch", "1", "--why", "a surge", "--json").json
    site.report("during", 1)
    site.clock.wait(QUARTER_SECONDS)
    assert "(+0 −0)" in run("publish").out
    found = run("status", "--json").json
    target = {"provider": None, "batch": 1, "first": None, "last": None}
    assert found["quarantines"] == [{"sequence": begun["sequence"], "target": target, "reports": 2}]
    assert (found["queue"]["keys"], found["queue"]["kept_keys"]) == (0, 6)
    told = run("status").words
    assert "6 in quarantine" in told and "New keys of batch 1 are kept back, 2 reports so far" in told
    lift = ["quarantine", "lift", str(begun["sequence"]), "--why", "a school was tested"]
    assert "new keys that would be kept back no more 6" in run(*lift, "--dry-run").words
    assert "is lifted" in run(*lift).out
    site.clock.wait(QUARTER_SECONDS)
    assert "(+6 −0)" in run("publish").out
    assert run("status", "--json").json["quarantines"] == []
    assert "lifted already" in run(*lift).err
    assert "No quarantine has this sequence" in run("quarantine", "lift", "1", "--why", "x").err


def test_pause_and_resume(run: Run, site: Site) -> None:
    assert run("resume", "--why", "x").code == 1
    assert run("pause", "--why", "a lab erred").code == 0
    assert run("status", "--json").json["queue"]["paused"] is True
    again = run("pause", "--why", "a lab erred")
    assert again.code == 1 and "paused already" in again.err
    assert run("resume", "--why", "mended").code == 0
    assert run("status", "--json").json["queue"]["paused"] is False


def test_a_repeated_command_does_nothing_twice_and_says_so(run: Run, reported: Site) -> None:
    words = ["pause", "--why", "x", "--request-id", "ff" * 16]
    first, again = run(*words), run(*words)
    assert (first.code, again.code) == (0, 0)
    assert "done before" in again.out
    assert sum(event.kind == "paused" for event in reported.deployment.journal.read(0)) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["revoke", "--serials", "1:0"],
        ["revoke", "--serials", "1:0-100"],
        ["revoke", "--batch", "1", "--since", "2026-02-17"],
        ["revoke", "--batch", "1", "--since", "yesterday"],
        ["rollback", "--select", "batch=77"],
        ["rollback", "--select", "batch=1", "batch=1"],
        ["rollback", "--select", "batch=1", "provider=1"],
        ["rollback", "--select", "code=1"],
        ["rollback", "--select", "reports=1"],
        ["rollback", "--select", "reports=٣"],
        ["rollback", "--select", "serials=1:50-60"],
        ["reinstate", "1"],
        ["pause", "--request-id", "abc"],
        ["pause", "--approved-by", "\N{RIGHT-TO-LEFT OVERRIDE}x"],
    ],
    ids=" ".join,
)
def test_what_is_refused_is_one_sentence_and_changes_nothing(run: Run, reported: Site, words: list[str]) -> None:
    before = reported.deployment.journal.tip()
    done = run(*words, "--why", "x")
    assert (done.code, done.out) == (1, "") and done.err.count("\n") == 1
    assert reported.deployment.journal.tip() == before


@pytest.mark.parametrize("words", [[], ["--batch", "1", "--provider", "1"]])
def test_a_revocation_names_one_target(run: Run, site: Site, words: list[str]) -> None:
    assert run("revoke", *words, "--why", "x").code == 2


@pytest.mark.parametrize("why", [" ", "two\nlines", "\x1b[31mred", "\u202eright to left"])
def test_a_reason_is_one_printable_line(run: Run, site: Site, why: str) -> None:
    """Users' C7: the reason is shown to people later."""
    assert run("pause", "--why", why).code == 1


def test_a_dry_run_that_touches_no_report_says_so(run: Run, site: Site) -> None:
    assert "change no report and no public key" in run("pause", "--why", "x", "--dry-run").words
