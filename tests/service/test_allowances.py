"""Allowances: what a source may do at once, what comes back with time, and what no source can take from another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.sites import MORNING
from tocsin.model.policy import LONGEST_REFILL_SECONDS, Policy, Rate
from tocsin.model.times import Instant
from tocsin.rules.allowance import Costly
from tocsin.service import allowances
from tocsin.service.allowances import Allowances, Meter
from tocsin.service.sources import KEY_SECONDS, Source

POLICY = Policy(guesses_per_source=Rate(4, 10), first_guesses_per_network=Rate(2, 100), guesses_in_all=Rate(3, 50))


def at(seconds: int) -> Instant:
    return Instant(MORNING + seconds)


def source(own: int, network: int | None = None) -> Source:
    return Source(b"%016d" % own, b"%016d" % (own if network is None else network))


def taken(all_: Allowances, who: Source, seconds: int = 0, times: int = 20) -> int:
    """How often `who` may guess at that second."""
    return sum(all_.of(who, at(seconds)).take(Costly.GUESS) for _ in range(times))


# --- one meter -------------------------------------------------------------------------------------------------------


@given(
    rate=st.builds(Rate, st.integers(1, 5), st.integers(1, 20)),
    steps=st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["take", "give back", "forget"])), max_size=60),
)
def test_a_meter_is_a_bucket_of_tokens(rate: Rate, steps: list[tuple[int, str]]) -> None:
    """Against the textbook's bucket, which counts in fractions of a token."""
    meter, tokens, now, out = Meter(rate), rate.at_once * rate.refill_seconds, MORNING, 0
    for wait, step in steps:
        now = Instant(now + wait)
        tokens = min(rate.at_once * rate.refill_seconds, tokens + wait)
        assert meter.has_one(b"x", now) == (tokens >= rate.refill_seconds)
        if step == "take" and meter.has_one(b"x", now):
            meter.take(b"x", now)
            tokens, out = tokens - rate.refill_seconds, out + 1
        elif step == "give back" and out:
            meter.give_back(b"x", now)
            tokens, out = min(rate.at_once * rate.refill_seconds, tokens + rate.refill_seconds), out - 1
        else:
            meter.forget(now)


def test_a_meter_forgets_who_has_all_again() -> None:
    meter = Meter(Rate(3, 10))
    for _ in range(3):
        meter.take(b"early", MORNING)
    meter.take(b"late", at(5))
    meter.forget(at(15))
    assert len(meter) == 2  # the one in front still counts
    meter.forget(at(30))
    assert len(meter) == 0


def test_of_a_source_that_only_verified_nothing_is_kept() -> None:
    meter = Meter(Rate(3, 10))
    meter.take(b"x", MORNING)
    meter.give_back(b"x", MORNING)
    assert len(meter) == 0


def test_a_clock_that_steps_back_takes_nothing_away() -> None:
    meter = Meter(Rate(2, 10))
    meter.take(b"x", MORNING)
    assert meter.has_one(b"y", at(-200)) and not meter.has_one(b"x", at(-200))
    meter.take(b"y", at(-200))
    assert meter.has_one(b"x", at(5)) and meter.has_one(b"y", at(5))


def test_a_full_table_forgets_the_one_charged_longest_ago_and_shuts_out_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "MAX_SOURCES", 3)
    meter = Meter(Rate(1, 1000))
    for name in b"a", b"b", b"c":
        meter.take(name, MORNING)
    assert not meter.has_one(b"a", MORNING)
    assert meter.has_one(b"d", MORNING)
    meter.take(b"d", MORNING)
    assert len(meter) == 3
    assert [meter.has_one(name, MORNING) for name in (b"a", b"b", b"c", b"d")] == [True, False, False, False]


# --- a source and all of them ----------------------------------------------------------------------------------------


def test_a_source_has_its_first_few_and_then_needs_the_deployments_too() -> None:
    all_ = Allowances(POLICY)
    assert taken(all_, source(1)) == 4  # its own; two of them not counted among all
    assert taken(all_, source(2)) == 3  # the first two, and the last of all
    assert taken(all_, source(3)) == 2  # none is left in all: the first few go on


def test_who_has_not_failed_is_not_shut_out_by_those_who_have() -> None:
    all_ = Allowances(POLICY)
    for number in range(1000):
        taken(all_, source(number))
    honest = all_.of(source(5000), MORNING)
    assert honest.take(Costly.GUESS)
    honest.give_back()
    assert taken(all_, source(5000)) == 2


def test_many_sources_of_one_network_share_the_first_few() -> None:
    """A /48 has 65,536 times a /64: without this, each would bring guesses of its own."""
    all_ = Allowances(POLICY)
    assert sum(taken(all_, source(number, network=7)) for number in range(1000)) == 2 + 3


def test_time_gives_back() -> None:
    all_ = Allowances(POLICY)
    assert taken(all_, source(1)) == 4
    assert taken(all_, source(1), 9) == 0
    assert taken(all_, source(1), 10) == 1  # the last of the deployment's
    assert taken(all_, source(1), 20) == 0
    assert taken(all_, source(1), 50) == 1
    assert taken(all_, source(1), 50) == 0


def test_what_is_given_back_is_there_again_wherever_it_was_taken() -> None:
    all_ = Allowances(POLICY)
    for _ in range(50):  # all of them verify
        one = all_.of(source(1), MORNING)
        assert one.take(Costly.GUESS)
        one.give_back()
        one.give_back()  # once only
    assert taken(all_, source(1)) == 4
    one = all_.of(source(1), at(10))
    assert one.take(Costly.GUESS)
    one.give_back()
    assert taken(all_, source(1), 10) == 1


def test_what_is_refused_takes_nothing() -> None:
    all_ = Allowances(replace(POLICY, guesses_per_source=Rate(1, 10)))
    assert taken(all_, source(1), times=100) == 1
    assert taken(all_, source(2, network=1)) == 1  # of the network's first two only one was used


def test_guesses_and_self_reports_are_counted_apart() -> None:
    all_ = Allowances(POLICY)
    taken(all_, source(1))
    assert all_.of(source(1), MORNING).take(Costly.SELF_REPORT)


def test_nothing_of_a_source_outlives_a_day() -> None:  # T-P4
    policy = Policy()
    rates = [value for value in (getattr(policy, name) for name in policy.__struct_fields__) if isinstance(value, Rate)]
    assert len(rates) == 6
    assert max(rate.at_once * rate.refill_seconds for rate in rates) <= LONGEST_REFILL_SECONDS
    assert KEY_SECONDS + LONGEST_REFILL_SECONDS <= 24 * 3600
    all_ = Allowances(policy)
    for what in Costly:
        while all_.of(source(1), MORNING).take(what):
            pass
    all_.forget(at(LONGEST_REFILL_SECONDS))
    meters = [meter for three in all_._meters.values() for meter in (three.own, three.first, three.all)]
    assert [len(meter) for meter in meters] == [0] * 6


def test_the_defaults_leave_a_guesser_half_a_million_guesses_a_day_and_no_more() -> None:
    """docs/decisions/0023: with 10,000 networks, 100 days to the first code that is expected to be found."""
    policy = Policy()
    day = 24 * 3600

    def a_day(rate: Rate) -> int:
        return rate.at_once + day // rate.refill_seconds

    guesses = a_day(policy.guesses_in_all) + 10_000 * a_day(policy.first_guesses_per_network)
    expected = 10**11 // 2000  # eleven digits and a check digit, among 2,000 live codes
    assert expected == 5 * 10**7 and expected / guesses > 100
