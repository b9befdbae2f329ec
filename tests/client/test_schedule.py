"""When a phone calls: by chance and time alone, with one mean rate; what it has to say has an order, no say in it."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sites import MORNING, report
from tocsin.client.calls import continue_call, decoy_call, track_call, withdraw_call
from tocsin.client.schedule import (
    LONGEST_WAIT_SECONDS,
    MEAN_GAP_SECONDS,
    MEAN_REPEAT_SECONDS,
    PATIENCE_SECONDS,
    Errand,
    Schedule,
    body_of,
    decode_schedule,
    encode_schedule,
    go_on,
    next_errand,
)
from tocsin.model.errors import Invalid
from tocsin.model.times import Instant

draws = st.floats(0, 1, exclude_max=True)
instants = st.integers(0, 2**33).map(Instant)
schedules = st.builds(Schedule, instants, st.integers(0, 100), st.integers(-1, 2**20))


@given(schedule=schedules, now=st.integers(0, 2**33), draw=draws)
def test_what_a_phone_has_asked_after_has_no_say(schedule: Schedule, now: int, draw: float) -> None:
    other = Schedule(schedule.due_at, schedule.unanswered)
    for follow in (Schedule.answered, Schedule.unheard):
        assert follow(schedule, now, draw).due_at == follow(other, now, draw).due_at


@given(due_at=instants, called_at=st.integers(0, 2**33), draw=draws)
def test_a_call_that_a_person_times_takes_the_place_of_the_next_one(due_at: int, called_at: int, draw: float) -> None:
    """Whoever reports now calls no more often: what comes after the call whose place was taken is as it would be."""
    early = min(called_at, due_at)
    assert Schedule(Instant(due_at)).answered(early, draw) == Schedule(Instant(due_at)).answered(due_at, draw)


def test_gaps_are_exponential_with_one_mean() -> None:
    chance = random.Random(5)
    gaps = [Schedule(Instant(0)).answered(0, chance.random()).due_at for _ in range(20_000)]
    assert sum(gaps) / len(gaps) == pytest.approx(MEAN_GAP_SECONDS, rel=0.03)
    for share in (0.1, 0.5, 0.9):  # memoryless: beyond t lie e^(−t/mean) of them
        beyond = sum(gap > -math.log(share) * MEAN_GAP_SECONDS for gap in gaps) / len(gaps)
        assert beyond == pytest.approx(share, abs=0.015)


def test_no_answer_brings_the_next_call_nearer_and_each_further_one_less_so() -> None:
    schedule = Schedule(Instant(1000))
    waits = []
    for _ in range(8):
        schedule = schedule.unheard(2000, 0.5)
        waits.append(schedule.due_at - 2000 - PATIENCE_SECONDS)
    means = [min(MEAN_REPEAT_SECONDS * 2**n, MEAN_GAP_SECONDS) for n in range(8)]
    assert waits == [int(mean * math.log(2)) for mean in means]
    assert schedule.unanswered == 8 and schedule.answered(3000, 0.5).unanswered == 0


@given(schedule=schedules, now=st.integers(0, 2**33), draw=draws)
def test_no_chance_reaches_beyond_the_longest_wait(schedule: Schedule, now: int, draw: float) -> None:
    """A clock that was years ahead for one call must not silence a phone for years."""
    assert go_on(schedule, now, draw).due_at <= now + LONGEST_WAIT_SECONDS
    assert go_on(None, now, draw).due_at <= now + LONGEST_WAIT_SECONDS
    if schedule.due_at <= now + LONGEST_WAIT_SECONDS:
        assert go_on(schedule, now, draw) is schedule


def test_the_order_of_importance() -> None:
    assert next_errand(reversed(Errand)) is Errand.WITHDRAW
    assert next_errand([Errand.TRACK, Errand.REPEAT]) is Errand.REPEAT
    assert next_errand([]) is Errand.DECOY


def test_what_each_errand_posts() -> None:
    pending = report("ada", "C000-401D-0G1X-9K7Y-SZJZ", 3, MORNING)
    assert body_of(Errand.WITHDRAW, pending) == withdraw_call(pending.withdrawal_secret)
    assert body_of(Errand.REPEAT, pending) == pending.body
    assert body_of(Errand.TRACK, pending) == track_call(pending.withdrawal_secret)
    assert body_of(Errand.DECOY, pending) == body_of(Errand.DECOY, None) == decoy_call()
    more = continue_call(
        [], code="C…", onset_day=None, continuation_secret=bytes(32), next_continuation_secret=bytes([1]) * 32
    )
    assert body_of(Errand.CONTINUE, pending, more) == more.body
    assert {len(body_of(errand, pending, more)) for errand in Errand} == {4096}
    for errand, kept in ((Errand.TRACK, None), (Errand.CONTINUE, pending)):
        with pytest.raises(Invalid):
            body_of(errand, kept)


@given(schedules)
def test_a_stored_schedule_is_read_again(schedule: Schedule) -> None:
    assert decode_schedule(encode_schedule(schedule)) == schedule


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1,0,-1]",
        b'{"due_at":-1}',
        b'{"due_at":1.5}',
        b'{"due_at":1,"unanswered":-1}',
        b'{"due_at":1,"tracked_day":-2}',
        b'{"due_at":1,"more":1}',
        b'{"due_at":1',
        b"\xff",
    ],
)
def test_what_is_no_schedule_is_invalid(data: bytes) -> None:
    with pytest.raises(Invalid):
        decode_schedule(data)
