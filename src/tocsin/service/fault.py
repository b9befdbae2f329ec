"""What nobody foresaw, told by its type and place. Its message is never told: it could hold what somebody sent."""

import traceback
from pathlib import Path
from types import TracebackType
from typing import Final

_OURS: Final = Path(__file__).parents[1]
"""The folder of the package."""


def told(error: BaseException) -> str:
    """The type of `error`, and the last line of our code that it came through.

    >>> told(KeyError("C4RD-C0DE"))
    'KeyError'
    """
    place = place_of(error.__traceback__)
    return type(error).__name__ if place is None else f"{type(error).__name__} at {place}"


def place_of(trace: TracebackType | None) -> str | None:
    """The last line of our code in `trace`, as ``tocsin/room/module.py:12``; None if there is none."""
    for frame, line in reversed(list(traceback.walk_tb(trace))):
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(_OURS):
            return f"{file.relative_to(_OURS.parent)}:{line}"
    return None
