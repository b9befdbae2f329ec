"""Claims: values that are unique for ever in the journal, 33 bytes each = class ‖ value (``docs/formats/events.md``).

They make a code single-use, a retry harmless, a withdrawal single, a version unique and a continuation a chain.
"""

from enum import IntEnum
from typing import Final, NewType

from tocsin.model.calls import ContinueId, TrackingId
from tocsin.model.labels import labelled_hash

Claim = NewType("Claim", bytes)
CLAIM_BYTES: Final = 33


class ClaimClass(IntEnum):
    """The nine classes."""

    TRACKING = 1
    REQUEST = 2
    CARD = 3
    PHONE = 4
    VERSION = 5
    BATCH = 6
    CONTINUE = 7
    WITHDRAWAL = 8
    CONTINUATION = 9


def report_id(tracking_id: TrackingId) -> bytes:
    """The 32 bytes by which a report is known in the journal: claim 1's value. The raw tracking ID is never stored."""
    return labelled_hash("claim-tracking", tracking_id)


def _claim(claim_class: ClaimClass, value: bytes) -> Claim:
    return Claim(bytes([claim_class]) + value)


def tracking_claim(report: bytes) -> Claim:
    """Class 1, for the report's ID (`report_id`)."""
    return _claim(ClaimClass.TRACKING, report)


def request_claim(request_id: bytes) -> Claim:
    """Class 2: a person's act is done once; `request_id` is 16 bytes."""
    return _claim(ClaimClass.REQUEST, labelled_hash("claim-request", request_id))


def version_claim(version: int) -> Claim:
    """Class 5: a version of the public set is decided once."""
    return _claim(ClaimClass.VERSION, version.to_bytes(32, "big"))


def batch_claim(batch: int) -> Claim:
    """Class 6: two consoles cannot issue the same cards."""
    return _claim(ClaimClass.BATCH, batch.to_bytes(32, "big"))


def continuation_id(continue_id: ContinueId) -> bytes:
    """The 32 bytes by which the continuation is known that this continue ID opens: the value of claims 7 and 9."""
    return labelled_hash("claim-continue", continue_id)


def continue_claim(continue_id: ContinueId) -> Claim:
    """Class 7: a continuation belongs to one report."""
    return _claim(ClaimClass.CONTINUE, continuation_id(continue_id))


def continuation_claim(continuation: bytes) -> Claim:
    """Class 9, for a continuation's ID (`continuation_id`): a report is continued by it once, then by the next one."""
    return _claim(ClaimClass.CONTINUATION, continuation)


def withdrawal_claim(report: bytes) -> Claim:
    """Class 8, for the report's ID: a report is withdrawn once."""
    return _claim(ClaimClass.WITHDRAWAL, report)
