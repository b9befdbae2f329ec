"""Guessers of phone codes, and patients beside them, as the one thread judges them (T-C2, cases 24 and 25)."""

from pathlib import Path

import pytest

from tests.sites import FixedClock, Site, drawn, guess, report
from tocsin.formats.wire import decode_answer
from tocsin.model.calls import Verdict
from tocsin.model.policy import Policy
from tocsin.model.times import floor_quarter
from tocsin.service.perform import Arrival
from tocsin.service.sources import Source

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
