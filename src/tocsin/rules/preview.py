"""What an act of a person would change: the figures of a dry run.

A dry run is the rule's own draft, folded into a copy instead of appended, so it cannot differ from the act.
"""

import copy
from typing import Final

import numpy as np
from msgspec import Struct

from tocsin.ledger.fold import fold
from tocsin.ledger.key_table import KeyTable
from tocsin.ledger.predicates import standing_reports
from tocsin.ledger.queries import Rows, count_people, first_day, live_rows, present_types, waiting, wanted_rows
from tocsin.ledger.state import Ledger
from tocsin.model.events import Draft, Event
from tocsin.model.policy import Policy
from tocsin.model.times import Day, Instant

_NO_DIGEST: Final = bytes(32)


class Effect(Struct, frozen=True):
    """What a draft would do to reports and keys, by the next version at the latest.

    A report and what continues it are one. `reports` gain or lose an objection; `public_reports` of them have keys in
    the public set now. `reports_cut_off` stood and would no more; `reports_restored` the other way round.
    `keys_leaving` public keys would lose the report under which they are published; for `keys_passing` of those another
    report that carries the key takes over, once it is due. `keys_changing` would stay under theirs with another report
    type. `keys_returning` keys stand under no report now and would again. `keys_kept_back` were never public and would
    wait for the end of a quarantine; `keys_let_go` wait for one now and would no more.
    """

    reports: int
    public_reports: int
    reports_cut_off: int
    reports_restored: int
    keys_leaving: int
    keys_passing: int
    keys_changing: int
    keys_returning: int
    keys_kept_back: int
    keys_let_go: int


def effect(ledger: Ledger, draft: Draft, policy: Policy, now: Instant) -> Effect:
    """What `draft`, an act of a person, would change in `ledger`, which is left as it is.

    Cost: one copy of the table of reports, and two passes over all keys.
    """
    after = _fork(ledger)
    fold(after, [Event(ledger.sequence + 1, ledger.recorded_at, draft.body, _NO_DIGEST)])
    oldest = first_day(ledger, now, policy.useful_days)
    touched = ledger.reports["objections"] != after.reports["objections"]
    stood, stand = standing_reports(ledger), standing_reports(after)
    moved = [_moved(ledger, after, keys, now, oldest) for keys in ledger.keys.values()]
    public_reports = np.isin(np.arange(len(touched)), np.concatenate([moves.public_reports for moves in moved]))
    return Effect(
        reports=count_people(ledger, touched),
        public_reports=count_people(ledger, touched & public_reports),
        reports_cut_off=count_people(ledger, stood & ~stand),
        reports_restored=count_people(ledger, ~stood & stand),
        keys_leaving=sum(moves.leaving for moves in moved),
        keys_passing=sum(moves.passing for moves in moved),
        keys_changing=sum(moves.changing for moves in moved),
        keys_returning=sum(moves.returning for moves in moved),
        keys_kept_back=sum(moves.kept_back for moves in moved),
        keys_let_go=sum(moves.let_go for moves in moved),
    )


class _Moved(Struct, frozen=True, eq=False):
    """Of one kind: the reports (rows, ascending) that have public keys, and how many keys change hands."""

    public_reports: Rows
    leaving: int
    passing: int
    changing: int
    returning: int
    kept_back: int
    let_go: int


def _moved(ledger: Ledger, after: Ledger, keys: KeyTable, now: Instant, oldest: Day) -> _Moved:
    """What becomes of `keys`, a table that both ledgers share."""
    wanted, still_wanted = wanted_rows(ledger, keys, oldest), wanted_rows(after, keys, oldest)
    heads, heads_after = keys["head"][wanted], keys["head"][still_wanted]
    live = live_rows(keys, oldest)
    leaving = live[wanted[live] & ~still_wanted[live]]
    staying = keys["report"][live[wanted[live] & still_wanted[live]]]
    kept, kept_after = waiting(ledger, keys, now, oldest).kept, waiting(after, keys, now, oldest).kept
    return _Moved(
        public_reports=np.unique(keys["report"][live]),
        leaving=len(leaving),
        passing=int(np.isin(keys["head"][leaving], heads_after).sum()),
        changing=int((present_types(ledger)[staying] != present_types(after)[staying]).sum()),
        returning=len(np.setdiff1d(heads_after, heads)),
        kept_back=len(np.setdiff1d(kept_after, kept)),
        let_go=len(np.setdiff1d(kept, kept_after)),
    )


def _fork(ledger: Ledger) -> Ledger:
    """A ledger into which an act of a person may be folded: such an act changes no column of the keys."""
    fork = copy.copy(ledger)
    fork.reports = copy.deepcopy(ledger.reports)
    fork.objections = dict(ledger.objections)
    fork.quarantines = dict(ledger.quarantines)
    fork.revocations = copy.deepcopy(ledger.revocations)
    fork.providers = dict(ledger.providers)
    fork.batches = dict(ledger.batches)
    fork.secret_ends = dict(ledger.secret_ends)
    fork.phone_batches = dict(ledger.phone_batches)
    fork.phone_codes = ledger.phone_codes.copy()
    return fork
