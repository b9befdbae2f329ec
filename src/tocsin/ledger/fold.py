"""The fold: event → ledger. It never refuses and never decides again; by sequence, it has the last word.

Each kind has one function, and nothing else changes a ledger. An event the journal should not hold (a gap, an unknown
batch) raises `Invalid`: the journal is then not what wrote it.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from tocsin.ledger.predicates import covered_reports, standing_revocations
from tocsin.ledger.state import NEVER, Batch, Ledger, Provider, Revocation, Rollback, Version
from tocsin.model.base64url import decode_exactly
from tocsin.model.errors import Invalid
from tocsin.model.events import (
    BatchActivated,
    BatchIssued,
    Erased,
    Event,
    Founded,
    Move,
    Paused,
    ProviderAdded,
    ProviderRestored,
    ProviderSuspended,
    Published,
    Reinstated,
    ReportContent,
    Reported,
    Resumed,
    Revoked,
    RolledBack,
    Withdrawn,
)
from tocsin.model.keys import key_days, key_ends, release_instants
from tocsin.model.times import DAY_SECONDS, EMBARGO_SECONDS, day_of

Rows = NDArray[np.int64]
Value = TypeVar("Value")


def fold(ledger: Ledger, events: Iterable[Event]) -> None:
    """Folds `events` into `ledger`, in place. They must follow its sequence without a gap, or `Invalid`."""
    for event in events:
        if event.sequence != ledger.sequence + 1:
            raise Invalid(f"event {event.sequence} does not follow event {ledger.sequence}")
        apply = _APPLY.get(type(event.body))
        if apply is None:
            raise Invalid(f"event {event.sequence} is of a kind that this version does not know")
        apply(ledger, event, event.body)
        ledger.sequence = event.sequence
        ledger.recorded_at = event.recorded_at


def _founded(ledger: Ledger, event: Event, body: Founded) -> None:
    ledger.region = body.region
    ledger.deployment_id = decode_exactly(body.deployment_id, 32)
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
        valid_from=body.valid_from,
        valid_until=body.valid_until,
        report_type=body.report_type,
        activated=False,
    )
    ledger.issued = ledger.issued.with_batch(body, day_of(event.recorded_at))


def _batch_activated(ledger: Ledger, event: Event, body: BatchActivated) -> None:
    ledger.batches[body.batch] = replace(_known(ledger.batches, body.batch, event), activated=True)


def _reported(ledger: Ledger, event: Event, body: Reported) -> None:
    reports = ledger.reports
    index = reports.extend(1).start
    reports["sequence"][index] = event.sequence
    reports["recorded_at"][index] = event.recorded_at
    reports["received_at"][index] = body.received_at
    reports["report_type"][index] = body.report_type
    reports["first_row"][index] = ledger.keys.count
    ledger.verdicts.append(body.verdicts)
    ledger.report_by_id[decode_exactly(body.id, 32)] = index
    content = event.content
    if content is None:
        reports["erased"][index] = True
        if event.sealed:
            ledger.sealed_days.add(body.received_at // DAY_SECONDS)
        return
    reports["batch"][index] = content.batch
    reports["serial"][index] = content.serial
    reports["provider"][index] = content.provider
    reports["sent"][index] = np.void(content.sent)
    reports["rows"][index] = len(content.keys)
    reports["objections"][index] = standing_revocations(
        ledger, content.batch, content.serial, content.provider, event.sequence
    )
    _hold_keys(ledger, index, body, content)


def _hold_keys(ledger: Ledger, report: int, body: Reported, content: ReportContent) -> None:
    records, positions = content.keys["record"], content.keys["position"]
    keys = ledger.keys
    rows = keys.extend(len(records))
    keys["record"][rows] = records
    keys["report"][rows] = report
    keys["position"][rows] = positions
    keys["day"][rows] = key_days(records)
    keys["embargo_until"][rows] = key_ends(records) + EMBARGO_SECONDS
    keys["release_at"][rows] = release_instants(records, body.received_at, np.array(body.hold)[positions])
    keys["last_row"][rows] = NEVER
    heads = ledger.heads
    for row, key in zip(range(rows.start, rows.stop), records["key_data"].tolist(), strict=True):
        head = heads.setdefault(key, row)
        keys["head"][row] = head
        if head != row:
            ledger.holders.setdefault(head, [head]).append(row)


def _withdrawn(ledger: Ledger, event: Event, body: Withdrawn) -> None:
    report = _report_index(ledger, body.report, event)
    reports, keys = ledger.reports, ledger.keys
    first, count = int(reports["first_row"][report]), int(reports["rows"][report])
    for row in range(first, first + count):
        head = int(keys["head"][row])
        if _holds_first(ledger, head, row):
            keys["final"][head] = True
    reports["withdrawn"][report] = True


def _holds_first(ledger: Ledger, head: int, row: int) -> bool:
    """Whether `row` owns its key, or would but for an objection: its withdrawal is then final for the key."""
    for earlier in ledger.holders.get(head, [head]):
        if earlier == row:
            return True
        report = ledger.keys["report"][earlier]
        if ledger.reports["withdrawn"][report] or not ledger.reports["objections"][report]:
            return False
    return False


def _revoked(ledger: Ledger, event: Event, body: Revoked) -> None:
    ledger.objections[event.sequence] = Revocation(body.target, body.since)
    ledger.reports["objections"][covered_reports(ledger, body.target, body.since)] += 1


def _rolled_back(ledger: Ledger, event: Event, body: RolledBack) -> None:
    ledger.objections[event.sequence] = Rollback(body.reports)
    ledger.reports["objections"][_report_indices(ledger, body.reports, event)] += 1


def _reinstated(ledger: Ledger, event: Event, body: Reinstated) -> None:
    objection = _known(ledger.objections, body.objection, event)
    if not objection.standing:
        return
    ledger.objections[body.objection] = replace(objection, standing=False)
    if isinstance(objection, Revocation):
        freed: Any = covered_reports(ledger, objection.target, objection.since)
    else:
        freed = _report_indices(ledger, objection.reports, event)
    ledger.reports["objections"][freed] -= 1


def _paused(ledger: Ledger, event: Event, body: Paused) -> None:
    ledger.paused = True


def _resumed(ledger: Ledger, event: Event, body: Resumed) -> None:
    ledger.paused = False


def _published(ledger: Ledger, event: Event, body: Published) -> None:
    keys, version = ledger.keys, body.version
    if version != ledger.version + 1:
        raise Invalid(f"event {event.sequence} is version {version}, which does not follow version {ledger.version}")
    leaving, _ = rows_of_moves(ledger, body.leaving, event)
    entering, types = rows_of_moves(ledger, body.entering, event)
    out, into = keys["head"][leaving], keys["head"][entering]
    handed_over = np.intersect1d(out, into).tolist()  # from one holder to another: never absent
    before = [(keys["record"][keys["last_row"][head]].tobytes(), int(keys["changed"][head])) for head in handed_over]

    keys["public"][out] = False
    keys["left"][out] = version

    last = keys["last_row"][into]
    for head in into[(last != NEVER) & (last != entering)].tolist():  # another holder was public before
        ledger.stints.setdefault(head, []).append((int(keys["last_row"][head]), int(keys["left"][head])))
    keys["record"]["report_type"][entering] = types
    keys["was_public"][entering] = True
    keys["public"][into] = True
    keys["last_row"][into] = entering
    keys["changed"][into] = version
    keys["first_entered"][into] = np.where(keys["first_entered"][into] == 0, version, keys["first_entered"][into])
    for head, (record, changed) in zip(handed_over, before, strict=True):
        if keys["record"][keys["last_row"][head]].tobytes() == record:
            keys["changed"][head] = changed

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
            entered=len(entering),
            left=len(leaving),
        )
    )
    ledger.made.extend(body.made)


def rows_of_moves(ledger: Ledger, moves: tuple[Move, ...], event: Event) -> tuple[Rows, NDArray[np.uint8]]:
    """The rows that `moves` name, and the report type of each move, a row each."""
    reports, keys = ledger.reports, ledger.keys
    if not moves:
        return np.zeros(0, np.int64), np.zeros(0, np.uint8)
    index = _report_indices(ledger, tuple(move.report for move in moves), event)
    counts = reports["rows"][index]
    starts = np.cumsum(counts) - counts
    rows = np.arange(int(counts.sum())) + np.repeat(reports["first_row"][index] - starts, counts)
    masks = np.repeat(np.array([move.mask for move in moves], np.int64), counts)
    types = np.repeat(np.array([move.report_type for move in moves], np.uint8), counts)
    named = (masks >> keys["position"][rows]) & 1 == 1
    return rows[named], types[named]


def _erased(ledger: Ledger, event: Event, body: Erased) -> None:
    reports = ledger.reports
    reports["erased"][reports["received_at"] // DAY_SECONDS == body.day] = True
    ledger.sealed_days.discard(body.day)


def _report_index(ledger: Ledger, sequence: int, event: Event) -> int:
    return int(_report_indices(ledger, (sequence,), event)[0])


def _report_indices(ledger: Ledger, sequences: tuple[int, ...], event: Event) -> NDArray[np.intp]:
    known, wanted = ledger.reports["sequence"], np.array(sequences, np.int64)
    index = np.searchsorted(known, wanted)
    if len(wanted) and (index.max() >= len(known) or (known[index] != wanted).any()):
        raise Invalid(f"event {event.sequence} names a report that is not there")
    return index


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
    Reported: _reported,
    Withdrawn: _withdrawn,
    Revoked: _revoked,
    RolledBack: _rolled_back,
    Reinstated: _reinstated,
    Paused: _paused,
    Resumed: _resumed,
    Published: _published,
    Erased: _erased,
}
