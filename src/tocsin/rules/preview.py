"""What an act of a person would change: the figures of a dry run.

A dry run is the rule's own draft, folded into a copy instead of appended, so it cannot differ from the act.
"""

import copy
from typing import Final

import numpy as np
from msgspec import Struct

from tocsin.ledger.fold import fold
from tocsin.ledger.predicates import standing_reports
from tocsin.ledger.queries import first_day, live_rows, waiting, wanted_rows
from tocsin.ledger.state import Ledger
from tocsin.model.events import Draft, Event
from tocsin.model.policy import Policy
from tocsin.model.times import Instant

_NO_DIGEST: Final = bytes(32)


class Effect(Struct, frozen=True):
    """What a draft would do to reports and keys, by the next version at the latest.

    `reports` gain or lose an objection; `public_reports` of them have keys in the public set now. `reports_cut_off`
    stood and would no more; `reports_restored` the other way round. `keys_leaving` public keys would lose the report
    under which they are published; for `keys_passing` of those another report that carries the key takes over, once
    it is due. `keys_returning` keys stand under no report now and would again. `keys_kept_back` were never public and
    would wait for the end of a quarantine; `keys_let_go` wait for one now and would no more.
    """

    reports: int
    public_reports: int
    reports_cut_off: int
    reports_restored: int
    keys_leaving: int
    keys_passing: int
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
    keys = ledger.keys
    touched = ledger.reports["objections"] != after.reports["objections"]
    stood, stand = standing_reports(ledger), standing_reports(after)
    wanted, still_wanted = wanted_rows(ledger, oldest), wanted_rows(after, oldest)
    heads, heads_after = keys["head"][wanted], keys["head"][still_wanted]
    live = live_rows(ledger, oldest)
    public_reports = np.unique(keys["report"][live])
    leaving = live[wanted[live] & ~still_wanted[live]]
    kept, kept_after = waiting(ledger, now, oldest).kept, waiting(after, now, oldest).kept
    return Effect(
        reports=int(touched.sum()),
        public_reports=int(touched[public_reports].sum()),
        reports_cut_off=int((stood & ~stand).sum()),
        reports_restored=int((~stood & stand).sum()),
        keys_leaving=len(leaving),
        keys_passing=int(np.isin(keys["head"][leaving], heads_after).sum()),
        keys_returning=len(np.setdiff1d(heads_after, heads)),
        keys_kept_back=len(np.setdiff1d(kept_after, kept)),
        keys_let_go=len(np.setdiff1d(kept, kept_after)),
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
