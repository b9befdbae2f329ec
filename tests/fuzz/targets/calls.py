"""What apps send and are answered, and what they keep of a call."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from tests.fuzz.target import Target, text_of, vector_texts
from tocsin.client.calls import (
    continue_call,
    decode_continuation,
    decode_pending,
    decoy_call,
    encode_continuation,
    encode_pending,
    make_report,
    track_call,
    withdraw_call,
)
from tocsin.client.schedule import decode_schedule, encode_schedule, go_on
from tocsin.formats.wire import (
    ANSWER_BYTES,
    REQUEST_BYTES,
    decode_answer,
    decode_call,
    encode_answer,
    encode_call,
)
from tocsin.model import base64url
from tocsin.model.calls import SentKey, UnsupportedCall
from tocsin.model.errors import Invalid


def _read_call(data: bytes) -> None:
    body = data.ljust(REQUEST_BYTES)
    call = decode_call(body)
    fields = _strict_json(body)
    assert isinstance(fields["act"], str)
    if isinstance(call, UnsupportedCall):
        return
    assert decode_call(encode_call(call)) == call
    for name in call.__struct_fields__:
        assert _as_sent(getattr(call, name)) == fields.get(name), name


def _as_sent(value: Any) -> Any:
    """A decoded field as a second reader sees it."""
    if isinstance(value, bytes):
        return base64.urlsafe_b64encode(value).decode().rstrip("=")
    if isinstance(value, tuple):
        return [_as_sent(each) for each in value]
    if isinstance(value, SentKey):
        return {name: _as_sent(getattr(value, name)) for name in value.__struct_fields__}
    return value


def _strict_json(body: bytes) -> dict[str, Any]:
    """`body` by the standard library, which takes more than it should: what is no JSON is refused by hooks."""

    def no_number(text: str) -> float:
        raise AssertionError("a number that is no integer was taken")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), "a name was taken twice"
        return dict(pairs)

    fields: dict[str, Any] = json.loads(
        body.decode(), parse_float=no_number, parse_constant=no_number, object_pairs_hook=once
    )
    return fields


def _read_answer(data: bytes) -> None:
    answer = decode_answer(data.ljust(ANSWER_BYTES))
    assert decode_answer(encode_answer(answer)) == answer
    assert _strict_json(data) == {"verdict": answer.verdict, "keys": list(answer.keys)}


def _read_base64url(data: bytes) -> None:
    text = text_of(data)
    decoded = base64url.decode(text)
    assert base64url.encode(decoded) == text
    assert base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) == decoded
    assert base64url.decode_exactly(text, len(decoded)) == decoded
    try:
        base64url.decode_exactly(text, len(decoded) + 1)
    except Invalid:
        return
    raise AssertionError("another length was taken")


def _read_pending(data: bytes) -> None:
    assert encode_pending(decode_pending(data)) == data


def _read_schedule(data: bytes) -> None:
    schedule = decode_schedule(data)
    assert decode_schedule(encode_schedule(schedule)) == schedule
    later = go_on(schedule, 1_700_000_000, 0.5).unheard(1_700_000_000, 0.5).answered(1_700_000_000, 0.999)
    assert decode_schedule(encode_schedule(later)) == later


def _read_continuation(data: bytes) -> None:
    assert encode_continuation(decode_continuation(data)) == data


def _continuation_seeds() -> Iterator[bytes]:
    yield bytes(32) + decoy_call()
    keys = [SentKey(bytes(16), 2_650_320, 144)]
    secrets = {"continuation_secret": b"c" * 32, "next_continuation_secret": b"C" * 32}
    yield encode_continuation(continue_call(keys, code=None, onset_day=None, test_day=None, **secrets))


def _pending_seeds() -> Iterator[bytes]:
    for body in (track_call(bytes(32)), withdraw_call(bytes(32)), decoy_call()):
        yield bytes(64) + body
    keys, secrets = (
        [SentKey(bytes(16), 2_650_320, 144)],
        {"withdrawal_secret": b"w" * 32, "continuation_secret": b"c" * 32},
    )
    yield encode_pending(make_report(keys, code=None, onset_day=None, test_day=None, **secrets))


_NAMES = tuple(
    f'"{name}"'.encode()
    for name in [
        *("act", "report", "track", "withdraw", "continue", "decoy", "code", "tracking_id", "continue_id", "keys"),
        *("withdrawal_secret", "continuation_secret", "onset_day", "key_data", "rolling_start_interval_number"),
        *("rolling_period", "verdict", "taken", "no_key_left"),
    ]
)
_JSON = (
    b"null",
    b"true",
    b"1e3",
    b"1.0",
    b"NaN",
    b"-0",
    b"4294967295",
    b"\\ud800",
    b"\\u0000",
    b"\xef\xbb\xbf",
    b"[[[[",
)

TARGETS = (
    Target(
        "call",
        ("tocsin.formats.wire.decode_call",),
        _read_call,
        lambda: (text.encode() for text in vector_texts("call") if text.startswith("{")),
        words=(*_NAMES, *_JSON),
    ),
    Target(
        "answer",
        ("tocsin.formats.wire.decode_answer",),
        _read_answer,
        lambda: (text.encode() for text in vector_texts("call") if "verdict" in text),
        words=(*_NAMES, *_JSON),
        most_bytes=1024,
    ),
    Target(
        "base64url",
        ("tocsin.model.base64url.decode", "tocsin.model.base64url.decode_exactly"),
        _read_base64url,
        lambda: [b"", b"__4", b"AA", b"AB", b"AA==", b"QUJD", b"-_-_", b"A", "é".encode(), b"AAA\n"],
        most_bytes=256,
    ),
    Target(
        "pending",
        ("tocsin.client.calls.decode_pending",),
        _read_pending,
        _pending_seeds,
        words=_NAMES,
        most_bytes=64 + REQUEST_BYTES,
    ),
    Target(
        "continuation",
        ("tocsin.client.calls.decode_continuation",),
        _read_continuation,
        _continuation_seeds,
        words=_NAMES,
        most_bytes=32 + REQUEST_BYTES,
    ),
    Target(
        "schedule",
        ("tocsin.client.schedule.decode_schedule",),
        _read_schedule,
        lambda: [b'{"due_at":1700000000,"unanswered":2,"tracked_day":19675}', b'{"due_at":0}', b"\xff", b"[" * 2000],
        words=(b'"due_at"', b'"unanswered"', b'"tracked_day"', b"9223372036854775808", b"-1", b"1e3"),
        most_bytes=256,
    ),
)
