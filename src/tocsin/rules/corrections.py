"""Taking back: revocation, rollback, reinstatement, pause and resume (rows R1–R12)."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tocsin.ledger.predicates import covered_reports
from tocsin.ledger.queries import sequence_since
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Refused
from tocsin.model.events import Draft, Paused, Reinstated, Resumed, Revoked, RolledBack, Target
from tocsin.model.times import Instant, floor_quarter
from tocsin.rules.attribution import Attribution


class Selection(Struct, frozen=True):
    """Which reports an operator means: those for which all that is given holds.

    `since_at`, `until_at`: received in a quarter-hour that the span from the one up to the other touches. `reports`:
    sequences.
    """

    target: Target | None = None
    since_at: Instant | None = None
    until_at: Instant | None = None
    reports: tuple[int, ...] | None = None


def revoke(ledger: Ledger, target: Target, since_at: Instant | None, now: Instant, by: Attribution) -> Draft:
    """`target` is cut off from the next sequence on (`since_at` None) or back to an instant, or `Refused`."""
    _check_target(ledger, target)
    if since_at is None:
        since = ledger.sequence + 1
    elif since_at > now:  # R5
        raise Refused("since_in_future", "A revocation begins now or in the past.")
    else:
        since = sequence_since(ledger, floor_quarter(since_at))
    return Draft(Revoked(target=target, since=since, **by.signed), (by.claim,))


def _check_target(ledger: Ledger, target: Target) -> None:
    serials = (target.first, target.last)
    named_one = (target.provider is None) != (target.batch is None)
    if not named_one or (serials.count(None) == 1) or (target.provider is not None and serials != (None, None)):  # R1
        raise Refused("target_unclear", "Name one provider, or one batch, or a batch with its first and last serial.")
    if target.provider is not None and target.provider not in ledger.providers:  # R2
        raise Refused("provider_unknown", "There is no such provider.")
    if target.batch is None:
        return
    batch = ledger.batches.get(target.batch)
    if batch is None:  # R3
        raise Refused("batch_unknown", "There is no such batch.")
    if target.first is not None and target.last is not None and not 0 <= target.first <= target.last < batch.count:
        raise Refused("serials_refused", f"The serials of this batch go from 0 to {batch.count - 1}.")  # R4


def rollback(ledger: Ledger, selection: Selection, by: Attribution) -> Draft:
    """An objection to exactly the reports that `selection` means now, ascending, or `Refused`.

    With a first report goes all that continues it; what continues it may be meant alone.
    """
    reports = ledger.reports
    selected = _selected(ledger, selection)
    chosen = (selected | selected[reports["root"]]) & ~reports["withdrawn"] & ~reports["erased"]
    sequences = tuple(reports["sequence"][chosen].tolist())
    if not sequences:  # R8
        raise Refused("nothing_selected", "No report is left that this could take back.")
    return Draft(RolledBack(reports=sequences, **by.signed), (by.claim,))


def _selected(ledger: Ledger, selection: Selection) -> NDArray[np.bool_]:
    if selection == Selection():  # R6
        raise Refused("selection_unclear", "Name a target, a span of time or reports.")
    reports = ledger.reports
    chosen = np.ones(reports.count, np.bool_)
    if selection.target is not None:
        _check_target(ledger, selection.target)
        chosen &= covered_reports(ledger, selection.target, since=0)
    if selection.since_at is not None:
        chosen &= reports["received_at"] >= floor_quarter(selection.since_at)
    if selection.until_at is not None:
        chosen &= reports["received_at"] < selection.until_at
    if selection.reports is not None:
        chosen &= _named(ledger, selection.reports)
    return chosen


def _named(ledger: Ledger, sequences: tuple[int, ...]) -> NDArray[np.bool_]:
    wanted = set(sequences)
    within = np.array([sequence for sequence in wanted if 0 < sequence <= ledger.sequence], np.int64)
    named: NDArray[np.bool_] = np.isin(ledger.reports["sequence"], within)
    if int(named.sum()) != len(wanted):  # R7
        raise Refused("report_unknown", "One of these sequences is not that of a report.")
    return named


def reinstate(ledger: Ledger, objection: int, by: Attribution) -> Draft:
    """The objection with this sequence no longer stands, or `Refused`."""
    known = ledger.objections.get(objection)
    if known is None:  # R9
        raise Refused("objection_unknown", "No revocation or rollback has this sequence.")
    if not known.standing:  # R10
        raise Refused("objection_lifted", "This objection was lifted already: nothing is left to do.")
    return Draft(Reinstated(objection=objection, **by.signed), (by.claim,))


def pause(ledger: Ledger, by: Attribution) -> Draft:
    """Additions to the public set stop, or `Refused`."""
    if ledger.paused:  # R11
        raise Refused("already_paused", "Additions are paused already.")
    return Draft(Paused(**by.signed), (by.claim,))


def resume(ledger: Ledger, by: Attribution) -> Draft:
    """Additions to the public set go on, or `Refused`."""
    if not ledger.paused:  # R12
        raise Refused("not_paused", "Additions are not paused.")
    return Draft(Resumed(**by.signed), (by.claim,))
