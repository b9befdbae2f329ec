"""The apps' one call: what is answered, and the event it leads to, if any (``docs/rules.md`` §2–5).

A report passes the steps below in their order, which is fixed; the number stands where each is done. Step 1, decoding,
is `formats.wire`'s.

1. decode · 2 a code, or self-reports · 3 known tracking ID · 4 number of keys · 5 each key · 6 none left · 7 overlap ·
8 the code · 9 append: code and continue ID unused
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from msgspec import Struct

from tocsin.ledger import queries
from tocsin.ledger.state import Ledger
from tocsin.model.base64url import encode
from tocsin.model.calls import (
    KEY_VERDICT_LETTERS,
    KEY_VERDICTS,
    Answer,
    Call,
    DecoyCall,
    KeyVerdict,
    ReportCall,
    SentKey,
    TrackCall,
    TrackingId,
    UnsupportedCall,
    Verdict,
    WithdrawCall,
)
from tocsin.model.claims import Claim, continue_claim, report_id, tracking_claim, withdrawal_claim
from tocsin.model.code_reading import CodeKind, CodeReading
from tocsin.model.events import Draft, ReportContent, Reported, Withdrawn
from tocsin.model.keys import CONTENT_KEY, MAX_KEYS, ContentKeys, KeyKind
from tocsin.model.labels import labelled_hash
from tocsin.model.policy import Policy
from tocsin.model.sent import sent_digest
from tocsin.model.times import Instant
from tocsin.rules.allowance import UNLIMITED, Allowance, Costly
from tocsin.rules.code_checks import SELF_REPORT, Origin, origin_of
from tocsin.rules.key_checks import days_since_onset, hold_backs, key_verdict, overlap

Claimed = Callable[[Claim], bool]
"""Whether the journal holds a claim, the events before this call in its group included."""


class Judgement(Struct, frozen=True, eq=False):
    """The answer to a call, true once `draft` (where there is one) is durable."""

    answer: Answer
    draft: Draft | None = None


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

    `ledger`: at the tip, the group's earlier events included. `code`: the reading of a report's code, `NO_CODE` for
    all else. `received_at`: a multiple of 900. `holds`: at least 30 numbers, each drawn evenly from 0 to
    ``policy.hold_back_quarters``; only as many are taken as the report has parts. `allowance`: of the call's source,
    asked at step 8 only.
    """
    match call:
        case ReportCall():
            return _judge_report(ledger, call, code, claimed, policy, received_at, holds, allowance)
        case TrackCall(tracking_id):
            return _answer(_standing(ledger, tracking_id))
        case WithdrawCall(secret):
            return _judge_withdrawal(ledger, TrackingId(labelled_hash("tracking", secret)), claimed)
        case DecoyCall():  # C3
            return _answer(Verdict.NOTED)
        case UnsupportedCall():  # C2
            return _answer(Verdict.UNSUPPORTED)


def _answer(verdict: Verdict) -> Judgement:
    return Judgement(Answer(verdict))


def _judge_report(
    ledger: Ledger,
    call: ReportCall,
    code: CodeReading,
    claimed: Claimed,
    policy: Policy,
    received_at: Instant,
    holds: Iterable[int],
    allowance: Allowance,
) -> Judgement:
    if call.code is None and not policy.self_reports:  # 2 (C4)
        return _answer(Verdict.UNSUPPORTED)
    report = ledger.report_by_id.get(report_id(call.tracking_id))
    if report is not None:  # 3
        return Judgement(_answer_again(ledger, report, call, code))
    if len(call.keys) > MAX_KEYS:  # 4 (C8)
        return _answer(Verdict.REPORT_REFUSED)
    verdicts = tuple(key_verdict(key, received_at, policy.useful_days) for key in call.keys)  # 5 (C9)
    taken = [position for position, verdict in enumerate(verdicts) if verdict is KeyVerdict.TAKEN]
    if not taken:  # 6 (C10)
        return Judgement(Answer(Verdict.NO_KEY_LEFT, verdicts))
    if overlap(call.keys[position] for position in taken):  # 7 (C11)
        return _answer(Verdict.REPORT_REFUSED)
    costly = _costly(call, code)
    if costly is not None and not allowance.take(costly):  # 8 (C16)
        return _answer(Verdict.OVER_ALLOWANCE)
    origin = SELF_REPORT if call.code is None else origin_of(ledger, code, received_at)  # 8 (C12)
    if costly is Costly.GUESS and code.genuine and origin is not Verdict.CODE_UNKNOWN:  # its holder, no guesser (C16)
        allowance.give_back()
    if isinstance(origin, Verdict):
        return _answer(origin)
    if origin.claim is not None and claimed(origin.claim):  # 9 (C13)
        return _answer(Verdict.CODE_SPENT)
    if claimed(continue_claim(call.continue_id)):  # 9 (C14)
        return _answer(Verdict.MISMATCH)
    draft = _report_draft(call, code, origin, verdicts, taken, policy, received_at, holds)
    return Judgement(Answer(Verdict.TAKEN, verdicts), draft)  # C15


def _costly(call: ReportCall, code: CodeReading) -> Costly | None:
    """What is costly about a report; None for one with a card, whose MAC can't be guessed."""
    if call.code is None:
        return Costly.SELF_REPORT
    return Costly.GUESS if code.kind == CodeKind.PHONE else None


def _answer_again(ledger: Ledger, report: int, call: ReportCall, code: CodeReading) -> Answer:
    if ledger.reports["erased"][report]:  # C5
        return Answer(Verdict.TOO_OLD)
    if ledger.reports["sent"][report].tobytes() != sent_digest(call, *code.spelt):  # C6
        return Answer(Verdict.MISMATCH)
    return Answer(Verdict.TAKEN, tuple(KEY_VERDICTS[letter] for letter in ledger.verdicts[report]))  # C7


def _report_draft(
    call: ReportCall,
    code: CodeReading,
    origin: Origin,
    verdicts: Sequence[KeyVerdict],
    taken: Sequence[int],
    policy: Policy,
    received_at: Instant,
    holds: Iterable[int],
) -> Draft:
    keys = [call.keys[position] for position in taken]
    hold = [0] * len(call.keys)
    for position, quarters in zip(taken, hold_backs(keys, received_at, holds), strict=True):
        hold[position] = quarters
    report = report_id(call.tracking_id)
    claims = [tracking_claim(report), continue_claim(call.continue_id)]
    if origin.claim is not None:
        claims.append(origin.claim)
    return Draft(
        body=Reported(
            id=encode(report),
            received_at=received_at,
            report_type=origin.report_type,  # K7
            verdicts="".join(KEY_VERDICT_LETTERS[verdict] for verdict in verdicts),
            hold=tuple(hold),
        ),
        claims=tuple(sorted(claims)),
        content=ReportContent(
            batch=origin.batch,
            serial=origin.serial,
            provider=origin.provider,
            sent=sent_digest(call, *code.spelt),
            keys=_content_keys(keys, taken, origin, call.onset_day if policy.publish_onset else None),
        ),
    )


def _content_keys(keys: Sequence[SentKey], taken: Sequence[int], origin: Origin, onset_day: int | None) -> ContentKeys:
    rows = [
        (
            KeyKind.GAEN,
            position,
            (
                key.key_data,
                key.rolling_start_interval_number,
                key.rolling_period,
                origin.report_type,
                days_since_onset(key, onset_day),
                0,  # K9
            ),
        )
        for position, key in zip(taken, keys, strict=True)
    ]
    return np.array(rows, CONTENT_KEY)


def _standing(ledger: Ledger, tracking_id: TrackingId) -> Verdict:
    report = ledger.report_by_id.get(report_id(tracking_id))
    if report is None:  # T1
        return Verdict.UNKNOWN
    return Verdict(queries.standing(ledger, report).value)  # T2, T3, T4, T5


def _judge_withdrawal(ledger: Ledger, tracking_id: TrackingId, claimed: Claimed) -> Judgement:
    standing = _standing(ledger, tracking_id)
    if standing in (Verdict.UNKNOWN, Verdict.TOO_OLD):  # T1, T2
        return _answer(standing)
    report = report_id(tracking_id)
    claim = withdrawal_claim(report)
    if claimed(claim):  # T3
        return _answer(Verdict.WITHDRAWN)
    sequence = int(ledger.reports["sequence"][ledger.report_by_id[report]])
    return Judgement(Answer(Verdict.WITHDRAWN), Draft(Withdrawn(sequence), (claim,)))  # T6
