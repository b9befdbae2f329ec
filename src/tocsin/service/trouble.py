"""Telling the operator of a server what is in its way, once, and once that it is over."""

from collections.abc import Callable
from contextlib import suppress
from time import perf_counter

Told = Callable[[str | None], None]
"""Is given a sentence when something begins to fail, None when all is well again."""


class Trouble:
    """What is in the way of one part of a server. The same sentence is not repeated while it holds.

    After each sentence it is silent for `silent_seconds`, whatever comes: a disk that takes one group and refuses the
    next must not fill the log. What still holds then is told at the next occasion.
    """

    def __init__(self, told: Told, silent_seconds: float = 0) -> None:
        self._told = told
        self._silent_seconds = silent_seconds
        self._silent_until = 0.0
        self._last: str | None = None

    def is_now(self, sentence: str | None) -> None:
        """The state of things at this moment: a sentence, or None for well."""
        at = perf_counter()  # a stopwatch, not the time of day
        if sentence == self._last or at < self._silent_until:
            return
        self._last = sentence
        self._silent_until = at + self._silent_seconds
        with suppress(OSError, ValueError):  # a terminal that is gone
            self._told(sentence)
