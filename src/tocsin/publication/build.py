"""The bytes of a version: a pure function of the ledger at its `published` event.

No policy, no clock, no chance and no look into the bucket: any machine with the same journal and day keys makes the
same content. What earlier versions made is named by the journal (`Published.made`). Signatures come later (`sign`).
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from tocsin.formats.gaen.writer import ExportHeader, encode_export, export_parts, revisions
from tocsin.formats.keyset import REMOVALS, KeysetDelta, KeysetDump, Removals, encode_delta, encode_dump
from tocsin.formats.leaf import (
    HASH_BYTES,
    Delta,
    Dump,
    Leaf,
    ListedFile,
    Named,
    Profile,
    ProfileFiles,
    encode_file_list,
)
from tocsin.formats.set_digest import set_digest
from tocsin.ledger.queries import Changes, changes, live_keys
from tocsin.ledger.state import Ledger, Version
from tocsin.model.base64url import decode_exactly, encode
from tocsin.model.errors import Invalid
from tocsin.model.events import FileSpec, MadeFile
from tocsin.model.keys import KeyKind, KeysByKind, Records, key_days, kind_of, rows_of, sorted_by_key
from tocsin.model.policy import SignatureInfo
from tocsin.model.times import DAY_SECONDS, Day
from tocsin.publication.index import Index, index_of, indexed_deltas

_NO_DAY: Final = Day(2**32 - 1)
"""No key is live from this day on."""


class Object(Struct, frozen=True):
    """An immutable object: its SHA-256 is its name."""

    profile: Profile
    data: bytes


class Keyset(Struct, frozen=True):
    """A keyset file of this version: `kind` ``dump`` or ``delta``."""

    kind: str
    from_version: int
    to_version: int
    data: bytes


class Export(Struct, frozen=True, eq=False):
    """A GAEN file still to be signed: `data` is its ``export.bin``; signatures must repeat its `header`."""

    kind: str
    from_version: int
    to_version: int
    data: bytes
    header: ExportHeader


class Built(Struct, frozen=True, eq=False):
    """A version, unsigned: its leaf, its objects (file lists that did not change among them), its GAEN files.

    `index`: what existing GAEN clients read. `made`: what the next `published` event records of it.
    """

    leaf: Leaf
    objects: tuple[Object, ...]
    exports: tuple[Export, ...]
    index: Index
    made: tuple[MadeFile, ...]


def build(ledger: Ledger) -> Built:
    """The newest version of `ledger`, folded to its `published` event or further, but not past the next one.

    Raises `Invalid` if the ledger does not lead to the set digest that the event recorded: content is erased, or this
    machine and the one that decided do not agree; nothing may go out. Cost: a set digest and one pass a file.
    """
    version = ledger.versions[-1]
    public = live_keys(ledger, Day(version.first_day))
    live = {kind: sorted_by_key(records) for kind, records in public.items()}  # once for all
    if set_digest(ledger.region, live) != version.set_digest:
        raise Invalid(f"version {version.version} does not lead to the set digest that was decided")
    keysets = _keysets(ledger, version, live)
    exports = _exports(ledger, version, live[KeyKind.GAEN])
    made = tuple(_made(Profile.KEYSET, file, 1, 1) for file in keysets) + tuple(
        _made(Profile.GAEN, file, file.header.batch_num, file.header.batch_size) for file in exports
    )
    keyset, gaen, lists = _named(ledger, version, (*ledger.made, *made))
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
        gaen_keys=len(live[KeyKind.GAEN]),
        dp3t_keys=len(live[KeyKind.DP3T]),
        profiles=(keyset, gaen),
    )
    objects = [Object(Profile.KEYSET, keyset.data) for keyset in keysets]
    return Built(leaf, (*objects, *lists), exports, index_of(ledger, made), made)


class Remade(Struct, frozen=True, eq=False):
    """Files of an earlier version, made again: keyset files, and GAEN files still to be signed."""

    objects: tuple[Object, ...]
    exports: tuple[Export, ...]


def remake(ledger: Ledger, wanted: Sequence[MadeFile]) -> Remade:
    """Those of `wanted` that the newest version of `ledger` made, `ledger` as for `build`.

    What is made is held against the digest that was recorded: a file of which a key is erased by now is left out. So no
    set digest is needed, nor the keys of the whole set where only a delta is wanted.
    """
    version = ledger.versions[-1]
    digests = {file.digest for file in wanted if file.to_version == version.version}
    kinds = {(file.profile, file.kind) for file in wanted if file.digest in digests}
    version = replace(version, files=tuple(spec for spec in version.files if (spec.profile, spec.kind) in kinds))
    first_day = Day(version.first_day) if "dump" in {kind for _, kind in kinds} else _NO_DAY
    live = {kind: sorted_by_key(records) for kind, records in live_keys(ledger, first_day).items()}
    return Remade(
        tuple(
            Object(Profile.KEYSET, file.data)
            for file in _keysets(ledger, version, live)
            if _digest(file.data) in digests
        ),
        tuple(file for file in _exports(ledger, version, live[KeyKind.GAEN]) if _digest(file.data) in digests),
    )


def files_in_force(ledger: Ledger) -> list[MadeFile]:
    """The files that the leaf of the newest version or the index names, as far as earlier versions made them."""
    dumps = [*_newest_dump(ledger.made, Profile.KEYSET), *_newest_dump(ledger.made, Profile.GAEN)]
    return [*dumps, *_listed_deltas(ledger, ledger.made), *indexed_deltas(ledger, ledger.made)]


def versions_in_force(ledger: Ledger) -> set[int]:
    """The versions that made the files which the leaf of the newest version or the index names; that one included."""
    return {file.to_version for file in files_in_force(ledger)} | {ledger.version}


def keys_in_force(ledger: Ledger) -> set[SignatureInfo]:
    """The GAEN keys that signed files in force: without them a bucket that was lost can't be made again."""
    if not ledger.versions:
        return set()
    specs = (spec for version in versions_in_force(ledger) for spec in ledger.versions[version - 1].files)
    return {info for spec in specs for info in spec.signature_infos}


def _keysets(ledger: Ledger, version: Version, live: KeysByKind) -> tuple[Keyset, ...]:
    common = (version.at, version.first_day, version.set_digest)
    files = []
    if _spec(version, Profile.KEYSET, "dump"):
        data = encode_dump(KeysetDump(ledger.region, version.version, *common, live))
        files.append(Keyset("dump", 0, version.version, data))
    if spec := _spec(version, Profile.KEYSET, "delta"):
        change = {kind: changes(keys, spec.from_version, Day(version.first_day)) for kind, keys in ledger.keys.items()}
        data = encode_delta(
            KeysetDelta(
                region=ledger.region,
                from_version=spec.from_version,
                to_version=version.version,
                at=version.at,
                first_day=version.first_day,
                set_digest=version.set_digest,
                additions={kind: told.additions for kind, told in change.items()},
                removals={kind: _removals(told) for kind, told in change.items()},
            )
        )
        files.append(Keyset("delta", spec.from_version, version.version, data))
    return tuple(files)


def _removals(change: Changes) -> Removals:
    removals = np.empty(len(change.removals), REMOVALS[kind_of(change.removals)])
    removals["day"] = key_days(change.removals)
    removals["key_data"] = change.removals["key_data"]
    return removals


def _exports(ledger: Ledger, version: Version, live: Records) -> tuple[Export, ...]:
    """GAEN's own step: a dump, and a delta unless its window is empty. Its files can't say what a DP-3T key is."""
    exports: list[Export] = []
    if spec := _spec(version, Profile.GAEN, "dump"):
        window = (version.first_day * DAY_SECONDS, version.at)
        exports += _parts(ledger, version, spec, window, live, live[:0])
    if spec := _spec(version, Profile.GAEN, "delta"):
        change = changes(ledger.keys[KeyKind.GAEN], spec.from_version, Day(version.first_day))
        fresh = change.first_entered > spec.from_version
        window = (at_of(ledger, spec.from_version), version.at)
        revised = revisions(rows_of(change.additions, ~fresh), change.removals)
        exports += _parts(ledger, version, spec, window, rows_of(change.additions, fresh), revised)
    return tuple(exports)


def _parts(
    ledger: Ledger, version: Version, spec: FileSpec, window: tuple[int, int], keys: Records, revised: Records
) -> list[Export]:
    header = ExportHeader(*window, ledger.region, spec.signature_infos)
    parts = export_parts(header, keys, revised, spec.records_per_part)
    return [
        Export(
            spec.kind,
            spec.from_version,
            version.version,
            encode_export(part.header, part.keys, part.revised_keys),
            part.header,
        )
        for part in parts
    ]


def _named(
    ledger: Ledger, version: Version, made: Sequence[MadeFile]
) -> tuple[ProfileFiles, ProfileFiles, list[Object]]:
    """The leaf's two lines, and the lists of GAEN files that the second one names."""
    keyset_dump = [Dump(file.to_version, _name_of(file)) for file in _newest_dump(made, Profile.KEYSET)]
    keyset_delta = [
        Delta(file.from_version, file.to_version, _name_of(file))
        for file in made
        if (file.profile, file.kind, file.to_version) == (Profile.KEYSET, "delta", version.version)
    ]
    lists: list[Object] = []
    dump, delta = None, None
    if dumped := _newest_dump(made, Profile.GAEN):
        lists.append(Object(Profile.GAEN, _list_of(dumped)))
        dump = Dump(dumped[-1].to_version, _name(lists[-1].data))
    if deltas := _listed_deltas(ledger, made):
        lists.append(Object(Profile.GAEN, _list_of(deltas)))
        delta = Delta(deltas[-1].from_version, deltas[-1].to_version, _name(lists[-1].data))
    return (
        ProfileFiles(Profile.KEYSET, next(iter(keyset_dump), None), next(iter(keyset_delta), None)),
        ProfileFiles(Profile.GAEN, dump, delta),
        lists,
    )


def _newest_dump(made: Sequence[MadeFile], profile: Profile) -> list[MadeFile]:
    """The parts of the newest dump in this profile."""
    dumps = [file for file in made if (file.profile, file.kind) == (profile, "dump")]
    return [file for file in dumps if file.to_version == dumps[-1].to_version]


def _listed_deltas(ledger: Ledger, made: Sequence[MadeFile]) -> list[MadeFile]:
    """The GAEN deltas up to the newest, back to one useful life before it: phones may still have to fetch them."""
    deltas = [file for file in made if (file.profile, file.kind) == (Profile.GAEN, "delta")]
    if not deltas:
        return []
    newest = ledger.versions[deltas[-1].to_version - 1]
    oldest_at = newest.at - newest.useful_days * DAY_SECONDS
    return [file for file in deltas if at_of(ledger, file.to_version) >= oldest_at]


def at_of(ledger: Ledger, version: int) -> int:
    """The instant of a version; version 0 is the empty set of the founding."""
    return ledger.versions[version - 1].at if version else ledger.founded_at


def _list_of(files: Sequence[MadeFile]) -> bytes:
    return encode_file_list(
        [ListedFile(file.from_version, file.to_version, file.part, file.parts, _name_of(file)) for file in files]
    )


def _made(profile: Profile, file: Keyset | Export, part: int, parts: int) -> MadeFile:
    name = _digest(file.data)
    return MadeFile(profile, file.kind, file.from_version, file.to_version, part, parts, name, len(file.data))


def _digest(data: bytes) -> str:
    """How `MadeFile.digest` is written."""
    return encode(hashlib.sha256(data).digest())


def _name_of(file: MadeFile) -> Named:
    return Named(decode_exactly(file.digest, HASH_BYTES), file.length)


def _spec(version: Version, profile: Profile, kind: str) -> FileSpec | None:
    return next((spec for spec in version.files if spec.profile == profile and spec.kind == kind), None)


def _name(data: bytes) -> Named:
    return Named(hashlib.sha256(data).digest(), len(data))
