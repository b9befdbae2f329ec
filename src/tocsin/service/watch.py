"""Watching a deployment for its metrics: the same figures as `tocsin status`, from the same functions."""

import os
from typing import Final

from tocsin import __version__
from tocsin.ledger.queries import standing_objections
from tocsin.ledger.state import Ledger
from tocsin.model.errors import TocsinError, Unavailable
from tocsin.model.times import Day, Instant, day_of, floor_quarter
from tocsin.publication.release import Released, released
from tocsin.service import telemetry as metric
from tocsin.service.deployment import Deployment, head_verifier
from tocsin.service.figures import (
    batches_of,
    day_keys_of,
    providers_of,
    queue_of,
    reports_by_provider,
    reports_of,
    versions_of,
    waiting_in,
)
from tocsin.service.held_back import CROWD
from tocsin.service.small_numbers import in_tens
from tocsin.service.telemetry import Measured, Telemetry, Values
from tocsin.stores.spool import Waiting

DISK_STEP_BYTES: Final = 1 << 20
"""Room is told in whole MiB: to the byte it would tell when a report was stored."""


class Watch:
    """Looks at `deployment` for `telemetry`. One thread at a time may call `look`."""

    def __init__(self, deployment: Deployment, telemetry: Telemetry) -> None:
        self._deployment = deployment
        self._telemetry = telemetry
        self._quarter = Instant(0)
        telemetry.measure({metric.BUILD: {__version__: 1}})
        telemetry.watch(metric.CLOCK_TRUSTED, self._clock)
        telemetry.watch(metric.DISK_FREE, self._disks)

    def look(self, ledger: Ledger) -> None:
        """Measures again; what follows from single reports once a quarter-hour only. Raises nothing.

        `ledger`: as the caller's thread has read it.
        """
        try:
            now = self._deployment.clock.now()
            self._telemetry.measure(self._versions_and_keys(ledger, now))
            if floor_quarter(now) > self._quarter:
                self._telemetry.measure(ledger_figures(ledger, now, self._deployment.settings.policy.useful_days))
                self._telemetry.measure(spool_figures(waiting_in(self._deployment)))
                self._quarter = floor_quarter(now)
        except TocsinError:  # the clock, a key or the bucket is away: of that others tell, and the figures stand
            return

    def _versions_and_keys(self, ledger: Ledger, now: Instant) -> Measured:
        settings, keys = self._deployment.settings, self._deployment.keys
        try:
            out = released(self._deployment.bucket, head_verifier(settings, keys))
        except TocsinError:
            out = Released(None, None)
        versions = versions_of(out, ledger, settings.policy.step_seconds, now)
        day_keys = day_keys_of(keys, ledger, now)
        return {
            metric.PUBLISHED_AT: _one(versions.out_at or 0),
            metric.DUE_AT: _one(versions.next_due_at),
            metric.VERSION_OUT: _one(versions.out),
            metric.VERSION_DECIDED: _one(versions.decided),
            metric.LIVE_KEYS: _one(versions.live_keys),
            metric.DAYS_AHEAD: _one(day_keys.days_ahead if day_keys.today else -1),
            metric.DAY_KEYS_LOST: _one(len(day_keys.lost)),
        }

    def _clock(self) -> Values:
        try:
            self._deployment.held_clock.now()
        except Unavailable:
            return _one(0)
        return _one(1)

    def _disks(self) -> Values:
        folders = self._deployment.folders
        return {folder.name: _room(folder) for folder in (folders.journal.parent, folders.bucket, folders.keys)}


def ledger_figures(ledger: Ledger, now: Instant, useful_days: int) -> Measured:
    """What the ledger tells; of single providers the last whole UTC day, in tens."""
    reports, queue, batches, providers = (
        reports_of(ledger),
        queue_of(ledger, now, useful_days),
        batches_of(ledger, now),
        providers_of(ledger),
    )
    by_provider = in_tens(reports_by_provider(ledger, Day(day_of(now) - 1)))
    return {
        metric.EVENTS: _one(ledger.sequence),
        metric.TIP_AT: _one(ledger.recorded_at),
        metric.REPORTS: {
            "all": reports.total,
            "standing": reports.standing,
            "withdrawn": reports.withdrawn,
            "cut_off": reports.cut_off,
        },
        metric.PROVIDER_REPORTS: {str(provider): count for provider, count in by_provider.items()},
        metric.WAITING_REPORTS: _one(queue.reports),
        metric.WAITING_KEYS: _one(queue.keys),
        metric.HELD_KEYS: _one(queue.held_keys),
        metric.PAUSED: _one(int(queue.paused)),
        metric.OBJECTIONS: _one(len(standing_objections(ledger))),
        metric.QUARANTINES: _one(sum(quarantine.standing for quarantine in ledger.quarantines.values())),
        metric.PROVIDERS: {"all": providers.total, "suspended": providers.suspended},
        metric.BATCHES: {
            "dormant": batches.dormant,
            "active": batches.active,
            "expired": batches.expired,
            "cut_off": batches.cut_off,
        },
    }


def spool_figures(waiting: Waiting) -> Measured:
    """What waits in the spool, all of it reports and withdrawals: in whole tens."""
    tens = waiting.records // CROWD * CROWD
    return {
        metric.SPOOL_RECORDS: _one(tens),
        metric.SPOOL_OLDEST_AT: _one((waiting.oldest_at or 0) if tens else 0),
        metric.SPOOL_SET_ASIDE: _one(waiting.set_aside),
    }


def _one(value: float) -> Values:
    return {"": value}


def _room(folder: str | os.PathLike[str]) -> float:
    """Room left in whole MiB, as bytes; -1 where this user can't write."""
    if not os.access(folder, os.W_OK):
        return -1
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize // DISK_STEP_BYTES * DISK_STEP_BYTES
