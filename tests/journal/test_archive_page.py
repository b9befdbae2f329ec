"""The page on the archive, held against a table: read with Parquet, JSON and SHA-256 alone, and by another reader.

Nothing of ours reads here; what is read is compared with what was archived.
"""

import hashlib
import io
import json
import re
import struct
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tests.contracts.archive_contract import QUARTER, TODAY, filled, story
from tocsin.journal.archive_table import SCHEMA
from tocsin.stores.place_folder import FolderPlace

PAGE = (Path(__file__).resolve().parents[2] / "docs/formats/archive.md").read_text(encoding="utf-8")
PINNED = [
    ("day", "integer", False),
    ("sequence", "long", False),
    ("recorded_at", "long", False),
    ("kind", "string", False),
    ("body", "binary", False),
    ("content", "binary", True),
    ("content_day", "integer", True),
    ("content_digest", "binary", False),
    ("claims", "binary", False),
    ("digest", "binary", False),
]
"""Kept for ever: a column may come behind these, and nothing else may change."""

Row = dict[str, Any]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """An archive as it is after a while: many commits, a day put together, and one erased."""
    events = story(150, late=[100])
    archive = filled(FolderPlace(tmp_path), events[:140], 9)
    archive.compact(TODAY)
    archive.erase(TODAY)
    archive.raise_term(3)
    archive.append(events[140:], 3)
    return tmp_path


def actions(table: Path) -> list[tuple[str, Row]]:
    """The log, one action after the other."""
    lines = [line for path in sorted(table.glob("_delta_log/*.json")) for line in path.read_text().splitlines()]
    return [(kind, action) for line in lines for kind, action in json.loads(line).items()]


def rows(table: Path) -> list[Row]:
    """The rows of the files that the log names at its end, by `sequence`."""
    files: dict[str, Row] = {}
    for kind, action in actions(table):
        if kind == "add":
            files[action["path"]] = action
        elif kind == "remove":
            del files[action["path"]]
    found = []
    for name, action in files.items():
        for row in pq.read_table(io.BytesIO((table / name).read_bytes())).to_pylist():
            found.append({**row, "day": int(action["partitionValues"]["day"])})
    return sorted(found, key=lambda row: row["sequence"])


def digest_of(previous: bytes, row: Row) -> bytes:
    """A row's digest, as the page has it."""
    kind, label = row["kind"].encode("ascii"), b"tocsin/v1/event"
    parts = [
        bytes([len(label)]) + label,
        previous,
        struct.pack(">QQ", row["sequence"], row["recorded_at"]),
        bytes([len(kind)]) + kind,
        struct.pack(">I", len(row["body"])) + row["body"],
        row["content_digest"],
        bytes([len(row["claims"]) // 33]) + row["claims"],
    ]
    return hashlib.sha256(b"".join(parts)).digest()


def test_the_chain_is_proven_by_the_page_alone(table: Path) -> None:
    previous = bytes(32)
    found = rows(table)
    assert [row["sequence"] for row in found] == list(range(1, 151))
    for row in found:
        previous = digest_of(previous, row)
        assert row["digest"] == previous
        assert row["day"] == row["recorded_at"] // 86_400
        if row["content"] is None:
            assert row["content_day"] is None
        else:
            assert hashlib.sha256(row["content"]).digest() == row["content_digest"]
            assert int.from_bytes(row["content"][:4], "big") == row["content_day"]
    erased = [row["sequence"] for row in found if row["content"] is None and row["content_digest"] != bytes(32)]
    assert 100 in erased and {row["day"] for row in found if row["sequence"] in erased} == {TODAY, TODAY + 1}


def test_any_reader_of_such_tables_reads_it(table: Path) -> None:
    """The library's own, through Arrow, with a filter on the partition."""
    read = DeltaTable(table).to_pyarrow_table(filters=[("day", "=", TODAY)]).to_pylist()
    assert sorted(row["sequence"] for row in read) == [row["sequence"] for row in rows(table) if row["day"] == TODAY]
    assert all(row["recorded_at"] >= QUARTER for row in read)


def test_term_and_last_event_stand_in_the_log(table: Path) -> None:
    terms = [action["version"] for kind, action in actions(table) if kind == "txn" and action["appId"] == "tocsin.term"]
    last = [a["version"] for kind, a in actions(table) if kind == "txn" and a["appId"] == "tocsin.sequence"]
    assert terms == sorted(terms) and (terms[0], terms[-1]) == (1, 3)
    assert last == sorted(last) and last[-1] == 150


def test_files_are_named_as_the_page_says(table: Path) -> None:
    name = re.compile(r"day=(\d+)/(\d{20})-(\d{20})-([0-9a-f]{16})\.parquet")
    added = [action for kind, action in actions(table) if kind == "add" and name.fullmatch(action["path"])]
    assert len(added) > 10
    for action in added:
        if (table / action["path"]).exists():
            found = name.fullmatch(action["path"])
            assert found is not None
            data, stats = (table / action["path"]).read_bytes(), json.loads(action["stats"])
            assert hashlib.sha256(data).hexdigest()[:16] == found[4]
            assert (stats["minValues"]["sequence"], stats["maxValues"]["sequence"]) == (int(found[2]), int(found[3]))
            assert stats["minValues"].keys() <= {"sequence", "recorded_at", "content_day"}


def test_the_schema_is_pinned_and_stands_on_the_page(table: Path) -> None:
    [metadata] = [action for kind, action in actions(table) if kind == "metaData"]
    [protocol] = [action for kind, action in actions(table) if kind == "protocol"]
    fields = json.loads(metadata["schemaString"])["fields"]
    assert [(field["name"], field["type"], field["nullable"]) for field in fields] == PINNED
    assert [name for name, _, _ in PINNED] == SCHEMA.names
    listed = re.findall(r"^\| `(\w+)` \| (\w+)(, may be null)? \|", PAGE, re.MULTILINE)
    assert [(name, kind, bool(null)) for name, kind, null in listed] == PINNED
    assert metadata["partitionColumns"] == ["day"]
    assert (protocol["minReaderVersion"], protocol["minWriterVersion"]) == (1, 2)
    for name, value in metadata["configuration"].items():
        assert f"`{name}`" in PAGE, (name, value)
