"""What an app posts: the right fields, never a secret too many, and the same bytes on every retry."""

import hashlib

import pytest

from tocsin.client.calls import (
    PendingContinuation,
    PendingReport,
    continue_call,
    continue_id,
    decode_continuation,
    decode_pending,
    decoy_call,
    encode_continuation,
    encode_pending,
    make_report,
    track_call,
    tracking_id,
    withdraw_call,
)
from tocsin.formats.wire import decode_call
from tocsin.model import base64url
from tocsin.model.calls import ContinueCall, DecoyCall, ReportCall, SentKey, TrackCall, WithdrawCall
from tocsin.model.errors import Invalid

W, C = bytes(range(32)), bytes(range(32, 64))
KEYS = tuple(SentKey(bytes([number]) * 16, 2_880_000 + 144 * number, 144) for number in range(14))


def report(keys: tuple[SentKey, ...] = KEYS, code: str | None = "C000-401D-0G1X-9K7Y-SZJZ") -> PendingReport:
    return make_report(keys, code=code, onset_day=20_000, withdrawal_secret=W, continuation_secret=C)


def test_ids_are_labelled_hashes() -> None:
    assert tracking_id(W) == hashlib.sha256(b"\x12tocsin/v1/tracking" + W).digest()
    assert continue_id(C) == hashlib.sha256(b"\x12tocsin/v1/continue" + C).digest()


def test_a_report_says_what_was_meant_and_keeps_its_secrets() -> None:
    pending = report()
    call = ReportCall(tracking_id(W), continue_id(C), KEYS, "C000-401D-0G1X-9K7Y-SZJZ", 20_000)
    assert decode_call(pending.body) == call
    for secret in (W, C):
        assert secret not in pending.body and base64url.encode(secret).encode() not in pending.body
    assert (pending.withdrawal_secret, pending.continuation_secret) == (W, C)


def test_all_calls_look_alike() -> None:
    """Case 32: a report of 1, 14 or 30 keys, and every other call, have the same length."""
    largest = tuple(SentKey(b"\xff" * 16, 2**32 - 1, 144) for _ in range(30))
    reports = [report(keys).body for keys in ((), KEYS[:1], KEYS, largest)]
    assert {len(body) for body in [*reports, track_call(W), withdraw_call(W), decoy_call()]} == {4096}


def test_the_other_calls() -> None:
    assert decode_call(track_call(W)) == TrackCall(tracking_id(W))
    assert decode_call(withdraw_call(W)) == WithdrawCall(W)
    assert decode_call(decoy_call()) == DecoyCall()


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(33)])
def test_a_secret_has_32_bytes(secret: bytes) -> None:
    for make in (track_call, withdraw_call, tracking_id, continue_id):
        with pytest.raises(Invalid):
            make(secret)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(Invalid):
        report(KEYS * 4)


def test_a_stored_report_is_repeated_byte_for_byte() -> None:
    pending = report()
    assert decode_pending(encode_pending(pending)) == pending


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        encode_pending(report())[:-1],
        encode_pending(report()) + b" ",
        encode_pending(PendingReport(C, C, report().body)),
        encode_pending(PendingReport(W, W, report().body)),
        encode_pending(PendingReport(W, C, decoy_call())),
        encode_pending(PendingReport(W, C, bytes(4096))),
    ],
    ids=["empty", "short", "long", "another withdrawal", "another continuation", "a decoy", "no call"],
)
def test_what_does_not_belong_together_is_no_stored_report(stored: bytes) -> None:
    with pytest.raises(Invalid):
        decode_pending(stored)


NEXT = bytes(range(64, 96))


def more(code: str | None = None) -> PendingContinuation:
    return continue_call(KEYS[:2], code=code, onset_day=None, continuation_secret=C, next_continuation_secret=NEXT)


def test_a_continuation_opens_with_one_secret_and_names_the_next() -> None:
    pending = more("C…")
    assert decode_call(pending.body) == ContinueCall(C, continue_id(NEXT), KEYS[:2], "C…")
    assert base64url.encode(NEXT).encode() not in pending.body and pending.continuation_secret == NEXT
    assert decode_continuation(encode_continuation(pending)) == pending


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        encode_continuation(more())[:-1],
        encode_continuation(more()) + b" ",
        encode_continuation(PendingContinuation(C, more().body)),
        encode_continuation(PendingContinuation(NEXT, report().body)),
        encode_continuation(PendingContinuation(NEXT, decoy_call())),
    ],
    ids=["nothing", "cut", "longer", "another secret", "a report", "a decoy"],
)
def test_what_does_not_belong_together_is_no_stored_continuation(stored: bytes) -> None:
    with pytest.raises(Invalid):
        decode_continuation(stored)
