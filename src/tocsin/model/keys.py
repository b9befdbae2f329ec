"""Diagnosis keys as columns: the record of each key kind, a key's day, its end, its release instant.

A table of keys is a numpy array of one of `RECORDS`, packed and big-endian, so its bytes *are* the records of the set
digest, of a report's content and of the raw keyset file (``docs/formats/keys.md``). A table holds keys of one kind;
how wide its rows are tells which.
"""

from collections.abc import Iterator, Mapping
from enum import IntEnum
from hashlib import sha256
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tocsin.model.times import EMBARGO_SECONDS, INTERVAL_SECONDS, INTERVALS_PER_DAY, QUARTER_SECONDS, Day

Records = NDArray[Any]
"""A one-dimensional array of one of `RECORDS`."""
ContentKeys = NDArray[Any]
"""A one-dimensional array of one of `CONTENT_KEYS`."""
Column = NDArray[np.int64]

KEY_BYTES: Final = 16
"""A GAEN temporary exposure key (Exposure Notification cryptography specification v1.2)."""
DP3T_KEY_BYTES: Final = 32
"""A DP-3T day key `SK_t` (DP-3T white paper of 25 May 2020, 2.1)."""
MAX_PERIOD: Final = INTERVALS_PER_DAY
MAX_KEYS: Final = 30
"""Most keys that one report may carry (google/exposure-notifications-server, ``docs/tek_validation.md``)."""
NO_ONSET: Final = -128
"""`days_since_onset` where none is published."""
MAX_ONSET_DISTANCE: Final = 14
"""Days either side of the onset that GAEN can express."""


class KeyKind(IntEnum):
    """What sort of diagnosis key a record holds. Sets and files hold the kinds in the order of their numbers."""

    GAEN = 1
    DP3T = 2


class ReportType(IntEnum):
    """GAEN's own numbers (``export.proto``, ``ReportType``)."""

    CONFIRMED = 1
    LIKELY = 2
    SELF_REPORTED = 3
    REVOKED = 5


WEAKEST_FIRST: Final = (ReportType.SELF_REPORTED, ReportType.LIKELY, ReportType.CONFIRMED)
"""The report types under which a key may be public, by how sure the infection is: a report only ever moves up."""


def _record(key_bytes: int) -> np.dtype[Any]:
    return np.dtype(
        [
            ("key_data", f"V{key_bytes}"),
            ("rolling_start_interval_number", ">u4"),
            ("rolling_period", "u1"),
            ("report_type", "u1"),
            ("days_since_onset", "i1"),
            ("transmission_risk_level", "u1"),
        ]
    )


def _content_key(record: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype([("key_kind", "u1"), ("position", "u1"), ("record", record)])


RECORD: Final = _record(KEY_BYTES)
"""The record of a GAEN key, 24 bytes."""
DP3T_RECORD: Final = _record(DP3T_KEY_BYTES)
"""The record of a DP-3T day key, 40 bytes."""
RECORDS: Final = {KeyKind.GAEN: RECORD, KeyKind.DP3T: DP3T_RECORD}
CONTENT_KEYS: Final = {kind: _content_key(record) for kind, record in RECORDS.items()}
"""One key of a report's content: its kind, its position in the call, its record."""
CONTENT_KEY: Final = CONTENT_KEYS[KeyKind.GAEN]

KIND_OF_LENGTH: Final = {record["key_data"].itemsize: kind for kind, record in RECORDS.items()}
"""Length of a key in bytes → its kind."""
_KIND_OF_WIDTH: Final = {dtype.itemsize: kind for dtypes in (RECORDS, CONTENT_KEYS) for kind, dtype in dtypes.items()}

KeysByKind = Mapping[KeyKind, Records]
"""A table for every kind, in the order of their numbers; an empty one where there are no such keys."""


def kind_of(keys: Records | ContentKeys) -> KeyKind:
    """The kind of the keys in a table, also in an empty one."""
    return _KIND_OF_WIDTH[keys.itemsize]


def by_kind(*tables: Records) -> KeysByKind:
    """`tables`, at most one of a kind, as `KeysByKind`.

    >>> [len(table) for table in by_kind(np.zeros(2, DP3T_RECORD)).values()]
    [0, 2]
    """
    given = {kind_of(table): table for table in tables}
    return {kind: given.get(kind, np.empty(0, record)) for kind, record in RECORDS.items()}


def dp3t_chain(first: bytes, days: int) -> list[bytes]:
    """The DP-3T day keys of so many days from that of `first`, 32 bytes, on: each the SHA-256 of the one before
    (DP-3T white paper of 25 May 2020, 2.1).

    >>> [key.hex()[:8] for key in dp3t_chain(bytes(32), 2)]
    ['00000000', '66687aad']
    """
    return list(accumulate(range(days - 1), lambda key, _: sha256(key).digest(), initial=first))


def key_days(records: Records) -> Column:
    """The UTC day of each key: that of its *last* interval."""
    starts = records["rolling_start_interval_number"].astype(np.int64)
    days: Column = (starts + records["rolling_period"] - 1) // INTERVALS_PER_DAY
    return days


def key_ends(records: Records) -> Column:
    """The instant at which each key ceases to be valid, in UTC seconds."""
    starts = records["rolling_start_interval_number"].astype(np.int64)
    ends: Column = (starts + records["rolling_period"]) * INTERVAL_SECONDS
    return ends


def unheld_release(received_at: int, end_at: int) -> int:
    """The instant from which a key may go out, before its hold-back: UTC seconds."""
    return max(received_at, end_at + EMBARGO_SECONDS)


def release_instants(ends: Column, received_at: int | Column, holds: NDArray[Any]) -> Column:
    """The instant from which each key may go out; `ends` as `secret_ends` tells, `holds` in quarter-hours."""
    unheld = np.maximum(ends + EMBARGO_SECONDS, received_at)
    return unheld + holds.astype(np.int64) * QUARTER_SECONDS


def secret_ends(records: Records, firsts: NDArray[Any]) -> Column:
    """Until when each key must not be known, in UTC seconds; `firsts`: the rows where reports begin, ascending, from 0.

    A GAEN key gives away its own intervals: until its end. A DP-3T day key gives away all later days of its chain
    (`SK_t+1` = SHA-256(`SK_t`)): until the end of the last day that its report holds.
    """
    ends = key_ends(records)
    if kind_of(records) is KeyKind.GAEN or not len(ends):
        return ends
    counts = np.diff(firsts, append=len(ends))
    chain_ends: Column = np.repeat(np.maximum.reduceat(ends, firsts), counts)
    return chain_ends


def rows_of(table: Records, rows: NDArray[Any]) -> Records:
    """`table[rows]`, by numbers or by flags; the rows of a packed table are copied whole, not field by field."""
    whole = table.view(f"V{table.dtype.itemsize}")
    taken: Records = whole.compress(rows) if rows.dtype == np.bool_ else whole.take(rows)  # whole[rows] is far slower
    return taken.view(table.dtype)


def sorted_by_key(records: Records) -> Records:
    """`records` in the order of their keys' bytes, ascending; the very same if they are in it already."""
    return records if ascend_strictly(records) else rows_of(records, key_order(records))


def key_order(records: Records) -> NDArray[np.intp]:
    """The permutation that sorts `records` by their keys' bytes, ascending; rows of one key stay in their order."""
    first = _first_words(records)
    order = np.argsort(first)
    ranked = first[order]
    if bool((ranked[1:] == ranked[:-1]).any()):  # two keys that share their first 8 bytes: order by all of them
        return np.lexsort(key_words(records).T[::-1])
    return order


def day_order(days: Column) -> NDArray[np.intp]:
    """The permutation that sorts rows by their `days`, ascending; rows of one day stay in their order."""
    if not len(days):
        return np.empty(0, np.intp)
    since = days - days.min()
    near = since.astype(np.uint16) if since.max() < 1 << 16 else since  # numpy sorts 16 bits in one pass
    return np.argsort(near, kind="stable")


def day_runs(days: Column) -> Iterator[tuple[Day, slice]]:
    """Each day of `days`, which ascend, and the rows of that day."""
    firsts = np.nonzero(days[1:] != days[:-1])[0] + 1
    for first, end in pairwise([0, *firsts.tolist(), len(days)] if len(days) else []):
        yield Day(int(days[first])), slice(first, end)


def has_twice(records: Records) -> bool:
    """Whether a key occurs twice in `records`, which are in any order."""
    first = np.sort(_first_words(records))
    if not (first[1:] == first[:-1]).any():
        return False
    words = key_words(rows_of(records, key_order(records)))
    return bool((words[1:] == words[:-1]).all(axis=1).any())


def ascend_strictly(records: Records) -> bool:
    """Whether the keys of `records` ascend, no two alike."""
    first = _first_words(records)
    if (first[1:] < first[:-1]).any():
        return False
    alike = np.nonzero(first[1:] == first[:-1])[0]
    before, after = key_words(rows_of(records, alike)), key_words(rows_of(records, alike + 1))
    rises = np.zeros(len(alike), np.bool_)
    for column in reversed(range(before.shape[1])):  # the last words decide only where all before them are alike
        rises = (after[:, column] > before[:, column]) | ((after[:, column] == before[:, column]) & rises)
    return bool(rises.all())


def key_words(records: Records) -> NDArray[np.uint64]:
    """The keys' bytes as a few numbers a row, 8 bytes each, which compare as they do."""
    width = records.dtype["key_data"].itemsize // 8
    return np.ascontiguousarray(records["key_data"]).view(">u8").reshape(-1, width).astype(np.uint64)


def _first_words(records: Records) -> NDArray[np.uint64]:
    """The first of `key_words` of each row: enough to tell almost any two keys apart."""
    keys = records["key_data"]
    halves = np.dtype([("first", ">u8"), ("rest", f"V{keys.itemsize - 8}")])
    words: NDArray[np.uint64] = keys.view(halves)["first"].astype(np.uint64)
    return words
