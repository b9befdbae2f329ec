"""Archiving for as long as a server runs: a thread that wakes every minute, and never gives up."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from tocsin.model.errors import Refused
from tocsin.model.ports import Clock
from tocsin.model.times import Day, Instant, day_of
from tocsin.service.archiver import Archiver
from tocsin.service.rounds import Rounds
from tocsin.service.trouble import Told, Trouble

RETRY_SECONDS: Final = 5
"""After a failure, where the next run would be later."""


class Behind(Struct, frozen=True):
    """How far the archive was behind the journal when that was last looked at, and since when it has not been level."""

    events: int
    level_at: Instant

    def seconds(self, now: Instant) -> int:
        """For how long it has not been level, as far as is known."""
        return max(0, now - self.level_at)


class ArchiverLoop(Rounds):
    """The thread that archives every so many seconds, and puts the files of a day that is over together."""

    def __init__(
        self,
        archiver: Archiver,
        clock: Clock,
        every_seconds: int,
        told_trouble: Told,
        looked: Callable[[Behind], None] = lambda behind: None,
        replaced: Callable[[str], None] = lambda why: None,
    ) -> None:
        """`looked` is told after each run how far the archive is behind, in the thread; `replaced`, as a sentence, that
        a journal of a higher term has taken over."""
        super().__init__("archiver")
        self._archiver = archiver
        self._clock = clock
        self._every_seconds = every_seconds
        self._trouble = Trouble(told_trouble)
        self._looked = looked
        self._replaced = replaced
        self._level_at: Instant | None = None
        self._compacted_before = Day(0)

    def round(self) -> int:
        """One run. Returns the seconds to sleep; raises nothing."""
        trouble = self.attempt(self._archive) or self.attempt(self._compact)
        self._trouble.is_now(trouble)
        self.attempt(self._look)
        return min(RETRY_SECONDS, self._every_seconds) if trouble else self._every_seconds

    def _archive(self) -> None:
        if self._level_at is None:
            self._level_at = self._clock.now()
        began = self._clock.now()
        try:
            self._archiver.catch_up()
        except Refused as refused:
            if refused.code == "old_term":
                self._replaced(str(refused))
            raise
        self._level_at = began

    def _compact(self) -> None:
        today = day_of(self._clock.now())
        if today > self._compacted_before:
            self._archiver.compact_before(today)
            self._compacted_before = today

    def _look(self) -> None:
        if self._level_at is not None:
            self._looked(Behind(self._archiver.behind_events(), self._level_at))
