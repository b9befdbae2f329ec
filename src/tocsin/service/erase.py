"""Erasing: what is due at the sixteenth day after a day, on every machine that holds a key of it.

The steps for a day, and what a crash right after each leaves behind:

1. `erased` is appended, once a version of that time is out: a key that is not destroyed here, found by 2
2. the key is destroyed in this machine's key folder: content that nobody can read, found by 3
3. the content is taken out of the journal: the same in the archive, found by 4
4. and out of the archive: nothing

From 1 on no ledger answers from the day's content; from 2 on nobody who has only this machine can. Steps 2 to 4 are
done on every machine that sees the event; done again they change nothing.
"""

from collections.abc import Callable
from typing import Final

from tocsin.journal.encoding import NewEvent
from tocsin.journal.port import Journal
from tocsin.model.errors import TocsinError
from tocsin.model.ports import Clock
from tocsin.model.times import Day, Instant
from tocsin.rules.retention import erasure
from tocsin.service.follow import Follower
from tocsin.service.key_folder import KeyFolder

DONE_AGAIN: Final = 3
"""Of the days that were erased before this process began, so many are looked at once more: one before a crash is not
done, and another machine may have gone on with the next."""

Erase = Callable[[Day], object]
"""Takes a day's content out of a place that holds some."""


class Eraser:
    """Erases what is due. It shares its follower, and so its thread, with the publisher."""

    def __init__(
        self,
        journal: Journal,
        keys: KeyFolder,
        clock: Clock,
        follower: Follower,
        archives: tuple[Erase, ...] = (),
    ) -> None:
        """`archives`: what is erased after the journal, in this order."""
        self._journal = journal
        self._keys = keys
        self._clock = clock
        self._follower = follower
        self._places: tuple[Erase, ...] = (journal.erase, *archives)
        self._done: set[int] | None = None
        """The days of which nothing is left to do here; None before the journal was read."""

    def erase(self, version: int) -> Day | None:
        """Erases the oldest day that is due, now that `version` is the newest one that is out; returns it, if one was.

        One day at a time, so that no version waits for what a long absence has left. Then, of every day that is erased,
        whatever is still to be done here, and each of it whatever the others do: a log that is being read keeps no key
        from being destroyed. Raises `Unavailable` if some of it fails; it is done again at the next call.
        """
        day = self._append(version)
        self._finish()
        return day

    def _append(self, version: int) -> Day | None:
        ledger, now = self._follower.ledger, self._clock.now()
        if not 0 < version <= ledger.version:
            return None
        released_at = Instant(ledger.versions[version - 1].at)
        if erasure(ledger, released_at, now) is None:
            return None
        with self._journal.group(now) as group:
            self._follower.catch_up(group.read)
            body = erasure(self._follower.ledger, released_at, now)
            if body is not None:  # else another machine was faster
                group.append(NewEvent(body, None, ()))
        self._follower.catch_up(self._journal.read)
        return None if body is None else Day(body.day)

    def _finish(self) -> None:
        """Steps 2 to 4, for all that the journal says is erased."""
        erased = self._follower.ledger.erased_days
        if self._done is None and erased:
            self._done = set(sorted(erased)[:-DONE_AGAIN])
        self._keys.destroy_days(erased)
        failed = None
        for day in sorted(erased.difference(self._done or ())):
            try:
                self._take_out(Day(day))
            except TocsinError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def _take_out(self, day: Day) -> None:
        failed = None
        for place in self._places:
            try:
                place(day)
            except TocsinError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        self._done = (self._done or set()) | {day}
