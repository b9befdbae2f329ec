"""Archiving: what the journal holds is brought into the archive, every minute and before each version.

The steps of one run, and what a crash right after each leaves behind:

1. the archive's tip is looked up, and that event read in the journal: nothing
2. an empty group is made durable: everything before it is then safe on as many machines as the journal promises, and
   no fail-over can take it back. An engine may show an event that is not: an archive that had it would be in the way
3. the events behind the archive's tip are appended, some thousands a commit: the rest, found again

Any number of archivers may run: one of them commits an event, the others find it there.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tocsin.journal.encoding import StoredEvent
from tocsin.journal.port import Journal, Tip
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.ports import Clock
from tocsin.model.times import QUARTER_SECONDS, Day
from tocsin.service.archive_settings import ArchiveSettings

if TYPE_CHECKING:
    from tocsin.journal.archive import Archive  # 0.4 s, and 100 MB: only where there is one
    from tocsin.stores.place import Place

LATE_SECONDS: Final = QUARTER_SECONDS + 300
"""What was recorded so long ago should be archived by now: the journal tells the quarter-hour only."""
COMMIT_EVENTS: Final = 10_000
"""Most events of one commit: a new archive of an old journal is filled in so many steps."""


def place_of(settings: ArchiveSettings) -> "Place":
    """Where the archive lies by the settings. Raises `Invalid` for what opens it and is not as it should be."""
    from tocsin.stores.place import place_at

    return place_at(settings.url, Path(settings.credentials) if settings.credentials else None)


def make_archive(settings: ArchiveSettings) -> "Archive":
    """The archive, made if there is none. Raises `Invalid` for a store that can't keep one, `Unavailable`."""
    from tocsin.journal import archive

    return archive.make_archive(place_of(settings))


def open_archive(settings: ArchiveSettings) -> "Archive":
    """The archive, to be read. Raises `Refused` if there is none, else as `make_archive`."""
    from tocsin.journal import archive

    return archive.open_archive(place_of(settings))


def refuse_other_archive(journal: Journal, archived: Tip) -> None:
    """Raises unless the archive, which ends at `archived`, is this journal's, and no higher term rules it."""
    term = journal.tip().term
    if term < archived.term:
        raise Refused(
            "old_term",
            f"the archive is written by a journal of term {archived.term}, and this one has term {term}: it was"
            " rebuilt, or another took over. Stop this server, and see that its users reach the other one",
        )
    if not archived.sequence:
        return
    event = next(iter(journal.read(archived.sequence - 1, 1)), None)
    if event is None:
        raise Invalid(
            f"the archive holds events up to {archived.sequence:,}, and this journal ends before: it is an older"
            " copy. Restore the newest one, or rebuild the journal from the archive"
        )
    if event.digest != archived.digest:
        raise Invalid(
            f"the archive's event {archived.sequence:,} is not this journal's: one of the two was changed, or is"
            " another deployment's. Give this one a place of its own for its archive, or restore the right journal"
        )


class Archiver:
    """Brings the archive up to the journal. Any number of threads may use one."""

    def __init__(self, journal: Journal, clock: Clock, open_archive: Callable[[], "Archive"]) -> None:
        """`open_archive` may raise, and is then called again the next time."""
        self._journal = journal
        self._clock = clock
        self._open = open_archive
        self._opened: Archive | None = None
        self._alone = threading.Lock()
        self._level = Tip()
        """The archive's tip when it was last looked at."""

    def archive_up_to(self, sequence: int) -> None:
        """Returns when the archive holds event `sequence`, durable. Asks nobody if it is known to.

        Raises `Unavailable` if the journal or the archive is away, `Refused` if a higher term rules the archive,
        `Invalid` if it is another journal's, or holds later events than this journal has.
        """
        if self._level.sequence < sequence:
            self.catch_up()

    def catch_up(self) -> Tip:
        """Archives everything that the journal holds; returns the archive's tip. Raises as `archive_up_to`."""
        with self._alone:
            archive = self._archive()
            self._level = archive.tip()
            refuse_other_archive(self._journal, self._level)
            tip = self._journal.tip()
            archive.raise_term(tip.term)
            if tip.sequence > self._level.sequence:
                with self._journal.group(self._clock.now()) as group:
                    goal = group.tip
                for events in self._behind(self._level.sequence, goal.sequence):
                    self._level = archive.append(events, tip.term)
            return self._level

    def refuse_unfit(self) -> None:
        """Raises as `archive_up_to` what would be in the way of the first run."""
        with self._alone:
            refuse_other_archive(self._journal, self._archive().tip())

    def behind_events(self) -> int:
        """How many events of the journal the archive lacks, by what was last seen of it."""
        return max(0, self._journal.tip().sequence - self._level.sequence)

    def compact_before(self, today: Day) -> list[Day]:
        """Puts the files of each day before `today` together; returns the days for which there was something to do."""
        with self._alone:
            archive = self._archive()
            return [day for day in archive.held().loose_days if day < today and archive.compact(day)]

    def erase(self, day: Day) -> int:
        """Takes what is sealed under the key of `day` out of the archive; returns the number of events concerned."""
        with self._alone:
            return self._archive().erase(day)

    def _archive(self) -> "Archive":
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _behind(self, after: int, last: int) -> Iterator[list[StoredEvent]]:
        """The journal's events behind `after` up to `last`, as many at once as one commit takes."""
        events: list[StoredEvent] = []
        while after < last:
            page = [event for event in self._journal.read(after) if event.sequence <= last]
            if not page:
                raise Unavailable("the journal lost its last events while they were archived: it is tried again")
            events += page
            after = page[-1].sequence
            if len(events) >= COMMIT_EVENTS:
                yield events
                events = []
        if events:
            yield events
