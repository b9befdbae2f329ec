"""What a person reports after their first report: later days' keys, and what a code says of them by now (N1–N14).

The continuation secret opens the report whose newest continue ID it leads to, once; the next one is sent along. Which
event holds an ID is asked of the journal's claims, so the ledger keeps no index of them.

1. decode · 2 known continue ID · 3 continued by it already · 4 the report stands, and is not too old · 5 number of
keys, each key, none left · 6 all the person's keys together · 7 the code · 8 what it may change · 9 append
"""

from typing import Final

from tocsin.ledger.queries import present_type
from tocsin.ledger.state import Ledger
from tocsin.model.base64url import encode
from tocsin.model.calls import Answer, ContinueCall, ContinueId, SentKey, Verdict
from tocsin.model.claims import continuation_claim, continuation_id, continue_claim
from tocsin.model.code_reading import CodeReading
from tocsin.model.events import Continued, Draft
from tocsin.model.keys import MAX_KEYS, KeyKind, ReportType
from tocsin.model.labels import labelled_hash
from tocsin.model.times import day_of
from tocsin.rules.code_checks import Origin
from tocsin.rules.judgement import (
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

_UPGRADES: Final = {
    ReportType.SELF_REPORTED: frozenset({ReportType.LIKELY, ReportType.CONFIRMED, ReportType.REVOKED}),
    ReportType.LIKELY: frozenset({ReportType.CONFIRMED, ReportType.REVOKED}),
}
"""Present report type → what a code may make of it; nothing of a confirmed one. REVOKED is a negative test."""


def judge_continuation(hearing: Hearing, call: ContinueCall, code: CodeReading) -> Judgement:
    """What `call` is answered and what is to be appended for it; `code`: the reading of its code, if it has one."""
    ledger, policy = hearing.ledger, hearing.policy
    opened = ContinueId(labelled_hash("continue", call.continuation_secret))
    before = _row(ledger, hearing.claimed(continue_claim(opened)))
    if before is None:  # N1
        return answered(Verdict.UNKNOWN)
    after = _row(ledger, hearing.claimed(continuation_claim(continuation_id(opened))))
    if after is not None:
        return answered_again(hearing, after, call, code)
    root = int(ledger.reports["root"][before])
    closed = _closed(hearing, root)
    if closed is not None:
        return answered(closed)
    present = present_type(ledger, root)
    on_trust = call.code is None and present == ReportType.SELF_REPORTED
    if on_trust and not policy.self_reports:  # C4
        return answered(Verdict.UNSUPPORTED)
    if len(call.keys) > MAX_KEYS:  # C8
        return answered(Verdict.REPORT_REFUSED)
    verdicts = verdicts_of(hearing, call)  # C9
    taken = positions_taken(verdicts)
    if not taken and call.code is None:  # N8
        return Judgement(Answer(Verdict.NO_KEY_LEFT, verdicts))
    held, new = _keys_of(ledger, root), [call.keys[position] for position in taken]
    if len(held) + len(new) > most_keys(policy, self_reported=on_trust) or contradict(new, held):  # N9
        return answered(Verdict.REPORT_REFUSED)
    origin = _inherited(ledger, root)
    if call.code is not None:
        said = origin_within_allowance(hearing, code)  # N10
        if isinstance(said, Verdict):
            return answered(said)
        if said.report_type != present:
            if said.report_type not in _UPGRADES.get(ReportType(present), ()):  # N11
                return answered(Verdict.REPORT_REFUSED)
            origin = said
        elif not taken:  # N12
            return Judgement(Answer(Verdict.NO_KEY_LEFT, verdicts))
    if origin.claim is not None and hearing.claimed(origin.claim) is not None:  # C13
        return answered(Verdict.CODE_SPENT)
    if hearing.claimed(continue_claim(call.continue_id)) is not None:  # N13
        return answered(Verdict.MISMATCH)
    kept = [] if origin.report_type == ReportType.REVOKED else taken
    body = Continued(
        id=encode(continuation_id(opened)),
        received_at=hearing.received_at,
        report_type=origin.report_type,
        verdicts=letters(verdicts),
        hold=hold_of(hearing, call, kept),
        report=int(ledger.reports["sequence"][root]),
    )
    claims = [continue_claim(call.continue_id), continuation_claim(continuation_id(opened))]
    if origin.claim is not None:
        claims.append(origin.claim)
    draft = Draft(body, tuple(sorted(claims)), content_of(hearing, call, code, origin, kept))
    return Judgement(Answer(Verdict.TAKEN, verdicts), draft)  # N14


def _row(ledger: Ledger, sequence: int | None) -> int | None:
    return None if sequence is None else ledger.reports.find("sequence", sequence)


def _closed(hearing: Hearing, root: int) -> Verdict | None:
    """Why the report in row `root` is not continued any more, if so."""
    reports = hearing.ledger.reports
    if reports["withdrawn"][root]:  # N5
        return Verdict.WITHDRAWN
    last_day = day_of(int(reports["received_at"][root])) + hearing.policy.continuation_days
    if reports["erased"][root] or day_of(hearing.received_at) > last_day:  # N6
        return Verdict.TOO_OLD
    return Verdict.CUT_OFF if reports["objections"][root] else None  # N7


def _inherited(ledger: Ledger, root: int) -> Origin:
    """Where a continuation comes from that spends no code: whatever reaches the first report reaches it."""
    reports = ledger.reports
    return Origin(
        report_type=int(reports["report_type"][root]),
        batch=int(reports["batch"][root]),
        serial=int(reports["serial"][root]),
        provider=int(reports["provider"][root]),
        claim=None,
    )


def _keys_of(ledger: Ledger, root: int) -> list[SentKey]:
    """All keys that this person's reports hold, whatever became of them."""
    reports = ledger.reports
    found = []
    for row in ledger.rows_of_person(root):
        first, count = int(reports["first_row"][row]), int(reports["rows"][row])
        found += ledger.keys[KeyKind(reports["key_kind"][row])]["record"][first : first + count].tolist()
    return [SentKey(key_data, start, period) for key_data, start, period, *_ in found]
