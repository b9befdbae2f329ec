"""Signed notes, the leaf in them, file lists, and the trust by which an app judges them."""

import json
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fuzz.target import Target, foreign_files, refused, text_of, vector_texts
from tocsin.client.trust import encode_trust, parse_trust
from tocsin.formats.leaf import decode_file_list, decode_leaf, encode_file_list, encode_leaf, head_text, parse_head_text
from tocsin.transparency.note import NoteVerifier, parse_verifier, sign_note, signers, verify_note

_ORIGIN = "tocsin.example/utopia"
_PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(32))
_KEY = NoteVerifier(_ORIGIN, _PRIVATE.public_key().public_bytes_raw())
_VERIFIERS = [
    parse_verifier(text) for text in vector_texts("head") if text.count("+") >= 2 and not refused(parse_verifier, text)
]


def _read_note(data: bytes) -> None:
    said = signers(data)
    text = verify_note(data, [*_VERIFIERS, _KEY])
    assert data.startswith(text.encode())
    assert any((verifier.name, verifier.key_id) in said for verifier in [*_VERIFIERS, _KEY])


def _read_text_to_sign(data: bytes) -> None:
    text = text_of(data)
    assert verify_note(sign_note(text, _KEY, _PRIVATE), [_KEY]) == text


def _read_head_text(data: bytes) -> None:
    text = text_of(data)
    assert head_text(_ORIGIN, parse_head_text(text, _ORIGIN)) == text


def _read_leaf(data: bytes) -> None:
    assert encode_leaf(decode_leaf(data)) == data


def _read_file_list(data: bytes) -> None:
    assert encode_file_list(decode_file_list(data)) == data


def _read_vkey(data: bytes) -> None:
    assert parse_verifier(text_of(data)).vkey == text_of(data)


def _read_trust(data: bytes) -> None:
    trust = parse_trust(data)
    assert trust.verifiers
    assert parse_trust(encode_trust(trust)) == trust


def _trust_seeds() -> Iterator[bytes]:
    pem = next(foreign_files("keys/*public.pem"), b"").decode()
    fields = {
        "origin": _ORIGIN,
        "vkeys": [_KEY.vkey],
        "region": "utopia",
        "freshness_seconds": 7200,
        "reports_url": "http://127.0.0.1/v1/reports",
        "bucket_url": "http://127.0.0.1",
    }
    for keys in ([], [["310", "v1", pem]], [["310", "v1", pem, 1_700_000_000]]):
        yield json.dumps(fields | {"gaen_keys": keys}).encode()


def _texts(beginning: str, name: str) -> Iterator[bytes]:
    return (text.encode() for text in vector_texts(name) if text.startswith(beginning))


_LINES = tuple(
    f"\n{word} ".encode()
    for word in ("region", "version", "at", "due", "term", "useful_days", "first_day", "set_digest", "journal", "—")
)

TARGETS = (
    Target(
        "note",
        ("tocsin.transparency.note.verify_note", "tocsin.transparency.note.signers"),
        _read_note,
        lambda: (text.encode() for text in vector_texts("head") if "—" in text),
        words=("— ".encode(), b"\n\n", _ORIGIN.encode(), b"\x00", b"="),
    ),
    Target(
        "note_text",
        ("tocsin.transparency.note.sign_note",),
        _read_text_to_sign,
        lambda: [b"a\n", b"a\n\nb\n", "— x AAAA\n".encode(), b"\n", b"a", b"\xff\n", b"\x00\n"],
        words=("— ".encode(), b"\n\n"),
        most_bytes=512,
    ),
    Target(
        "head_text", ("tocsin.formats.leaf.parse_head_text",), _read_head_text, lambda: _texts(_ORIGIN, "head"), _LINES
    ),
    Target("leaf", ("tocsin.formats.leaf.decode_leaf",), _read_leaf, lambda: _texts("tocsin/v1/leaf", "leaf"), _LINES),
    Target(
        "file_list",
        ("tocsin.formats.leaf.decode_file_list",),
        _read_file_list,
        lambda: (text.encode() for text in vector_texts("leaf") if text[:1].isdigit()),
    ),
    Target(
        "vkey",
        ("tocsin.transparency.note.parse_verifier",),
        _read_vkey,
        lambda: (text.encode() for text in vector_texts("head") if "+" in text and "\n" not in text),
        most_bytes=256,
    ),
    Target("trust", ("tocsin.client.trust.parse_trust",), _read_trust, _trust_seeds),
)
