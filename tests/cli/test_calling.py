"""What a phone has to say has no say in when it calls: the schedules of the ill and the well are one (T-P3, T-P7)."""

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.wire_traces import FORTNIGHT_SECONDS, MemoryPhone, World
from tocsin.cli.phone import Stage
from tocsin.client.schedule import Errand
from tocsin.model.calls import Call, ReportCall, TrackCall, Verdict, WithdrawCall
from tocsin.model.times import DAY_SECONDS, day_of

Answers = Callable[[Call], Verdict]


def _server(report: Verdict, track: Verdict, withdrawal: Verdict) -> Answers:
    """One that answers each act always alike."""

    def answer(call: Call) -> Verdict:
        match call:
            case ReportCall():
                return report
            case TrackCall():
                return track
            case WithdrawCall():
                return withdrawal
            case _:
                return Verdict.NOTED

    return answer


STANDING = _server(Verdict.TAKEN, Verdict.TAKEN, Verdict.WITHDRAWN)
ILL: dict[str, tuple[Stage, Answers]] = {
    "stored": (Stage.STORED, STANDING),
    "pending": (Stage.PENDING, STANDING),
    "provisional for ever": (Stage.PENDING, _server(Verdict.PROVISIONAL, Verdict.UNKNOWN, Verdict.UNKNOWN)),
    "over its allowance": (Stage.PENDING, _server(Verdict.OVER_ALLOWANCE, Verdict.UNKNOWN, Verdict.UNKNOWN)),
    "refused": (Stage.PENDING, _server(Verdict.CODE_SPENT, Verdict.UNKNOWN, Verdict.UNKNOWN)),
    "taken": (Stage.TAKEN, STANDING),
    "cut off": (Stage.TAKEN, _server(Verdict.TAKEN, Verdict.CUT_OFF, Verdict.WITHDRAWN)),
    "withdrawing": (Stage.WITHDRAWING, STANDING),
    "withdrawal not known": (Stage.WITHDRAWING, _server(Verdict.TAKEN, Verdict.UNKNOWN, Verdict.UNKNOWN)),
}


def _draws(seed: int) -> Callable[[], float]:
    """Chance, the same for the same seed."""
    return random.Random(seed).random


def _away_for(hours: frozenset[int]) -> Callable[[int], bool]:
    """A server that is away in these of the hours of a fortnight."""
    return lambda now: now // 3600 % (14 * 24) in hours


hours_away = st.frozensets(st.integers(0, 14 * 24 - 1), max_size=100)


@pytest.mark.parametrize("ill", ILL)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), away=hours_away, wakes_each=st.sampled_from([1, 60, 900]))
def test_the_same_draws_give_the_same_calls(
    monkeypatch: pytest.MonkeyPatch, ill: str, seed: int, away: frozenset[int], wakes_each: int
) -> None:
    """Exactly: instants, addresses and sizes of a fortnight, with nothing to say, and with something all the time."""
    stage, answers = ILL[ill]
    worlds = [
        World(MemoryPhone(), _draws(seed), answers, _away_for(away)),
        World(MemoryPhone(stage), _draws(seed), answers, _away_for(away)),
    ]
    for world in worlds:
        world.run(monkeypatch, FORTNIGHT_SECONDS, wakes_each)
    well, sick = worlds
    assert well.seen == sick.seen
    assert set(well.errands) <= {Errand.DECOY}
    if sick.errands:
        assert sick.errands[0] is not Errand.DECOY


@pytest.mark.parametrize("stage", Stage)
def test_a_damaged_report_does_not_stop_the_calls(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stage: Stage
) -> None:
    phone = MemoryPhone(stage)
    phone.damage_report()
    damaged, well = World(phone, _draws(3)), World(MemoryPhone(), _draws(3))
    for world in (damaged, well):
        world.run(monkeypatch, FORTNIGHT_SECONDS)
    assert damaged.seen == well.seen and "is damaged" in capsys.readouterr().err


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), reported_after=st.integers(DAY_SECONDS, FORTNIGHT_SECONDS - 1))
def test_a_report_that_its_owner_times_moves_one_call_and_no_other(
    monkeypatch: pytest.MonkeyPatch, seed: int, reported_after: int
) -> None:
    """The call that was due next is made at once instead; all before and after it is as for a phone without one."""

    # Chance is told by the number of the call that it is drawn for: who reports asks once more.
    def numbered(world_of: list[World]) -> Callable[[], float]:
        return lambda: random.Random(seed + 1_000_003 * len(world_of[0].seen)).random()

    worlds = []
    for reports in (False, True):
        own: list[World] = []
        own.append(World(MemoryPhone(), numbered(own), STANDING))
        own[0].run(monkeypatch, reported_after, wakes_each=1)
        if reports:
            own[0].report_now(monkeypatch)
        own[0].run(monkeypatch, 2 * FORTNIGHT_SECONDS - reported_after, wakes_each=1)
        worlds.append(own[0])
    well, ill = worlds
    moved = [(one, other) for one, other in zip(well.seen, ill.seen, strict=False) if one != other]
    assert len(moved) == 1 and moved[0][1].at <= moved[0][0].at
    assert abs(len(well.seen) - len(ill.seen)) <= 1  # the moved one may have been the first behind the end


def test_a_report_is_asked_after_once_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tracking ID is seen by the server no more often than is of use."""
    world = World(MemoryPhone(Stage.TAKEN), _draws(7), STANDING)
    world.run(monkeypatch, FORTNIGHT_SECONDS)
    days = [day_of(seen.at) for seen, errand in zip(world.seen, world.errands, strict=True) if errand is Errand.TRACK]
    assert days == sorted({day_of(seen.at) for seen in world.seen})


def test_a_withdrawal_goes_before_all_else_and_ends_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    phone = MemoryPhone(Stage.PENDING)
    world = World(phone, _draws(8), _server(Verdict.PROVISIONAL, Verdict.UNKNOWN, Verdict.WITHDRAWN))
    world.run(monkeypatch, 3 * DAY_SECONDS)
    phone.move_report(Stage.PENDING, Stage.WITHDRAWING)
    world.run(monkeypatch, 3 * DAY_SECONDS)
    told = [errand for errand, _ in itertools.groupby(world.errands)]
    assert told == [Errand.REPEAT, Errand.WITHDRAW, Errand.DECOY] and world.errands.count(Errand.WITHDRAW) == 1
    assert phone.report() is None


def test_a_crash_after_the_call_makes_none_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its turn is stored before the call is made: whoever starts again finds the next one."""

    class Crash(BaseException):
        pass

    def crashing(call: Call) -> Verdict:
        raise Crash

    phone = MemoryPhone(Stage.PENDING)
    world = World(phone, _draws(9), crashing)
    with pytest.raises(Crash):
        world.run(monkeypatch, FORTNIGHT_SECONDS)
    schedule = phone.schedule()
    assert schedule is not None and schedule.due_at > world.clock.at
    known = phone.report()
    assert known is not None and known[0] is Stage.PENDING
