"""A ledger from the bytes that `tocsin.ledger.checkpoint` made of it. Pure. Source: ``docs/formats/checkpoint.md``.

A ledger that is put together without the parts of some days is the one that is folded without the keys of these days.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import DTypeLike, NDArray

from tocsin.ledger.checkpoint import (
    DECODER,
    FINAL,
    HEAD,
    LAST,
    LENGTH,
    OF_A_KEY,
    PUBLIC,
    SAME,
    WAS_PUBLIC,
    Flags,
    Rows,
    State,
    key_columns,
    number_columns,
    report_columns,
    stored,
)
from tocsin.ledger.columns import Columns
from tocsin.ledger.key_index import FIRST_BITS, KeyIndex
from tocsin.ledger.key_table import NEVER, KeyTable
from tocsin.ledger.predicates import rollbacks_against
from tocsin.ledger.state import Ledger, Objection
from tocsin.model.errors import Invalid
from tocsin.model.keys import MAX_KEYS, RECORDS, KeyKind
from tocsin.model.times import DAY_SECONDS, Day

Buffer = bytes | bytearray | memoryview
Parts = Mapping[Day, Callable[[], Buffer]]
"""How to get the part of each day that is not erased."""


def restore(numbers: Buffer, parts: Parts) -> Ledger:
    """The ledger that was written down, without what came on days that have no part any more.

    Each part is asked for once, and let go of before the next. Raises `Invalid` for bytes that are none of a ledger.
    """
    reader = _Reader(numbers)
    try:
        state = DECODER.decode(reader.take(reader.number()))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _none() from None
    ledger = _without_tables(state)
    columns = reader.columns(number_columns(), state.reports)
    _refuse_wrong(columns)
    first = columns["root"] == np.arange(state.reports)
    ids = reader.column("V32", int(first.sum())).tolist()
    ledger.report_by_id = dict(zip(ids, np.nonzero(first)[0].tolist(), strict=True))
    for row in np.nonzero(~first)[0].tolist():
        ledger.continuations.setdefault(int(columns["root"][row]), []).append(row)
    columns["letters"] = reader.column(np.uint32, state.reports)
    reader.end()
    ledger.letters = {text: number for number, text in enumerate(state.letters)}
    if len(ledger.letters) < len(state.letters) or (columns["letters"] >= len(state.letters)).any():
        raise _none()
    _fill(ledger, columns, state, parts)
    return ledger


def _none() -> Invalid:
    return Invalid("the checkpoint is none of a ledger")


def _without_tables(state: State) -> Ledger:
    ledger = Ledger()
    for name in SAME:
        setattr(ledger, name, getattr(state, name))
    objections: dict[int, Objection] = {**state.revoked, **state.rolled_back}
    ledger.objections = dict(sorted(objections.items()))
    return ledger


def _refuse_wrong(columns: Mapping[str, NDArray[Any]]) -> None:
    """Raises `Invalid` for numbers with which putting a ledger together would fail."""
    root, sequence = columns["root"], columns["sequence"]
    rows = np.arange(len(root))
    right = (
        ((root >= 0) & (root <= rows)).all()
        and (root[root] == root).all()
        and (sequence[1:] > sequence[:-1]).all()
        and ((columns["rows"] >= 0) & (columns["rows"] <= MAX_KEYS)).all()
        and np.isin(columns["key_kind"], list(KeyKind)).all()
        and ((columns["received_at"] >= 0) & (columns["received_at"] < DAY_SECONDS << 31)).all()
    )
    if not right:
        raise _none()


def _fill(ledger: Ledger, columns: dict[str, NDArray[Any]], state: State, parts: Parts) -> None:
    """Puts the tables together: first the rows of reports, then of each day what is not erased."""
    days = (columns["received_at"] // DAY_SECONDS).astype(np.int32)
    lost = ~columns["erased"] & ~np.isin(days, list(parts))
    columns = {name: column.copy() for name, column in columns.items()}
    columns["erased"] |= lost
    columns["key_kind"][lost], columns["rows"][lost] = KeyKind.GAEN, 0
    ledger.sealed_days.update(np.unique(days[lost]).tolist())
    erased, count = columns["erased"], state.reports
    columns.update({name: np.zeros(count, dtype) for name, dtype in report_columns().items()})
    columns["first_row"] = np.zeros(count, np.int64)
    ledger.reports = Columns.of({name: columns[name] for name in Ledger().reports.names})
    ledger.reports["objections"][lost] = rollbacks_against(ledger, np.nonzero(lost)[0])

    days[erased] = -1
    tables = {kind: _Reading(ledger, kind, days) for kind in KeyKind}
    for day in np.unique(days[~erased]).tolist():
        reader = _Reader(parts[Day(day)]())
        reports = np.nonzero(days == day)[0]
        for name, column in reader.columns(report_columns(), len(reports)).items():
            columns[name][reports] = column
        for table in tables.values():
            table.read(reader, reports)
        reader.end()
    for kind, table in tables.items():
        ledger.keys[kind] = table.laid_out(0 if lost.any() else state.index_bits.get(kind, -1))


class _Reading:
    """The table of one kind of keys while it is read; `days`: the UTC day of each report, −1 where it is erased."""

    def __init__(self, ledger: Ledger, kind: KeyKind, days: NDArray[np.int32]) -> None:
        reports = ledger.reports
        mine = (reports["key_kind"] == kind) & (days >= 0)
        self._counts = np.where(mine, reports["rows"], 0)
        self._firsts = np.cumsum(self._counts) - self._counts
        reports["first_row"][mine] = self._firsts[mine]
        self._ledger, self._kind = ledger, kind
        self._report = np.repeat(np.arange(len(days), dtype=np.int32), self._counts)
        self._columns = {name: np.empty(len(self._report), dtype) for name, dtype in key_columns(kind).items()}
        self._stints: list[tuple[int, int]] = []

    def read(self, reader: "_Reader", reports: Rows) -> None:
        """The part of a day with these rows of reports."""
        rows = self._rows(reports)
        columns = reader.columns(key_columns(self._kind), len(rows))
        columns["by_place"] = _taken(rows, columns["by_place"])
        where = slice(rows[0], rows[-1] + 1) if len(rows) and rows[-1] - rows[0] == len(rows) - 1 else rows
        for name, column in columns.items():
            self._columns[name][where] = column
        stints = reader.column(np.uint32, 2 * reader.number()).reshape(-1, 2)
        self._stints += zip(_taken(rows, stints[:, 0]).tolist(), stints[:, 1].tolist(), strict=True)

    def _rows(self, reports: Rows) -> Rows:
        """The rows of what these reports hold."""
        counts = self._counts[reports]
        rows: Rows = np.repeat(self._firsts[reports] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        return rows

    def laid_out(self, index_bits: int) -> KeyTable:
        """The table, once all days are read. `index_bits`: as the state has it; 0: the index is to be made anew."""
        count, read = len(self._report), self._columns
        flags = read.pop("flags")
        index = KeyIndex(RECORDS[self._kind]["key_data"].itemsize, self._ledger.deployment_id)
        if index_bits:
            head = _put_back(
                index, index_bits, flags & HEAD > 0, read.pop("by_place").view(np.int32), read.pop("place")
            )
        else:
            head = index.first_holders(read["record"].view(RECORDS[self._kind]), 0).astype(np.int32)
        last = np.nonzero(flags & LAST)[0]
        last_row = np.full(count, NEVER, np.int32)
        last_row[head[last]] = last
        columns = {
            "record": read["record"].view(RECORDS[self._kind]),
            **{name: read[name] for name in ("position", "day", "release_at", *OF_A_KEY)},
            "report": self._report,
            "was_public": flags & WAS_PUBLIC > 0,
            "head": head,
            "public": flags & PUBLIC > 0,
            "last_row": last_row,
            "final": flags & FINAL > 0,
        }
        _keep_to_heads(columns)
        table = KeyTable.of(self._kind, columns, index)
        for row, ended in sorted(self._stints, key=lambda stint: stint[1]):
            table.stints.setdefault(int(head[row]), []).append((row, ended))
        return table


def _keep_to_heads(columns: dict[str, NDArray[Any]]) -> None:
    """What each holder's row has taken along of a key stays in the row of its first holder.

    A key that was last public in a row that is gone is as if it never was, as where a day is forgotten.
    """
    others = np.nonzero(columns["head"] != np.arange(len(columns["head"])))[0]
    for rows in (np.nonzero(columns["last_row"] == NEVER)[0], others):
        for name in ("public", *OF_A_KEY):
            columns[name][rows] = 0
    columns["final"][others] = False


def _taken(rows: Rows, numbers: NDArray[np.uint32]) -> NDArray[np.int32]:
    """`rows[numbers]`. Raises `Invalid` where there are not so many."""
    if len(numbers) and numbers.max() >= len(rows):
        raise _none()
    taken: NDArray[np.int32] = rows.astype(np.int32)[numbers]
    return taken


def _put_back(
    index: KeyIndex, bits: int, is_head: Flags, rows: NDArray[Any], places: NDArray[np.uint32]
) -> NDArray[np.int32]:
    """Fills `index`, and returns the first holder of each key; `places` are those of `rows`, in any order."""
    heads, others = is_head[rows], np.nonzero(~is_head[rows])[0]
    most = max(16 * len(is_head), 1 << 24)
    if not (FIRST_BITS <= bits < 32 and 2 * heads.sum() <= 1 << bits <= most and (places < 1 << bits).all()):
        raise _none()
    index.put_back(bits, rows[heads], places[heads])
    head = np.arange(len(is_head), dtype=np.int32)
    found = index.holders_at(places[others])
    if not ((found >= 0) & (found < rows[others])).all():
        raise _none()
    head[rows[others]] = found
    return head


class _Reader:
    """Bytes, read from the front. Raises `Invalid` where they end too early or go on."""

    def __init__(self, data: Buffer) -> None:
        self._left = memoryview(data)

    def take(self, length: int) -> memoryview:
        taken, self._left = self._left[: max(length, 0)], self._left[max(length, 0) :]
        if len(taken) != length:
            raise Invalid("the checkpoint ends too early")
        return taken

    def number(self) -> int:
        return int(LENGTH.unpack(self.take(LENGTH.size))[0])

    def column(self, dtype: DTypeLike, rows: int) -> NDArray[Any]:
        """So many values; a view of the bytes where it can be."""
        as_stored = stored(dtype)
        column: NDArray[Any] = np.frombuffer(self.take(rows * as_stored.itemsize), as_stored).astype(dtype, copy=False)
        return column

    def columns(self, dtypes: Mapping[str, Any], rows: int) -> dict[str, NDArray[Any]]:
        return {name: self.column(dtype, rows) for name, dtype in dtypes.items()}

    def end(self) -> None:
        if self._left:
            raise Invalid("the checkpoint does not end where it should")
