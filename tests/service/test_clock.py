"""The wall clock, held against the time since the machine's start."""

import pytest

from tests.service.machine import Machine
from tocsin.model.errors import Unavailable
from tocsin.service.clock import MAX_DRIFT_SECONDS, SystemClock

START = 1_700_000_000.0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(START)
    made.put_in(monkeypatch)
    return made


def test_it_tells_whole_seconds(machine: Machine) -> None:
    clock = SystemClock()
    machine.wait(86_400.9)
    assert clock.now() == int(START) + 86_400 and isinstance(clock.now(), int)


@pytest.mark.parametrize("set_by", [MAX_DRIFT_SECONDS, -MAX_DRIFT_SECONDS, 1, -1])
def test_a_clock_that_is_adjusted_is_believed(machine: Machine, set_by: int) -> None:
    clock = SystemClock()
    machine.wait(3600)
    machine.wall += set_by
    assert clock.now() == int(START) + 3600 + set_by


@pytest.mark.parametrize("set_by", [MAX_DRIFT_SECONDS + 1, -MAX_DRIFT_SECONDS - 1, 86_400, -(10**9)])
def test_a_clock_that_jumps_is_not(machine: Machine, set_by: int) -> None:
    clock = SystemClock()
    machine.wait(3600)
    machine.wall += set_by
    for _ in range(2):
        with pytest.raises(Unavailable, match="restart"):
            clock.now()
    machine.wall -= set_by
    assert clock.now() == int(START) + 3600, "set right again"
    machine.wall += set_by
    assert SystemClock().now() == int(START) + 3600 + set_by, "a new process believes the clock that it finds"


def test_small_steps_add_up(machine: Machine) -> None:
    clock = SystemClock()
    for _ in range(MAX_DRIFT_SECONDS):
        machine.wall += 1
        clock.now()
    machine.wall += 1
    with pytest.raises(Unavailable):
        clock.now()


def test_the_real_one_goes_on() -> None:
    clock = SystemClock()
    assert clock.now() <= clock.now()
