"""Which sightings were of a diagnosis key: what a phone computes after each sync, and nobody else can.

A sighting counts for an identifier of interval j if it was made within two hours of it: in [j − 12, j + 13), as on
phones (google/exposure-notifications-internals, ``RollingProximityIdValidator``). Left to the app: weighing duration
and signal, and taking sightings of one identifier more than 20 minutes after its first as replays.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tocsin.client.ephemeral_ids import rolling_proximity_identifiers
from tocsin.model.keys import Records

SIGHTING: Final = np.dtype(
    [("rolling_proximity_identifier", "V16"), ("interval", ">u4"), ("associated_encrypted_metadata", "V4")]
)
"""An identifier that the phone received, the interval in which it did, and the metadata that came with it."""
Sightings = NDArray[Any]
"""A one-dimensional array of `SIGHTING`."""

TOLERANCE_INTERVALS: Final = 12
"""Two hours either side of an identifier's own interval."""
_BATCH_KEYS: Final = 512
"""Keys matched at once: their 73,728 identifiers (1.2 MB) stay in the processor's cache."""
_FILTER_BITS: Final = 24


class Match(Struct, frozen=True):
    """A sighting of a diagnosis key: their rows in `records` and `sightings`, and the identifier's own interval."""

    record: int
    sighting: int
    interval: int


def match(records: Records, sightings: Sightings) -> tuple[Match, ...]:
    """All sightings of the keys in `records`, by record, then interval, then sighting.

    Cost: about 9 µs a key for up to some 10,000 sightings; a set may be cut into pieces and matched on several cores.

    >>> from tocsin.model.keys import RECORD
    >>> match(np.zeros(1, RECORD), np.zeros(1, SIGHTING))
    ()
    """
    if not len(sightings):
        return ()
    rows_of: dict[bytes, list[int]] = {}
    for row, rpi in enumerate(sightings["rolling_proximity_identifier"].tolist()):
        rows_of.setdefault(rpi, []).append(row)
    sighted = np.frombuffer(b"".join(rows_of), "<u4").reshape(-1, 4)[:, 0]
    seen_filter = np.zeros(1 << _FILTER_BITS, np.bool_)
    seen_filter[_filter_slots(sighted)] = True
    sighted_at = sightings["interval"].tolist()

    matches = []
    for record, offset, rpi in _candidates(records, seen_filter):
        interval = int(records["rolling_start_interval_number"][record]) + offset
        for row in rows_of.get(rpi, ()):
            if interval - TOLERANCE_INTERVALS <= sighted_at[row] <= interval + TOLERANCE_INTERVALS:
                matches.append(Match(record, row, interval))
    return tuple(matches)


def _filter_slots(first_words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return first_words & np.uint32((1 << _FILTER_BITS) - 1)


def _candidates(records: Records, seen_filter: NDArray[np.bool_]) -> Iterator[tuple[int, int, bytes]]:
    """Record, offset from its start and identifier, for all that pass the filter and lie within the record's period."""
    for begin in range(0, len(records), _BATCH_KEYS):
        batch = records[begin : begin + _BATCH_KEYS]
        rpis = rolling_proximity_identifiers(batch)
        first_words = rpis.view("<u4")[:, ::4]
        for row, offset in np.argwhere(seen_filter[_filter_slots(first_words)]).tolist():
            if offset < batch["rolling_period"][row]:
                yield begin + row, offset, rpis[row, offset].tobytes()
