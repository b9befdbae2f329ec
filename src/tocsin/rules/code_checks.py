"""What is asked of a report's code (rows D1–D8). The service has read it; no secret comes here."""

from typing import Final

from msgspec import Struct

from tocsin.ledger.predicates import standing_revocations
from tocsin.ledger.state import Ledger
from tocsin.model.calls import Verdict
from tocsin.model.claims import Claim
from tocsin.model.code_reading import CodeKind, CodeReading
from tocsin.model.keys import ReportType
from tocsin.model.times import Instant


class Origin(Struct, frozen=True):
    """Where a report comes from: its code, who handed that out, and the claim that makes it single-use."""

    report_type: int
    batch: int
    serial: int
    provider: int
    claim: Claim | None


SELF_REPORT: Final = Origin(ReportType.SELF_REPORTED, batch=0, serial=0, provider=0, claim=None)
"""The origin of a report without a code."""


def origin_of(ledger: Ledger, code: CodeReading, received_at: Instant) -> Origin | Verdict:
    """The origin that `code` stands for, or the verdict that refuses it. Whether it is spent is not asked here."""
    batch = ledger.batches.get(code.batch)
    if (
        code.kind not in (CodeKind.CARD, CodeKind.PHONE)  # D1
        or batch is None  # D2
        or batch.code_kind != code.kind  # D2
        or not batch.activated  # D3
        or code.serial >= batch.count  # D4
    ):
        return Verdict.CODE_UNKNOWN
    life = code.life or batch.life
    if not life.has_begun(received_at) or code.genuine is False:  # D5, D6
        return Verdict.CODE_UNKNOWN
    if standing_revocations(ledger, code.batch, code.serial, batch.provider, ledger.sequence + 1):  # D7
        return Verdict.CODE_CUT_OFF
    if life.has_ended(received_at) or code.genuine is None or code.claim is None:  # D8
        return Verdict.CODE_EXPIRED
    return Origin(batch.report_type, code.batch, code.serial, batch.provider, Claim(code.claim))
