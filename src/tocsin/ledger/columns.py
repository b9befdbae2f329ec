"""Columns that grow: the ledger's tables, one numpy array a field."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

_FIRST_ROOM: Final = 1024


class Columns:
    """A table whose rows are only ever added; each column is one array, so that a question is one pass over it.

    `columns["name"]` is a writable view of the rows there are; it is stale after the next `extend`.
    """

    def __init__(self, dtypes: Mapping[str, DTypeLike]) -> None:
        self._arrays: dict[str, NDArray[Any]] = {name: np.zeros(_FIRST_ROOM, dtype) for name, dtype in dtypes.items()}
        self._room = _FIRST_ROOM
        self.count = 0

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name][: self.count]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""
        return tuple(self._arrays)

    def extend(self, rows: int) -> slice:
        """Adds `rows` rows of zeros and returns where they are. Cost: amortised one copy."""
        start, self.count = self.count, self.count + rows
        if self.count > self._room:
            self._room = max(2 * self._room, self.count)
            for name, array in self._arrays.items():
                grown = np.zeros(self._room, array.dtype)
                grown[:start] = array[:start]
                self._arrays[name] = grown
        return slice(start, self.count)
