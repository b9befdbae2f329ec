"""Yesterday's journal still opens, and leads to the same public files: the promise that bytes only grow."""

import base64
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.golden.make import FOLDER, content_hashes
from tests.sites import FixedClock
from tocsin import __version__
from tocsin.formats.leaf import Profile, decode_file_list, object_name, parse_head_text
from tocsin.journal import sqlite
from tocsin.journal.encoding import StoredEvent
from tocsin.journal.port import Durability
from tocsin.journal.verify import verify
from tocsin.model.claims import Claim
from tocsin.model.events import KINDS, Erased
from tocsin.service.deployment import Deployment

VERSIONS = sorted(path.name for path in FOLDER.iterdir() if (path / "journal.jsonl").exists())


def events(version: str) -> list[StoredEvent]:
    lines = (FOLDER / version / "journal.jsonl").read_text().splitlines()
    return [_event(json.loads(line)) for line in lines]


def _event(line: dict[str, Any]) -> StoredEvent:
    decode = base64.b64decode
    return StoredEvent(
        sequence=line["sequence"],
        recorded_at=line["recorded_at"],
        kind=line["kind"],
        body=line["body"].encode(),
        content=None if line["content"] is None else decode(line["content"]),
        content_digest=decode(line["content_digest"]),
        claims=tuple(Claim(decode(claim)) for claim in line["claims"]),
        digest=decode(line["digest"]),
    )


def test_there_is_a_golden_journal() -> None:
    assert "0.1.0" in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_a_golden_journal_opens_and_leads_to_the_same_files(version: str, tmp_path: Path) -> None:
    top = tmp_path / "site"
    shutil.copytree(FOLDER / version, top, ignore=shutil.ignore_patterns("*.json*"))
    for path in (top / "keys").rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)  # a checkout does not keep modes
    (top / "keys").chmod(0o700)
    (top / "bucket").mkdir()
    (top / "journal").mkdir(mode=0o700)
    journal = sqlite.create(top / "journal" / "journal.sqlite", durability=Durability.WAIVED)
    journal.load(events(version))
    verify(journal)
    journal.close()

    deployment = Deployment(top, FixedClock(at=events(version)[-1].recorded_at))
    publisher = deployment.publisher()
    publisher.publish()
    made = content_hashes(top / "bucket")
    golden = json.loads((FOLDER / version / "objects.json").read_text())
    assert made["v1/head"] == golden["v1/head"]
    assert made.items() <= golden.items()
    assert _names_in_force(top / "bucket") <= made.keys()
    deployment.close()


def _names_in_force(bucket: Path) -> set[str]:
    """The objects that the head names, those of its file lists included."""
    leaf = parse_head_text((bucket / "v1/head").read_text().partition("\n\n")[0] + "\n", "tocsin.example/utopia")
    names = set()
    for files in leaf.profiles:
        for named in (files.dump, files.delta):
            assert named is not None
            names.add(object_name(leaf.region, files.profile, named.file.hash))
            if files.profile is Profile.GAEN:
                listed = (bucket / object_name(leaf.region, files.profile, named.file.hash)).read_bytes()
                names |= {object_name(leaf.region, Profile.GAEN, file.file.hash) for file in decode_file_list(listed)}
    return names


EVENTS_PAGE = (FOLDER.parents[1] / "docs/formats/events.md").read_text(encoding="utf-8")
SINCE = dict(re.findall(r"^\| `([a-z_]+)` \|.* (\d+\.\d+\.\d+) \|$", EVENTS_PAGE, re.MULTILINE))
"""Kind → the version that brought it."""


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_golden_journal_holds_every_kind_that_its_version_writes(version: str) -> None:
    written = {kind for kind, since in SINCE.items() if _numbers(since) <= _numbers(version)}
    if _numbers(version) < [0, 4, 0]:
        written.remove(Erased.kind)  # known from the start, and first written by 0.4.0
    assert {event.kind for event in events(version)} == written


def test_every_kind_is_of_a_version_that_has_its_golden_journal() -> None:
    assert SINCE.keys() == KINDS.keys()
    assert set(SINCE.values()) <= set(VERSIONS)
    assert __version__.startswith(VERSIONS[-1]), "a version that writes new kinds brings its golden journal"
