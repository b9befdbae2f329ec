"""Counts that are seen late, so that who reads them often learns no finer time of anybody than the journal holds.

A figure that is read every fifteen seconds, and grows by one, tells when somebody reported. So what was counted comes
out at the end of its quarter-hour, as the journal's stamps do; or, where a count says nothing of what a call was, as
soon as enough further calls came to hide each among them (``docs/decisions/0036-metrics-seen-late.md``).
"""

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import Final, Generic, TypeVar

from tocsin.model.times import Instant

CROWD: Final = 10
"""Calls that come out together before their quarter-hour is over."""

K = TypeVar("K", bound=Hashable)


class HeldBack(Generic[K]):
    """Sums by key. `crowd` None: only the end of a quarter-hour lets anything out. Not safe for several threads."""

    def __init__(self, crowd: int | None = None) -> None:
        self._crowd = crowd
        self._quarter = 0
        self._held: Counter[K] = Counter()
        self._held_calls = 0
        self._out: Counter[K] = Counter()

    def add(self, counts: Mapping[K, int], calls: int, quarter: Instant) -> None:
        """Counts these, which tell of so many `calls`, in the quarter-hour that begins at `quarter`."""
        self._end_before(quarter)
        self._held.update(counts)
        self._held_calls += calls
        if self._crowd is not None and self._held_calls >= self._crowd:
            self._let_out()

    def seen(self, quarter: Instant) -> Counter[K]:
        """What may be seen in the quarter-hour that begins at `quarter`. Sums only grow."""
        self._end_before(quarter)
        return self._out

    def _end_before(self, quarter: Instant) -> None:
        if quarter > self._quarter:  # a clock that goes back lets nothing out early
            self._quarter = quarter
            self._let_out()

    def _let_out(self) -> None:
        self._out.update(self._held)
        self._held.clear()
        self._held_calls = 0
