"""Archiving for as long as a server runs: a thread that wakes every minute, and never gives up."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from tocsin.model.errors import Refused, TocsinError
from tocsin.model.ports import Clock
from tocsin.model.times import Day, Instant, day_of
from tocsin.service import fault
from tocsin.service.archiver import Archiver
from tocsin.service.trouble import Told, Trouble

RETRY_SECONDS: Final = 5
"""After a failure, where the next run would be later."""

_log = logging.getLogger(__name__)


class Behind(Struct, frozen=True):
    """How far the archive was behind the journal when that was last looked at, and since when it has not been level."""

    events: int
    level_at: Instant

    def seconds(self, now: Instant) -> int:
        """For how long it has not been level, as far as is known."""
        return max(0, now - self.level_at)


class ArchiverLoop:
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
        self._archiver = archiver
        self._clock = clock
        self._every_seconds = every_seconds
        self._trouble = Trouble(told_trouble)
        self._looked = looked
        self._replaced = replaced
        self._level_at: Instant | None = None
        self._compacted_before = Day(0)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="archiver", daemon=True)

    def start(self) -> None:
        """Starts the thread; its first run begins at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, after the run that it is in."""
        self._stopped.set()
        self._thread.join()

    def round(self) -> int:
        """One run. Returns the seconds to sleep; raises nothing."""
        trouble = self._attempt(self._archive) or self._attempt(self._compact)
        self._trouble.is_now(trouble)
        self._attempt(self._look)
        return min(RETRY_SECONDS, self._every_seconds) if trouble else self._every_seconds

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._stopped.wait(self.round())

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

    @staticmethod
    def _attempt(work: Callable[[], None]) -> str | None:
        """What went wrong with `work`, as a sentence; None if nothing did."""
        try:
            work()
        except TocsinError as error:
            return str(error)
        except Exception as error:  # a bug: an archiver that is gone would be found out when it is needed
            _log.error("archiving failed: %s", fault.told(error))
            return f"a fault in tocsin itself ({fault.told(error)}): please report it"
        return None
