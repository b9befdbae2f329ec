"""What an app posts: a report, and the calls to follow it, take it back, or hide among others.

Chance is an argument: the app draws both secrets from its system's generator and stores the `PendingReport` before it
posts for the first time. Every retry posts the very same body, so a retry can't report twice. When to post is
said by `schedule`, which does not depend on what there is to say.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from tocsin.formats.wire import REQUEST_BYTES, decode_call, encode_call
from tocsin.model.calls import (
    SECRET_BYTES,
    ContinueCall,
    ContinueId,
    DecoyCall,
    ReportCall,
    SentKey,
    TrackCall,
    TrackingId,
    Verdict,
    WithdrawCall,
)
from tocsin.model.errors import Invalid
from tocsin.model.labels import labelled_hash

REPEAT_REPORT: Final = frozenset({Verdict.PROVISIONAL, Verdict.OVER_ALLOWANCE})
"""Answers after which the same report is posted again later; any other answer is the last word on it."""
REPEAT_CONTINUATION: Final = REPEAT_REPORT | {Verdict.UNKNOWN}
"""The same of what continues a report. *Unknown* is no last word: the report may still be on its way."""
WITHDRAWAL_DONE: Final = frozenset({Verdict.WITHDRAWN, Verdict.TOO_OLD})
"""Answers after which a withdrawal is not repeated. *Unknown* is none: the report may still be on its way."""


class PendingReport(Struct, frozen=True):
    """A report that was made; kept until it is answered, its withdrawal secret until the keys are of no more use.

    `withdrawal_secret`, `continuation_secret`: 32 bytes, never sent with the report. `body`: the 4,096 bytes to post.
    """

    withdrawal_secret: bytes
    continuation_secret: bytes
    body: bytes


def tracking_id(withdrawal_secret: bytes) -> TrackingId:
    """What stands for the withdrawal secret in a report: 32 bytes, and no way back."""
    return TrackingId(labelled_hash("tracking", _secret(withdrawal_secret)))


def continue_id(continuation_secret: bytes) -> ContinueId:
    """What stands for the continuation secret in a report: 32 bytes, and no way back."""
    return ContinueId(labelled_hash("continue", _secret(continuation_secret)))


def make_report(
    keys: Iterable[SentKey],
    *,
    code: str | None,
    onset_day: int | None,
    test_day: int | None = None,
    withdrawal_secret: bytes,
    continuation_secret: bytes,
) -> PendingReport:
    """A report of `keys`, ready to post; `code` as typed, `onset_day` and `test_day` in UTC days.

    Raises `Invalid` if it does not fit (30 keys do) or if a secret is not 32 bytes.

    >>> keys = [SentKey(bytes(16), 2650320, 144)]
    >>> secrets = {"withdrawal_secret": b"w" * 32, "continuation_secret": b"c" * 32}
    >>> len(make_report(keys, code=None, onset_day=None, **secrets).body)
    4096
    """
    ids = tracking_id(withdrawal_secret), continue_id(continuation_secret)
    call = ReportCall(*ids, tuple(keys), code, onset_day, test_day)
    return PendingReport(withdrawal_secret, continuation_secret, encode_call(call))


class PendingContinuation(Struct, frozen=True):
    """More of a report that was taken. Kept until it is answered, and then, if it is taken, until it is followed.

    `body`: the 4,096 bytes to post, under the secret of the report as it stands; `continuation_secret`: the next one,
    with which the report goes on once this is taken.
    """

    continuation_secret: bytes
    body: bytes


def continue_call(
    keys: Iterable[SentKey],
    *,
    code: str | None,
    onset_day: int | None,
    test_day: int | None = None,
    continuation_secret: bytes,
    next_continuation_secret: bytes,
) -> PendingContinuation:
    """More keys of a report, or a code that says more of it, ready to post; arguments as those of `make_report`.

    `continuation_secret` is the one that was drawn last, `next_continuation_secret` is drawn anew.

    >>> secrets = {"continuation_secret": b"c" * 32, "next_continuation_secret": b"C" * 32}
    >>> len(continue_call([], code="C123-4567-89AB-CDEF-GH94", onset_day=None, **secrets).body)
    4096
    """
    following = continue_id(next_continuation_secret)
    call = ContinueCall(_secret(continuation_secret), following, tuple(keys), code, onset_day, test_day)
    return PendingContinuation(next_continuation_secret, encode_call(call))


def encode_continuation(pending: PendingContinuation) -> bytes:
    """`pending` as an app stores it: the next secret, then the body; 4,128 bytes."""
    return pending.continuation_secret + pending.body


def decode_continuation(data: bytes) -> PendingContinuation:
    """What `encode_continuation` stored. Raises `Invalid` unless its body leads to its own next secret."""
    if len(data) != SECRET_BYTES + REQUEST_BYTES:
        raise Invalid("not a stored continuation")
    pending = PendingContinuation(data[:SECRET_BYTES], data[SECRET_BYTES:])
    call = decode_call(pending.body)
    if not isinstance(call, ContinueCall) or call.continue_id != continue_id(pending.continuation_secret):
        raise Invalid("the stored continuation and its secret do not belong together")
    return pending


def track_call(withdrawal_secret: bytes) -> bytes:
    """The body that asks what became of the report with this secret; the secret itself is not in it.

    >>> len(track_call(bytes(32)))
    4096
    """
    return encode_call(TrackCall(tracking_id(withdrawal_secret)))


def withdraw_call(withdrawal_secret: bytes) -> bytes:
    """The body that takes the report with this secret back, for good. The app drops a report it has not posted yet.

    >>> len(withdraw_call(bytes(32)))
    4096
    """
    return encode_call(WithdrawCall(_secret(withdrawal_secret)))


def decoy_call() -> bytes:
    """The body that looks like a report and is none.

    >>> len(decoy_call())
    4096
    """
    return encode_call(DecoyCall())


def encode_pending(pending: PendingReport) -> bytes:
    """`pending` as an app stores it: both secrets, then the body; 4,160 bytes."""
    return pending.withdrawal_secret + pending.continuation_secret + pending.body


def decode_pending(data: bytes) -> PendingReport:
    """What `encode_pending` stored. Raises `Invalid` unless its body is a report under its own two secrets."""
    if len(data) != 2 * SECRET_BYTES + REQUEST_BYTES:
        raise Invalid("not a stored report")
    pending = PendingReport(data[:SECRET_BYTES], data[SECRET_BYTES : 2 * SECRET_BYTES], data[2 * SECRET_BYTES :])
    call = decode_call(pending.body)
    ids = (tracking_id(pending.withdrawal_secret), continue_id(pending.continuation_secret))
    if not isinstance(call, ReportCall) or (call.tracking_id, call.continue_id) != ids:
        raise Invalid("the stored report and its secrets do not belong together")
    return pending


def _secret(secret: bytes) -> bytes:
    if len(secret) != SECRET_BYTES:
        raise Invalid("a secret has 32 bytes")
    return secret
