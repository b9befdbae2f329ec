"""Signed notes (C2SP signed-note v1.0.0) with Ed25519, type 0x01: a text, an empty line, signature lines.

What a text means is for others to say; here it is only found to be signed by somebody who is known, or `Invalid`.
The page is ``docs/formats/leaf.md``. Cosignatures (type 0x04) and other types are lines of unknown keys to this module.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from tocsin.model.errors import Invalid
from tocsin.model.ports import Signer

MAX_NOTE_BYTES: Final = 1_000_000
MAX_SIGNATURES: Final = 100
"""A reader must take 16 (C2SP signed-note); the limits are those of Go's reader."""
ED25519: Final = 0x01
_KEY_ID_BYTES: Final = 4
_PUBLIC_KEY_BYTES: Final = 32
_MARK: Final = "—"


class NoteVerifier(Struct, frozen=True):
    """A name and an Ed25519 public key (32 bytes), known to somebody beforehand."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        if not _is_key_name(self.name):
            raise Invalid(
                "not the name of a key: empty, or with a plus sign, white space, control character or lone surrogate"
            )
        if len(self.public_key) != _PUBLIC_KEY_BYTES:
            raise Invalid("not an Ed25519 public key of 32 bytes")

    @property
    def key_id(self) -> bytes:
        """4 bytes, by which a signature line names its key beside the name."""
        return hashlib.sha256(self.name.encode() + b"\n" + self._typed_key).digest()[:_KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The key as text: ``name+id+base64(type ‖ public key)``; `parse_verifier` reads it."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self._typed_key).decode()}"

    @property
    def _typed_key(self) -> bytes:
        return bytes([ED25519]) + self.public_key

    def verify(self, text: str, signature: bytes) -> None:
        """Raises `Invalid` unless `signature` (64 bytes) is this key's over the whole `text`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, text.encode())
        except InvalidSignature:
            raise Invalid("a signature by a known key does not verify") from None


def parse_verifier(vkey: str) -> NoteVerifier:
    """The verifier that `vkey` spells. Raises `Invalid` also where its ID is not that of its name and key.

    >>> parse_verifier("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").name
    'PeterNeumann'
    """
    name, _, rest = vkey.partition("+")  # no further: base64 may hold a plus sign
    try:
        typed_key = base64.b64decode(rest.partition("+")[2].encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise Invalid("not a verifier key") from None
    if typed_key[:1] != bytes([ED25519]):
        raise Invalid("not a verifier key for Ed25519")
    verifier = NoteVerifier(name, typed_key[1:])
    if verifier.vkey != vkey:  # a foreign ID, or base64 that is not canonical
        raise Invalid("not a verifier key: its ID is not that of its name and key")
    return verifier


def sign_note(text: str, key: NoteVerifier, signer: Signer) -> bytes:
    """`text` as a note with one signature line, by the private key behind `signer` whose public half is `key`.

    Raises `Invalid` if `text` can't stand in a note (it ends in a line feed and holds no other control character) or
    if what `signer` returned is no signature by `key`: such a note would be refused by everybody.
    """
    try:
        signature = signer.sign(text.encode())
    except UnicodeEncodeError:
        raise Invalid("a lone surrogate is no text") from None
    blob = base64.b64encode(key.key_id + signature).decode()
    note = f"{text}\n{_MARK} {key.name} {blob}\n".encode()
    verify_note(note, [key])
    return note


def verify_note(note: bytes, verifiers: Iterable[NoteVerifier]) -> str:
    """The text of `note`, signed by at least one of `verifiers`.

    A line whose (name, ID) no verifier has is ignored. Raises `Invalid` if the note is malformed, if a line by a known
    key does not verify (whatever the others say), or if no key is known: the text must not be used then.
    """
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    text, lines = _split(note)
    verified = False
    for name, key_id, signature in [_parse_signature_line(line) for line in lines]:
        if verifier := known.get((name, key_id)):
            verifier.verify(text, signature)
            verified = True
    if not verified:
        raise Invalid("no signature by a known key")
    return text


def signers(note: bytes) -> list[tuple[str, bytes]]:
    """Who is said to have signed `note`: name and ID of each line's key. Nothing is verified.

    Raises `Invalid` if the note is malformed.
    """
    _, lines = _split(note)
    return [(name, key_id) for name, key_id, _ in map(_parse_signature_line, lines)]


def _split(note: bytes) -> tuple[str, list[str]]:
    if len(note) > MAX_NOTE_BYTES:
        raise Invalid("the note is too long")
    try:
        content = note.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid("the note is not UTF-8") from None
    if re.search(r"[\x00-\x09\x0b-\x1f]", content):
        raise Invalid("the note holds a control character")
    body, blank_line, signatures = content.rpartition("\n\n")  # the last one: the text may hold blank lines
    if not blank_line or not signatures.endswith("\n"):
        raise Invalid("not a text, an empty line and signature lines")
    lines = signatures[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise Invalid("the note has too many signatures")
    return body + "\n", lines


def _parse_signature_line(line: str) -> tuple[str, bytes, bytes]:
    """Key name, key ID, signature. Pad bits are not judged: published notes have foreign ones (so no note is an ID)."""
    mark, _, rest = line.partition(" ")
    name, _, blob = rest.partition(" ")
    try:
        decoded = base64.b64decode(blob.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise Invalid("a signature line is malformed") from None
    if mark != _MARK or not _is_key_name(name) or len(decoded) <= _KEY_ID_BYTES:
        raise Invalid("a signature line is malformed")
    return name, decoded[:_KEY_ID_BYTES], decoded[_KEY_ID_BYTES:]


def _is_key_name(name: str) -> bool:
    return bool(name) and not any(
        symbol == "+" or symbol.isspace() or symbol < " " or "\ud800" <= symbol <= "\udfff"  # half of a character
        for symbol in name
    )
