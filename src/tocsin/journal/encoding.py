"""An event's bytes: its body as JSON, its digest, its claims. Pure. Source: ``docs/formats/events.md``.

What is stored is what was hashed: a body is encoded once, when its event is appended, and never again. Sealing the
content is left to `tocsin.journal.content`, storing to the engines.
"""

import hashlib
import struct
from collections.abc import Sequence
from operator import lt
from typing import Final

import msgspec
from msgspec import Struct

from tocsin import __version__
from tocsin.model.claims import CLAIM_BYTES, Claim
from tocsin.model.errors import Invalid
from tocsin.model.events import KINDS, Body
from tocsin.model.labels import labelled_hash

DIGEST_BYTES: Final = 32
NO_DIGEST: Final = bytes(DIGEST_BYTES)
"""What stands before event 1, and the digest of content that an event never had."""
MAX_CLAIMS: Final = 255

_HEAD: Final = struct.Struct(">32sQQB")
_LENGTH: Final = struct.Struct(">I")
_COUNT: Final = struct.Struct(">B")
_CLAIMS: Final = [struct.Struct(f"{CLAIM_BYTES}s" * count) for count in range(MAX_CLAIMS + 1)]
"""So many claims, one after the other."""
_DECODERS: Final = {kind: msgspec.json.Decoder(body) for kind, body in KINDS.items()}
_ENCODER: Final = msgspec.json.Encoder()


class UnknownKind(Invalid):
    """An event of a kind that this version does not know: whoever meets one stops publishing until it is updated."""


class NewEvent(Struct, frozen=True, eq=False):
    """An event to append: `content` sealed, or None; `claims` in any order, no two alike."""

    body: Body
    content: bytes | None = None
    claims: tuple[Claim, ...] = ()


class StoredEvent(Struct, frozen=True, gc=False):
    """An event as it is stored; `claims` ascending. `content` is None where there never was any or it is erased."""

    sequence: int
    recorded_at: int
    kind: str
    body: bytes
    content: bytes | None
    content_digest: bytes
    claims: tuple[Claim, ...]
    digest: bytes


def encode_body(body: Body) -> bytes:
    """`body` as JSON: every field, in declared order, without white space. Raises `Invalid` for text that UTF-8 lacks.

    >>> from tocsin.model.events import Withdrawn
    >>> encode_body(Withdrawn(report=7))
    b'{"report":7}'
    """
    try:
        return _ENCODER.encode(body)
    except (UnicodeEncodeError, OverflowError, msgspec.MsgspecError):
        raise Invalid("a field of the event can't be written as JSON") from None


def decode_body(kind: str, data: bytes) -> Body:
    """The body of an event of this kind; fields that are missing get their defaults.

    Raises `UnknownKind`, and `Invalid` for bytes that are no such body.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        named = f" ({kind})" if kind.isascii() and kind.isidentifier() and len(kind) <= 40 else ""
        raise UnknownKind(
            f"the journal holds an event of a kind{named} that tocsin {__version__} does not know: "
            "install the version that wrote it, or a later one"
        )
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Invalid("the event's body is not what its kind demands") from None


def digest_of_content(content: bytes | None) -> bytes:
    """SHA-256 of the content as stored, 32 zero bytes if there is none. It is kept when the content is erased."""
    return NO_DIGEST if content is None else hashlib.sha256(content).digest()


def sorted_claims(claims: Sequence[Claim]) -> tuple[Claim, ...]:
    """`claims` ascending. Raises `Invalid` if one has not 33 bytes, two are alike, or there are more than 255."""
    ordered = tuple(sorted(claims))
    if len(ordered) > MAX_CLAIMS or len(set(ordered)) != len(ordered):
        raise Invalid("an event has at most 255 claims, no two alike")
    if any(len(claim) != CLAIM_BYTES for claim in ordered):
        raise Invalid(f"a claim has {CLAIM_BYTES} bytes")
    return ordered


def split_claims(joined: bytes) -> tuple[Claim, ...]:
    """The claims of an event, as they stand one after the other. Raises `Invalid` if they do not stand ascending."""
    count, rest = divmod(len(joined), CLAIM_BYTES)
    if not rest and count <= MAX_CLAIMS:
        claims: tuple[Claim, ...] = _CLAIMS[count].unpack(joined)
        if all(map(lt, claims, claims[1:])):
            return claims
    raise Invalid("the event's claims are out of order, or are no claims")


def event_digest(
    previous: bytes,
    sequence: int,
    recorded_at: int,
    kind: str,
    body: bytes,
    content_digest: bytes,
    claims: Sequence[Claim],
) -> bytes:
    """The 32 bytes that stand for this event and, through `previous`, for every event before it.

    Raises `Invalid` for numbers and lengths that have no room in the layout.
    """
    try:
        name = kind.encode("ascii")
        head = _HEAD.pack(previous, sequence, recorded_at, len(name))
        body_bytes, count = _LENGTH.pack(len(body)), _COUNT.pack(len(claims))
    except (struct.error, UnicodeEncodeError):
        raise Invalid("a number or a length of the event is out of range") from None
    if len(previous) != DIGEST_BYTES or len(content_digest) != DIGEST_BYTES:
        raise Invalid(f"a digest has {DIGEST_BYTES} bytes")
    return labelled_hash("event", b"".join((head, name, body_bytes, body, content_digest, count, *claims)))


def number_event(event: NewEvent, previous: bytes, sequence: int, recorded_at: int) -> StoredEvent:
    """`event` as number `sequence`, chained to the digest `previous`. Raises `Invalid` as its parts do."""
    body = encode_body(event.body)
    content_digest = digest_of_content(event.content)
    claims = sorted_claims(event.claims)
    digest = event_digest(previous, sequence, recorded_at, event.body.kind, body, content_digest, claims)
    return StoredEvent(sequence, recorded_at, event.body.kind, body, event.content, content_digest, claims, digest)
