"""The figures of a deployment at this moment, counted from ledger, bucket and keys: for `tocsin status` and metrics."""

from collections import Counter
from contextlib import closing

import numpy as np
from msgspec import Struct

from tocsin.ledger.predicates import (
    BatchState,
    batch_state,
    first_reports,
    is_suspended,
    reports_under,
    standing_reports,
)
from tocsin.ledger.queries import count_people, first_day, secrets_needed_until, waiting_by_kind
from tocsin.ledger.state import Ledger
from tocsin.model.code_reading import CodeKind
from tocsin.model.events import Target
from tocsin.model.times import DAY_SECONDS, Day, Instant, day_of
from tocsin.publication.release import Released
from tocsin.service.day_keys import KeyState, key_state
from tocsin.service.deployment import Deployment
from tocsin.service.follow import lost_days
from tocsin.service.key_folder import KeyFolder
from tocsin.stores.spool import Waiting


class Providers(Struct, frozen=True):
    """Who may hand out codes, and how many of them are suspended."""

    total: int
    suspended: int


class Batches(Struct, frozen=True):
    """Code batches by their state now, and their codes; a life that has not begun counts as dormant.

    `live_phone_codes`: those that have not ended, used or not: what a guess may hit.
    """

    dormant: int
    active: int
    expired: int
    cut_off: int
    cards: int
    live_phone_codes: int


class Reports(Struct, frozen=True):
    """Reports by what became of them; a withdrawn one may be cut off too."""

    total: int
    standing: int
    withdrawn: int
    cut_off: int
    last_recorded_at: int | None


class Queue(Struct, frozen=True):
    """What is not public yet: reports and keys whose release instant has come, and keys that are held back still."""

    reports: int
    keys: int
    held_keys: int
    kept_keys: int
    """Never public, and under a quarantine."""
    paused: bool


class Quarantine(Struct, frozen=True):
    """One that stands, with the reports that have keys kept back by it."""

    sequence: int
    target: Target
    reports: int


class Versions(Struct, frozen=True):
    """The newest version that is decided, the newest that is out; instants in UTC seconds."""

    decided: int
    out: int
    out_at: int | None
    out_age_seconds: int | None
    next_due_at: int
    live_keys: int


class DayKeys(Struct, frozen=True):
    """Whether today's key is there, how many days ahead there are keys without a gap, and the UTC days of lost keys."""

    today: bool
    days_ahead: int
    lost: tuple[int, ...]


class IssuingSecret(Struct, frozen=True):
    """The secret behind the codes of one issuing period; it must be there until `needed_until_at`."""

    period: int
    there: bool
    needed_until_at: int


def providers_of(ledger: Ledger) -> Providers:
    """All providers."""
    return Providers(len(ledger.providers), sum(is_suspended(ledger, provider) for provider in ledger.providers))


def batches_of(ledger: Ledger, now: Instant) -> Batches:
    """All batches by their state at `now`."""
    batches = ledger.batches.values()
    states = Counter(batch_state(ledger, batch, now) for batch in batches)
    return Batches(
        dormant=states[BatchState.DORMANT] + states[BatchState.NOT_YET],
        active=states[BatchState.ACTIVE],
        expired=states[BatchState.EXPIRED],
        cut_off=states[BatchState.CUT_OFF],
        cards=sum(batch.count for batch in batches if batch.code_kind != CodeKind.PHONE),
        live_phone_codes=ledger.phone_codes.alive(now),
    )


def reports_of(ledger: Ledger) -> Reports:
    """All reports by what became of them; what continues a report is no further one, and the first one tells."""
    reports = ledger.reports
    first = first_reports(ledger)
    return Reports(
        total=len(ledger.report_by_id),
        standing=int((first & standing_reports(ledger)).sum()),
        withdrawn=int((first & reports["withdrawn"]).sum()),
        cut_off=int((first & (reports["objections"] > 0)).sum()),
        last_recorded_at=int(reports["recorded_at"][-1]) if reports.count else None,
    )


def reports_by_provider(ledger: Ledger, day: Day) -> dict[int, int]:
    """The reports recorded on this UTC day with a code of each provider, withdrawn and cut off ones too."""
    reports = ledger.reports
    on_day = first_reports(ledger) & (reports["recorded_at"] // DAY_SECONDS == day)
    counts = Counter(reports["provider"][on_day].tolist())
    return {provider: counts[provider] for provider in ledger.providers}


def queue_of(ledger: Ledger, now: Instant, useful_days: int) -> Queue:
    """What waits at `now`."""
    queues = waiting_by_kind(ledger, now, first_day(ledger, now, useful_days))
    return Queue(
        reports=sum(queue.reports for queue in queues.values()),
        keys=sum(len(queue.eligible) + len(queue.returning) for queue in queues.values()),
        held_keys=sum(len(queue.held) for queue in queues.values()),
        kept_keys=sum(len(queue.kept) for queue in queues.values()),
        paused=ledger.paused,
    )


def quarantines_of(ledger: Ledger, now: Instant, useful_days: int) -> tuple[Quarantine, ...]:
    """The quarantines that stand, and what each keeps back at `now`."""
    queues = waiting_by_kind(ledger, now, first_day(ledger, now, useful_days))
    rows = np.concatenate([ledger.keys[kind]["report"][queue.kept] for kind, queue in queues.items()])
    return tuple(
        Quarantine(
            sequence,
            quarantine.target,
            count_people(ledger, rows[reports_under(ledger, quarantine.target)[rows]]),
        )
        for sequence, quarantine in ledger.quarantines.items()
        if quarantine.standing
    )


def versions_of(out: Released, ledger: Ledger, step: int, now: Instant) -> Versions:
    """What is decided, and what `out` says is out."""
    newest = ledger.versions[-1] if ledger.versions else None
    return Versions(
        decided=ledger.version,
        out=out.version,
        out_at=out.leaf.at if out.leaf else None,
        out_age_seconds=now - out.leaf.at if out.leaf else None,
        next_due_at=newest.due if newest else ledger.founded_at - ledger.founded_at % step + step,
        live_keys=out.leaf.live_keys if out.leaf else 0,
    )


def day_keys_of(keys: KeyFolder, ledger: Ledger, now: Instant) -> DayKeys:
    """The day keys that are there, and those that are lost. Another one than the journal names is none."""
    today = day_of(now)
    ahead = 0
    while _has_right_key(keys, ledger, Day(today + ahead + 1)):
        ahead += 1
    there = _has_right_key(keys, ledger, today)
    lost = set(lost_days(ledger, now))
    if ahead and not there:  # keys are made in order
        lost.add(today)
    return DayKeys(there, ahead, tuple(sorted(lost)))


def _has_right_key(keys: KeyFolder, ledger: Ledger, day: Day) -> bool:
    return keys.has_day_key(day) and key_state(ledger, keys, day) is KeyState.THERE


def issuing_secrets_of(keys: KeyFolder, ledger: Ledger) -> tuple[IssuingSecret, ...]:
    """The secrets behind the codes, and until when each is needed."""
    return tuple(
        IssuingSecret(period, keys.issuing_secret(period) is not None, end)
        for period, end in secrets_needed_until(ledger).items()
    )


def waiting_in(deployment: Deployment) -> Waiting:
    """What waits in the deployment's spool. Raises `Unavailable` if that can't be read."""
    with closing(deployment.spool()) as spool:
        return spool.waiting()
