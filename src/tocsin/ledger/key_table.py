"""The table of keys: which reports hold which keys, and what of them is public."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import accumulate, compress
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import DTypeLike, NDArray

from tocsin.ledger.columns import TORN, Columns
from tocsin.ledger.key_index import KeyIndex
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.keys import (
    CONTENT_KEY,
    CONTENT_KEYS,
    RECORDS,
    ContentKeys,
    KeyKind,
    Records,
    key_days,
    kind_of,
    release_instants,
    secret_ends,
)

NEVER: Final = -1
_POSITION: Final = CONTENT_KEY["key_kind"].itemsize
"""Where the position stands in a row of `CONTENT_KEYS`, whatever the kind."""
_NEVER_PUBLIC: Final = {"public": False, "last_row": NEVER, "first_entered": 0, "changed": 0, "left": 0}
"""What is known of a key that was never public."""
_COLUMNS: Final[dict[str, DTypeLike]] = {
    "report": np.int32,
    "position": np.uint8,
    "day": np.int32,
    "release_at": np.int64,
    "was_public": np.bool_,
    "head": np.int32,
    "public": np.bool_,
    "last_row": np.int32,
    "first_entered": np.int32,
    "changed": np.int32,
    "left": np.int32,
    "final": np.bool_,
}
"""Beside the record, whose width is that of its kind."""


class _Waiting(Struct, frozen=True, eq=False):
    """Reports whose keys are not laid out, an entry each: their rows, times, hold-backs, and rows of `CONTENT_KEYS`."""

    reports: list[int] = []
    received_at: list[int] = []
    holds: list[bytes] = []
    key_rows: list[bytes] = []


class KeyTable:
    """The keys of one kind: one row a taken key position, those of one report together, ascending by position.

    What is public is known per key, not per holder, and stands in the row of the key's first holder (its `head`):
    `public`, `last_row` (the holder that is or was last public), and the three versions that the delta law needs:
    `first_entered`, `changed` (last entered or changed), `left`.

    The keys of a report wait, as they came, until the table is asked: many are laid out in the time of a few.
    """

    def __init__(self, kind: KeyKind, secret: bytes) -> None:
        self.kind = kind
        self.stints: dict[int, list[tuple[int, int]]] = {}
        """Head → (row, version at which that row ceased to be public) of holders that another holder followed."""
        self._width = CONTENT_KEYS[kind].itemsize
        self._columns = Columns({"record": RECORDS[kind], **_COLUMNS})
        self._index = KeyIndex(RECORDS[kind]["key_data"].itemsize, secret)
        self._holders: dict[int, list[int]] = {}
        self._waiting = _Waiting()
        self._torn = False
        self.count = 0
        """How many rows there are."""

    @classmethod
    def of(cls, kind: KeyKind, columns: Mapping[str, NDArray[Any]], index: KeyIndex) -> "KeyTable":
        """A table with these columns, and the index of the keys in them; no stints."""
        table = cls(kind, b"")
        table._columns = Columns.of({name: columns[name] for name in table.names})
        table._index, table.count = index, table._columns.count
        table._note_holders(0)
        return table

    @property
    def torn(self) -> bool:
        """As that of `Columns`."""
        return self._torn or self._columns.torn

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The column `name`: a writable view, stale once further rows are asked for. Raises as that of `Columns`."""
        self._lay_out()
        return self._columns[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns there are."""
        return self._columns.names

    @property
    def holders(self) -> dict[int, list[int]]:
        """Head → all its holders' rows, by sequence and position; only for keys that have more than one."""
        self._lay_out()
        return self._holders

    @property
    def index(self) -> KeyIndex:
        """Which row holds a key first: for whoever writes the table down."""
        self._lay_out()
        return self._index

    def hold(
        self, reports: Sequence[int], received_at: Sequence[int], holds: Sequence[bytes], key_rows: Sequence[bytes]
    ) -> list[int]:
        """Adds the keys of the reports in these rows, an entry of each argument a report.

        `received_at`: UTC seconds; `holds`: quarter-hours, a byte for each position as sent; `key_rows`: the keys, as
        `ReportContent` has them. Returns the first row of each. Raises `Invalid` if a key's position has no hold-back.
        """
        width = self._width
        if any(rows and rows[_POSITION - width] >= len(hold) for rows, hold in zip(key_rows, holds, strict=True)):
            raise Invalid("a report holds a key that has no hold-back")
        *firsts, self.count = [self.count + at // width for at in accumulate(map(len, key_rows), initial=0)]
        waiting = self._waiting
        waiting.reports.extend(compress(reports, key_rows))
        waiting.received_at.extend(compress(received_at, key_rows))
        waiting.holds.extend(compress(holds, key_rows))
        waiting.key_rows.extend(filter(None, key_rows))
        return firsts

    def take_back(self, count: int) -> None:
        """Drops the keys of the last reports, which nothing was made public of, so that `count` rows are left."""
        waiting = self._waiting
        while waiting.reports and self.count > count:
            self.count -= len(waiting.key_rows[-1]) // self._width
            for column in (waiting.reports, waiting.received_at, waiting.holds, waiting.key_rows):
                column.pop()
        if self.count == count:
            return
        heads = self._columns["head"]
        for row in range(self.count - 1, count - 1, -1):
            head = int(heads[row])
            if head != row:
                self._holders[head].pop()
                if len(self._holders[head]) == 1:
                    del self._holders[head]
        self._index.forget(self._columns["record"], count)
        self._columns.take_back(count)
        self.count = count

    def drop(self, rows: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Drops these rows, as if they had never been held; the others move up.

        A key of which another holder is left goes over to that one; if a row that goes was the last one public, the key
        is as if it never was. Returns for each row there was, and for the end, how many rows before it are left. Cost:
        one copy of what is left.
        """
        self._lay_out()
        self._torn = True
        columns, kept = self._columns, ~rows
        left = np.concatenate([[0], np.cumsum(kept)])
        self._hand_over(rows)
        last = columns["last_row"]
        columns["head"][:] = left[columns["head"]]
        columns["last_row"][:] = np.where(last == NEVER, NEVER, left[last])
        self.stints = {
            int(left[head]): [(int(left[row]), ended) for row, ended in stints if kept[row]]
            for head, stints in self.stints.items()
            if kept[head]
        }
        self._holders = {
            int(left[head]): [int(left[row]) for row in holders] for head, holders in self._holders.items()
        }
        columns.keep(kept)
        self.count = columns.count
        self._index.fill_anew(columns["record"], np.nonzero(columns["head"] == np.arange(self.count))[0])
        self._torn = False
        return left

    def _hand_over(self, rows: NDArray[np.bool_]) -> None:
        """Gives each key of which some holders go to the first that stays, with what is known of it."""
        columns = self._columns
        last = columns["last_row"]
        going = (last != NEVER) & rows[last]
        for name, never in _NEVER_PUBLIC.items():
            columns[name][going] = never
        holders, self._holders = self._holders, {}
        for head, held in holders.items():
            staying = [row for row in held if not rows[row]]
            if not staying:
                continue
            first = staying[0]
            if first != head:
                columns["head"][staying] = first
                for name in (*_NEVER_PUBLIC, "final"):
                    columns[name][first] = columns[name][head]
                if head in self.stints:
                    self.stints[first] = self.stints.pop(head)
            if len(staying) > 1:
                self._holders[first] = staying

    def copy(self) -> "KeyTable":
        """A table of its own with these rows."""
        self._lay_out()
        twin = KeyTable(self.kind, b"")
        twin.stints = deepcopy(self.stints)
        twin._columns = self._columns.copy()
        twin._index = self._index.copy()
        twin._holders = deepcopy(self._holders)
        twin.count = self.count
        return twin

    def _lay_out(self) -> None:
        if self._torn:
            raise Unavailable(TORN)
        if not self._waiting.reports:
            return
        waiting, self._waiting = self._waiting, _Waiting()
        self._torn = True
        self._write(waiting)
        self._torn = False

    def _write(self, waiting: _Waiting) -> None:
        columns = self._columns
        rows = columns.extend(self.count - columns.count)
        keys: ContentKeys = np.frombuffer(b"".join(waiting.key_rows), CONTENT_KEYS[self.kind])
        counts = np.array([len(rows) for rows in waiting.key_rows]) // self._width
        records = _records(keys)
        plain = f"V{records.itemsize}"  # numpy would copy records field by field
        columns["record"].view(plain)[rows] = records.view(plain)
        columns["report"][rows] = np.repeat(waiting.reports, counts)
        columns["position"][rows] = keys["position"]
        columns["day"][rows] = key_days(records)
        received_at = np.repeat(waiting.received_at, counts)
        ends = secret_ends(records, np.cumsum(counts) - counts)
        columns["release_at"][rows] = release_instants(
            ends, received_at, _holds(waiting.holds, counts, keys["position"])
        )
        columns["last_row"][rows] = NEVER
        heads = self._index.first_holders(columns["record"], rows.start)
        columns["head"][rows] = heads
        self._note_holders(rows.start)

    def _note_holders(self, start: int) -> None:
        """The rows from `start` on that hold a key which another one held before."""
        heads = self._columns["head"]
        for row in (start + np.nonzero(heads[start:] != np.arange(start, len(heads)))[0]).tolist():
            head = int(heads[row])
            self._holders.setdefault(head, [head]).append(row)


def _records(keys: ContentKeys) -> Records:
    """The records of `keys`, next to each other; numpy would copy them field by field."""
    record = RECORDS[kind_of(keys)]
    offset = keys.itemsize - record.itemsize
    records: Records = np.ndarray(len(keys), f"V{record.itemsize}", keys, offset, keys.strides).copy().view(record)
    return records


def _holds(holds: Sequence[bytes], counts: NDArray[np.intp], positions: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The hold-back of each key; those of a report are written position by position, of which some were not taken."""
    written = [len(hold) for hold in holds]
    firsts = np.repeat(np.cumsum(written) - written, counts)
    quarters: NDArray[np.uint8] = np.frombuffer(b"".join(holds), np.uint8)[firsts + positions]
    return quarters
