"""The fold: event → ledger. It never refuses and never decides again; by sequence, it has the last word.

Each kind has one function, and nothing else changes a ledger. An event the journal should not hold (a gap, an unknown
batch) raises `Invalid`: the journal is then not what wrote it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, TypeVar, cast

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from tocsin.ledger.erasure import forget_day
from tocsin.ledger.key_table import NEVER, KeyTable
from tocsin.ledger.phone_codes import PhoneCode
from tocsin.ledger.predicates import covered_reports, standing_revocations, standing_rollbacks
from tocsin.ledger.state import (
    Batch,
    Ledger,
    Provider,
    Quarantine,
    Revocation,
    Rollback,
    Version,
    Withdrawal,
    key_tables,
)
from tocsin.model.base64url import decode_exactly
from tocsin.model.calls import Verdict
from tocsin.model.code_reading import CodeKind, Life
from tocsin.model.errors import Invalid
from tocsin.model.events import (
    BatchActivated,
    BatchIssued,
    Continued,
    DayKeyMade,
    Declined,
    Erased,
    Event,
    Founded,
    HasKeys,
    Move,
    Paused,
    PhoneCodesIssued,
    ProviderAdded,
    ProviderRestored,
    ProviderSuspended,
    Published,
    Quarantined,
    QuarantineLifted,
    Reinstated,
    ReportContent,
    Reported,
    Resumed,
    Revoked,
    RolledBack,
    Withdrawn,
)
from tocsin.model.keys import CONTENT_KEYS, KeyKind, ReportType
from tocsin.model.times import DAY_SECONDS, day_of

Rows = NDArray[np.int64]
Value = TypeVar("Value")
Number = TypeVar("Number", np.int64, np.uint8)
_NO_CONTENT: Final = ReportContent(0, 0, 0, bytes(32), KeyKind.GAEN, b"")
_HASH_BYTES: Final = 16
"""Of a phone code's keyed hash."""
_NO_INSTANT: Final = 1 << 40
_NO_REPORT_TYPE: Final = 1 << 8
"""Rows wait before they are written: a number that their columns can't hold must be refused before it waits."""


def fold(ledger: Ledger, events: Iterable[Event]) -> None:
    """Folds `events` into `ledger`, in place. They must follow its sequence without a gap, or `Invalid`."""
    for is_report, run in groupby(_following(ledger.sequence, events), key=_is_report):
        if is_report:
            _fold_reports(ledger, list(run))
        else:
            for event in run:
                _fold_one(ledger, event)


def _following(sequence: int, events: Iterable[Event]) -> Iterator[Event]:
    for expected, event in enumerate(events, sequence + 1):
        if event.sequence != expected:
            raise Invalid(f"event {event.sequence} does not follow event {expected - 1}")
        yield event


def _is_report(event: Event) -> bool:
    return type(event.body) is Reported


def _fold_one(ledger: Ledger, event: Event) -> None:
    apply = _APPLY.get(type(event.body))
    if apply is None:
        raise Invalid(f"event {event.sequence} is of a kind that this version does not know")
    apply(ledger, event, event.body)
    ledger.acts += type(event.body) not in _CALLS
    ledger.sequence, ledger.recorded_at = event.sequence, event.recorded_at


def _fold_reports(ledger: Ledger, run: Sequence[Event]) -> None:
    """Folds a run of reports: nearly all of a journal. None of them asks for anything that another one changes."""
    first, bodies = ledger.reports.count, [cast(Reported, event.body) for event in run]
    rows = range(first, first + len(run))
    _hold(ledger, run, bodies, rows, rollbacks=[0] * len(run), withdrawn=[False] * len(run))
    ledger.report_by_id.update(zip([decode_exactly(body.id, 32) for body in bodies], rows, strict=True))
    ledger.sequence, ledger.recorded_at = run[-1].sequence, run[-1].recorded_at


class Mark(Struct, frozen=True):
    """Where a ledger stood: what `take_back` needs of it."""

    sequence: int
    recorded_at: int
    acts: int
    reports: int
    ids: int
    letters: int
    declined: int
    keys: dict[KeyKind, int]
    """How many rows each table of keys had."""


def mark(ledger: Ledger) -> Mark:
    """Where `ledger` stands now. It can be taken back to this mark, and no more to one before."""
    ledger.withdrawals.clear()
    return Mark(
        sequence=ledger.sequence,
        recorded_at=ledger.recorded_at,
        acts=ledger.acts,
        reports=ledger.reports.count,
        ids=len(ledger.report_by_id),
        letters=len(ledger.letters),
        declined=len(ledger.declined),
        keys={kind: keys.count for kind, keys in ledger.keys.items()},
    )


def take_back(ledger: Ledger, to: Mark) -> bool:
    """Takes back what apps' calls have led to since `to`, the newest mark, because it is not stored.

    False if that can't be done, for other events came too, or the ledger was dropped: it is then to be read anew. Cost:
    those calls, where reading anew costs all there are; and a pass over the index of keys, if keys were laid out.
    """
    if ledger.sequence < to.sequence or ledger.acts != to.acts or ledger.torn:
        return False
    for withdrawal in reversed(ledger.withdrawals):
        ledger.reports["withdrawn"][list(withdrawal.reports)] = False
        for kind, head in withdrawal.final:
            ledger.keys[kind]["final"][head] = False
    ledger.withdrawals.clear()
    roots = {ledger.reports.cell("root", row) for row in range(to.reports, ledger.reports.count)}
    ledger.reports.take_back(to.reports)
    for kind, keys in ledger.keys.items():
        keys.take_back(to.keys[kind])
    while len(ledger.report_by_id) > to.ids:
        ledger.report_by_id.popitem()
    while len(ledger.letters) > to.letters:
        ledger.letters.popitem()
    while len(ledger.declined) > to.declined:
        ledger.declined.popitem()
    for root in roots.intersection(ledger.continuations):
        kept = [row for row in ledger.continuations.pop(root) if row < to.reports]
        if kept:
            ledger.continuations[root] = kept
    ledger.sequence, ledger.recorded_at = to.sequence, to.recorded_at
    return True


def _founded(ledger: Ledger, event: Event, body: Founded) -> None:
    ledger.region = body.region
    ledger.deployment_id = decode_exactly(body.deployment_id, 32)
    ledger.keys = key_tables(ledger.deployment_id)
    ledger.founded_at = event.recorded_at


def _provider_added(ledger: Ledger, event: Event, body: ProviderAdded) -> None:
    ledger.providers[body.provider] = Provider(body.provider, body.name)


def _provider_suspended(ledger: Ledger, event: Event, body: ProviderSuspended) -> None:
    ledger.providers[body.provider] = replace(_known(ledger.providers, body.provider, event), suspended=True)


def _provider_restored(ledger: Ledger, event: Event, body: ProviderRestored) -> None:
    ledger.providers[body.provider] = replace(_known(ledger.providers, body.provider, event), suspended=False)


def _batch_issued(ledger: Ledger, event: Event, body: BatchIssued) -> None:
    ledger.batches[body.batch] = Batch(
        batch=body.batch,
        provider=body.provider,
        code_kind=body.code_kind,
        count=body.count,
        issuing_period=body.issuing_period,
        life=Life(body.valid_from, body.valid_until),
        report_type=body.report_type,
        activated=False,
    )
    _need_secret(ledger, body.issuing_period, body.valid_until)
    if body.code_kind != CodeKind.TRAINING:
        ledger.issued_cards = ledger.issued_cards.with_issue(
            body.who, body.provider, body.count, day_of(event.recorded_at)
        )


def _phone_codes_issued(ledger: Ledger, event: Event, body: PhoneCodesIssued) -> None:
    life, count = Life(body.valid_from, body.valid_until), len(body.hashes)
    known = ledger.batches.get(body.batch)
    if (0 if known is None else known.count) != body.first_serial or len(body.attempts) != count:
        raise Invalid(f"event {event.sequence} does not go on where its batch of phone codes ends")
    ledger.batches[body.batch] = Batch(
        batch=body.batch,
        provider=body.provider,
        code_kind=CodeKind.PHONE,
        count=body.first_serial + count,
        issuing_period=body.issuing_period,
        life=life if known is None else known.life.joined(life),
        report_type=body.report_type,
        activated=True,
    )
    ledger.phone_batches[body.provider, body.report_type, body.issuing_period] = body.batch
    today = day_of(event.recorded_at)
    ledger.phone_codes.forget_before(today)
    ledger.phone_codes.add(
        body.issuing_period,
        (decode_exactly(each, _HASH_BYTES) for each in body.hashes),
        PhoneCode(body.batch, body.first_serial, life),
    )
    _need_secret(ledger, body.issuing_period, body.valid_until)
    ledger.issued_phone_codes = ledger.issued_phone_codes.with_issue(body.who, body.provider, count, today)


def _need_secret(ledger: Ledger, issuing_period: int, until: int) -> None:
    ledger.secret_ends[issuing_period] = max(until, ledger.secret_ends.get(issuing_period, 0))


def _batch_activated(ledger: Ledger, event: Event, body: BatchActivated) -> None:
    ledger.batches[body.batch] = replace(_known(ledger.batches, body.batch, event), activated=True)


def _continued(ledger: Ledger, event: Event, body: Continued) -> None:
    reports, index = ledger.reports, ledger.reports.count
    root = reports.find("sequence", body.report)
    if root is None or reports.cell("root", root) != root:
        raise Invalid(f"event {event.sequence} continues a report that is not there")
    rollbacks = standing_rollbacks(ledger, body.report)
    is_withdrawn = bool(reports.cell("withdrawn", root))
    _hold(ledger, [event], [body], [root], [rollbacks], [is_withdrawn])  # O6
    ledger.continuations.setdefault(root, []).append(index)
    if body.report_type == ReportType.REVOKED:  # O7
        _take_back_person(ledger, root)


def _hold(
    ledger: Ledger,
    run: Sequence[Event],
    bodies: Sequence[HasKeys],
    roots: Sequence[int],
    rollbacks: Sequence[int],
    withdrawn: Sequence[bool],
) -> None:
    """Adds the rows of reports or continuations, and the keys that they hold. Nothing that waits is written for it."""
    for event, body in zip(run, bodies, strict=True):
        if not (0 <= body.received_at < _NO_INSTANT and 0 <= body.report_type < _NO_REPORT_TYPE):
            raise Invalid(f"event {event.sequence} has a time or a report type that the ledger has no room for")
    received_at, erased = [body.received_at for body in bodies], ledger.erased_days
    days = [at // DAY_SECONDS for at in received_at]
    ledger.sealed_days.update(day for event, day in zip(run, days, strict=True) if event.sealed and day not in erased)
    contents = [
        _NO_CONTENT if event.content is None or day in erased else event.content  # X4: it came too late
        for event, day in zip(run, days, strict=True)
    ]
    objections = [
        standing_revocations(ledger, content.batch, content.serial, content.provider, event.sequence)
        + rolled_back  # O5
        for event, content, rolled_back in zip(run, contents, rollbacks, strict=True)
    ]
    holds = [_hold_bytes(body, event) for event, body in zip(run, bodies, strict=True)]
    first, first_rows, rows = ledger.reports.count, [0] * len(run), [0] * len(run)
    for kind, keys in ledger.keys.items():
        places = [
            place for place, content in enumerate(contents) if content.key_kind == kind and content is not _NO_CONTENT
        ]
        firsts = keys.hold(
            [first + place for place in places],
            [received_at[place] for place in places],
            [holds[place] for place in places],
            [contents[place].key_rows for place in places],
        )
        for place, row in zip(places, firsts, strict=True):
            first_rows[place], rows[place] = row, len(contents[place].key_rows) // CONTENT_KEYS[kind].itemsize
    ledger.reports.add(
        [event.sequence for event in run],
        roots,
        [event.recorded_at for event in run],
        received_at,
        [body.report_type for body in bodies],
        [content.batch for content in contents],
        [content.serial for content in contents],
        [content.provider for content in contents],
        [content.sent for content in contents],
        [content.key_kind for content in contents],
        first_rows,
        rows,
        objections,
        withdrawn,
        [content is _NO_CONTENT for content in contents],
        [ledger.letters.setdefault(body.verdicts, len(ledger.letters)) for body in bodies],
    )


def _hold_bytes(body: HasKeys, event: Event) -> bytes:
    try:
        return bytes(body.hold)
    except ValueError:
        raise Invalid(f"event {event.sequence} has a hold-back that is not from 0 to 255 quarter-hours") from None


def _withdrawn(ledger: Ledger, event: Event, body: Withdrawn) -> None:
    _take_back_person(ledger, int(ledger.reports["root"][_report_index(ledger, body.report, event)]))


def _declined(ledger: Ledger, event: Event, body: Declined) -> None:
    try:
        ledger.declined[decode_exactly(body.id, 32)] = Verdict(body.verdict)
    except ValueError:
        raise Invalid(f"event {event.sequence} declines a report by a word that is no verdict") from None


def _take_back_person(ledger: Ledger, root: int) -> None:
    """Whatever the person whose first report is in row `root` has reported is withdrawn, for good."""
    reports, person = ledger.reports, ledger.rows_of_person(root)
    final = []
    for report in person:
        keys = ledger.keys[KeyKind(reports["key_kind"][report])]
        first, count = int(reports["first_row"][report]), int(reports["rows"][report])
        is_final = keys["final"]
        for row, head in enumerate(keys["head"][first : first + count].tolist(), first):
            if (head == row or _holds_first(ledger, keys, head, row)) and not is_final[head]:
                is_final[head] = True  # O3
                final.append((keys.kind, head))
    changed = tuple(row for row in person if not reports["withdrawn"][row])
    reports["withdrawn"][person] = True
    ledger.withdrawals.append(Withdrawal(changed, tuple(final)))


def _holds_first(ledger: Ledger, keys: KeyTable, head: int, row: int) -> bool:
    """Whether `row` of `keys` owns its key, or would but for an objection: its withdrawal is then final for the key."""
    for earlier in keys.holders[head]:
        if earlier == row:
            return True
        report = keys["report"][earlier]
        if ledger.reports["withdrawn"][report] or not ledger.reports["objections"][report]:
            return False
    return False


def _revoked(ledger: Ledger, event: Event, body: Revoked) -> None:
    target = body.target
    ledger.objections[event.sequence] = Revocation(target, body.since)
    named = (target.provider, None) if target.provider is not None else (None, target.batch)
    ledger.revocations.setdefault(named, []).append(event.sequence)
    ledger.reports["objections"][covered_reports(ledger, target, body.since)] += 1


def _rolled_back(ledger: Ledger, event: Event, body: RolledBack) -> None:
    ledger.objections[event.sequence] = Rollback(body.reports)
    ledger.reports["objections"][_rolled_back_rows(ledger, body.reports, event)] += 1


def _rolled_back_rows(ledger: Ledger, sequences: tuple[int, ...], event: Event) -> Rows:
    """The rows that a rollback meets: those it names, and the continuations there are by now of each first report."""
    named = _report_indices(ledger, sequences, event).tolist()
    continued = (row for report in named for row in ledger.continuations.get(report, ()))
    return np.array(sorted({*named, *continued}), np.int64)


def _reinstated(ledger: Ledger, event: Event, body: Reinstated) -> None:
    objection = _known(ledger.objections, body.objection, event)
    if not objection.standing:
        return
    ledger.objections[body.objection] = replace(objection, standing=False)
    if isinstance(objection, Revocation):
        freed: Any = covered_reports(ledger, objection.target, objection.since)
    else:
        freed = _rolled_back_rows(ledger, objection.reports, event)
    ledger.reports["objections"][freed] -= 1


def _paused(ledger: Ledger, event: Event, body: Paused) -> None:
    ledger.paused = True


def _resumed(ledger: Ledger, event: Event, body: Resumed) -> None:
    ledger.paused = False


def _quarantined(ledger: Ledger, event: Event, body: Quarantined) -> None:
    ledger.quarantines[event.sequence] = Quarantine(body.target)


def _quarantine_lifted(ledger: Ledger, event: Event, body: QuarantineLifted) -> None:
    quarantine = _known(ledger.quarantines, body.quarantine, event)
    if quarantine.standing:
        ledger.quarantines[body.quarantine] = replace(quarantine, lifted_at=event.recorded_at)


def _published(ledger: Ledger, event: Event, body: Published) -> None:
    version, entered, left = body.version, 0, 0
    if version != ledger.version + 1:
        raise Invalid(f"event {event.sequence} is version {version}, which does not follow version {ledger.version}")
    for keys in ledger.keys.values():
        leaving, _ = rows_of_moves(ledger, keys, body.leaving, event)
        entering, types = rows_of_moves(ledger, keys, body.entering, event)
        _move(keys, version, leaving, entering, types)
        entered, left = entered + len(entering), left + len(leaving)
    ledger.versions.append(
        Version(
            version=version,
            at=body.at,
            due=body.due,
            first_day=body.first_day,
            useful_days=body.useful_days,
            set_digest=decode_exactly(body.set_digest, 32),
            term=body.term,
            files=body.files,
            sequence=event.sequence,
            digest=event.digest,
            entered=entered,
            left=left,
        )
    )
    ledger.made.extend(body.made)


def _move(keys: KeyTable, version: int, leaving: Rows, entering: Rows, types: NDArray[np.uint8]) -> None:
    """What `version` changes in one table: rows that leave, and rows that enter or change their report's type."""
    out, into = keys["head"][leaving], keys["head"][entering]
    keys["public"][out] = False
    keys["left"][out] = version
    handed_over = into[keys["left"][into] == version].tolist()  # from one holder to another: never absent
    before = [(keys["record"][keys["last_row"][head]].tobytes(), int(keys["changed"][head])) for head in handed_over]

    last = keys["last_row"][into]
    for head in into[(last != NEVER) & (last != entering)].tolist():  # another holder was public before
        keys.stints.setdefault(head, []).append((int(keys["last_row"][head]), int(keys["left"][head])))
    keys["record"]["report_type"][entering] = types
    keys["was_public"][entering] = True
    keys["public"][into] = True
    keys["last_row"][into] = entering
    keys["changed"][into] = version
    keys["first_entered"][into] = np.where(keys["first_entered"][into] == 0, version, keys["first_entered"][into])
    for head, (record, changed) in zip(handed_over, before, strict=True):
        if keys["record"][keys["last_row"][head]].tobytes() == record:
            keys["changed"][head] = changed


def rows_of_moves(
    ledger: Ledger, keys: KeyTable, moves: tuple[Move, ...], event: Event
) -> tuple[Rows, NDArray[np.uint8]]:
    """The rows of `keys` that `moves` name, and the report type of each move, a row each."""
    reports = ledger.reports
    if not moves:
        return np.zeros(0, np.int64), np.zeros(0, np.uint8)
    index = _report_indices(ledger, tuple(move.report for move in moves), event)
    counts = np.where(reports["key_kind"][index] == keys.kind, reports["rows"][index], 0)
    starts = np.cumsum(counts) - counts
    rows = np.arange(int(counts.sum())) + np.repeat(reports["first_row"][index] - starts, counts)
    masks = np.repeat(_column([move.mask for move in moves], np.int64, event), counts)
    types = np.repeat(_column([move.report_type for move in moves], np.uint8, event), counts)
    named = (masks >> keys["position"][rows]) & 1 == 1
    return rows[named], types[named]


def _erased(ledger: Ledger, event: Event, body: Erased) -> None:
    forget_day(ledger, body.day, _report_indices(ledger, body.objected, event))


def _day_key_made(ledger: Ledger, event: Event, body: DayKeyMade) -> None:
    if body.day not in ledger.erased_days:
        ledger.day_keys.setdefault(body.day, decode_exactly(body.fingerprint, 32))


def _report_index(ledger: Ledger, sequence: int, event: Event) -> int:
    return int(_report_indices(ledger, (sequence,), event)[0])


def _report_indices(ledger: Ledger, sequences: tuple[int, ...], event: Event) -> NDArray[np.intp]:
    known, wanted = ledger.reports["sequence"], _column(sequences, np.int64, event)
    index = np.searchsorted(known, wanted)
    if len(wanted) and (index.max() >= len(known) or (known[index] != wanted).any()):
        raise Invalid(f"event {event.sequence} names a report that is not there")
    return index


def _column(numbers: Sequence[int], kind: type[Number], event: Event) -> NDArray[Number]:
    """`numbers` as a column. Raises `Invalid` for one that is out of its range: an event may be anybody's bytes."""
    try:
        return np.array(numbers, kind)
    except OverflowError:
        raise Invalid(f"event {event.sequence} holds a number that is out of range") from None


def _known(table: dict[int, Value], number: int, event: Event) -> Value:
    if number not in table:
        raise Invalid(f"event {event.sequence} names something that is not there")
    return table[number]


_APPLY: Final[dict[type, Callable[[Ledger, Event, Any], None]]] = {
    Founded: _founded,
    ProviderAdded: _provider_added,
    ProviderSuspended: _provider_suspended,
    ProviderRestored: _provider_restored,
    BatchIssued: _batch_issued,
    BatchActivated: _batch_activated,
    PhoneCodesIssued: _phone_codes_issued,
    Continued: _continued,
    Withdrawn: _withdrawn,
    Declined: _declined,
    Revoked: _revoked,
    RolledBack: _rolled_back,
    Reinstated: _reinstated,
    Paused: _paused,
    Resumed: _resumed,
    Quarantined: _quarantined,
    QuarantineLifted: _quarantine_lifted,
    Published: _published,
    Erased: _erased,
    DayKeyMade: _day_key_made,
}
_CALLS: Final = frozenset({Continued, Withdrawn, Declined})
"""What apps' calls lead to, beside reports, and what can be taken back; all other events count as `acts`."""
