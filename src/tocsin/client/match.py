"""Which sightings were of a diagnosis key: what a phone computes after each sync, and nobody else can.

A sighting counts for a GAEN identifier of interval j if it was made within two hours of it: in [j − 12, j + 13), as on
phones (google/exposure-notifications-internals, ``RollingProximityIdValidator``). One of a DP-3T EphID counts on the
UTC day of its key, and before the set was made (white paper of 25 May 2020, 2.1). Left to the app: weighing duration
and signal, and taking sightings of one identifier more than 20 minutes after its first as replays.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tocsin.client.ephemeral_ids import ephemeral_ids, rolling_proximity_identifiers
from tocsin.model.keys import Records, key_days
from tocsin.model.times import INTERVAL_SECONDS, INTERVALS_PER_DAY, Instant

SIGHTING: Final = np.dtype(
    [("rolling_proximity_identifier", "V16"), ("interval", ">u4"), ("associated_encrypted_metadata", "V4")]
)
"""An identifier that the phone received, the interval in which it did, and the metadata that came with it."""
Sightings = NDArray[Any]
"""A one-dimensional array of `SIGHTING`."""
DP3T_SIGHTING: Final = np.dtype([("ephemeral_id", "V16"), ("interval", ">u4")])
"""An EphID that the phone received, and the interval of 10 minutes in which it did."""
Dp3tSightings = NDArray[Any]
"""A one-dimensional array of `DP3T_SIGHTING`."""

TOLERANCE_INTERVALS: Final = 12
"""Two hours either side of an identifier's own interval."""
_BATCH_KEYS: Final = 512
"""Keys matched at once: their 73,728 identifiers (1.2 MB) stay in the processor's cache."""
_FILTER_BITS: Final = 24


class Match(Struct, frozen=True):
    """A sighting of a diagnosis key: their rows in `records` and `sightings`, and the identifier's own interval.

    An EphID has no interval of its own: there it is the one in which it was received.
    """

    record: int
    sighting: int
    interval: int


def match(records: Records, sightings: Sightings) -> tuple[Match, ...]:
    """All sightings of the GAEN keys in `records`, by record, then interval, then sighting.

    Cost: about 9 µs a key for up to some 10,000 sightings; a set may be cut into pieces and matched on several cores.

    >>> from tocsin.model.keys import RECORD
    >>> match(np.zeros(1, RECORD), np.zeros(1, SIGHTING))
    ()
    """
    rows_of = _rows_by_identifier(sightings["rolling_proximity_identifier"])
    sighted_at = sightings["interval"].tolist()
    starts, periods = records["rolling_start_interval_number"], records["rolling_period"]
    matches = []
    for record, offset, rpi in _candidates(records, rolling_proximity_identifiers, rows_of):
        interval = int(starts[record]) + offset
        for row in rows_of.get(rpi, ()) if offset < periods[record] else ():
            if interval - TOLERANCE_INTERVALS <= sighted_at[row] <= interval + TOLERANCE_INTERVALS:
                matches.append(Match(record, row, interval))
    return tuple(matches)


def match_dp3t(records: Records, sightings: Dp3tSightings, at: Instant) -> tuple[Match, ...]:
    """All sightings of the DP-3T day keys in `records`, by record, then sighting; `at`: the time of the set.

    What was heard on another day than the key's, or after the set was made, may have been derived from it: it never
    counts. Cost: as `match`.

    >>> from tocsin.model.keys import DP3T_RECORD
    >>> match_dp3t(np.zeros(1, DP3T_RECORD), np.zeros(1, DP3T_SIGHTING), Instant(0))
    ()
    """
    rows_of = _rows_by_identifier(sightings["ephemeral_id"])
    sighted_at, days = sightings["interval"].tolist(), key_days(records)
    found = {
        (record, row)
        for record, _, ephemeral_id in _candidates(records, ephemeral_ids, rows_of)
        for row in rows_of.get(ephemeral_id, ())
        if sighted_at[row] // INTERVALS_PER_DAY == days[record] and (sighted_at[row] + 1) * INTERVAL_SECONDS <= at
    }
    return tuple(Match(record, row, sighted_at[row]) for record, row in sorted(found))


def _rows_by_identifier(identifiers: NDArray[Any]) -> dict[bytes, list[int]]:
    rows_of: dict[bytes, list[int]] = {}
    for row, identifier in enumerate(identifiers.tolist()):
        rows_of.setdefault(identifier, []).append(row)
    return rows_of


def _filter_slots(first_words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return first_words & np.uint32((1 << _FILTER_BITS) - 1)


def _candidates(
    records: Records, derive: Callable[[Records], NDArray[Any]], rows_of: Mapping[bytes, object]
) -> Iterator[tuple[int, int, bytes]]:
    """Record, place and identifier, for all that a filter of those in `rows_of` lets pass."""
    if not rows_of:
        return
    seen_filter = np.zeros(1 << _FILTER_BITS, np.bool_)
    seen_filter[_filter_slots(np.frombuffer(b"".join(rows_of), "<u4").reshape(-1, 4)[:, 0])] = True
    for begin in range(0, len(records), _BATCH_KEYS):
        identifiers = derive(records[begin : begin + _BATCH_KEYS])
        first_words = identifiers.view("<u4")[:, ::4]
        for row, place in np.argwhere(seen_filter[_filter_slots(first_words)]).tolist():
            yield begin + row, place, identifiers[row, place].tobytes()
