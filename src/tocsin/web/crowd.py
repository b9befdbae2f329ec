"""How many connections each caller holds open: a count while they are, and nothing afterwards."""

from collections import Counter


class Crowd:
    """Open connections by caller; `limit` None: as many as they like."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._open: Counter[bytes] = Counter()

    def enter(self, caller: bytes) -> bool:
        """Counts one more connection of `caller`; False, and it is not counted, if it has as many as it may."""
        if self._limit is None:
            return True
        if self._open.get(caller, 0) >= self._limit:
            return False
        self._open[caller] += 1
        return True

    def leave(self, caller: bytes) -> None:
        """Counts one less of `caller`, which had entered."""
        if self._limit is None:
            return
        self._open[caller] -= 1
        if self._open[caller] == 0:
            del self._open[caller]

    def __len__(self) -> int:
        """How many callers have a connection open."""
        return len(self._open)
