"""`tocsin provider` and `tocsin codes`."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.cli.conftest import Run
from tests.sites import PROMPT, FixedClock, Site
from tocsin.model.calls import Verdict
from tocsin.model.times import DAY_SECONDS

_REQUEST = ["--request-id", "00112233445566778899aabbccddeeff"]


def test_a_provider_is_added_with_who_and_why_and_listed(run: Run, site: Site) -> None:
    words = ["--who", "Ada", "--why", "new contract", "--approved-by", "Bo"]
    added = run("provider", "add", "Clinic North", *words, "--json")
    assert added.code == 0
    body = added.json["body"]
    assert body == {"who": "Ada", "why": "new contract", "approved_by": "Bo", "provider": 2, "name": "Clinic North"}
    assert "Provider 3: Clinic South" in run("provider", "add", "Clinic South").out
    listed = run("provider", "list", "--json").json
    assert [(row["provider"], row["batches"], row["cards"]) for row in listed] == [(1, 1, 100), (2, 0, 0), (3, 0, 0)]
    assert "Clinic North" in run("provider", "list").out


def test_a_name_that_is_there_is_refused(run: Run, site: Site) -> None:
    done = run("provider", "add", "ST. ELSEWHERE")
    assert done.code == 1 and "choose another name" in done.err


def test_a_suspended_provider_hands_out_nothing_new(run: Run, site: Site) -> None:
    run("codes", "issue", "1", "--count", "5")
    suspended = run("provider", "suspend", "1", "--who", "Ada", "--why", "a strange desk", "--json").json
    assert (suspended["kind"], suspended["body"]["provider"], suspended["body"]["who"]) == (
        "provider_suspended",
        1,
        "Ada",
    )
    assert "suspended" in run("provider", "list").out
    for words in (["issue", "1", "--count", "1"], ["issue", "1", "--count", "1", "--training"], ["activate", "2"]):
        done = run("codes", *words)
        assert done.code == 1 and "restore it" in done.err
    assert run("codes", "check", site.cards[0], "--json").json["state"] == "works"
    site.report("patient", 0)

    assert run("provider", "suspend", "1", "--why", "again").code == 1
    assert "hands out codes again" in run("provider", "restore", "1", "--why", "new locks").words
    assert "suspended" not in run("provider", "list").out
    assert run("codes", "activate", "2").code == 0


def test_a_suspension_needs_a_reason_and_tells_the_way_back(run: Run, site: Site) -> None:
    assert run("provider", "suspend", "1").code == 2
    rehearsed = run("provider", "suspend", "1", "--why", "x", "--dry-run")
    assert "provider_suspended" in rehearsed.out and "no report and no public key" in rehearsed.words
    assert "tocsin provider restore 1" in run("provider", "suspend", "1", "--why", "x").words


def test_batches_are_listed_with_their_state(run: Run, site: Site, clock: FixedClock) -> None:
    run("provider", "add", "Clinic North")
    run("codes", "issue", "1", "--count", "2", "--valid-days", "1")
    run("codes", "issue", "2", "--count", "3", "--training")
    run("codes", "issue", "2", "--count", "4")
    run("revoke", "--batch", "4", "--why", "lost")
    run("revoke", "--serials", "1:0-9", "--why", "lost")
    listed = run("codes", "list", "--json").json
    assert [(row["batch"], row["provider"], row["codes"], row["kind"], row["state"]) for row in listed] == [
        (1, 1, 100, "card", "active"),
        (2, 1, 2, "card", "dormant"),
        (3, 2, 3, "training", "dormant"),
        (4, 2, 4, "card", "cut_off"),
    ]
    assert listed[1]["valid_until_at"] - listed[1]["valid_from_at"] == DAY_SECONDS
    clock.wait(DAY_SECONDS)
    listed = run("codes", "list", "--provider", "1")
    assert [line.split()[-1] for line in listed.out.splitlines()] == ["state", "active", "expired"]
    assert "There are no batches" in run("codes", "list", "--provider", "9").out


def test_a_quota_that_runs_out_is_told_before_it_refuses(run: Run, data: Path, clock: FixedClock) -> None:
    """Rows I14, I15. Case 28: a command that is repeated counts once, and is told what it was told."""
    site = Site(data, clock, replace(PROMPT, person_daily_cards=100, provider_daily_cards=200), cards=1)
    site.deployment.close()
    issue = ["codes", "issue", "1", "--who", "Grace", "--count"]
    assert "quota" not in run(*issue, "79").words
    told = run(*issue, "1", *_REQUEST)
    assert (
        "80 of 100 cards of today's quota of this person are issued" in told.words and "provider are" not in told.words
    )
    again = run(*issue, "1", *_REQUEST, "--json").json
    assert (again["repeated"], again["quotas"]) == (
        True,
        [{"whose": "person", "quota": 100, "used": 80}, {"whose": "provider", "quota": 200, "used": 81}],
    )
    assert run(*issue, "20", "--json").json["quotas"] == [
        {"whose": "person", "quota": 100, "used": 100},
        {"whose": "provider", "quota": 200, "used": 101},
    ]
    refused = run(*issue, "1")
    assert refused.code == 1 and "0 of today's are left; all are there again at 2026-02-17 00:00 UTC" in refused.err
    assert run("codes", "issue", "1", "--who", "grace", "--count", "1").code == 1
    assert run(*issue, "5", "--training", "--json").json["quotas"] == []
    assert "105 of 100" in run(*issue, "5", "--approved-by", "Ada").words
    clock.wait(DAY_SECONDS)
    assert run(*issue, "1").code == 0


def test_cards_are_printed_and_work_once_activated(run: Run, site: Site) -> None:
    issued = run("codes", "issue", "1", "--count", "3", "--valid-days", "2", "--json").json
    cards = [card["code"] for card in issued["cards"]]
    assert [card["serial"] for card in issued["cards"]] == [0, 1, 2]
    assert issued["body"]["valid_until"] - issued["body"]["valid_from"] == 2 * 96

    assert run("codes", "check", cards[2], "--json").json["state"] == "dormant"
    assert run("codes", "activate", "2").code == 0
    checked = run("codes", "check", cards[2].lower().replace("-", " "), "--json")
    assert (checked.code, checked.json["state"], checked.json["serial"]) == (0, "works", 2)
    assert run("codes", "activate", "2").code == 1


def test_cards_are_text_in_groups_with_their_serials(run: Run, site: Site) -> None:
    done = run("codes", "issue", "1", "--count", "2")
    rows = [line.split() for line in done.out.splitlines() if line.strip().startswith(("0 ", "1 "))]
    assert [row[0] for row in rows] == ["0", "1"]
    assert all(len(row[1].split("-")) == 5 for row in rows)


def test_the_same_request_gives_the_same_cards_and_one_batch(run: Run, site: Site) -> None:
    """Case 28: the first answer was lost."""
    first = run("codes", "issue", "1", "--count", "2", *_REQUEST, "--json").json
    again = run("codes", "issue", "1", "--count", "2", *_REQUEST, "--json").json
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert again["cards"] == first["cards"] and again["sequence"] == first["sequence"]
    assert run("provider", "list", "--json").json[0]["batches"] == 2
    other = run("codes", "activate", "2", *_REQUEST)
    assert other.code == 1 and "another act" in other.err


@pytest.mark.parametrize(
    "words",
    [["9", "--count", "1"], ["1", "--count", "0"], ["1", "--count", "2049"], ["1", "--count", "1", "--who", " "]],
)
def test_what_a_rule_refuses_is_one_sentence(run: Run, site: Site, words: list[str]) -> None:
    before = site.deployment.journal.tip().sequence
    done = run("codes", "issue", *words)
    assert (done.code, done.out) == (1, "") and done.err.count("\n") == 1
    assert site.deployment.journal.tip().sequence == before


def test_a_dry_run_issues_nothing_and_shows_no_code(run: Run, site: Site) -> None:
    before = site.deployment.journal.tip().sequence
    rehearsed = run("codes", "issue", "1", "--count", "2", "--dry-run", "--json").json
    assert rehearsed["dry_run"] is True and "cards" not in rehearsed
    assert site.deployment.journal.tip().sequence == before
    acted = run("codes", "issue", "1", "--count", "2", "--json").json
    assert rehearsed["body"] == acted["body"]


def test_a_misspelt_code_gets_its_hint_without_a_deployment(run: Run) -> None:
    done = run("codes", "check", "C123-4587-89AB-CDEF-GH94")
    assert done.code == 1 and "7th symbol" in done.words and "probably" in done.words
    assert run("codes", "check", "C123-4567-89AB-CDEF-GH94", "--offline").code == 0


def test_checking_tells_state_and_never_use(run: Run, site: Site, clock: FixedClock) -> None:
    unused = run("codes", "check", site.cards[0], "--json")
    site.report("patient", 0)
    assert run("codes", "check", site.cards[0], "--json") == unused
    assert run("codes", "check", "C123-4567-89AB-CDEF-GH94", "--json").json["state"] == "unknown"
    run("revoke", "--serials", "1:5-5", "--why", "lost")
    assert run("codes", "check", site.cards[5], "--json").json["state"] == "cut_off"
    assert run("codes", "check", site.cards[6], "--json").json["state"] == "works"
    clock.wait(91 * DAY_SECONDS)
    assert run("codes", "check", site.cards[6], "--json").json["state"] == "expired"


def test_training_codes_look_different_and_are_taken_nowhere(run: Run, site: Site) -> None:
    [card] = run("codes", "issue", "1", "--count", "1", "--training", "--json").json["cards"]
    run("codes", "activate", "2")
    assert card["code"].startswith("T")
    assert run("codes", "check", card["code"], "--json").json["state"] == "training"


def test_issued_cards_are_taken_by_intake(run: Run, site: Site) -> None:
    from tests.sites import report

    [card] = run("codes", "issue", "1", "--count", "1", "--json").json["cards"]
    run("codes", "activate", "2")
    site.performer.catch_up()
    assert site.answer(report("someone", card["code"], 2, site.clock.now()).body).verdict is Verdict.TAKEN


def test_activating_a_training_batch_does_not_say_that_its_codes_work(run: Run, site: Site) -> None:
    run("codes", "issue", "1", "--count", "2", "--training")
    told = run("codes", "activate", "2")
    assert told.code == 0 and "practice" in told.out and "work" not in told.out
    run("codes", "issue", "1", "--count", "2")
    assert "work from now on" in run("codes", "activate", "3").out
