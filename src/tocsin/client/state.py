"""What a phone keeps between two syncs: the set it holds and where it stands; replaced as a whole or not at all.

As bytes: ``TKC1`` ‖ term u64 ‖ due_at u64 ‖ journal digest 32 ‖ a keyset dump of the set ‖ SHA-256 of all before.
"""

import hashlib
import struct
from typing import Final

from msgspec import Struct

from tocsin.formats.keyset import KeysetDump, decode_keyset, encode_dump
from tocsin.model.errors import Invalid
from tocsin.model.keys import KeysByKind
from tocsin.model.times import Instant

_FRONT: Final = struct.Struct(">4sQQ32s")
_MAGIC: Final = b"TKC1"
_CHECKSUM_BYTES: Final = 32


class SyncState(Struct, frozen=True, eq=False):
    """The public set at `version` and the head that proved it.

    `term`, `at`, `due_at`, `first_day`, `set_digest` and `journal` (digest of the `published` event) are the head's;
    `keys` is canonical.
    """

    region: str
    version: int
    term: int
    at: Instant
    due_at: Instant
    first_day: int
    set_digest: bytes
    journal: bytes
    keys: KeysByKind

    @property
    def key_count(self) -> int:
        """How many keys are held, of all kinds."""
        return sum(len(records) for records in self.keys.values())


def encode_state(state: SyncState) -> bytes:
    """`state` as an app stores it; to be put in the old one's place atomically."""
    dump = KeysetDump(state.region, state.version, state.at, state.first_day, state.set_digest, state.keys)
    body = _FRONT.pack(_MAGIC, state.term, state.due_at, state.journal) + encode_dump(dump)
    return body + hashlib.sha256(body).digest()


def decode_state(data: bytes) -> SyncState:
    """What `encode_state` stored. Raises `Invalid` for anything else: the app then syncs from nothing."""
    body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if len(body) < _FRONT.size or hashlib.sha256(body).digest() != checksum:
        raise Invalid("not a stored state, or a damaged one")
    magic, term, due_at, journal = _FRONT.unpack_from(body)
    dump = decode_keyset(body[_FRONT.size :])
    if magic != _MAGIC or not isinstance(dump, KeysetDump):
        raise Invalid("not a stored state")
    return SyncState(
        region=dump.region,
        version=dump.version,
        term=term,
        at=Instant(dump.at),
        due_at=Instant(due_at),
        first_day=dump.first_day,
        set_digest=dump.set_digest,
        journal=journal,
        keys=dump.keys,
    )
