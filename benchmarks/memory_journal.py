"""A journal that numbers and chains as the real one does, and stores nothing durable: what a server costs without it.

For one thread, which is what a collector is. A group that raises is not undone, as a measurement ends there anyway.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from tocsin.journal.encoding import NewEvent, StoredEvent, number_event, sorted_claims
from tocsin.journal.port import DEADLINE_SECONDS, PAGE_EVENTS, ClaimTaken, Tip
from tocsin.model.claims import Claim
from tocsin.model.times import Day, Instant, floor_quarter


class MemoryJournal:
    """A `tocsin.journal.port.Journal` in a list and a dictionary."""

    def __init__(self, events: Iterable[StoredEvent] = ()) -> None:
        self._events: list[StoredEvent] = []
        self._holders: dict[Claim, int] = {}
        self._tip = Tip()
        self._recorded_at = 0
        self.load(events)

    def tip(self) -> Tip:
        return self._tip

    def read(self, after: int, limit: int = PAGE_EVENTS) -> list[StoredEvent]:
        return self._events[after : after + limit]

    @contextmanager
    def group(self, now: Instant, deadline_seconds: float = DEADLINE_SECONDS) -> Iterator["MemoryGroup"]:
        self._recorded_at = max(floor_quarter(now), self._tip.recorded_at)
        yield MemoryGroup(self)

    def load(self, events: Iterable[StoredEvent]) -> Tip:
        for event in events:
            self._keep(event)
        return self._tip

    def holders(self, claims: Sequence[Claim]) -> list[int | None]:
        return [self._holders.get(claim) for claim in claims]

    def claim_rows(self, after: Claim, limit: int) -> list[tuple[Claim, int]]:
        return sorted(row for row in self._holders.items() if row[0] > after)[:limit]

    def erase(self, day: Day) -> int:
        raise NotImplementedError("nothing grows old here")

    def close(self) -> None: ...

    def append(self, event: NewEvent) -> StoredEvent:
        """As `Group.append`."""
        for claim in sorted_claims(event.claims):
            if claim in self._holders:
                raise ClaimTaken(claim, self._holders[claim])
        stored = number_event(event, self._tip.digest, self._tip.sequence + 1, self._recorded_at)
        self._keep(stored)
        return stored

    def _keep(self, event: StoredEvent) -> None:
        self._events.append(event)
        self._holders.update(dict.fromkeys(event.claims, event.sequence))
        self._tip = self._tip.moved_to(event)


class MemoryGroup:
    """A `tocsin.journal.port.Group` of a `MemoryJournal`."""

    def __init__(self, journal: MemoryJournal) -> None:
        self._journal = journal

    @property
    def tip(self) -> Tip:
        return self._journal.tip()

    def read(self, after: int, limit: int = PAGE_EVENTS) -> list[StoredEvent]:
        return self._journal.read(after, limit)

    def expect(self, claims: Iterable[Claim]) -> None: ...

    def claimed(self, claim: Claim) -> int | None:
        return self._journal.holders([claim])[0]

    def retire(self) -> None:
        raise NotImplementedError

    def append(self, event: NewEvent) -> StoredEvent:
        return self._journal.append(event)
