"""The set digest: what a dump, and a set with its deltas, must lead to (``docs/formats/keys.md``).

The *canonical order* of a set is by kind, then by day, then by key; each key stands in a set once. The digest hashes
the records in that order, so whoever holds the same set computes the same 32 bytes, whatever way the set took to them.
"""

import re
from typing import Final

import numpy as np

from tocsin.model.errors import Invalid
from tocsin.model.keys import (
    RECORDS,
    KeyKind,
    KeysByKind,
    Records,
    ascend_strictly,
    day_order,
    day_runs,
    key_days,
    kind_of,
    rows_of,
    sorted_by_key,
)
from tocsin.model.labels import labelled_hash

SET_DIGEST_BYTES: Final = 32
_REGION: Final = re.compile(r"[a-z0-9-]{1,32}")


def region_field(region: str) -> bytes:
    """A region as it stands in bytes: u8 length ‖ ASCII. Raises `Invalid` unless it is ``[a-z0-9-]{1,32}``.

    >>> region_field("de-by")
    b'\\x05de-by'
    """
    if not _REGION.fullmatch(region):
        raise Invalid("a region is 1 to 32 of a-z, 0-9 and -")
    return bytes([len(region)]) + region.encode("ascii")


def canonical(records: Records) -> Records:
    """`records`, all of one kind, by day, then by key. Raises `Invalid` if a key occurs twice. Sorts: O(n log n)."""
    # np.concatenate, for one, turns a table to the machine's byte order without being asked.
    by_key = sorted_by_key(records.astype(RECORDS[kind_of(records)], copy=False))
    if not ascend_strictly(by_key):
        raise Invalid("a key occurs twice in a set")
    return rows_of(by_key, day_order(key_days(by_key)))


def set_digest(region: str, keys: KeysByKind) -> bytes:
    """The 32-byte set digest of `keys` (in any order) in `region`.

    Raises `Invalid` if a key occurs twice or the region is none.

    >>> from tocsin.model.keys import by_kind
    >>> set_digest("de", by_kind()).hex()[:16]
    '0a5fd82ad23473df'
    """
    parts: list[bytes | memoryview] = [region_field(region)]
    for kind in KeyKind:
        ordered = canonical(keys[kind])
        for day, run in day_runs(key_days(ordered)):
            parts.append(kind.to_bytes(1, "big") + day.to_bytes(4, "big") + len(ordered[run]).to_bytes(4, "big"))
            parts.append(ordered[run].view(np.uint8).data)
    return labelled_hash("set", *parts)
