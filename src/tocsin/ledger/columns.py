"""Columns that grow: the ledger's tables, one numpy array a field."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tocsin.model.errors import Unavailable

TORN: Final = "memory ran out while the ledger was folded: it is read anew from the journal"
_FIRST_ROOM: Final = 1024
_GROWTH: Final = 4
"""Room that nothing was written to yet takes up addresses, and no memory."""


class Columns:
    """A table whose rows are only ever added; each column is one array, so that a question is one pass over it.

    Rows that are added wait, as they came, until a column is asked for: numpy is slow on single cells.
    `columns["name"]` is a writable view of the rows there are; it is stale once further rows are asked for.
    """

    def __init__(self, dtypes: Mapping[str, DTypeLike]) -> None:
        self._arrays: dict[str, NDArray[Any]] = {name: np.zeros(_FIRST_ROOM, dtype) for name, dtype in dtypes.items()}
        self._room = _FIRST_ROOM
        self._written = 0
        self._waiting: dict[str, list[Any]] = {name: [] for name in dtypes}
        self.torn = False
        """Whether writing failed half-way, for want of memory: the table can't be used any more."""

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> "Columns":
        """A table with these columns, all of one length; the arrays are its own from now on."""
        table = cls({})
        table._arrays, table._waiting = dict(arrays), {name: [] for name in arrays}
        table._room = table._written = len(next(iter(table._arrays.values())))
        return table

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The column `name`. Raises `Unavailable` if the table is torn."""
        self._write()
        return self._arrays[name][: self._written]

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self._written + len(next(iter(self._waiting.values())))

    @property
    def dtypes(self) -> dict[str, np.dtype[Any]]:
        """What each column holds."""
        return {name: array.dtype for name, array in self._arrays.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""
        return tuple(self._arrays)

    def cell(self, name: str, row: int) -> int:
        """The number in one cell, also of a row that waits: nothing is written for it. Raises as `columns[name]`."""
        if self.torn:
            raise Unavailable(TORN)
        if row < self._written:
            return int(self._arrays[name][row])
        return int(self._waiting[name][row - self._written])

    def find(self, name: str, value: int) -> int | None:
        """The row that has `value` in the column `name`, which ascends; None if there is none. As `cell`."""
        row = bisect_left(range(self.count), value, key=lambda row: self.cell(name, row))
        return row if row < self.count and self.cell(name, row) == value else None

    def add(self, *values: Sequence[Any]) -> int:
        """Adds rows, their values a column in the columns' order (bytes where numpy has a void type).

        Returns where the first of them is.
        """
        first = self.count
        for waiting, added in zip(self._waiting.values(), values, strict=True):
            waiting.extend(added)
        return first

    def extend(self, rows: int) -> slice:
        """Adds `rows` rows of zeros and returns where they are. Cost: amortised one copy."""
        self._write()
        return self._grow(rows)

    def take_back(self, count: int) -> None:
        """Drops the rows behind the first `count`."""
        for waiting in self._waiting.values():
            del waiting[max(0, count - self._written) :]
        for array in self._arrays.values():
            array[count : self._written] = np.zeros((), array.dtype)  # further rows begin as zeros
        self._written = min(count, self._written)

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Drops all rows but these, which move up; what the others held is given back to the system."""
        self._write()
        self.torn = True
        self._written = self._room = int(rows.sum())
        for name, array in self._arrays.items():
            self._arrays[name] = array[: len(rows)][rows]
        self.torn = False

    def copy(self) -> "Columns":
        """A table of its own with these rows."""
        return Columns.of({name: self[name].copy() for name in self.names})

    def _grow(self, rows: int) -> slice:
        start, self._written = self._written, self._written + rows
        if self._written > self._room:
            self._room = max(_GROWTH * self._room, self._written)
            for name, array in self._arrays.items():
                grown = np.zeros(self._room, array.dtype)
                grown[:start] = array[:start]
                self._arrays[name] = grown
        return slice(start, self._written)

    def _write(self) -> None:
        if self.torn:
            raise Unavailable(TORN)
        if self.count == self._written:
            return
        self.torn = True
        rows = self._grow(self.count - self._written)
        for name, values in self._waiting.items():
            array = self._arrays[name]
            array[rows] = np.frombuffer(b"".join(values), array.dtype) if array.dtype.kind == "V" else values
            values.clear()
        self.torn = False
