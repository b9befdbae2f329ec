"""The keyset file, our native one: a dump of the public set, or a delta over a window of versions.

Layout: ``docs/formats/keyset.md``. Decoding accepts exactly what encoding writes, so a set and its versions have one
form only; it allocates no more than a small multiple of the file's length, whatever its counts say. Whether the
records lead to the set digest is for `client.sync` to judge: a delta alone can't tell.
"""

import hashlib
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tocsin.formats.set_digest import SET_DIGEST_BYTES, canonical, region_field
from tocsin.model.errors import Invalid
from tocsin.model.keys import (
    MAX_ONSET_DISTANCE,
    MAX_PERIOD,
    NO_ONSET,
    RECORDS,
    KeyKind,
    KeysByKind,
    Records,
    ReportType,
    ascend_strictly,
    day_order,
    day_runs,
    has_twice,
    key_days,
    rows_of,
    sorted_by_key,
)
from tocsin.model.times import INTERVALS_PER_DAY, Day

MAGIC: Final = b"TKS1"
CODEC_RAW: Final = 0
_DUMP: Final = 0
_DELTA: Final = 1
_START: Final = struct.Struct(">4sBBB")  # magic, codec, kind, length of the region
_VERSIONS: Final = struct.Struct(">QQQI")  # from, to, at, first_day
_SECTION: Final = struct.Struct(">BIII")  # key kind, day, additions, removals
_CHECKSUM_BYTES: Final = 32
_NO_ROWS: Final = slice(0, 0)
_PUBLIC_TYPES: Final = (ReportType.CONFIRMED, ReportType.LIKELY, ReportType.SELF_REPORTED)

REMOVALS: Final = {
    kind: np.dtype([("day", ">u4"), ("key_data", record["key_data"])]) for kind, record in RECORDS.items()
}
"""For each kind a removed key, with the day under which it stood."""
REMOVAL: Final = REMOVALS[KeyKind.GAEN]
Removals = NDArray[Any]
"""A one-dimensional array of one of `REMOVALS`."""
RemovalsByKind = Mapping[KeyKind, Removals]
"""A table for every kind, in the order of their numbers."""
_KIND_OF_REMOVAL: Final = {removal.itemsize: kind for kind, removal in REMOVALS.items()}


def removals_by_kind(*tables: Removals) -> RemovalsByKind:
    """`tables`, at most one of a kind, as `RemovalsByKind`."""
    given = {_KIND_OF_REMOVAL[table.itemsize]: table for table in tables}
    return {kind: given.get(kind, np.empty(0, removal)) for kind, removal in REMOVALS.items()}


class KeysetDump(Struct, frozen=True, eq=False):
    """The whole public set at `version`. `at` UTC seconds; `keys` in any order to encode, canonical if decoded."""

    region: str
    version: int
    at: int
    first_day: int
    set_digest: bytes
    keys: KeysByKind


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
    additions: KeysByKind
    removals: RemovalsByKind


def encode_dump(dump: KeysetDump) -> bytes:
    """The bytes of `dump`; the same for any order of its keys. Raises `Invalid` for what decoding would refuse.

    >>> from tocsin.model.keys import by_kind
    >>> dump = KeysetDump("de", 1, 900, 0, bytes(32), by_kind())
    >>> len(encode_dump(dump))
    101
    """
    versions = (0, dump.version, dump.at, dump.first_day)
    return _encode(_DUMP, dump.region, versions, dump.set_digest, dump.keys, removals_by_kind())


def encode_delta(delta: KeysetDelta) -> bytes:
    """The bytes of `delta`; the same for any order of its lists. Raises `Invalid` for what decoding would refuse."""
    versions = (delta.from_version, delta.to_version, delta.at, delta.first_day)
    return _encode(_DELTA, delta.region, versions, delta.set_digest, delta.additions, delta.removals)


def _encode(
    file_kind: int,
    region: str,
    versions: tuple[int, int, int, int],
    digest: bytes,
    additions: KeysByKind,
    removals: RemovalsByKind,
) -> bytes:
    if len(digest) != SET_DIGEST_BYTES:
        raise Invalid("a set digest has 32 bytes")
    parts = [MAGIC, bytes([CODEC_RAW, file_kind]), region_field(region), _VERSIONS.pack(*versions), digest]
    for kind in KeyKind:
        added, removed = canonical(additions[kind]), _by_day_and_key(removals[kind])
        _check(kind, versions, added, removed)
        for day, added_that_day, removed_that_day in _sections(added, removed):
            parts.append(_SECTION.pack(kind, day, len(added_that_day), len(removed_that_day)))
            parts.extend(added_that_day[name].tobytes() for name in RECORDS[kind].names or ())
            parts.append(removed_that_day["key_data"].tobytes())
    checksum = hashlib.sha256()
    for part in parts:
        checksum.update(part)
    return b"".join((*parts, checksum.digest()))


def _sections(additions: Records, removals: Removals) -> Iterator[tuple[Day, Records, Removals]]:
    """Of one kind, day by day, ascending: the day, its additions, its removals."""
    added, removed = dict(day_runs(key_days(additions))), dict(day_runs(removals["day"].astype(np.int64)))
    for day in sorted(added.keys() | removed.keys()):
        yield day, additions[added.get(day, _NO_ROWS)], removals[removed.get(day, _NO_ROWS)]


def decode_keyset(data: bytes) -> KeysetDump | KeysetDelta:
    """The dump or delta in `data`. Raises `Invalid` for anything that encoding would not have written."""
    if len(data) < _CHECKSUM_BYTES or data[:4] != MAGIC:
        raise Invalid("not a keyset file")
    cursor = _Cursor(memoryview(data)[:-_CHECKSUM_BYTES])
    if hashlib.sha256(cursor.rest).digest() != data[-_CHECKSUM_BYTES:]:
        raise Invalid("the checksum is wrong")
    _, codec, file_kind, region_length = cursor.unpack(_START)
    if codec != CODEC_RAW:
        raise Invalid("the codec is unknown")
    if file_kind not in (_DUMP, _DELTA):
        raise Invalid("neither a dump nor a delta")
    region = bytes(cursor.take(region_length)).decode("latin-1")
    region_field(region)
    versions = cursor.unpack(_VERSIONS)
    digest = bytes(cursor.take(SET_DIGEST_BYTES))
    additions, removals = _decode_sections(cursor)
    for kind in KeyKind:
        _check(kind, versions, additions[kind], removals[kind])
    from_version, to_version, at, first_day = versions
    if file_kind == _DELTA:
        return KeysetDelta(region, from_version, to_version, at, first_day, digest, additions, removals)
    if from_version or any(len(table) for table in removals.values()):
        raise Invalid("a dump has no window and no removals")
    return KeysetDump(region, to_version, at, first_day, digest, additions)


def _decode_sections(cursor: "_Cursor") -> tuple[KeysByKind, RemovalsByKind]:
    additions = {kind: [np.empty(0, record)] for kind, record in RECORDS.items()}
    removals = {kind: [np.empty(0, removal)] for kind, removal in REMOVALS.items()}
    last = (0, 0)
    while cursor.rest:
        number, day, added_count, removed_count = cursor.unpack(_SECTION)
        if number not in additions:
            raise Invalid("the key kind is unknown")
        kind = KeyKind(number)
        if (kind, day) <= last:
            raise Invalid("the sections are not ascending")
        if not added_count and not removed_count:
            raise Invalid("a section is empty")
        last = (kind, day)
        added, removed = _decode_section(cursor, kind, day, added_count, removed_count)
        additions[kind].append(added)
        removals[kind].append(removed)
    return (
        {kind: np.concatenate(tables, dtype=RECORDS[kind]) for kind, tables in additions.items()},
        {kind: np.concatenate(tables, dtype=REMOVALS[kind]) for kind, tables in removals.items()},
    )


def _decode_section(
    cursor: "_Cursor", kind: KeyKind, day: int, added_count: int, removed_count: int
) -> tuple[Records, Removals]:
    record = RECORDS[kind]
    # Both lists are taken before anything is made for them: a count that lies costs nothing.
    columns = _Cursor(cursor.take(added_count * record.itemsize))
    removed_keys = np.frombuffer(cursor.take(removed_count * record["key_data"].itemsize), record["key_data"])
    added = np.empty(added_count, record)
    for name in record.names or ():
        column = record[name]
        added[name] = np.frombuffer(columns.take(added_count * column.itemsize), column)
    if (key_days(added) != day).any():
        raise Invalid("a key stands under another day than its own")
    removed = np.empty(removed_count, REMOVALS[kind])
    removed["day"], removed["key_data"] = day, removed_keys
    if not (ascend_strictly(added) and ascend_strictly(removed)):
        raise Invalid("the keys of a section are not ascending")
    return added, removed


def _check(kind: KeyKind, versions: tuple[Any, ...], additions: Records, removals: Removals) -> None:
    """What holds over all sections of a kind; raises `Invalid`."""
    from_version, to_version, _, first_day = versions
    if from_version > to_version:
        raise Invalid("the window ends before it begins")
    if (key_days(additions) < first_day).any() or (removals["day"] < first_day).any():
        raise Invalid("a key is older than the first day")
    starts, periods = additions["rolling_start_interval_number"], additions["rolling_period"]
    if ((periods < 1) | (periods > MAX_PERIOD)).any() or (starts == 0).any():
        raise Invalid("a key's start or period is impossible")
    if kind is KeyKind.DP3T and ((starts % INTERVALS_PER_DAY != 0) | (periods != INTERVALS_PER_DAY)).any():
        raise Invalid("a DP-3T key is not of a whole day")
    if not np.isin(additions["report_type"], _PUBLIC_TYPES).all():
        raise Invalid("a report type is unknown")
    onsets = additions["days_since_onset"]
    if ((onsets != NO_ONSET) & (np.abs(onsets.astype(np.int64)) > MAX_ONSET_DISTANCE)).any():
        raise Invalid("an onset is out of range")
    named = np.empty(len(additions) + len(removals), REMOVALS[kind])
    named["key_data"] = np.concatenate([additions["key_data"], removals["key_data"]])
    if has_twice(named):
        raise Invalid("a key is named twice")


def _by_day_and_key(removals: Removals) -> Removals:
    by_key = sorted_by_key(removals)
    return rows_of(by_key, day_order(by_key["day"].astype(np.int64)))


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
