"""An append alone in its group, beside the disk's own sync: how much of its time is not the disk's."""

import os
import statistics
import time
from pathlib import Path
from typing import Final

from benchmarks.memory_journal import MemoryJournal
from benchmarks.site import MORNING, POLICY, StandingClock, found_site, report_body
from benchmarks.table import Row
from tocsin.journal.encoding import NewEvent, StoredEvent, decode_body
from tocsin.service.deployment import Deployment
from tocsin.service.perform import Arrival, Performer

APPENDS: Final = 500
SYNC_BYTES: Final = 4096


def measure(folder: Path) -> list[Row]:
    """One row; `folder` is empty, and on the disk to be measured."""
    clock = StandingClock()
    cards = found_site(folder / "site", APPENDS, clock)
    deployment = Deployment(folder / "site", clock)
    events = _reports(deployment, cards)
    appended, synced = [], []
    descriptor = os.open(folder / "sync", os.O_WRONLY | os.O_CREAT)
    try:
        for event in events:
            synced.append(_seconds_of_sync(descriptor))
            appended.append(_seconds_of_append(deployment, event))
    finally:
        os.close(descriptor)
        deployment.close()
    ratio = _p99(appended) / _p99(synced)
    return [
        Row(
            "append of one report, durable, nobody else waiting",
            f"{APPENDS}",
            f"p50 {1e3 * statistics.median(appended):.2f} ms, p99 {1e3 * _p99(appended):.2f} ms",
            f"{SYNC_BYTES} bytes and fdatasync: p50 {1e3 * statistics.median(synced):.2f} ms, "
            f"p99 {1e3 * _p99(synced):.2f} ms: p99 **× {ratio:.1f}**",
            "p99 ≤ 10 × the disk's",
        )
    ]


def _reports(deployment: Deployment, cards: list[str]) -> list[StoredEvent]:
    """Reports as they are stored, sealed and with their claims, but not yet in the deployment's journal."""
    memory = MemoryJournal(deployment.journal.read(0))
    before = memory.tip().sequence
    performer = Performer(memory, deployment.keys, deployment.clock, POLICY)
    performer.answer([Arrival(report_body(card, MORNING), MORNING) for card in cards])
    return memory.read(before, len(cards))


def _seconds_of_append(deployment: Deployment, event: StoredEvent) -> float:
    new = NewEvent(decode_body(event.kind, event.body), event.content, event.claims)
    began = time.perf_counter()
    with deployment.journal.group(deployment.clock.now()) as group:
        group.append(new)
    return time.perf_counter() - began


def _seconds_of_sync(descriptor: int) -> float:
    block = os.urandom(SYNC_BYTES)
    began = time.perf_counter()
    os.write(descriptor, block)
    os.fdatasync(descriptor)
    return time.perf_counter() - began


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.99 * len(seconds))]
