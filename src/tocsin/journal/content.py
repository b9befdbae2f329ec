"""What an event holds that may have to be erased: laid out, sealed under its day's key, opened. Pure.

Who draws the nonce and who keeps the day keys is left to `service`. Source: ``docs/formats/events.md``, "Content".
"""

import struct
from functools import lru_cache
from itertools import pairwise
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tocsin.journal.encoding import StoredEvent, decode_body
from tocsin.model import base64url
from tocsin.model.errors import Invalid
from tocsin.model.events import Event, HasKeys, ReportContent
from tocsin.model.keys import CONTENT_KEYS, MAX_KEYS, KeyKind
from tocsin.model.labels import labelled_hash, prefix
from tocsin.model.ports import DayKeys
from tocsin.model.times import Day

LAYOUT: Final = 1
ID_BYTES: Final = 32
NONCE_BYTES: Final = 12
"""NIST SP 800-38D §5.2.1.1; drawn at random, at most some 10⁵ a day key, far below its limit of 2³² (§8.3)."""
TAG_BYTES: Final = 16

_PLAIN_HEAD: Final = struct.Struct(">BIHI32sB")
_DAY: Final = struct.Struct(">I")
_NO_KIND: Final = bytes([KeyKind.GAEN])
"""What an empty list of keys is laid out as."""
_KIND_OF: Final = {bytes([kind]): (kind, content_key.itemsize) for kind, content_key in CONTENT_KEYS.items()}
"""The byte that a row begins with → the kind, and the bytes of a row."""
_ALL_POSITIONS: Final = bytes(range(MAX_KEYS))
_SEALED_HEAD_BYTES: Final = _DAY.size + NONCE_BYTES


def encode_content(content: ReportContent) -> bytes:
    """The plain bytes of a report's content. Raises `Invalid` for what `decode_content` would not take."""
    if len(content.sent) != ID_BYTES:
        raise Invalid("the content is not laid out as a report's")
    count = len(content.key_rows) // CONTENT_KEYS[content.key_kind].itemsize
    try:
        head = _PLAIN_HEAD.pack(LAYOUT, content.batch, content.serial, content.provider, content.sent, count)
    except struct.error:
        raise Invalid("a number of the content is out of range") from None
    plain = head + content.key_rows
    decode_content(plain)  # what is sealed must open again in fourteen days
    return plain


def decode_content(plain: bytes) -> ReportContent:
    """A report's content from its plain bytes.

    Raises `Invalid` for any other bytes.
    """
    if len(plain) < _PLAIN_HEAD.size:
        raise Invalid("the content is too short")
    layout, batch, serial, provider, sent, count = _PLAIN_HEAD.unpack_from(plain)
    if layout != LAYOUT:
        raise Invalid("the content has a layout that this version does not know: update tocsin")
    rows = plain[_PLAIN_HEAD.size :]
    kind = rows[:1] or _NO_KIND
    if kind not in _KIND_OF:
        raise Invalid("the content has keys of a kind that this version does not know: update tocsin")
    key_kind, width = _KIND_OF[kind]
    if len(rows) != count * width:
        raise Invalid("the content's length does not fit its number of keys")
    if rows[::width].count(kind) != count:
        raise Invalid("the content has keys of several kinds")
    positions = rows[1::width]
    if not _ALL_POSITIONS.startswith(positions) and not _ascend(positions):
        raise Invalid("the content's positions do not ascend, or pass the most that a report may have")
    return ReportContent(batch, serial, provider, sent, key_kind, rows)


def seal(day_key: bytes, day: Day, kind: str, own_id: bytes, plain: bytes, nonce: bytes) -> bytes:
    """`plain` as it is stored: UTC day u32 ‖ nonce ‖ AES-256-GCM ciphertext ‖ tag.

    `own_id`: the event's own 32 bytes, so that a content can't be moved to another event. `nonce`: 12 random bytes,
    never used twice with one key. Raises `Invalid` for lengths that the layout has no room for.
    """
    if len(nonce) != NONCE_BYTES:
        raise Invalid(f"a nonce has {NONCE_BYTES} bytes")
    sealed_under = day_bytes(day)
    return sealed_under + nonce + _cipher(day_key).encrypt(nonce, plain, _bound_to(kind, sealed_under, own_id))


def day_key_fingerprint(day_key: bytes, day: Day) -> bytes:
    """The 32 bytes by which machines tell whether they have the same key; of 32 random bytes they tell nothing."""
    return labelled_hash("day-key", day_bytes(day) + day_key)


def _ascend(positions: bytes) -> bool:
    return positions[-1] < MAX_KEYS and all(before < after for before, after in pairwise(positions))


class Opener:
    """Opens what is sealed. It keeps the ciphers of the days that it meets, so it must not live as long as they should.

    A run of events is opened with one; then no key that is destroyed lives on in it.
    """

    def __init__(self, day_keys: DayKeys) -> None:
        self._day_keys = day_keys
        self._ciphers: dict[bytes, AESGCM | None] = {}

    def event(self, stored: StoredEvent) -> Event:
        """`stored` as the ledger folds it: body decoded, content opened, or `sealed` if its day's key is not at hand.

        Raises `UnknownKind`, and `Invalid` for a body or a content that is not what it should be.
        """
        body = decode_body(stored.kind, stored.body)
        if stored.content is None:
            return Event(stored.sequence, stored.recorded_at, body, stored.digest)
        if not isinstance(body, HasKeys):
            raise Invalid("the event has content, and its kind has none")
        plain = self.content(stored.kind, base64url.decode_exactly(body.id, ID_BYTES), stored.content)
        if plain is None:
            return Event(stored.sequence, stored.recorded_at, body, stored.digest, sealed=True)
        return Event(stored.sequence, stored.recorded_at, body, stored.digest, decode_content(plain))

    def content(self, kind: str, own_id: bytes, stored: bytes) -> bytes | None:
        """The plain bytes of a stored content; None if its day's key is gone, so that it is erased.

        Raises `Invalid` if the key is there and the content does not open: it was changed, or belongs to another event.
        """
        if len(stored) < _SEALED_HEAD_BYTES + TAG_BYTES:
            raise Invalid("the sealed content is too short")
        day = stored[: _DAY.size]
        if day not in self._ciphers:
            self._ciphers[day] = self._cipher(Day(_DAY.unpack(day)[0]))
        cipher = self._ciphers[day]
        if cipher is None:
            return None
        nonce, sealed = stored[_DAY.size : _SEALED_HEAD_BYTES], stored[_SEALED_HEAD_BYTES:]
        try:
            return cipher.decrypt(nonce, sealed, _bound_to(kind, day, own_id))
        except InvalidTag:
            raise Invalid("the sealed content does not open: it was changed, or another key sealed it") from None

    def _cipher(self, day: Day) -> AESGCM | None:
        day_key = self._day_keys.day_key(day)
        return None if day_key is None else _cipher(day_key)


def _cipher(day_key: bytes) -> AESGCM:
    if len(day_key) != 32:
        raise Invalid("a day key has 32 bytes")
    return AESGCM(day_key)


def day_bytes(day: Day) -> bytes:
    """The first bytes of every content that is sealed under this day's key: what an engine finds it by."""
    try:
        return _DAY.pack(day)
    except struct.error:
        raise Invalid("the day is out of range") from None


def _bound_to(kind: str, day: bytes, own_id: bytes) -> bytes:
    """The associated data: what a sealed content can't be parted from."""
    if len(own_id) != ID_BYTES:
        raise Invalid(f"an event's own ID has {ID_BYTES} bytes")
    return _named(kind) + day + own_id


@lru_cache(maxsize=8)
def _named(kind: str) -> bytes:
    try:
        name = kind.encode("ascii")
    except UnicodeEncodeError:
        raise Invalid("a kind is ASCII") from None
    if len(name) > 255:
        raise Invalid("a kind has at most 255 bytes")
    return prefix("content") + bytes([len(name)]) + name
