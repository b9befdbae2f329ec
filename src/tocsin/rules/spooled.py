"""What a call is told while the journal is out of reach, and what becomes of it when that is back (rows S1–S9).

The ledger is then one that stood at the tip some time ago. Its refusals are refusals still; what it would take is kept
in the spool, is answered *provisional*, and is judged once more, and for good, when it is delivered.
"""

from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct

from tocsin.ledger.queries import is_spent
from tocsin.ledger.state import Ledger
from tocsin.model.base64url import encode
from tocsin.model.calls import Answer, Call, ContinueCall, ReportCall, TrackCall, TrackingId, Verdict, WithdrawCall
from tocsin.model.claims import Claim, report_id, tracking_claim, withdrawal_claim
from tocsin.model.code_reading import CodeReading
from tocsin.model.events import Declined, Draft
from tocsin.model.labels import labelled_hash
from tocsin.model.policy import Policy
from tocsin.model.sent import sent_digest
from tocsin.model.times import Instant
from tocsin.rules.allowance import Allowance
from tocsin.rules.intake import judge
from tocsin.rules.judgement import Claimed


class InSpool(Protocol):
    """What lies in this site's spool, earlier calls of the same group included."""

    def number(self, claim: Claim) -> int | None:
        """The number of the record kept under `claim`; None if there is none."""
        ...

    def sent(self, claim: Claim) -> bytes | None:
        """The digest, as of `model.sent`, of the report kept under `claim`; None if there is none."""
        ...


class Provisional(Struct, frozen=True):
    """The answer to a call, true once it is kept under `claims`; nothing is kept where there are none."""

    answer: Answer
    claims: tuple[Claim, ...] = ()


def judge_provisionally(
    ledger: Ledger,
    call: Call,
    code: CodeReading,
    spool: InSpool,
    policy: Policy,
    received_at: Instant,
    holds: Iterable[int],
    allowance: Allowance,
) -> Provisional:
    """What `call` is answered by a site that can't reach the journal; arguments as those of `intake.judge`.

    `ledger`: as it last stood at the tip.
    """

    def claimed(claim: Claim) -> int | None:  # C13, C14 as far as this site can know
        is_code = claim == code.claim and is_spent(ledger, code.batch, code.serial)
        return ledger.sequence if is_code else spool.number(claim)

    def judged() -> Provisional:
        judgement = judge(ledger, call, code, claimed, policy, received_at, holds, allowance)
        if judgement.draft is None:
            return Provisional(judgement.answer)
        return Provisional(Answer(Verdict.PROVISIONAL), judgement.draft.claims)  # S3, S7

    match call:
        case ReportCall():
            own_id = report_id(call.tracking_id)
            if own_id not in ledger.report_by_id and own_id not in ledger.declined:
                sent = spool.sent(tracking_claim(own_id))
                if sent is not None:  # S1, S2
                    again = sent == sent_digest(call, *code.spelt)
                    return Provisional(Answer(Verdict.PROVISIONAL if again else Verdict.MISMATCH))
            return judged()
        case ContinueCall():  # S4
            return Provisional(Answer(Verdict.UNKNOWN))
        case TrackCall(tracking_id):
            own_id, known = report_id(tracking_id), judged()
            kept = spool.number(tracking_claim(own_id)) or spool.number(withdrawal_claim(own_id))
            if kept and known.answer.verdict in (Verdict.UNKNOWN, Verdict.TAKEN):  # S5
                return Provisional(Answer(Verdict.PROVISIONAL))
            return known
        case WithdrawCall(secret):
            own_id = report_id(TrackingId(labelled_hash("tracking", secret)))
            if spool.number(withdrawal_claim(own_id)):  # S6
                return Provisional(Answer(Verdict.PROVISIONAL))
            known = judged()
            if known.answer.verdict is Verdict.UNKNOWN and spool.number(tracking_claim(own_id)):  # S7
                return Provisional(Answer(Verdict.PROVISIONAL), (withdrawal_claim(own_id),))
            return known
        case _:
            return judged()


def judge_delivered(
    ledger: Ledger,
    call: Call,
    code: CodeReading,
    claimed: Claimed,
    policy: Policy,
    received_at: Instant,
    holds: Iterable[int],
) -> Draft | None:
    """What is to be appended for a call that lay in a spool, against the ledger at the tip; None: nothing any more.

    `received_at`: when it came, by which it is judged. Delivered again, it leads to nothing again. Its allowance was
    taken when it came.
    """
    judgement = judge(ledger, call, code, claimed, policy, received_at, holds)
    if judgement.draft is not None or not isinstance(call, ReportCall):  # S8
        return judgement.draft
    own_id = report_id(call.tracking_id)
    if own_id in ledger.report_by_id or own_id in ledger.declined:  # delivered, or reported elsewhere
        return None
    verdict = judgement.answer.verdict
    if verdict is Verdict.NO_KEY_LEFT:  # there is no room for a word on each key, and its form was right when it came
        verdict = Verdict.REPORT_REFUSED
    return Draft(Declined(encode(own_id), received_at, str(verdict)), (tracking_claim(own_id),))  # S9
