"""The archive: every event of the journal, a minute later at most, in a Delta Lake table that nothing else rests on.

A table's history is a row of numbered objects, each made once. So a commit here is a compare-and-swap: it is number
N+1 after all that was read up to N, or it fails and everything is read again. Nothing is ever committed blindly: the
library's own retries are switched off. The table names the *term* of who wrote last: who has a lower one is refused.

Order and wholeness are ours, for a table has neither. Events are taken only in order, chained to the last one that is
there; what is read is sorted, and a gap is told. Source: ``docs/formats/archive.md``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction
from msgspec import Struct

from tocsin.journal.archive_files import ArchivedFile, files_of, runs
from tocsin.journal.archive_table import CONFIGURATION, PARTITION, SCHEMA, NewFile, events_of, new_files
from tocsin.journal.encoding import StoredEvent
from tocsin.journal.port import FIRST_TERM, PAGE_EVENTS, Broken, Tip
from tocsin.journal.verify import check_link
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.times import Day
from tocsin.stores.place import Place

T = TypeVar("T")

ATTEMPTS: Final = 10
"""How often a commit is tried that others overtake: there are a handful of them a minute."""
DEAD_HOURS: Final = 1
"""How long a file that was put together with others stays, for readers of ours and of other makes."""
ORPHAN_SECONDS: Final = 3600
"""A file that no version names, and that is older, comes from a writer that died: it goes with the next erasure."""
TOGETHER_BYTES: Final = 32 << 20
"""A day's files are put together into files of about this size, one after the other: memory is that of one of them,
however many reports the day had, for a server does this while it takes calls."""
READERS: Final = 8
"""Files fetched at once: a day that is not put together yet has a thousand, and a bucket takes its time for each."""

_TERM: Final = "tocsin.term"
_LAST: Final = "tocsin.sequence"
_LOG: Final = "_delta_log"


class ArchiveBroken(Invalid):
    """The archive does not hold what was put into it: `sequence` is the first event that shows it, `why` says how.

    `proven`: the last event up to which the chain is known to hold; None where nobody has looked.
    """

    def __init__(self, sequence: int, why: str, proven: int | None = None) -> None:
        known = "" if proven is None else f"; its chain holds up to event {proven}"
        super().__init__(
            f"the archive is broken at event {sequence}: {why}{known}. Leave it as it is; where the journal is whole,"
            " give tocsin.toml another place for an archive, which then gets everything anew."
        )
        self.sequence = sequence
        self.why = why
        self.proven = proven


class Held(Struct, frozen=True):
    """What the archive takes up: its last event, data files and their bytes, and days whose files are many still.

    `rewritten_at`: when files were last put together or erased, in UTC seconds; 0 if they never were.
    """

    tip: Tip
    files: int
    length: int
    loose_days: tuple[Day, ...]
    rewritten_at: int


def open_archive(place: Place) -> "Archive":
    """The archive in `place`. Raises `Refused` if there is none, `Invalid` for another table, `Unavailable`."""
    with _asked(place):
        try:
            table = DeltaTable(place.uri, storage_options=dict(place.options))
        except TableNotFoundError:
            raise Refused("no_archive", f"there is no archive in {place.uri}") from None
        if table.transaction_version(_TERM) is None:
            raise Invalid(f"{place.uri} holds a table, but no archive of tocsin: name another place")
    return Archive(place, table)


def make_archive(place: Place) -> "Archive":
    """The archive in `place`, made if there is none. Raises `Invalid` also for a store that can't keep one."""
    place.refuse_unfit()
    try:
        return open_archive(place)
    except Refused:
        pass
    with _asked(place):
        try:
            DeltaTable.create(
                place.uri,
                SCHEMA,
                mode="error",
                partition_by=[PARTITION],
                configuration=CONFIGURATION,
                storage_options=dict(place.options),
                commit_properties=_once(Transaction(_TERM, FIRST_TERM)),
            )
            place.settle([_log_name(0)])
        except DeltaError:  # another process was faster; or it can't be made, which opening it will tell
            pass
    return open_archive(place)


class Archive:
    """One archive, as this process knows it. One thread at a time may use it."""

    def __init__(self, place: Place, table: DeltaTable) -> None:
        self._place = place
        self._table = table
        self._known: tuple[int, Tip] = (-1, Tip())
        """The last event, and the table's version of which it is that."""

    def tip(self) -> Tip:
        """The last event that is archived, and the term of who wrote last; zeros before event 1.

        Raises `ArchiveBroken` if the table's log and its files do not agree about it.
        """
        with _asked(self._place):
            self._table.update_incremental()
            version = self._table.version()
        if self._known[0] != version:
            self._known = version, self._find_tip()
        return self._known[1]

    def append(self, events: Sequence[StoredEvent], term: int) -> Tip:
        """Archives `events`, ascending, behind the last one that is there; returns the tip, durable, afterwards.

        Events that are there already, for another archiver was faster, are passed over. Raises `Refused` ("old_term")
        if a higher term rules the archive, `Broken` for events that do not follow on its last one.
        """

        def attempt(tip: Tip) -> Tip:
            news = [event for event in events if event.sequence > tip.sequence]
            if not news:
                return tip
            end = tip
            for event in news:
                check_link(end, event)
                end = end.moved_to(event)
            files = new_files(news)
            for file in files:  # of the same events anyone makes the same file: it may be there
                self._place.create(file.name, file.data)
            version = self._add(files, Transaction(_TERM, term), Transaction(_LAST, end.sequence))
            self._known = version, Tip(end.sequence, end.digest, end.recorded_at, term)
            return self._known[1]

        return self._swap(attempt, term)

    def raise_term(self, term: int) -> None:
        """From now on who has a lower term than `term` is refused. Raises `Refused` if a higher one rules already."""

        def attempt(tip: Tip) -> None:
            if term > tip.term:
                self._add([], Transaction(_TERM, term))

        self._swap(attempt, term)

    def read(self, after: int = 0) -> Iterator[list[StoredEvent]]:
        """The events behind number `after`, in order, in pages. What is archived meanwhile may come along.

        Raises `ArchiveBroken` where one is missing or can't be read, `Unavailable` if the store is away.
        """
        self.tip()
        while True:
            version = self._table.version()
            try:
                for page in self._pages(after):
                    yield page
                    after = page[-1].sequence
                return
            except _Gone as gone:  # files were put together or erased meanwhile: a newer version names others
                self.tip()
                if self._table.version() == version:
                    raise ArchiveBroken(gone.first, "the file that should hold it is gone") from None

    def prove(self, before_each_page: Callable[[], None] = lambda: None) -> Tip:
        """The tip, with every event before it read and its chain proven. Raises `ArchiveBroken`."""
        goal, tip = self.tip(), Tip()
        for page in self.read():
            before_each_page()
            for event in page:
                try:
                    check_link(tip, event)
                except Broken as broken:
                    raise ArchiveBroken(broken.sequence, broken.why, broken.proven) from None
                tip = tip.moved_to(event)
                if tip.sequence == goal.sequence and tip.digest != goal.digest:
                    raise ArchiveBroken(tip.sequence, "it is not the one that was last archived", tip.sequence - 1)
        if tip.sequence < goal.sequence:
            raise ArchiveBroken(tip.sequence + 1, "it is missing", tip.sequence)
        return goal

    def compact(self, day: Day) -> bool:
        """Puts the files of `day` together, in order; False if there was nothing to put together.

        Dead files of earlier times go for good; those of now with the next call.
        """

        def rewrite() -> bool:
            if sum(file.day == day and file.is_as_appended for file in self._files()) < 2:
                return False
            self._table.optimize.compact(
                partition_filters=[(PARTITION, "=", str(day))],
                target_size=TOGETHER_BYTES,
                max_concurrent_tasks=1,
                commit_properties=_once(),
            )
            return True

        done = self._swap(self._settled(rewrite))
        self._bury(DEAD_HOURS)
        return done

    def erase(self, day: Day) -> int:
        """Takes away every content that is sealed under the key of `day`, and every file that still held one.

        Returns the number of events it took one from. May be cut off, and repeated. Numbering, chain and claims stay
        provable.
        """

        def rewrite(first: int, last: int) -> int:
            done = self._table.update(
                updates={"content": "NULL", "content_day": "NULL"},
                predicate=f"content_day = {day} AND sequence BETWEEN {first} AND {last}",
                commit_properties=_once(),
            )
            return int(done["num_updated_rows"])

        self.tip()
        erased = 0
        for run in runs([file for file in self._files() if file.may_hold(day)]):  # not at once, for the sake of memory
            first, last = run[0].first, max(file.last for file in run)
            erased += self._swap(self._settled(partial(rewrite, first, last)))
        self._bury(0)
        self._sweep()
        return erased

    def keeps_versions(self) -> bool:
        """Whether the bucket keeps as an older version what is removed from it, and so what is erased."""
        return self._place.keeps_versions()

    def held(self) -> Held:
        """What the archive takes up now."""
        tip, files = self.tip(), self._files()
        days = {file.day for file in files if file.is_as_appended}
        loose = [day for day in days if sum(file.day == day and file.is_as_appended for file in files) > 1]
        rewritten = [file.written_at for file in files if not file.is_as_appended]
        return Held(
            tip, len(files), sum(file.length for file in files), tuple(sorted(loose)), max(rewritten, default=0)
        )

    def _find_tip(self) -> Tip:
        with _asked(self._place):
            term, last = self._table.transaction_version(_TERM), self._table.transaction_version(_LAST) or 0
        files = self._files()
        newest = max(files, key=lambda file: file.last, default=None)
        if newest is None or newest.last != last:
            if newest is None and not last:
                return Tip(term=term or FIRST_TERM)
            raise ArchiveBroken(last, "it was archived, and the files that the table names end elsewhere")
        for event in self._fetch(newest):
            if event.sequence == last:
                return Tip(event.sequence, event.digest, event.recorded_at, term or FIRST_TERM)
        raise ArchiveBroken(last, "the file that should hold it does not")

    def _swap(self, attempt: Callable[[Tip], T], term: int | None = None) -> T:
        """What `attempt` does with the tip, its one commit the next after everything that the tip was read from."""
        for _ in range(ATTEMPTS):
            tip = self.tip()
            if term is not None and term < tip.term:
                raise Refused(
                    "old_term",
                    f"the archive {self._place.uri} is written by a journal of term {tip.term}, and this one has term"
                    f" {term}: another took over. Stop this server, and see that its users reach the other one.",
                )
            try:
                return attempt(tip)
            except CommitFailedError:
                continue
        raise Unavailable(f"the archive {self._place.uri} was changed by others each time: it is tried again")

    def _settled(self, rewrite: Callable[[], T]) -> Callable[[Tip], T]:
        """An attempt that rewrites files by one commit at most, and makes the new ones durable."""

        def attempt(tip: Tip) -> T:
            before = self._table.version(), {file.name for file in self._files()}
            with _asked(self._place):
                done = rewrite()
                self._table.update_incremental()
            if self._table.version() > before[0]:
                self._settle(before[0] + 1, (file.name for file in self._files() if file.name not in before[1]))
            return done

        return attempt

    def _add(self, files: Sequence[NewFile], *transactions: Transaction) -> int:
        """Commits these files, durable when it returns, as the version that it returns."""
        version = self._table.version() + 1
        actions = [
            AddAction(file.name, len(file.data), {PARTITION: str(file.day)}, file.written_at_ms, True, file.stats)
            for file in files
        ]
        with _asked(self._place):
            self._table.create_write_transaction(
                list(actions), "append", SCHEMA, [PARTITION], commit_properties=_once(*transactions)
            )
        self._settle(version)
        return version

    def _settle(self, version: int, names: Iterable[str] = ()) -> None:
        """Makes durable what the library wrote: these files, and what it wrote of `version`."""
        log = [_log_name(version), f"{_LOG}/{version:020d}.checkpoint.parquet", f"{_LOG}/_last_checkpoint"]
        self._place.settle([*names, *log])

    def _files(self) -> list[ArchivedFile]:
        with _asked(self._place):
            return files_of(pa.table(self._table.get_add_actions(flatten=True)))

    def _pages(self, after: int) -> Iterator[list[StoredEvent]]:
        wanted = [file for file in self._files() if file.last > after]
        with ThreadPoolExecutor(READERS) as pool:
            for run in runs(wanted):
                events = [event for part in pool.map(self._fetch, run) for event in part if event.sequence > after]
                events.sort(key=lambda event: event.sequence)
                for event in events:
                    if event.sequence != after + 1:
                        raise ArchiveBroken(after + 1, "it is missing, or there twice")
                    after = event.sequence
                for at in range(0, len(events), PAGE_EVENTS):
                    yield events[at : at + PAGE_EVENTS]

    def _fetch(self, file: ArchivedFile) -> list[StoredEvent]:
        """The events of `file`. Raises `_Gone` if it is not there any more."""
        data = self._place.read(file.name)
        if data is None:
            raise _Gone(file.first)
        try:
            return list(events_of(data))
        except (pa.ArrowException, Invalid, OSError):
            raise ArchiveBroken(file.first, "the file that should hold it is damaged") from None

    def _bury(self, hours: int) -> None:
        """Removes files that newer ones have replaced for so many hours. Files that no version ever named stay."""
        with _asked(self._place):
            self._table.vacuum(retention_hours=hours, dry_run=False, enforce_retention_duration=False)

    def _sweep(self) -> None:
        """Removes what writers left who died before their commit: each may hold what is to be erased.

        A file of events that are not archived yet is left: who writes them makes the same one, and may be about to.
        """
        last, named = self.tip().sequence, {file.name for file in self._files()}
        found = self._place.found()
        newest = max((file.written_at for file in found), default=0)  # the store's own clock
        self._place.remove(
            file.name
            for file in found
            if file.name.startswith(f"{PARTITION}=")
            and file.name not in named
            and file.written_at < newest - ORPHAN_SECONDS
            and ArchivedFile.last_by_name(file.name) <= last
        )


class _Gone(Exception):
    """A file is not there that a version named, its first event this one: it was replaced."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.first = first


def _once(*transactions: Transaction) -> CommitProperties:
    """A commit that fails if anything was committed since the table was read."""
    return CommitProperties(max_commit_retries=0, app_transactions=list(transactions))


def _log_name(version: int) -> str:
    return f"{_LOG}/{version:020d}.json"


@contextmanager
def _asked(place: Place) -> Iterator[None]:
    """A block whose errors of the library come out as `Unavailable`; those of a lost race are left to `_swap`."""
    try:
        yield
    except (CommitFailedError, TableNotFoundError):
        raise
    except (DeltaError, OSError, pa.ArrowException, ValueError) as error:
        raise Unavailable(
            f"the archive {place.uri} can't be used ({type(error).__name__}): look at its network, rights and room"
        ) from None
