"""The keyset file, our native one: a dump of the public set, or a delta over a window of versions.

Layout: ``docs/formats/keyset.md``. Decoding accepts exactly what encoding writes, so a set and its versions have one
form only; it allocates no more than a small multiple of the file's length, whatever its counts say. Whether the
records lead to the set digest is for `client.sync` to judge: a delta alone can't tell.
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tocsin.formats.set_digest import SET_DIGEST_BYTES, canonical, region_field
from tocsin.model.errors import Invalid
from tocsin.model.keys import (
    KEY_BYTES,
    MAX_ONSET_DISTANCE,
    MAX_PERIOD,
    NO_ONSET,
    RECORD,
    RECORD_BYTES,
    KeyKind,
    Records,
    ReportType,
    ascend_strictly,
    has_twice,
    key_days,
    key_halves,
    rows_of,
    sorted_by_key,
)

MAGIC: Final = b"TKS1"
CODEC_RAW: Final = 0
_DUMP: Final = 0
_DELTA: Final = 1
_START: Final = struct.Struct(">4sBBB")  # magic, codec, kind, length of the region
_VERSIONS: Final = struct.Struct(">QQQI")  # from, to, at, first_day
_SECTION: Final = struct.Struct(">BIII")  # key kind, day, additions, removals
_CHECKSUM_BYTES: Final = 32
_PUBLIC_TYPES: Final = (ReportType.CONFIRMED, ReportType.LIKELY, ReportType.SELF_REPORTED)

REMOVAL: Final = np.dtype([("day", ">u4"), ("key_data", "V16")])
"""A removed key, with the day under which it stood."""
Removals = NDArray[Any]
"""A one-dimensional array of `REMOVAL`."""


class KeysetDump(Struct, frozen=True, eq=False):
    """The whole public set at `version`. `at` UTC seconds; `records` in any order to encode, canonical if decoded."""

    region: str
    version: int
    at: int
    first_day: int
    set_digest: bytes
    records: Records


class KeysetDelta(Struct, frozen=True, eq=False):
    """What leads from any version in [`from_version`, `to_version`] to `to_version`, by the delta law.

    `additions`: the records of `to_version` not identically present at every version of the window; `removals`: the
    keys with day ≥ `first_day` present at some version of it and not in `to_version`; `set_digest`: of `to_version`.
    """

    region: str
    from_version: int
    to_version: int
    at: int
    first_day: int
    set_digest: bytes
    additions: Records
    removals: Removals


def encode_dump(dump: KeysetDump) -> bytes:
    """The bytes of `dump`; the same for any order of its records. Raises `Invalid` for what decoding would refuse.

    >>> dump = KeysetDump("de", 1, 900, 0, bytes(32), np.empty(0, RECORD))
    >>> len(encode_dump(dump))
    101
    """
    versions = (0, dump.version, dump.at, dump.first_day)
    return _encode(_DUMP, dump.region, versions, dump.set_digest, dump.records, np.empty(0, REMOVAL))


def encode_delta(delta: KeysetDelta) -> bytes:
    """The bytes of `delta`; the same for any order of its lists. Raises `Invalid` for what decoding would refuse."""
    versions = (delta.from_version, delta.to_version, delta.at, delta.first_day)
    return _encode(_DELTA, delta.region, versions, delta.set_digest, delta.additions, delta.removals)


def _encode(
    kind: int, region: str, versions: tuple[int, int, int, int], digest: bytes, additions: Records, removals: Removals
) -> bytes:
    if len(digest) != SET_DIGEST_BYTES:
        raise Invalid("a set digest has 32 bytes")
    additions, removals = canonical(additions), _by_day_and_key(removals)
    _check(versions, additions, removals)
    parts = [MAGIC, bytes([CODEC_RAW, kind]), region_field(region), _VERSIONS.pack(*versions), digest]
    for day, added, removed in _sections(additions, removals):
        parts.append(_SECTION.pack(KeyKind.GAEN, day, len(added), len(removed)))
        parts.extend(added[name].tobytes() for name in RECORD.names or ())
        parts.append(removed["key_data"].tobytes())
    body = b"".join(parts)
    return body + hashlib.sha256(body).digest()


def _sections(additions: Records, removals: Removals) -> Iterator[tuple[int, Records, Removals]]:
    """Day by day, ascending: the day, its additions, its removals."""
    added_days, removed_days = key_days(additions), removals["day"].astype(np.int64)
    days = np.union1d(added_days, removed_days)
    added_ends = np.searchsorted(added_days, days, "right").tolist()
    removed_ends = np.searchsorted(removed_days, days, "right").tolist()
    added = removed = 0
    for day, added_end, removed_end in zip(days.tolist(), added_ends, removed_ends, strict=True):
        yield day, additions[added:added_end], removals[removed:removed_end]
        added, removed = added_end, removed_end


def decode_keyset(data: bytes) -> KeysetDump | KeysetDelta:
    """The dump or delta in `data`. Raises `Invalid` for anything that encoding would not have written."""
    if len(data) < _CHECKSUM_BYTES or data[:4] != MAGIC:
        raise Invalid("not a keyset file")
    cursor = _Cursor(memoryview(data)[:-_CHECKSUM_BYTES])
    if hashlib.sha256(cursor.rest).digest() != data[-_CHECKSUM_BYTES:]:
        raise Invalid("the checksum is wrong")
    _, codec, kind, region_length = cursor.unpack(_START)
    if codec != CODEC_RAW:
        raise Invalid("the codec is unknown")
    if kind not in (_DUMP, _DELTA):
        raise Invalid("neither a dump nor a delta")
    region = bytes(cursor.take(region_length)).decode("latin-1")
    region_field(region)
    versions = cursor.unpack(_VERSIONS)
    digest = bytes(cursor.take(SET_DIGEST_BYTES))
    additions, removals = _decode_sections(cursor)
    _check(versions, additions, removals)
    from_version, to_version, at, first_day = versions
    if kind == _DELTA:
        return KeysetDelta(region, from_version, to_version, at, first_day, digest, additions, removals)
    if from_version or len(removals):
        raise Invalid("a dump has no window and no removals")
    return KeysetDump(region, to_version, at, first_day, digest, additions)


def _decode_sections(cursor: "_Cursor") -> tuple[Records, Removals]:
    additions, removals = [np.empty(0, RECORD)], [np.empty(0, REMOVAL)]
    last_day = -1
    while cursor.rest:
        key_kind, day, added_count, removed_count = cursor.unpack(_SECTION)
        if key_kind != KeyKind.GAEN:
            raise Invalid("the key kind is unknown")
        if day <= last_day:
            raise Invalid("the sections are not ascending")
        if not added_count and not removed_count:
            raise Invalid("a section is empty")
        last_day = day
        # Both lists are taken before anything is made for them: a count that lies costs nothing.
        columns = _Cursor(cursor.take(added_count * RECORD_BYTES))
        removed_keys = np.frombuffer(cursor.take(removed_count * KEY_BYTES), "V16")
        added = np.empty(added_count, RECORD)
        for name in RECORD.names or ():
            column = RECORD[name]
            added[name] = np.frombuffer(columns.take(added_count * column.itemsize), column)
        if (key_days(added) != day).any():
            raise Invalid("a key stands under another day than its own")
        removed = np.empty(removed_count, REMOVAL)
        removed["day"], removed["key_data"] = day, removed_keys
        if not (ascend_strictly(key_halves(added)) and ascend_strictly(key_halves(removed))):
            raise Invalid("the keys of a section are not ascending")
        additions.append(added)
        removals.append(removed)
    return np.concatenate(additions, dtype=RECORD), np.concatenate(removals, dtype=REMOVAL)


def _check(versions: tuple[Any, ...], additions: Records, removals: Removals) -> None:
    """What holds over all sections; raises `Invalid`."""
    from_version, to_version, _, first_day = versions
    if from_version > to_version:
        raise Invalid("the window ends before it begins")
    if (key_days(additions) < first_day).any() or (removals["day"] < first_day).any():
        raise Invalid("a key is older than the first day")
    periods = additions["rolling_period"]
    if ((periods < 1) | (periods > MAX_PERIOD)).any() or (additions["rolling_start_interval_number"] == 0).any():
        raise Invalid("a key's start or period is impossible")
    if not np.isin(additions["report_type"], _PUBLIC_TYPES).all():
        raise Invalid("a report type is unknown")
    onsets = additions["days_since_onset"]
    if ((onsets != NO_ONSET) & (np.abs(onsets.astype(np.int64)) > MAX_ONSET_DISTANCE)).any():
        raise Invalid("an onset is out of range")
    named = np.empty(len(additions) + len(removals), REMOVAL)
    named["key_data"] = np.concatenate([additions["key_data"], removals["key_data"]])
    if has_twice(sorted_by_key(named)):
        raise Invalid("a key is named twice")


def _by_day_and_key(removals: Removals) -> Removals:
    by_key = sorted_by_key(removals)
    return rows_of(by_key, np.argsort(by_key["day"], kind="stable"))


class _Cursor:
    """Takes bytes off the front of `rest`; `Invalid` when there are too few."""

    def __init__(self, rest: memoryview) -> None:
        self.rest = rest

    def take(self, length: int) -> memoryview:
        if length > len(self.rest):
            raise Invalid("the file ends too early")
        taken, self.rest = self.rest[:length], self.rest[length:]
        return taken

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        return layout.unpack(self.take(layout.size))
