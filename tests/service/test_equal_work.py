"""Every kind of call waits for a sync of its own group, and none is answered before it (cases 32 and 33, T-P3)."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from benchmarks.privacy.stock import Kind, make_stock
from tests.sites import FixedClock
from tocsin.formats.wire import ANSWER_BYTES, REQUEST_BYTES, decode_answer
from tocsin.journal.port import DEADLINE_SECONDS, Group, Journal
from tocsin.model.calls import Verdict
from tocsin.model.times import Instant, floor_quarter
from tocsin.service.collect import Collector
from tocsin.service.deployment import Deployment
from tocsin.service.perform import Arrival, Performer

PATIENCE_SECONDS = 60
NOW = Instant(1_800_000_123)


class GatedJournal:
    """A journal whose groups are made durable when they are let; all else is the real one's."""

    def __init__(self, real: Journal) -> None:
        self._real = real
        self.reached = threading.Event()
        self.may_sync = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @contextlib.contextmanager
    def group(self, now: Instant, deadline_seconds: float = DEADLINE_SECONDS) -> Iterator[Group]:
        with self._real.group(now, deadline_seconds) as group:
            yield group
            self.reached.set()
            assert self.may_sync.wait(PATIENCE_SECONDS)


class Stocked:
    """A deployment, and two calls of each kind."""

    def __init__(self, top: Path) -> None:
        self.kinds = make_stock(top, 2, NOW)
        self.deployment = Deployment(top, FixedClock(NOW))

    def performer(self, journal: Journal) -> Performer:
        performer = Performer(journal, self.deployment.keys, self.deployment.clock, self.deployment.settings.policy)
        performer.catch_up()
        return performer

    def arrival(self, performer: Performer, kind: Kind, number: int) -> Arrival:
        """The call of this number, from an address of its own, or from one that is over its allowance."""
        address = kind.sources[0] if kind.sources else f"{kind.name} {number}"
        source = performer.sources.source(address.encode(), address.encode(), NOW)
        return Arrival(kind.bodies[number].ljust(REQUEST_BYTES), floor_quarter(NOW), source)


@pytest.fixture
def stocked(tmp_path: Path) -> Iterator[Stocked]:
    stocked = Stocked(tmp_path / "site")
    yield stocked
    stocked.deployment.close()


def test_each_kind_makes_a_sync_of_its_own(stocked: Stocked) -> None:
    """Alone in its group, a call moves the counter that makes an empty group sync, or leaves its event."""
    journal = stocked.deployment.journal
    performer = stocked.performer(journal)
    for kind in stocked.kinds:
        if kind.sources:
            performer.answer([stocked.arrival(performer, kind, 0)])  # the last that its address is allowed
        before = journal.tip()
        [answer] = performer.answer([stocked.arrival(performer, kind, 1)])
        after = journal.tip()
        assert (len(answer), decode_answer(answer).verdict) == (ANSWER_BYTES, kind.verdict), kind.name
        moved = (after.sequence - before.sequence, after.beats - before.beats)
        assert moved == ((1, 0) if kind.is_stored else (0, 1)), kind.name


def test_no_kind_is_answered_before_its_group_is_durable(stocked: Stocked) -> None:
    """All kinds in one group, which is held at its sync: not one answer is out; then all are, in one go."""
    journal = GatedJournal(stocked.deployment.journal)
    performer = stocked.performer(cast(Journal, journal))
    collector = Collector(performer)

    async def calls() -> list[Verdict]:
        loop = asyncio.get_running_loop()
        arrivals = [stocked.arrival(performer, kind, 1) for kind in stocked.kinds]
        waiting = [asyncio.ensure_future(collector.answer(arrival, loop)) for arrival in arrivals]
        await asyncio.sleep(0)
        collector.start()  # all are in the queue by now
        try:
            assert await asyncio.to_thread(journal.reached.wait, PATIENCE_SECONDS)
            assert not any(answer.done() for answer in waiting)
        finally:
            journal.may_sync.set()
        return [decode_answer(answer).verdict for answer in await asyncio.gather(*waiting)]

    try:
        verdicts = asyncio.run(calls())
    finally:
        collector.stop()
    once = [Verdict.CODE_UNKNOWN if kind.sources else kind.verdict for kind in stocked.kinds]
    assert verdicts == once  # nothing was asked from those addresses before
