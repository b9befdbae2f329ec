"""Guessers of phone codes, and patients beside them, as the one thread judges them (T-C2, cases 24 and 25)."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.service.journals import Meddled
from tests.sites import FixedClock, Site, drawn, guess, report
from tocsin.client.calls import tracking_id
from tocsin.formats.wire import decode_answer
from tocsin.ledger.state import Ledger
from tocsin.model.calls import Verdict
from tocsin.model.errors import Unavailable
from tocsin.model.policy import Policy, Rate
from tocsin.model.times import floor_quarter
from tocsin.rules import intake
from tocsin.rules.allowance import Costly
from tocsin.rules.judgement import Judgement
from tocsin.service.perform import Arrival, Performer
from tocsin.service.sources import KEY_SECONDS, Source

POLICY = Policy(minimum_reports=1, hold_back_quarters=0)
AT_ONCE = POLICY.guesses_per_source.at_once


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site", FixedClock(), POLICY, cards=200)


def source(name: str) -> Source:
    return Source(drawn(name, 16), drawn(f"{name}, network", 16))


WARD = source("a hospital's address")


def tell(site: Site, codes: list[str], whence: Source = WARD, name: str = "phone") -> list[Verdict]:
    """What these codes are told, each sent by another phone, all in one group."""
    now = site.clock.now()
    calls = [report(f"{name} {number}", code, 3, now).body for number, code in enumerate(codes)]
    answers = site.performer.answer([Arrival(call, floor_quarter(now), whence) for call in calls])
    assert len({len(answer) for answer in answers}) == 1
    return [decode_answer(answer).verdict for answer in answers]


def test_of_300_guesses_at_once_the_allowed_number_is_looked_at(site: Site) -> None:  # case 24
    before = site.deployment.journal.tip().sequence
    verdicts = tell(site, [guess(number) for number in range(300)])
    assert verdicts == [Verdict.CODE_UNKNOWN] * AT_ONCE + [Verdict.OVER_ALLOWANCE] * (300 - AT_ONCE)
    assert site.deployment.journal.tip().sequence == before


def test_a_right_code_behind_the_allowance_is_answered_as_a_wrong_one_and_stays_good(site: Site) -> None:
    """It is not looked at: who guesses on learns nothing, and the patient's app repeats the very same call."""
    [code] = site.phone_codes("hotline")
    wrong = [guess(number) for number in range(AT_ONCE)]
    assert tell(site, [*wrong, code])[-1] is Verdict.OVER_ALLOWANCE
    assert tell(site, [code], name="again") == [Verdict.OVER_ALLOWANCE]
    site.clock.wait(POLICY.guesses_per_source.refill_seconds)
    assert tell(site, [code], name="later") == [Verdict.TAKEN]


def test_200_patients_behind_one_address_all_get_through(site: Site) -> None:  # case 25
    """A hundred with cards, a hundred with phone codes; every tenth is first mistyped into one that looks right."""
    codes = [str(code) for code in site.phone_codes("hotline", 100)]
    slips = [guess(int(code[:11]) ^ 1) for code in codes[::10]]
    misread = [f"{code[:-1]}{(int(code[-1]) + 1) % 10}" for code in codes]  # what the check digit sees costs nothing
    assert set(tell(site, misread + slips, name="slip")) == {Verdict.CODE_UNKNOWN}
    assert set(tell(site, codes, name="by phone")) == {Verdict.TAKEN}
    assert set(tell(site, site.cards[:100], name="by card")) == {Verdict.TAKEN}
    assert set(tell(site, codes, name="twice")) == {Verdict.CODE_SPENT}, "who has a whole code has not guessed"
    assert tell(site, [guess(7)]) == [Verdict.CODE_UNKNOWN], "and the ward's allowance is not used up by it"


def test_a_guesser_at_the_wards_address_is_stopped_and_shuts_out_no_card(site: Site) -> None:  # case 25
    code, later = site.phone_codes("hotline", 2)
    assert set(tell(site, [guess(number) for number in range(AT_ONCE)])) == {Verdict.CODE_UNKNOWN}
    assert set(tell(site, [guess(number) for number in range(200)], name="on")) == {Verdict.OVER_ALLOWANCE}
    assert set(tell(site, site.cards, name="by card")) == {Verdict.TAKEN}
    assert tell(site, [code], source("another address"), name="over mobile data") == [Verdict.TAKEN]
    site.clock.wait(POLICY.guesses_per_source.refill_seconds)  # the guesser has gone
    assert tell(site, [str(later)], name="by phone") == [Verdict.TAKEN]


def test_thousands_of_guessers_leave_room_for_who_has_not_failed(site: Site) -> None:
    """The deployment's allowance is used up, and no off-switch: codes are not found by it, nor patients shut out."""
    [code] = site.phone_codes("hotline")
    told = [verdict for number in range(300) for verdict in tell(site, [guess(number)] * 25, source(f"bot {number}"))]
    first = POLICY.first_guesses_per_network.at_once
    looked_at = told.count(Verdict.CODE_UNKNOWN)
    assert looked_at == 300 * first + POLICY.guesses_in_all.at_once
    assert tell(site, [code], name="patient") == [Verdict.TAKEN]


# --- groups that fail -------------------------------------------------------------------------------------------------


class Fault(Exception):
    """What nobody foresaw."""


def break_at(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The call of this phone breaks us, after everything about it was looked at."""
    judge = intake.judge

    def fragile(ledger: Ledger, call: Any, *rest: Any) -> Judgement:
        judgement = judge(ledger, call, *rest)
        if getattr(call, "tracking_id", None) == tracking_id(drawn(f"{name} w")):
            raise Fault
        return judgement

    monkeypatch.setattr(intake, "judge", fragile)


def test_a_group_that_is_not_stored_has_cost_nothing(site: Site) -> None:
    """A journal that is away uses up nobody's allowance, neither a guess's nor a report's without a code."""
    journal = Meddled(site.deployment.journal)
    policy = replace(POLICY, self_reports=True, self_reports_per_source=Rate(1, 3600))
    site.performer = Performer(journal, site.deployment.keys, site.clock, policy)
    calls = [report("on trust", None, 3, site.clock.now()).body]
    calls += [report(f"phone {number}", guess(number), 3, site.clock.now()).body for number in range(AT_ONCE)]
    arrivals = [Arrival(call, floor_quarter(site.clock.now()), WARD) for call in calls]
    for _ in range(2):
        journal.failing = ["lost"]
        with pytest.raises(Unavailable):
            site.performer.answer(arrivals)
    verdicts = [decode_answer(answer).verdict for answer in site.performer.answer(arrivals)]
    assert verdicts == [Verdict.TAKEN] + [Verdict.CODE_UNKNOWN] * AT_ONCE
    assert tell(site, [guess(77)], name="one more") == [Verdict.OVER_ALLOWANCE]


def test_who_shares_a_group_with_a_fault_is_charged_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is tried alone then: what the group cost is given back first."""
    break_at(monkeypatch, f"phone {AT_ONCE}")
    with pytest.raises(Fault):
        tell(site, [guess(number) for number in range(AT_ONCE + 1)])
    alone = [verdict for number in range(AT_ONCE) for verdict in tell(site, [guess(number)], name=f"alone {number}")]
    assert alone == [Verdict.CODE_UNKNOWN] * AT_ONCE
    assert tell(site, [guess(77)], name="one more") == [Verdict.OVER_ALLOWANCE]


def test_a_call_that_breaks_us_by_itself_is_no_free_guess(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    break_at(monkeypatch, "phone 0")
    for number in range(AT_ONCE):
        with pytest.raises(Fault):
            tell(site, [guess(number)])
    assert tell(site, [guess(77)], name="one more") == [Verdict.OVER_ALLOWANCE]


def test_what_is_counted_is_forgotten_also_while_the_journal_is_away(site: Site) -> None:  # T-P4
    def away() -> None:
        raise Unavailable("away")

    journal = Meddled(site.deployment.journal)
    site.performer = Performer(journal, site.deployment.keys, site.clock, POLICY)
    assert tell(site, [guess(1)]) == [Verdict.CODE_UNKNOWN]
    meters = site.performer._allowances._meters[Costly.GUESS]
    assert len(meters.own) == len(meters.first) == 1
    site.clock.wait(KEY_SECONDS)
    journal.first = [away]
    with pytest.raises(Unavailable):
        tell(site, [guess(2)])
    assert len(meters.own) == len(meters.first) == 0
