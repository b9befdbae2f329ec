"""Forgetting a day: what a ledger knows of content that is erased, and of which it keeps nothing.

A ledger that has read the content and one that is read anew without it answer alike from the `erased` event on. So what
came from the content goes, and what has to outlive it is said by the event (`Erased.objected`).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tocsin.ledger.predicates import rollbacks_against
from tocsin.ledger.state import Ledger
from tocsin.model.keys import KeyKind
from tocsin.model.times import DAY_SECONDS

_OF_CONTENT: Final = {
    "batch": 0,
    "serial": 0,
    "provider": 0,
    "sent": np.void(bytes(32)),
    "key_kind": KeyKind.GAEN,
    "first_row": 0,
    "rows": 0,
}
"""The columns of a report that its content fills, and what they hold without any."""


def rows_of_day(ledger: Ledger, day: int) -> NDArray[np.intp]:
    """The rows of what was received on this UTC day."""
    return np.nonzero(ledger.reports["received_at"] // DAY_SECONDS == day)[0]


def objected_rows(ledger: Ledger, day: int) -> NDArray[np.intp]:
    """The rows of this day that stand under a revocation, and of whose person something is left when it is erased."""
    reports, rows = ledger.reports, rows_of_day(ledger, day)
    others = ~reports["erased"]
    others[rows] = False
    people = np.zeros(reports.count, np.bool_)
    people[reports["root"][others]] = True
    revoked = reports["objections"][rows] > rollbacks_against(ledger, rows)
    objected: NDArray[np.intp] = rows[revoked & people[reports["root"][rows]]]
    return objected


def forget_day(ledger: Ledger, day: int, objected: NDArray[np.intp]) -> None:
    """Drops what came from the content of this UTC day; the rows `objected` stay under an objection for good (X4)."""
    reports, rows = ledger.reports, rows_of_day(ledger, day)
    ledger.sealed_days.discard(day)
    ledger.erased_days.add(day)
    ledger.day_keys.pop(day, None)
    if not len(rows):
        return
    _drop_keys(ledger, rows)
    for name, nothing in _OF_CONTENT.items():
        reports[name][rows] = nothing
    reports["erased"][rows] = True
    reports["objections"][rows] = rollbacks_against(ledger, rows)
    reports["objections"][objected] += 1


def _drop_keys(ledger: Ledger, rows: NDArray[np.intp]) -> None:
    reports = ledger.reports
    going = np.zeros(reports.count, np.bool_)
    going[rows] = True
    for kind, keys in ledger.keys.items():
        dropped = going[keys["report"]]
        if dropped.any():
            of_kind = reports["key_kind"] == kind
            reports["first_row"][of_kind] = keys.drop(dropped)[reports["first_row"][of_kind]]
