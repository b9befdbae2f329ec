"""`tocsin codes phone`, and what the other commands tell of phone codes."""

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.cli.conftest import Run
from tests.sites import PROMPT, FixedClock, Site, report
from tocsin.model.calls import Verdict
from tocsin.model.times import QUARTER_SECONDS, utc

REQUEST = ["--request-id", "00112233445566778899aabbccddeeff"]
BATCH = 2**18


def send(site: Site, name: str, code: str) -> Verdict:
    return site.answer(report(name, code, 3, site.clock.now()).body).verdict


def test_a_code_is_printed_with_its_end_and_taken_once(run: Run, site: Site, clock: FixedClock) -> None:
    """Case 26: its life is told when it is issued."""
    clock.wait(7 * 60)
    done = run("codes", "phone", "1")
    [code] = re.findall(r"^  (\d{4}-\d{4}-\d{4})$", done.out, re.MULTILINE)
    assert f"1 phone code for provider 1, valid until {utc(clock.now() - 7 * 60 + 5 * QUARTER_SECONDS)}" in done.words
    assert "digit by digit" in done.words and f"tocsin revoke --serials {BATCH}:0-0" in done.words
    assert [send(site, name, code) for name in ("one", "two")] == [Verdict.TAKEN, Verdict.CODE_SPENT]


def test_many_at_once_for_a_program(run: Run, site: Site) -> None:
    run("codes", "phone", "1")
    issued = run(
        "codes", "phone", "1", "--count", "3", "--valid-quarters", "2", "--report-type", "likely", "--json"
    ).json
    assert [code["serial"] for code in issued["codes"]] == [0, 1, 2], "of a batch of their own"
    assert (issued["body"]["valid_until"] - issued["body"]["valid_from"], issued["body"]["report_type"]) == (3, 2)
    assert issued["valid_until_at"] == issued["body"]["valid_until"] * QUARTER_SECONDS
    assert [quota["used"] for quota in issued["quotas"]] == [4, 4]


def test_the_same_request_gives_the_same_codes_and_uses_a_quota_once(run: Run, site: Site) -> None:
    """Case 28: the first answer was lost. The same words, another time: still the same."""
    first = run("codes", "phone", "1", "--count", "3", *REQUEST, "--json").json
    other = run("codes", "phone", "1", "--json").json
    again = run("codes", "phone", "1", "--count", "3", *REQUEST, "--json").json
    assert again == {**first, "repeated": True}
    assert other["codes"][0]["code"] not in {code["code"] for code in first["codes"]}
    assert run("provider", "list", "--json").json[0]["phone_codes"] == 4


def test_a_dry_run_hands_nothing_out(run: Run, site: Site) -> None:
    rehearsed = run("codes", "phone", "1", "--dry-run", "--json").json
    assert rehearsed["kind"] == "phone_codes_issued" and "codes" not in rehearsed
    assert run("codes", "phone", "1", "--json").json["body"]["first_serial"] == 0


@pytest.mark.parametrize(("words", "said"), [(["--count", "1001"], "1,000"), (["--count", "0"], "1,000")])
def test_what_is_refused(run: Run, site: Site, words: list[str], said: str) -> None:
    done = run("codes", "phone", "1", *words)
    assert done.code == 1 and said in done.err


def test_a_quota_that_runs_out_is_told_before_it_refuses(run: Run, data: Path, clock: FixedClock) -> None:
    site = Site(data, clock, replace(PROMPT, person_daily_phone_codes=10), cards=1)
    site.deployment.close()
    assert "8 of 10 phone codes of today's quota of this person" in run("codes", "phone", "1", "--count", "8").words
    refused = run("codes", "phone", "1", "--count", "3")
    assert refused.code == 1 and "10 phone codes a day, and 2 of today's are left" in refused.err


def test_codes_are_checked_and_cut_off_like_cards(run: Run, site: Site, clock: FixedClock) -> None:
    codes = [each["code"] for each in run("codes", "phone", "1", "--count", "3", "--json").json["codes"]]
    checked = run("codes", "check", codes[1].replace("-", " "), "--json")
    assert (checked.code, checked.json["state"], checked.json["batch"], checked.json["serial"]) == (
        0,
        "works",
        BATCH,
        1,
    )
    assert run("revoke", "--serials", f"{BATCH}:1-1", "--why", "overheard").code == 0
    assert run("codes", "check", codes[1], "--json").json["state"] == "cut_off"
    assert "tocsin codes phone 1" in run("codes", "check", codes[1]).words
    assert [send(site, code, code) for code in codes[:2]] == [Verdict.TAKEN, Verdict.CODE_CUT_OFF]
    clock.wait(5 * QUARTER_SECONDS)
    assert send(site, "late", codes[2]) is Verdict.CODE_EXPIRED
    assert run("codes", "check", codes[2], "--json").json["state"] == "expired"
    rolled_back = run("rollback", "--select", f"batch={BATCH}", "--why", "a prank", "--json").json
    assert len(rolled_back["body"]["reports"]) == 1


def test_what_is_wrong_with_a_code_is_hinted_at(run: Run, site: Site) -> None:
    [code] = [each["code"] for each in run("codes", "phone", "1", "--json").json["codes"]]
    misread = code[:-1] + str((int(code[-1]) + 1) % 10)
    assert "read out again" in run("codes", "check", misread, "--offline").words
    assert "12 digits; these are 11" in run("codes", "check", code[:-1], "--offline").words
    assert run("codes", "check", code, "--offline").code == 0
    assert "remembered" in run("codes", "check", "0000-0000-0000").words


def test_batches_of_phone_codes_are_listed_beside_cards(run: Run, site: Site) -> None:
    run("codes", "phone", "1", "--count", "3")
    run("codes", "phone", "1")
    listed = run("codes", "list", "--json").json
    assert [(row["batch"], row["codes"], row["kind"], row["state"]) for row in listed] == [
        (1, 100, "card", "active"),
        (BATCH, 4, "phone", "active"),
    ]
    assert run("codes", "activate", str(BATCH)).code == 1


def test_status_counts_those_that_are_alive(run: Run, site: Site, clock: FixedClock) -> None:
    run("codes", "phone", "1", "--count", "3")
    clock.wait(QUARTER_SECONDS)
    run("codes", "phone", "1")
    counted = [run("status", "--json").json["batches"]["live_phone_codes"]]
    clock.wait(4 * QUARTER_SECONDS)
    counted.append(run("status", "--json").json["batches"]["live_phone_codes"])
    clock.wait(QUARTER_SECONDS)
    counted.append(run("status", "--json").json["batches"]["live_phone_codes"])
    assert counted == [4, 1, 0] and "0 live phone codes" in run("status").words
    assert run("status", "--json").json["batches"]["cards"] == 100
