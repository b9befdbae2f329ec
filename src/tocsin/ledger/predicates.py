"""Each predicate of the ledger, once: rules ask it, the fold applies it."""

from bisect import bisect_left
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tocsin.ledger.key_table import KeyTable
from tocsin.ledger.state import Batch, Ledger, Objection, Revocation, Rollback
from tocsin.model.code_reading import Life
from tocsin.model.events import Target
from tocsin.model.times import Instant

NO_SERIAL: Final = -1
"""The serial to ask for where a whole batch is meant: no range of serials covers it."""


def covers(target: Target, batch: int, serial: int, provider: int) -> bool:
    """Whether `target` names the code with this batch, serial and provider. Nothing names a report without a code."""
    if target.provider is not None:
        return target.provider == provider != 0
    if not target.batch == batch != 0:
        return False
    return target.first is None or target.last is None or target.first <= serial <= target.last


def covered_reports(ledger: Ledger, target: Target, since: int) -> NDArray[np.bool_]:
    """`covers` for all reports at once, for those with a sequence ≥ `since`: one flag a report."""
    reports = ledger.reports
    reached: NDArray[np.bool_] = reports["sequence"] >= since
    if target.provider is not None:
        reached &= (reports["provider"] == target.provider) & (reports["provider"] != 0)
        return reached
    reached &= (reports["batch"] == target.batch) & (reports["batch"] != 0)
    if target.first is not None and target.last is not None:
        reached &= (reports["serial"] >= target.first) & (reports["serial"] <= target.last)
    return reached


def standing_revocations(ledger: Ledger, batch: int, serial: int, provider: int, sequence: int) -> int:
    """How many revocations stand against a report of this code with this sequence.

    Cost: only those that name its provider or its batch are looked at, however many there are.
    """
    if not ledger.revocations:
        return 0
    named = *ledger.revocations.get((provider, None), ()), *ledger.revocations.get((None, batch), ())
    return sum(_stands(ledger.objections[number], batch, serial, provider, sequence) for number in named)


def standing_rollbacks(ledger: Ledger, report: int) -> int:
    """How many rollbacks stand that name the first report with this sequence, and so all that continues it."""
    rollbacks = (one for one in ledger.objections.values() if isinstance(one, Rollback) and one.standing)
    return sum(_names(rollback, report) for rollback in rollbacks)


def rollbacks_against(ledger: Ledger, rows: NDArray[np.intp]) -> NDArray[np.int32]:
    """How many rollbacks stand against each of these rows: those that name it, or the first report that it continues.

    Beside these only revocations count among a row's objections.
    """
    reports = ledger.reports
    own, first = reports["sequence"][rows], reports["sequence"][reports["root"][rows]]
    counts = np.zeros(len(rows), np.int32)
    for rollback in ledger.objections.values():
        if isinstance(rollback, Rollback) and rollback.standing:
            counts += np.isin(own, rollback.reports) | np.isin(first, rollback.reports)
    return counts


def _names(rollback: Rollback, report: int) -> bool:
    place = bisect_left(rollback.reports, report)
    return rollback.reports[place : place + 1] == (report,)


def _stands(objection: Objection, batch: int, serial: int, provider: int, sequence: int) -> bool:
    return (
        isinstance(objection, Revocation)
        and objection.standing
        and objection.since <= sequence
        and covers(objection.target, batch, serial, provider)
    )


def is_cut_off(ledger: Ledger, provider: int) -> bool:
    """Whether a standing revocation cuts this provider off, with all batches it has and will get."""
    return standing_revocations(ledger, 0, NO_SERIAL, provider, ledger.sequence + 1) > 0


def is_suspended(ledger: Ledger, provider: int) -> bool:
    """Whether this provider may hand out nothing new now: no batch is issued to it, none of its batches activated."""
    known = ledger.providers.get(provider)
    return known is not None and known.suspended


class BatchState(StrEnum):
    """Of what use a batch is; the first that holds, in this order."""

    CUT_OFF = "cut_off"
    EXPIRED = "expired"
    DORMANT = "dormant"
    NOT_YET = "not_yet"
    ACTIVE = "active"


def batch_state(
    ledger: Ledger, batch: Batch, now: Instant, serial: int = NO_SERIAL, life: Life | None = None
) -> BatchState:
    """Of what use `batch` is to a report received at `now`, or the one code of it with this serial and own life.

    A batch that was never activated expires like any other. A revocation of some of its serials leaves the batch be.
    """
    life = life or batch.life
    if standing_revocations(ledger, batch.batch, serial, batch.provider, ledger.sequence + 1):
        return BatchState.CUT_OFF
    if life.has_ended(now):
        return BatchState.EXPIRED
    if not batch.activated:
        return BatchState.DORMANT
    return BatchState.ACTIVE if life.has_begun(now) else BatchState.NOT_YET


def owner(ledger: Ledger, keys: KeyTable, head: int) -> int | None:
    """The row of `keys` that owns the key whose first holder's row is `head`, or None if nobody does.

    The first holder by sequence owns it; while every earlier holder stands under an objection, the next one does. A
    withdrawal by the owner is final, and a holder that has withdrawn never makes way for a later one.
    """
    if keys["final"][head]:
        return None
    report_of, withdrawn, objections = keys["report"], ledger.reports["withdrawn"], ledger.reports["objections"]
    for row in keys.holders.get(head, [head]):  # O1
        report = report_of[row]
        if withdrawn[report]:  # O4
            return None
        if not objections[report]:  # O2
            return row
    return None


def owned_rows(ledger: Ledger, keys: KeyTable) -> NDArray[np.bool_]:
    """`owner` for all keys at once: whether each row owns its key. Cost: one pass, and a step a key held twice."""
    under_objection = (ledger.reports["objections"] != 0)[keys["report"]]
    owned: NDArray[np.bool_] = (keys["head"] == np.arange(keys.count)) & ~keys["final"] & ~under_objection
    for head in keys.holders:
        owned[head] = False
        row = owner(ledger, keys, head)
        if row is not None:
            owned[row] = True
    return owned


def kept_back(ledger: Ledger) -> NDArray[np.bool_]:
    """Whether each report is one of a provider or batch under a standing quarantine: its new keys wait (Q1)."""
    kept = np.zeros(ledger.reports.count, np.bool_)
    for quarantine in ledger.quarantines.values():
        if quarantine.standing:
            kept |= reports_under(ledger, quarantine.target)
    return kept


def reports_under(ledger: Ledger, target: Target) -> NDArray[np.bool_]:
    """Whether each report is one of this provider or batch; provider 0 is all reports without a code."""
    column, number = ("provider", target.provider) if target.batch is None else ("batch", target.batch)
    of_target: NDArray[np.bool_] = ledger.reports[column] == number
    return of_target


def first_reports(ledger: Ledger) -> NDArray[np.bool_]:
    """Whether each is a person's first report: what continues one is of no further person."""
    first: NDArray[np.bool_] = ledger.reports["root"] == np.arange(ledger.reports.count)
    return first


def standing_reports(ledger: Ledger) -> NDArray[np.bool_]:
    """Whether each report stands: not withdrawn, not erased, no objection against it."""
    reports = ledger.reports
    standing: NDArray[np.bool_] = (reports["objections"] == 0) & ~reports["withdrawn"] & ~reports["erased"]
    return standing
