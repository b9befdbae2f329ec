"""Keeping a surge back: what one is, and the acts that begin and lift a quarantine (rows Q2–Q9).

A quarantine takes nothing back and refuses nobody: reports are taken and answered as ever, and keys that were public
before stay so. Only new keys wait until a person has looked. What keeps them is `ledger.predicates.kept_back` (Q1).
"""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tocsin.ledger.predicates import first_reports, kept_back, standing_reports
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Refused
from tocsin.model.events import Draft, Quarantined, QuarantineLifted, Target
from tocsin.model.policy import Policy
from tocsin.model.times import DAY_SECONDS, Instant, floor_quarter
from tocsin.rules.attribution import Attribution

SELF_REPORTS: Final = Target(provider=0)
"""All reports without a code."""
WEEK_SECONDS: Final = 7 * DAY_SECONDS
PEACE_SECONDS: Final = DAY_SECONDS
"""After a person has lifted a quarantine none begins by itself for the same provider for so long."""
ONE_BATCH_PERCENT: Final = 90
"""From this share of a surge on, its batch is kept back and not all of its provider."""


class Surge(Struct, frozen=True):
    """More reports than `most` within a window: `target` is what to keep back."""

    target: Target
    reports: int
    most: int


def surges(ledger: Ledger, policy: Policy, now: Instant) -> tuple[Surge, ...]:
    """The surges of the window that ends with the quarter-hour of `now`, by provider; reports without a code are one.

    Reports that are kept back already, or do not stand, do not count. Cost: two passes over the reports.
    """
    if policy.surge_reports == "none":  # Q2
        return ()
    reports = ledger.reports
    since = floor_quarter(now) - policy.surge_window_seconds
    counted = _people_of_providers(ledger) & standing_reports(ledger) & ~kept_back(ledger)
    counted &= reports["received_at"] > since - WEEK_SECONDS
    recent = counted & (reports["received_at"] > since)
    usual = counted & ~recent
    found = []
    for provider, count in zip(*np.unique(reports["provider"][recent], return_counts=True), strict=True):
        week = int((usual & (reports["provider"] == provider)).sum())
        mean_times_factor = policy.surge_factor * week * policy.surge_window_seconds // WEEK_SECONDS
        most = max(policy.surge_reports, mean_times_factor)
        if count > most and not _at_peace(ledger, int(provider), now):  # Q2, Q3
            found.append(Surge(_narrowest(ledger, recent, int(provider)), int(count), most))
    return tuple(found)


def _people_of_providers(ledger: Ledger) -> NDArray[np.bool_]:
    """First reports, and what continues one with a code of another provider: to that provider it is a first one."""
    providers = ledger.reports["provider"]
    roots = ledger.reports["root"]
    elsewhere: NDArray[np.bool_] = (providers != providers[roots]) & ~ledger.reports["erased"][roots]
    return first_reports(ledger) | elsewhere


def _narrowest(ledger: Ledger, recent: NDArray[np.bool_], provider: int) -> Target:
    """The batch from which nearly all of the provider's recent reports come, else the provider (Q4)."""
    theirs = ledger.reports["batch"][recent & (ledger.reports["provider"] == provider)]
    batches, counts = np.unique(theirs, return_counts=True)
    if provider and counts.max() * 100 >= ONE_BATCH_PERCENT * len(theirs):
        return Target(batch=int(batches[counts.argmax()]))
    return Target(provider=provider)


def _at_peace(ledger: Ledger, provider: int, now: Instant) -> bool:
    return any(
        quarantine.lifted_at is not None
        and now < quarantine.lifted_at + PEACE_SECONDS
        and _provider_of(ledger, quarantine.target) == provider
        for quarantine in ledger.quarantines.values()
    )


def _provider_of(ledger: Ledger, target: Target) -> int | None:
    return ledger.batches[target.batch].provider if target.batch is not None else target.provider


def quarantine(ledger: Ledger, target: Target, by: Attribution) -> Draft:
    """New keys of `target` are kept back from now on, or `Refused`. One person is enough, and so is the publisher."""
    serials = (target.first, target.last)
    if (target.provider is None) == (target.batch is None) or serials != (None, None):  # Q5
        raise Refused("target_unclear", "Name one provider, one batch, or the reports without a code.")
    if target.provider is not None and target.provider not in (0, *ledger.providers):  # Q6
        raise Refused("provider_unknown", "There is no such provider.")
    if target.batch is not None and target.batch not in ledger.batches:  # Q6
        raise Refused("batch_unknown", "There is no such batch.")
    if any(known.standing and known.target == target for known in ledger.quarantines.values()):  # Q7
        raise Refused("already_quarantined", "This is in quarantine already.")
    return Draft(Quarantined(target=target, **by.signed), (by.claim,))


def lift(ledger: Ledger, quarantine: int, by: Attribution) -> Draft:
    """The quarantine with this sequence no longer stands, or `Refused`."""
    known = ledger.quarantines.get(quarantine)
    if known is None:  # Q8
        raise Refused("quarantine_unknown", "No quarantine has this sequence.")
    if not known.standing:  # Q9
        raise Refused("already_lifted", "This quarantine was lifted already: nothing is left to do.")
    return Draft(QuarantineLifted(quarantine=quarantine, **by.signed), (by.claim,))
