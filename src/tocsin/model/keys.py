"""Diagnosis keys as columns: the 24-byte GAEN record, its day, its end, its release instant.

A table of keys is a numpy array of `RECORD`, packed and big-endian, so its bytes *are* the records of the set digest,
of a report's content and of the raw keyset file (``docs/formats/keys.md``).
"""

from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tocsin.model.times import EMBARGO_SECONDS, INTERVAL_SECONDS, INTERVALS_PER_DAY, QUARTER_SECONDS

Records = NDArray[Any]
"""A one-dimensional array of `RECORD`."""
ContentKeys = NDArray[Any]
"""A one-dimensional array of `CONTENT_KEY`."""
Column = NDArray[np.int64]

KEY_BYTES: Final = 16
RECORD_BYTES: Final = 24
MAX_PERIOD: Final = INTERVALS_PER_DAY
MAX_KEYS: Final = 30
"""Most keys that one report may carry (google/exposure-notifications-server, ``docs/tek_validation.md``)."""
NO_ONSET: Final = -128
"""`days_since_onset` where none is published."""
MAX_ONSET_DISTANCE: Final = 14
"""Days either side of the onset that GAEN can express."""


class KeyKind(IntEnum):
    """What sort of diagnosis key a record holds."""

    GAEN = 1


class ReportType(IntEnum):
    """GAEN's own numbers (``export.proto``, ``ReportType``)."""

    CONFIRMED = 1
    LIKELY = 2
    SELF_REPORTED = 3
    REVOKED = 5


WEAKEST_FIRST: Final = (ReportType.SELF_REPORTED, ReportType.LIKELY, ReportType.CONFIRMED)
"""The report types under which a key may be public, by how sure the infection is: a report only ever moves up."""


RECORD: Final = np.dtype(
    [
        ("key_data", "V16"),
        ("rolling_start_interval_number", ">u4"),
        ("rolling_period", "u1"),
        ("report_type", "u1"),
        ("days_since_onset", "i1"),
        ("transmission_risk_level", "u1"),
    ]
)
assert RECORD.itemsize == RECORD_BYTES

CONTENT_KEY: Final = np.dtype([("key_kind", "u1"), ("position", "u1"), ("record", RECORD)])
"""One key of a report's content: its kind, its position in the call, its record."""


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


def release_instants(records: Records, received_at: int | Column, holds: NDArray[Any]) -> Column:
    """The instant from which each key may go out; `holds` in quarter-hours, one a key."""
    unheld = np.maximum(key_ends(records) + EMBARGO_SECONDS, received_at)
    return unheld + holds.astype(np.int64) * QUARTER_SECONDS


def rows_of(table: Records, rows: NDArray[Any]) -> Records:
    """`table[rows]`, by numbers or by flags; the rows of a packed table are copied whole, not field by field."""
    taken: Records = table.view(f"V{table.dtype.itemsize}")[rows].view(table.dtype)
    return taken


def sorted_by_key(records: Records) -> Records:
    """`records` in the order of their keys' bytes, ascending; the very same if they are in it already."""
    return records if ascend_strictly(key_halves(records)) else rows_of(records, key_order(records))


def key_order(records: Records) -> NDArray[np.intp]:
    """The permutation that sorts `records` by their keys' bytes, ascending; rows of one key stay in their order."""
    halves = key_halves(records)
    high = np.ascontiguousarray(halves[:, 0])
    order = np.argsort(high)
    ranked = high[order]
    if bool((ranked[1:] == ranked[:-1]).any()):  # two keys that share their first 8 bytes: order by all 16
        return np.lexsort((halves[:, 1], high))
    return order


def has_twice(ordered: Records) -> bool:
    """Whether a key occurs twice in `ordered`, which is in the order of keys."""
    halves = key_halves(ordered)
    return bool((halves[1:] == halves[:-1]).all(axis=1).any())


def key_halves(records: Records) -> NDArray[np.uint64]:
    """The keys' bytes as two numbers a row, which compare as they do."""
    return np.ascontiguousarray(records["key_data"]).view(">u8").reshape(-1, 2).astype(np.uint64)


def ascend_strictly(halves: NDArray[np.uint64]) -> bool:
    """Whether the keys behind `halves` (see `key_halves`) ascend, no two alike."""
    before, after = halves[:-1], halves[1:]
    high_rises, high_stays = after[:, 0] > before[:, 0], after[:, 0] == before[:, 0]
    return bool((high_rises | (high_stays & (after[:, 1] > before[:, 1]))).all())
