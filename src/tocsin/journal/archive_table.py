"""The archive's table: its columns, a file of it as bytes, and back. Source: ``docs/formats/archive.md``.

Of a column the table's log keeps the lowest and highest value only where it is listed in `INDEXED`: no byte of a
content, and no digest, comes to lie in the log. A file's name follows from what it holds, so two who write the same
events write the same file.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from tocsin.journal.encoding import StoredEvent, split_claims
from tocsin.model.times import Day, day_of

_COLUMNS: Final["list[pa.Field[Any]]"] = [
    pa.field("day", pa.int32(), nullable=False),
    pa.field("sequence", pa.int64(), nullable=False),
    pa.field("recorded_at", pa.int64(), nullable=False),
    pa.field("kind", pa.string(), nullable=False),
    pa.field("body", pa.binary(), nullable=False),
    pa.field("content", pa.binary(), nullable=True),
    pa.field("content_day", pa.int32(), nullable=True),
    pa.field("content_digest", pa.binary(), nullable=False),
    pa.field("claims", pa.binary(), nullable=False),
    pa.field("digest", pa.binary(), nullable=False),
]
SCHEMA: Final = pa.schema(_COLUMNS)
"""Kept for ever: columns are only ever added, at the end, and may be null."""
PARTITION: Final = "day"
INDEXED: Final = ("sequence", "recorded_at", "content_day")
CONFIGURATION: Final = {
    "delta.dataSkippingStatsColumns": ",".join(INDEXED),
    "delta.checkpointInterval": "100",
    "delta.logRetentionDuration": "interval 1 days",
}
_IN_FILE: Final = pa.schema([field for field in _COLUMNS if field.name != PARTITION])
_DAY_BYTES: Final = 4


class NewFile(Struct, frozen=True):
    """A file to add: its name in the table, its bytes, the UTC day it belongs to, and what the log says of it."""

    name: str
    data: bytes
    day: Day
    written_at_ms: int
    stats: str


def content_day(content: bytes | None) -> Day | None:
    """The UTC day under whose key `content` is sealed; None where there is none."""
    return None if content is None else Day(int.from_bytes(content[:_DAY_BYTES], "big"))


def new_files(events: Sequence[StoredEvent]) -> list[NewFile]:
    """`events`, ascending, as one file for each UTC day in which they were recorded."""
    by_day = groupby(events, lambda event: day_of(event.recorded_at))
    return [_new_file(day, list(group)) for day, group in by_day]


def _new_file(day: Day, events: list[StoredEvent]) -> NewFile:
    columns: dict[str, list[Any]] = {
        "sequence": [event.sequence for event in events],
        "recorded_at": [event.recorded_at for event in events],
        "kind": [event.kind for event in events],
        "body": [event.body for event in events],
        "content": [event.content for event in events],
        "content_day": [content_day(event.content) for event in events],
        "content_digest": [event.content_digest for event in events],
        "claims": [b"".join(event.claims) for event in events],
        "digest": [event.digest for event in events],
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, _IN_FILE), sink, compression="zstd", write_statistics=list(INDEXED))
    data = sink.getvalue()
    name = f"{events[0].sequence:020d}-{events[-1].sequence:020d}-{hashlib.sha256(data).hexdigest()[:16]}"
    return NewFile(f"{PARTITION}={day}/{name}.parquet", data, day, events[-1].recorded_at * 1000, _stats(columns))


def _stats(columns: dict[str, list[Any]]) -> str:
    """What the log keeps of a file (Delta's protocol, "Per-file Statistics")."""
    present = {name: [value for value in columns[name] if value is not None] for name in INDEXED}
    rows = len(columns["sequence"])
    return json.dumps(
        {
            "numRecords": rows,
            "minValues": {name: min(values) for name, values in present.items() if values},
            "maxValues": {name: max(values) for name, values in present.items() if values},
            "nullCount": {name: rows - len(values) for name, values in present.items()},
        }
    )


def events_of(data: bytes) -> Iterator[StoredEvent]:
    """The events of a file, as they lie in it. Raises `Invalid` for claims that are none, `pa.ArrowException` for
    bytes that are no such file."""
    table = pq.read_table(io.BytesIO(data), schema=_IN_FILE)
    columns = [table.column(field.name).to_pylist() for field in _COLUMNS[1:] if field.name != "content_day"]
    for sequence, recorded_at, kind, body, content, content_digest, claims, digest in zip(*columns, strict=True):
        yield StoredEvent(sequence, recorded_at, kind, body, content, content_digest, split_claims(claims), digest)
