"""The apps' one call: what is answered, and the event it leads to, if any (``docs/rules.md`` §2–5).

A report passes the steps below in their order, which is fixed; the number stands where each is done. Step 1, decoding,
is `formats.wire`'s.

1. decode · 2 a code, or self-reports · 3 known tracking ID · 4 number of keys · 5 each key · 6 none left · 7 all keys ·
8 the code · 9 append: code and continue ID unused
"""

from collections.abc import Iterable

from tocsin.ledger import queries
from tocsin.ledger.state import Ledger
from tocsin.model.base64url import encode
from tocsin.model.calls import (
    Answer,
    Call,
    ContinueCall,
    DecoyCall,
    ReportCall,
    TrackCall,
    TrackingId,
    UnsupportedCall,
    Verdict,
    WithdrawCall,
)
from tocsin.model.claims import continue_claim, report_id, tracking_claim, withdrawal_claim
from tocsin.model.code_reading import CodeReading
from tocsin.model.events import Draft, Reported, Withdrawn
from tocsin.model.keys import ReportType
from tocsin.model.labels import labelled_hash
from tocsin.model.policy import Policy
from tocsin.model.times import Instant
from tocsin.rules.allowance import UNLIMITED, Allowance, Costly
from tocsin.rules.code_checks import SELF_REPORT, Origin
from tocsin.rules.continuation import judge_continuation
from tocsin.rules.judgement import (
    Claimed,
    Hearing,
    Judgement,
    answered,
    answered_again,
    content_of,
    hold_of,
    letters,
    most_keys,
    origin_within_allowance,
    positions_taken,
    verdicts_of,
)
from tocsin.rules.key_checks import contradict


def judge(
    ledger: Ledger,
    call: Call,
    code: CodeReading,
    claimed: Claimed,
    policy: Policy,
    received_at: Instant,
    holds: Iterable[int],
    allowance: Allowance = UNLIMITED,
) -> Judgement:
    """What `call` is answered and what is to be appended for it.

    `ledger`: at the tip, the group's earlier events included. `code`: the reading of the call's code, `NO_CODE` if it
    has none. `received_at`: a multiple of 900. `holds`: at least 30 numbers, each drawn evenly from 0 to
    ``policy.hold_back_quarters``; only as many are taken as the report has parts. `allowance`: of the call's source,
    asked at step 8 only.
    """
    hearing = Hearing(ledger, claimed, policy, received_at, holds, allowance)
    match call:
        case ReportCall():
            return _judge_report(hearing, call, code)
        case ContinueCall():
            return judge_continuation(hearing, call, code)
        case TrackCall(tracking_id):
            return answered(_standing(ledger, tracking_id))
        case WithdrawCall(secret):
            return _judge_withdrawal(ledger, TrackingId(labelled_hash("tracking", secret)), claimed)
        case DecoyCall():  # C3
            return answered(Verdict.NOTED)
        case UnsupportedCall():  # C2
            return answered(Verdict.UNSUPPORTED)


def _judge_report(hearing: Hearing, call: ReportCall, code: CodeReading) -> Judgement:
    policy, self_reported = hearing.policy, call.code is None
    if self_reported and not policy.self_reports:  # 2 (C4)
        return answered(Verdict.UNSUPPORTED)
    report = hearing.ledger.report_by_id.get(report_id(call.tracking_id))
    if report is not None:  # 3
        return answered_again(hearing, report, call, code)
    declined = hearing.ledger.declined.get(report_id(call.tracking_id))
    if declined is not None:  # 3 (C19)
        return answered(declined)
    if len(call.keys) > most_keys(policy, self_reported=self_reported):  # 4 (C8, C17)
        return answered(Verdict.REPORT_REFUSED)
    verdicts = verdicts_of(hearing, call)  # 5 (C9)
    taken = positions_taken(verdicts)
    if not taken:  # 6 (C10)
        return Judgement(Answer(Verdict.NO_KEY_LEFT, verdicts))
    if contradict([call.keys[position] for position in taken]):  # 7 (C11)
        return answered(Verdict.REPORT_REFUSED)
    origin = _origin(hearing, call, code)
    if isinstance(origin, Verdict):  # 8 (C12, C16)
        return answered(origin)
    if origin.report_type == ReportType.REVOKED:  # 8 (C18)
        return answered(Verdict.REPORT_REFUSED)
    if origin.claim is not None and hearing.claimed(origin.claim) is not None:  # 9 (C13)
        return answered(Verdict.CODE_SPENT)
    if hearing.claimed(continue_claim(call.continue_id)) is not None:  # 9 (C14)
        return answered(Verdict.MISMATCH)
    own_id = report_id(call.tracking_id)
    body = Reported(
        id=encode(own_id),
        received_at=hearing.received_at,
        report_type=origin.report_type,  # K7
        verdicts=letters(verdicts),
        hold=hold_of(hearing, call, taken),
    )
    claims = [tracking_claim(own_id), continue_claim(call.continue_id)]
    if origin.claim is not None:
        claims.append(origin.claim)
    draft = Draft(body, tuple(sorted(claims)), content_of(hearing, call, code, origin, taken))
    return Judgement(Answer(Verdict.TAKEN, verdicts), draft)  # C15


def _origin(hearing: Hearing, call: ReportCall, code: CodeReading) -> Origin | Verdict:
    if call.code is not None:
        return origin_within_allowance(hearing, code)
    return SELF_REPORT if hearing.allowance.take(Costly.SELF_REPORT) else Verdict.OVER_ALLOWANCE  # C16


def _standing(ledger: Ledger, tracking_id: TrackingId) -> Verdict:
    report = ledger.report_by_id.get(report_id(tracking_id))
    if report is None:  # T7, T1
        return ledger.declined.get(report_id(tracking_id), Verdict.UNKNOWN)
    return Verdict(queries.standing(ledger, report).value)  # T2, T3, T4, T5


def _judge_withdrawal(ledger: Ledger, tracking_id: TrackingId, claimed: Claimed) -> Judgement:
    report = report_id(tracking_id)
    if report in ledger.declined:  # T8
        return answered(Verdict.WITHDRAWN)
    standing = _standing(ledger, tracking_id)
    if standing in (Verdict.UNKNOWN, Verdict.TOO_OLD):  # T1, T2
        return answered(standing)
    claim = withdrawal_claim(report)
    if standing is Verdict.WITHDRAWN or claimed(claim) is not None:  # T3
        return answered(Verdict.WITHDRAWN)
    sequence = int(ledger.reports["sequence"][ledger.report_by_id[report]])
    return Judgement(Answer(Verdict.WITHDRAWN), Draft(Withdrawn(sequence), (claim,)))  # T6
