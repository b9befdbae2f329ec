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


def key_order(records: Records) -> NDArray[np.intp]:
    """The permutation that sorts `records` by their key's bytes, ascending."""
    halves = np.ascontiguousarray(records["key_data"]).view(">u8").reshape(-1, 2)
    high = halves[:, 0].astype(np.uint64)
    order = np.argsort(high)
    ranked = high[order]
    if bool((ranked[1:] == ranked[:-1]).any()):  # two keys that share their first 8 bytes: order by all 16
        return np.lexsort((halves[:, 1].astype(np.uint64), high))
    return order


def sorted_by_key(records: Records) -> Records:
    """`records` in the order of their keys."""
    return records[key_order(records)]
