"""The grid of instants on which answers leave, so that how long one took to make can't be read off its arrival."""

import math
from typing import Final

GRID_SECONDS: Final = 0.05
"""Wide enough to hold a usual group of the journal, narrow enough that nobody minds waiting."""


def next_tick(ready: float, arrived: float, step: float = GRID_SECONDS) -> float:
    """When an answer that was `ready` leaves: at ``arrived + n · step`` with the least whole n ≥ 1 not before `ready`.

    All three in seconds of one monotonic clock; `arrived` is the call's last byte. A `step` of 0 is no grid.

    >>> next_tick(ready=10.0, arrived=10.0, step=0.25), next_tick(ready=10.26, arrived=10.0, step=0.25)
    (10.25, 10.5)
    """
    if step == 0:
        return ready
    return arrived + step * max(1, math.ceil((ready - arrived) / step))
