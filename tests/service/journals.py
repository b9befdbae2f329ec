"""Journals to which something happens: somebody comes first, or a commit fails."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from tocsin.journal.encoding import StoredEvent
from tocsin.journal.port import DEADLINE_SECONDS, PAGE_EVENTS, Group, Journal, Tip
from tocsin.model.claims import Claim
from tocsin.model.errors import Unavailable
from tocsin.model.times import Day, Instant


class Meddled:
    """The journal, to whose groups somebody else comes first, and whose commits may fail."""

    def __init__(self, journal: Journal, *first: Callable[[], object]) -> None:
        self._journal = journal
        self.first = list(first)
        """What happens right before the next groups, one each."""
        self.groups = 0
        self.failing: list[str] = []
        """How the next commits fail, one each: ``lost``, or ``stored`` and reported failed."""

    @contextmanager
    def group(self, now: Instant, deadline_seconds: float = DEADLINE_SECONDS) -> Iterator[Group]:
        self.groups += 1
        if self.first:
            self.first.pop(0)()
        failing = self.failing.pop(0) if self.failing else ""
        with self._journal.group(now, deadline_seconds) as group:
            yield group
            if failing == "lost":
                raise Unavailable("the disk failed")
        if failing == "stored":
            raise Unavailable("the disk failed")

    def tip(self) -> Tip:
        return self._journal.tip()

    def read(self, after: int, limit: int = PAGE_EVENTS) -> list[StoredEvent]:
        return self._journal.read(after, limit)

    def load(self, events: Iterable[StoredEvent]) -> Tip:
        return self._journal.load(events)

    def holders(self, claims: Sequence[Claim]) -> list[int | None]:
        return self._journal.holders(claims)

    def claim_rows(self, after: Claim, limit: int) -> list[tuple[Claim, int]]:
        return self._journal.claim_rows(after, limit)

    def erase(self, day: Day) -> int:
        return self._journal.erase(day)

    def close(self) -> None:
        self._journal.close()


class OutOfReach(Meddled):
    """The journal, which is out of reach whenever a test says so."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.is_away = False
        self.asked = 0
        """How often something was asked of it while it was away."""

    def _ask(self) -> None:
        if self.is_away:
            self.asked += 1
            raise Unavailable("the journal is away")

    @contextmanager
    def group(self, now: Instant, deadline_seconds: float = DEADLINE_SECONDS) -> Iterator[Group]:
        self._ask()
        with super().group(now, deadline_seconds) as group:
            yield group

    def tip(self) -> Tip:
        self._ask()
        return super().tip()

    def read(self, after: int, limit: int = PAGE_EVENTS) -> list[StoredEvent]:
        self._ask()
        return super().read(after, limit)
