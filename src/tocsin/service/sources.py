"""Sources of calls: an address becomes a keyed hash at the door, and nothing behind the door knows more.

The key is random, in memory only, and replaced; with it goes the last way from a hash to an address. What is counted
under a hash is forgotten as soon as it no longer counts (`service.allowances`), so nothing outlives a day.
"""

import hmac
import secrets
import threading
from typing import Final

from msgspec import Struct

from tocsin.model.labels import prefix
from tocsin.model.times import Instant

KEY_SECONDS: Final = 12 * 3600
"""How long one key is used. As long again, and what was counted under it is forgotten: a day in all (T-P4)."""
CLOCK_SECONDS: Final = 300
"""How far behind a key's beginning a clock may be: threads read it a moment apart, and it is put right at times."""
SOURCE_BYTES: Final = 16
_KEY_BYTES: Final = 32


class Source(Struct, frozen=True):
    """Where a call came from: two keyed hashes of 16 bytes, of the address and of the network around it."""

    own: bytes
    network: bytes


UNKNOWN_SOURCE: Final = Source(bytes(SOURCE_BYTES), bytes(SOURCE_BYTES))
"""Of a call whose address nobody told. All of these are one source."""


class _Key(Struct, frozen=True):
    since: Instant
    secret: bytes


class Sources:
    """Hashes addresses under a key that nobody else has, nor this process half a day later. Any thread may use it."""

    def __init__(self) -> None:
        self._key: _Key | None = None
        self._lock = threading.Lock()

    def source(self, own: bytes, network: bytes, now: Instant) -> Source:
        """The source behind these two leading parts of an address; the same for the same ones while the key is."""
        with self._lock:
            self._key = key = self._valid_key(now) or _Key(now, secrets.token_bytes(_KEY_BYTES))
        return Source(_hash(key.secret, "source", own), _hash(key.secret, "source-network", network))

    def forget(self, now: Instant) -> None:
        """Drops the key if its time is over: to be called now and then, also when nobody calls."""
        with self._lock:
            self._key = self._valid_key(now)

    def _valid_key(self, now: Instant) -> _Key | None:
        """The key, unless it is too old, or the clock says that it was made long after now."""
        key = self._key
        return key if key is not None and -CLOCK_SECONDS <= now - key.since < KEY_SECONDS else None


def _hash(secret: bytes, label: str, part: bytes) -> bytes:
    return hmac.digest(secret, prefix(label) + part, "sha256")[:SOURCE_BYTES]
