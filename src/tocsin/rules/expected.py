"""Which claims a call may be asked for: known from it alone, so that a group's can all be looked up at once."""

from collections.abc import Iterator

from tocsin.model.calls import Call, ContinueCall, ContinueId, ReportCall, TrackingId, WithdrawCall
from tocsin.model.claims import (
    Claim,
    continuation_claim,
    continuation_id,
    continue_claim,
    report_id,
    tracking_claim,
    withdrawal_claim,
)
from tocsin.model.code_reading import CodeReading
from tocsin.model.labels import labelled_hash


def expected_claims(call: Call, code: CodeReading) -> Iterator[Claim]:
    """The claims that judging `call` and appending what comes of it looks at; `code`: the reading of its code.

    One that were missing here would be looked up by itself, one too many in vain: no answer depends on it.
    """
    match call:
        case ReportCall():
            yield tracking_claim(report_id(call.tracking_id))
            yield continue_claim(call.continue_id)
        case ContinueCall():
            opened = ContinueId(labelled_hash("continue", call.continuation_secret))
            yield continue_claim(opened)
            yield continuation_claim(continuation_id(opened))
            yield continue_claim(call.continue_id)
        case WithdrawCall(secret):
            yield withdrawal_claim(report_id(TrackingId(labelled_hash("tracking", secret))))
        case _:
            return
    if code.claim is not None:
        yield Claim(code.claim)
