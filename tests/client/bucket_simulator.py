"""An in-memory bucket that the real client talks to. It keeps every snapshot and finds deltas by brute force from all
of them, so it shares no idea with the ledger's three version columns; and it serves whatever a test puts in its place.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tocsin.client.trust import GaenKey, Trust
from tocsin.formats.keyset import REMOVAL, KeysetDelta, KeysetDump, encode_delta, encode_dump, removals_by_kind
from tocsin.formats.leaf import HEAD_NAME, Delta, Dump, Leaf, Named, Profile, ProfileFiles, head_text, object_name
from tocsin.formats.set_digest import set_digest
from tocsin.model.errors import Unavailable
from tocsin.model.keys import RECORD, KeysByKind, Records, by_kind, key_days
from tocsin.transparency.note import NoteVerifier, sign_note

REGION, ORIGIN = "utopia", "tocsin.example/utopia"
FIRST_AT = 20_000 * 86_400
USEFUL_DAYS = 14
LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))

Row = tuple[bytes, int, int, int, int, int]
"""Key data, start, period, report type, onset, risk."""


def verifier(key: Ed25519PrivateKey) -> NoteVerifier:
    return NoteVerifier(ORIGIN, key.public_key().public_bytes_raw())


def gaen_pem() -> str:
    pem = (
        derive_private_key(4711, SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return pem.decode()


TRUST = Trust(
    origin=ORIGIN,
    vkeys=(verifier(LOG_KEY).vkey,),
    region=REGION,
    freshness_seconds=86_400,
    reports_url="https://reports.tocsin.example",
    bucket_url="https://bucket.tocsin.example",
    gaen_keys=(GaenKey("310", "v1", gaen_pem()),),
)


def row(number: int, age_days: int = 3, report_type: int = 1) -> Row:
    """A key whose day lies `age_days` before that of `FIRST_AT`."""
    return (hashlib.sha256(b"%d" % number).digest()[:16], (20_000 - age_days) * 144, 144, report_type, -128, 0)


def table(rows: Sequence[Row]) -> Records:
    return np.array(list(rows), RECORD)


@dataclass
class BucketSimulator:
    """Version n is `snapshots[n]`, live keys only; version 0 is the empty set. `dump_every`, `window` in versions."""

    dump_every: int = 4
    window: int = 6
    snapshots: list[dict[bytes, Row]] = field(default_factory=lambda: [{}])
    leaves: list[Leaf | None] = field(default_factory=lambda: [None])
    ats: list[int] = field(default_factory=lambda: [FIRST_AT])
    objects: dict[str, bytes] = field(default_factory=dict)
    fetched: list[tuple[str, int]] = field(default_factory=list)

    @property
    def version(self) -> int:
        return len(self.snapshots) - 1

    @property
    def leaf(self) -> Leaf:
        leaf = self.leaves[-1]
        assert leaf is not None
        return leaf

    def first_day(self, version: int) -> int:
        return self.ats[version] // 86_400 - USEFUL_DAYS

    def keys(self, version: int) -> KeysByKind:
        return by_kind(table(list(self.snapshots[version].values())))

    def publish(self, rows: Sequence[Row], later_by: int = 900) -> Leaf:
        """One more version, of those `rows` that are still of use; its files and head are in the bucket."""
        at = self.ats[-1] + later_by
        self.ats.append(at)
        live = [entry for entry in rows if (entry[1] + entry[2] - 1) // 144 >= at // 86_400 - USEFUL_DAYS]
        self.snapshots.append({entry[0]: entry for entry in live})
        version = self.version
        dump_version = version - (version - 1) % self.dump_every
        from_version = max(0, min(dump_version, version - self.window))
        files = ProfileFiles(
            Profile.KEYSET,
            Dump(dump_version, self.put(encode_dump(self.dump(dump_version)))),
            Delta(from_version, version, self.put(encode_delta(self.delta(from_version, version)))),
        )
        leaf = Leaf(
            region=REGION,
            version=version,
            at=at,
            due=at + 900,
            term=1,
            useful_days=USEFUL_DAYS,
            first_day=self.first_day(version),
            set_digest=set_digest(REGION, self.keys(version)),
            journal=hashlib.sha256(b"published %d" % version).digest(),
            gaen_keys=len(live),
            dp3t_keys=0,
            profiles=(files,),
        )
        self.leaves.append(leaf)
        self.put_head(leaf)
        return leaf

    def dump(self, version: int) -> KeysetDump:
        keys = self.keys(version)
        return KeysetDump(REGION, version, self.ats[version], self.first_day(version), set_digest(REGION, keys), keys)

    def delta(self, from_version: int, to_version: int) -> KeysetDelta:
        """The delta law, taken at its word."""
        window, now = self.snapshots[from_version : to_version + 1], self.snapshots[to_version]
        first_day = self.first_day(to_version)
        added = [entry for key, entry in now.items() if any(snapshot.get(key) != entry for snapshot in window)]
        useful = [table(list(snapshot.values())) for snapshot in window]
        held = [entry for records in useful for entry in records[key_days(records) >= first_day].tolist()]
        last_seen = {entry[0]: entry for entry in held}  # a key's record may have moved to a day that is over by now
        gone = table([entry for key, entry in last_seen.items() if key not in now])
        removals = np.empty(len(gone), REMOVAL)
        removals["day"], removals["key_data"] = key_days(gone), gone["key_data"]
        return KeysetDelta(
            REGION,
            from_version,
            to_version,
            self.ats[to_version],
            first_day,
            set_digest(REGION, self.keys(to_version)),
            by_kind(table(added)),
            removals_by_kind(removals),
        )

    def put(self, data: bytes) -> Named:
        """An immutable keyset object, under its hash."""
        named = Named(hashlib.sha256(data).digest(), len(data))
        self.objects[object_name(REGION, Profile.KEYSET, named.hash)] = data
        return named

    def put_head(self, leaf: Leaf, key: Ed25519PrivateKey = LOG_KEY, origin: str = ORIGIN) -> None:
        self.objects[HEAD_NAME] = sign_note(head_text(origin, leaf), verifier(key), key)

    def put_keyset(self, leaf: Leaf, dump: bytes | None = None, delta: bytes | None = None) -> None:
        """A signed head like `leaf` that names these bytes as its dump or delta; with None, as it was."""
        (files,) = leaf.profiles
        assert files.dump and files.delta
        window = (files.delta.from_version, files.delta.to_version)
        if dump is not None:
            files = msgspec.structs.replace(files, dump=Dump(files.dump.version, self.put(dump)))
        if delta is not None:
            files = msgspec.structs.replace(files, delta=Delta(window[0], window[1], self.put(delta)))
        self.put_head(msgspec.structs.replace(leaf, profiles=(files,)))

    def name_of(self, kind: str) -> str:
        """The name of the newest ``dump`` or ``delta``."""
        (files,) = self.leaf.profiles
        file = files.dump if kind == "dump" else files.delta
        assert file is not None
        return object_name(REGION, Profile.KEYSET, file.file.hash)

    def fetch(self, name: str, most_bytes: int) -> bytes:
        self.fetched.append((name, most_bytes))
        if name not in self.objects:
            raise Unavailable("no such object")
        return self.objects[name][: most_bytes + 1]
