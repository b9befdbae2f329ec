"""A journal that somebody hands over: bodies, claims, contents, the fold of them, the file of turns."""

from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.target import Target, scratch, text_of, vector_bytes, vector_texts
from tests.journal.vectors import DAY, DAY_KEY, JOURNAL, REPORT_ID, OneDayKey
from tocsin.journal.content import Opener, decode_content, encode_content, seal
from tocsin.journal.encoding import (
    NO_DIGEST,
    StoredEvent,
    decode_body,
    encode_body,
    event_digest,
    sorted_claims,
    split_claims,
)
from tocsin.journal.turn import reached
from tocsin.ledger.fold import fold
from tocsin.ledger.state import Ledger
from tocsin.model.events import KINDS

_OPENER = Opener(OneDayKey())
_FOLDED = [_OPENER.event(stored) for stored in JOURNAL]
_FILE = scratch() / "journal.sqlite"


def _read_body(data: bytes) -> None:
    kind, _, json = data.partition(b" ")
    body = decode_body(text_of(kind), json)
    encoded = encode_body(body)
    assert decode_body(body.kind, encoded) == body
    assert len(event_digest(NO_DIGEST, 1, 1, body.kind, encoded, NO_DIGEST, ())) == 32


def _read_claims(data: bytes) -> None:
    claims = split_claims(data)
    assert b"".join(claims) == data
    assert sorted_claims(claims) == claims


def _read_content(data: bytes) -> None:
    content = decode_content(data)
    assert encode_content(content) == data
    sealed = seal(DAY_KEY, DAY, "reported", REPORT_ID, data, bytes(12))
    assert _OPENER.content("reported", REPORT_ID, sealed) == data


def _read_sealed(data: bytes) -> None:
    _OPENER.content("reported", REPORT_ID, data)


def _read_events(data: bytes) -> None:
    """Each line is a kind and its body; they are folded onto the journal of the vectors, which has every kind."""
    ledger = Ledger()
    fold(ledger, _FOLDED)
    for line in data.split(b"\n"):
        kind, _, json = line.partition(b" ")
        sequence = ledger.sequence + 1
        stored = StoredEvent(sequence, ledger.recorded_at, text_of(kind), json, None, NO_DIGEST, (), NO_DIGEST)
        fold(ledger, [_OPENER.event(stored)])
        assert ledger.sequence == sequence


def _read_turn(data: bytes) -> None:
    Path(f"{_FILE}-turn").write_bytes(data)
    assert 0 <= reached(_FILE) < 10**20


def _body_seeds() -> Iterator[bytes]:
    yield from (f"{stored.kind} ".encode() + stored.body for stored in JOURNAL)
    yield from (f"{kind} {text}".encode() for kind, text in zip(KINDS, vector_texts("events"), strict=False))


def _sealed_seeds() -> Iterator[bytes]:
    yield from (stored.content for stored in JOURNAL if stored.content)
    yield from (data for data in vector_bytes("events") if len(data) > 40)


_DECODED_FIELDS = tuple(f'"{name}"'.encode() for body in KINDS.values() for name in sorted(set(body.__struct_fields__)))
_WORDS = (*(f"{kind} ".encode() for kind in KINDS), *dict.fromkeys(_DECODED_FIELDS))

TARGETS = (
    Target("body", ("tocsin.journal.encoding.decode_body",), _read_body, _body_seeds, _WORDS),
    Target("events", ("tocsin.journal.content.Opener.event",), _read_events, _body_seeds, _WORDS),
    Target(
        "claims",
        ("tocsin.journal.encoding.split_claims",),
        _read_claims,
        lambda: [b"".join(stored.claims) for stored in JOURNAL],
    ),
    Target(
        "content",
        ("tocsin.journal.content.decode_content",),
        _read_content,
        lambda: (data for data in vector_bytes("events") if data[:1] == b"\x01"),
    ),
    Target("sealed", ("tocsin.journal.content.Opener.content",), _read_sealed, _sealed_seeds),
    Target(
        "turn",
        ("tocsin.journal.turn.reached",),
        _read_turn,
        lambda: [b"%020d\n" % 7, b"", b"-5\n", b"1_0\n", b" 7 \n", b"\xff", b"9" * 30],
        most_bytes=64,
    ),
)
