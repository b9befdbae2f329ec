"""The bytes of a version: a pure function of the ledger at its `published` event and of the leaf before it.

No policy, no clock and no chance: any machine with the same journal and day keys makes the same content. Signatures
come afterwards (`sign`).
"""

import hashlib
from collections.abc import Iterable

import numpy as np
from msgspec import Struct

from tocsin.formats.gaen.writer import ExportHeader, ExportPart, encode_export, export_parts, revisions
from tocsin.formats.keyset import REMOVAL, KeysetDelta, KeysetDump, Removals, encode_delta, encode_dump
from tocsin.formats.leaf import Delta, Dump, Leaf, ListedFile, Named, Profile, ProfileFiles, encode_file_list
from tocsin.formats.set_digest import set_digest
from tocsin.ledger.queries import Changes, changes, live_rows
from tocsin.ledger.state import Ledger, Version
from tocsin.model.errors import Invalid
from tocsin.model.events import FileSpec
from tocsin.model.keys import Records, key_days
from tocsin.model.times import DAY_SECONDS, Day


class Object(Struct, frozen=True):
    """An immutable object: its SHA-256 is its name."""

    profile: Profile
    data: bytes


class Export(Struct, frozen=True, eq=False):
    """A GAEN file still to be signed: `export_bin` and the header that its signatures must repeat."""

    header: ExportHeader
    export_bin: bytes


class Inherited(Struct, frozen=True):
    """What a version takes over from the one before it: the files that it does not make anew.

    `exports` lists the GAEN delta files so far; of version 0 there is nothing to take over.
    """

    keyset: ProfileFiles = ProfileFiles(Profile.KEYSET)
    gaen: ProfileFiles = ProfileFiles(Profile.GAEN)
    exports: tuple[ListedFile, ...] = ()


class Built(Struct, frozen=True, eq=False):
    """A version, unsigned: its leaf, and the immutable objects that the leaf names and that are new."""

    leaf: Leaf
    objects: tuple[Object, ...]
    exports: tuple[Export, ...]


def build(ledger: Ledger, inherited: Inherited) -> Built:
    """The newest version of `ledger`, which must have been folded to its `published` event or not past the next.

    Raises `Invalid` if the ledger does not lead to the set digest that the event recorded: then this machine and the
    one that decided do not agree, and nothing may go out. Cost: a set digest and one pass a file.
    """
    version = ledger.versions[-1]
    oldest = Day(version.first_day)
    live: Records = ledger.keys["record"][live_rows(ledger, oldest)]
    if set_digest(ledger.region, live) != version.set_digest:
        raise Invalid(f"version {version.version} does not lead to the set digest that was decided")
    keyset, objects = _keyset(ledger, version, live, inherited.keyset)
    gaen, lists, exports = _gaen(ledger, version, live, inherited)
    leaf = Leaf(
        region=ledger.region,
        version=version.version,
        at=version.at,
        due=version.due,
        term=version.term,
        useful_days=version.useful_days,
        first_day=version.first_day,
        set_digest=version.set_digest,
        journal=version.digest,
        gaen_keys=len(live),
        dp3t_keys=0,
        profiles=(keyset, gaen),
    )
    return Built(leaf, (*objects, *lists), exports)


def _keyset(
    ledger: Ledger, version: Version, live: Records, before: ProfileFiles
) -> tuple[ProfileFiles, tuple[Object, ...]]:
    dump, delta, objects = before.dump, before.delta, []
    if _spec(version, Profile.KEYSET, "dump"):
        data = encode_dump(
            KeysetDump(ledger.region, version.version, version.at, version.first_day, version.set_digest, live)
        )
        dump = Dump(version.version, _name(data))
        objects.append(Object(Profile.KEYSET, data))
    if spec := _spec(version, Profile.KEYSET, "delta"):
        change = changes(ledger, spec.from_version, Day(version.first_day))
        data = encode_delta(
            KeysetDelta(
                region=ledger.region,
                from_version=spec.from_version,
                to_version=version.version,
                at=version.at,
                first_day=version.first_day,
                set_digest=version.set_digest,
                additions=change.additions,
                removals=_removals(change),
            )
        )
        delta = Delta(spec.from_version, version.version, _name(data))
        objects.append(Object(Profile.KEYSET, data))
    return ProfileFiles(Profile.KEYSET, dump, delta), tuple(objects)


def _removals(change: Changes) -> Removals:
    removals = np.empty(len(change.removals), REMOVAL)
    removals["day"] = key_days(change.removals)
    removals["key_data"] = change.removals["key_data"]
    return removals


def _gaen(
    ledger: Ledger, version: Version, live: Records, inherited: Inherited
) -> tuple[ProfileFiles, tuple[Object, ...], tuple[Export, ...]]:
    """GAEN's own step: a dump, and a delta unless its window is empty; each named by a list of its files."""
    dump, delta = inherited.gaen.dump, inherited.gaen.delta
    lists: list[Object] = []
    exports: list[Export] = []
    if spec := _spec(version, Profile.GAEN, "dump"):
        header = ExportHeader(version.first_day * DAY_SECONDS, version.at, ledger.region, spec.signature_infos)
        made = _export(header, live, live[:0], spec)
        listed = encode_file_list(_listed(made, 0, version.version))
        dump = Dump(version.version, _name(listed))
        lists.append(Object(Profile.GAEN, listed))
        exports.extend(made)
    if spec := _spec(version, Profile.GAEN, "delta"):
        change = changes(ledger, spec.from_version, Day(version.first_day))
        fresh = change.first_entered > spec.from_version
        header = ExportHeader(at_of(ledger, spec.from_version), version.at, ledger.region, spec.signature_infos)
        revised = revisions(change.additions[~fresh], change.removals)
        made = _export(header, change.additions[fresh], revised, spec)
        kept = [file for file in inherited.exports if _is_useful(ledger, version, file)]
        listed = encode_file_list([*kept, *_listed(made, spec.from_version, version.version)])
        delta = Delta(spec.from_version, version.version, _name(listed))
        lists.append(Object(Profile.GAEN, listed))
        exports.extend(made)
    return ProfileFiles(Profile.GAEN, dump, delta), tuple(lists), tuple(exports)


def at_of(ledger: Ledger, version: int) -> int:
    """The instant of a version; version 0 is the empty set of the founding."""
    return ledger.versions[version - 1].at if version else ledger.founded_at


def _export(header: ExportHeader, keys: Records, revised: Records, spec: FileSpec) -> list[Export]:
    parts: Iterable[ExportPart] = export_parts(header, keys, revised, spec.records_per_part)
    return [Export(part.header, encode_export(part.header, part.keys, part.revised_keys)) for part in parts]


def _listed(exports: list[Export], from_version: int, to_version: int) -> list[ListedFile]:
    return [
        ListedFile(
            from_version, to_version, export.header.batch_num, export.header.batch_size, _name(export.export_bin)
        )
        for export in exports
    ]


def _is_useful(ledger: Ledger, version: Version, file: ListedFile) -> bool:
    """Whether a phone may still have to fetch it: made within the useful life of a key."""
    return at_of(ledger, file.to_version) >= version.at - version.useful_days * DAY_SECONDS


def _spec(version: Version, profile: Profile, kind: str) -> FileSpec | None:
    return next((spec for spec in version.files if spec.profile == profile and spec.kind == kind), None)


def _name(data: bytes) -> Named:
    return Named(hashlib.sha256(data).digest(), len(data))
