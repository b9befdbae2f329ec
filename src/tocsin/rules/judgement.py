"""What a report and a continuation of it are judged with: the steps that both go through, and the outcome."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from msgspec import Struct

from tocsin.ledger.state import Ledger
from tocsin.model.calls import (
    KEY_VERDICT_LETTERS,
    KEY_VERDICTS,
    Answer,
    ContinueCall,
    KeyVerdict,
    ReportCall,
    SentKey,
    Verdict,
)
from tocsin.model.claims import Claim
from tocsin.model.code_reading import CodeKind, CodeReading
from tocsin.model.events import Draft, ReportContent
from tocsin.model.keys import CONTENT_KEYS, KIND_OF_LENGTH, MAX_KEYS, ContentKeys, KeyKind, kind_of
from tocsin.model.policy import Policy
from tocsin.model.sent import sent_digest
from tocsin.model.times import Instant
from tocsin.rules.allowance import Allowance, Costly
from tocsin.rules.code_checks import Origin, origin_of
from tocsin.rules.key_checks import days_since_onset, first_contagious_day, hold_backs, key_verdict, plausible

Claimed = Callable[[Claim], int | None]
"""The sequence of the event that holds a claim, those before this call in its group included; None if none does."""


class Hearing(Struct, frozen=True, eq=False):
    """Before what a call is judged: as the arguments of `intake.judge`."""

    ledger: Ledger
    claimed: Claimed
    policy: Policy
    received_at: Instant
    holds: Iterable[int]
    allowance: Allowance


class Judgement(Struct, frozen=True, eq=False):
    """The answer to a call, true once `draft` (where there is one) is durable."""

    answer: Answer
    draft: Draft | None = None


def answered(verdict: Verdict) -> Judgement:
    """`verdict`, and nothing is stored."""
    return Judgement(Answer(verdict))


def answered_again(hearing: Hearing, row: int, call: ReportCall | ContinueCall, code: CodeReading) -> Judgement:
    """What is answered to a call whose ID is that of the report or continuation in `row`."""
    ledger = hearing.ledger
    if ledger.reports["erased"][row]:  # C5, N2
        return answered(Verdict.TOO_OLD)
    if ledger.reports["sent"][row].tobytes() != sent_digest(call, *code.spelt):  # C6, N3
        return answered(Verdict.MISMATCH)
    return Judgement(Answer(Verdict.TAKEN, tuple(KEY_VERDICTS[letter] for letter in ledger.verdicts(row))))  # C7, N4


def verdicts_of(hearing: Hearing, call: ReportCall | ContinueCall) -> tuple[KeyVerdict, ...]:
    """What is said of each key by itself."""
    policy = hearing.policy
    since = first_contagious_day(call.onset_day, call.test_day, hearing.received_at, policy)
    return tuple(key_verdict(key, hearing.received_at, policy, since) for key in call.keys)


def positions_taken(verdicts: Sequence[KeyVerdict]) -> list[int]:
    """The positions of the keys that are left."""
    return [position for position, verdict in enumerate(verdicts) if verdict is KeyVerdict.TAKEN]


def most_keys(policy: Policy, *, self_reported: bool) -> int:
    """Most keys of one person (C8, C17): fewer where nobody vouches for them."""
    return min(MAX_KEYS, policy.self_report_keys) if self_reported else MAX_KEYS


def origin_within_allowance(hearing: Hearing, code: CodeReading) -> Origin | Verdict:
    """The origin that `code` stands for, or what refuses it."""
    is_phone_code = code.kind == CodeKind.PHONE  # a card's MAC can't be guessed
    if is_phone_code and not hearing.allowance.take(Costly.GUESS):  # C16
        return Verdict.OVER_ALLOWANCE
    origin = origin_of(hearing.ledger, code, hearing.received_at)  # C12
    if is_phone_code and code.genuine and origin is not Verdict.CODE_UNKNOWN:  # its holder, no guesser (C16)
        hearing.allowance.give_back()
    return origin


def letters(verdicts: Sequence[KeyVerdict]) -> str:
    """A letter for each verdict, as in the body of an event."""
    return "".join(KEY_VERDICT_LETTERS[verdict] for verdict in verdicts)


def hold_of(hearing: Hearing, call: ReportCall | ContinueCall, taken: Sequence[int]) -> tuple[int, ...]:
    """The hold-back of each position as sent, 0 where it is not taken."""
    keys = [call.keys[position] for position in taken]
    hold = [0] * len(call.keys)
    for position, quarters in zip(taken, hold_backs(keys, hearing.received_at, hearing.holds), strict=True):
        hold[position] = quarters
    return tuple(hold)


def content_of(
    hearing: Hearing, call: ReportCall | ContinueCall, code: CodeReading, origin: Origin, taken: Sequence[int]
) -> ReportContent:
    """What is erased with its day: the keys taken, and where they come from."""
    onset_day = plausible(call.onset_day, hearing.received_at) if hearing.policy.publish_onset else None
    keys = _content_keys(call.keys, taken, origin, onset_day)
    return ReportContent(
        batch=origin.batch,
        serial=origin.serial,
        provider=origin.provider,
        sent=sent_digest(call, *code.spelt),
        key_kind=kind_of(keys),
        key_rows=keys.tobytes(),
    )


def _content_keys(sent: Sequence[SentKey], taken: Sequence[int], origin: Origin, onset_day: int | None) -> ContentKeys:
    kind = KIND_OF_LENGTH[len(sent[taken[0]].key_data)] if taken else KeyKind.GAEN
    rows = [
        (
            kind,
            position,
            (
                sent[position].key_data,
                sent[position].rolling_start_interval_number,
                sent[position].rolling_period,
                origin.report_type,
                days_since_onset(sent[position], onset_day),
                0,  # K9
            ),
        )
        for position in taken
    ]
    return np.array(rows, CONTENT_KEYS[kind])
