"""The one clock of a running server, held against the time since the machine's start."""

import time
from typing import Final

from tocsin.model.errors import Unavailable
from tocsin.model.times import Instant

MAX_DRIFT_SECONDS: Final = 300
"""How far the wall clock and the time since the machine's start may part, from the start of the process on."""


class SystemClock:
    """The machine's wall clock, held against the time since it was started: a clock that jumps is not believed."""

    def __init__(self) -> None:
        self._offset = time.time() - _running()

    def now(self) -> Instant:
        """The present instant in UTC seconds. Raises `Unavailable` if the wall clock was set since the start.

        A virtual machine that was paused looks the same: its clock was put right by the length of the pause.
        """
        wall = time.time()
        if abs(wall - _running() - self._offset) > MAX_DRIFT_SECONDS:
            raise Unavailable(
                "this machine's clock was set by more than five minutes, or the machine was paused: see that the clock"
                " is right, then restart"
            )
        return Instant(int(wall))


def _running() -> float:
    """Seconds since the machine was started, those included in which it was suspended: its clock is not wrong then."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
