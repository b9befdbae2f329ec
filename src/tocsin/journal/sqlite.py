"""The embedded engine: one SQLite file, written by any number of threads and processes of one machine.

A group queues for its turn (`tocsin.journal.turn`), then holds SQLite's write lock: it reads the tip, appends, and
commits with one sync of the write-ahead log. Each thread has a connection of its own. Between `BEGIN` and `COMMIT` a
crash leaves nothing; after it, everything; SQLite repairs the file when it is next opened.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from types import NoneType
from typing import Final, TypeVar

from tocsin.journal.claim_index import ClaimIndex
from tocsin.journal.content import day_bytes
from tocsin.journal.disk import in_memory, sync_folder
from tocsin.journal.encoding import NewEvent, StoredEvent, number_event, sorted_claims, split_claims
from tocsin.journal.port import (
    DEADLINE_SECONDS,
    FIRST_TERM,
    PAGE_EVENTS,
    RETIRED,
    Broken,
    ClaimTaken,
    Durability,
    NotDurable,
    Tip,
    first_recorded_since,
    refuse_lag,
    refuse_retired,
)
from tocsin.journal.sqlite_connection import FOREIGN, Translated, connect, create_file, file_identity, in_our_words
from tocsin.journal.turn import reached, turn
from tocsin.journal.verify import linked
from tocsin.model.claims import Claim
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.times import Day, Instant, day_start, floor_quarter

T = TypeVar("T")

LOAD_DEADLINE_SECONDS: Final = 60.0
ERASED_AT_ONCE: Final = 500
"""Events looked at in one step of an erasure: writers wait some milliseconds for it."""
READERS_MILLISECONDS: Final = 200
"""How long a log that is to be emptied waits for its readers, and writers with it."""
LOAD_EVENTS: Final = 5_000
"""Events of a load that are in memory at once; of all others their claims alone."""

_TIP: Final = "SELECT sequence, digest, recorded_at, term, beats FROM tip"
_LAST: Final = "SELECT sequence, digest FROM event ORDER BY sequence DESC LIMIT 1"
_READ: Final = (
    "SELECT sequence, recorded_at, kind, body, content, content_digest, claims, digest FROM event"
    " WHERE sequence > ? ORDER BY sequence LIMIT ?"
)
_HOLDER: Final = "SELECT sequence FROM claim WHERE claim = ?"
_CLAIM_ROWS: Final = "SELECT claim, sequence FROM claim WHERE claim > ? ORDER BY claim LIMIT ?"
_ADD_EVENT: Final = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_CLAIM: Final = "INSERT INTO claim VALUES (?, ?)"
_TIP_TYPES: Final = (int, bytes, int, int, int)
_EVENT_TYPES: Final = frozenset((int, int, str, bytes, content, bytes, bytes, bytes) for content in (bytes, NoneType))
_NO_INDEX: Final = "The journal's index of claims is damaged: restore the newest copy."
_ERASABLE: Final = (
    "SELECT sequence FROM event WHERE sequence > ? AND sequence <= ? AND substr(content, 1, 4) = ? LIMIT 1"
)
_ERASE: Final = "UPDATE event SET content = NULL WHERE sequence > ? AND sequence <= ? AND substr(content, 1, 4) = ?"
_MOVE_TIP: Final = "UPDATE tip SET sequence = ?, digest = ?, recorded_at = ?, beats = ?"


def create(path: Path, term: int = FIRST_TERM, durability: Durability = Durability.REQUIRED) -> "SqliteJournal":
    """A new, empty journal in the file `path`, durable when it returns. `term` is higher in a rebuilt one.

    Raises `Invalid` if a file is there, `Unavailable` if the folder can't be written or is no durable disk.
    """
    _check_disk(path, durability)
    create_file(path, term)
    sync_folder(path.parent)
    return open(path, durability)


def open(path: Path, durability: Durability = Durability.REQUIRED) -> "SqliteJournal":
    """The journal in the file `path`.

    Raises `Invalid` if it is no journal, damaged, or of a newer version, `Unavailable` if it is not there, can't be
    written, or is not durable.
    """
    _check_disk(path, durability)
    return SqliteJournal(path)


class SqliteJournal:
    """A `tocsin.journal.port.Journal`. Must not be taken along into a forked process while a group is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = file_identity(path)
        self._translated = Translated(path)
        self._connections: dict[tuple[int, int, str], sqlite3.Connection] = {}
        self._refuse_set_back()

    def _refuse_set_back(self) -> None:
        """Raises `Invalid` if the journal ends before what was acknowledged from it."""
        stored = reached(self._path)  # first: others may be appending
        ends = self.tip().sequence
        if ends < stored:
            raise Invalid(
                f"{self._path} ends at event {ends}, and event {stored} was stored in it: its log,"
                f" {self._path.name}-wal, is gone, or an older copy was put in its place. Restore the newest copy of"
                f" the whole folder. Only if there is none, remove {self._path}-turn to go on without what is lost."
            )

    def tip(self) -> Tip:
        return self._read(_tip)

    def read(self, after: int, limit: int = PAGE_EVENTS) -> list[StoredEvent]:
        return self._read(lambda connection: _events(connection, after, limit))

    def holders(self, claims: Sequence[Claim]) -> list[int | None]:
        return self._read(lambda connection: [_holder(connection, claim) for claim in claims])

    def claim_rows(self, after: Claim, limit: int) -> list[tuple[Claim, int]]:
        return self._read(lambda connection: _claim_rows(connection, after, limit))

    @contextmanager
    def group(self, now: Instant, deadline_seconds: float = DEADLINE_SECONDS) -> Iterator["SqliteGroup"]:
        with turn(self._path, deadline_seconds) as mine:
            with self._transaction() as connection:
                group = SqliteGroup(connection, self._path, now)
                try:
                    yield group
                    group.move_tip()
                finally:
                    group.end()
            mine.reached(group.tip.sequence)

    def load(self, events: Iterable[StoredEvent]) -> Tip:
        with turn(self._path, LOAD_DEADLINE_SECONDS) as mine:
            tip = self._load(events)
            mine.reached(tip.sequence)
        return tip

    def _load(self, events: Iterable[StoredEvent]) -> Tip:
        with self._transaction() as connection, self._translated:
            tip = _tip(connection)
            if tip.sequence:
                raise Invalid("The journal is not empty: events are restored into a new one only.")
            index = ClaimIndex()
            waiting = linked(events)
            while batch := list(islice(waiting, LOAD_EVENTS)):
                tip = tip.moved_to(batch[-1])
                connection.executemany(_ADD_EVENT, map(_event_row, batch))
                index.add(batch)
            connection.executemany(_ADD_CLAIM, index.rows())
            connection.execute(_MOVE_TIP, (tip.sequence, tip.digest, tip.recorded_at, tip.beats))
        return tip

    def erase(self, day: Day) -> int:
        erased, sealed_under = 0, day_bytes(day)
        # nothing is recorded before it was received
        for after in range(first_recorded_since(self, day_start(day)) - 1, self.tip().sequence, ERASED_AT_ONCE):
            run = after, after + ERASED_AT_ONCE, sealed_under
            if self._read(partial(_is_any, run)):
                with turn(self._path, DEADLINE_SECONDS), self._transaction() as connection, self._translated:
                    erased += connection.execute(_ERASE, run).rowcount
        self._empty_log()
        return erased

    def _empty_log(self) -> None:
        """Moves all of the write-ahead log into the file, and cuts it off: it holds pages as they were before.

        Raises `Unavailable` if a reader needs it, who may be no process of ours. Writers wait only a moment for that.
        """
        with turn(self._path, DEADLINE_SECONDS), self._translated, closing(connect(self._path)) as connection:
            connection.execute(f"PRAGMA busy_timeout = {READERS_MILLISECONDS}")
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise Unavailable(
                f"{self._path.name}-wal is being read and still holds what was erased, unreadable without its key: it"
                " is emptied once the reader, such as a copy that is being made, has ended"
            )

    def close(self) -> None:
        connections, self._connections = self._connections, {}
        for connection in connections.values():
            connection.close()

    def _read(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """The answer to `ask`, read within one transaction that ends with it."""
        with self._translated:
            connection = self._begin("BEGIN")
            try:
                return ask(connection)
            finally:
                self._end(connection)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: committed and durable when the block ends, undone if it raises or COMMIT fails."""
        with self._translated:
            connection = self._begin("BEGIN IMMEDIATE")
        try:
            yield connection
            with self._translated:
                connection.execute("COMMIT")
        finally:
            self._end(connection)

    def _begin(self, statement: str) -> sqlite3.Connection:
        """A transaction, begun on this thread's connection for such ones, which is made anew if it was closed.

        Reading and writing have one each, so that a thread in a group still reads what is committed.
        """
        if file_identity(self._path) != self._identity:
            raise Unavailable(
                f"{self._path} was replaced while it was in use: see that it is the newest copy, then start again."
            )
        place = os.getpid(), threading.get_ident(), statement
        connection = self._connections.get(place)
        if connection is not None:
            with suppress(sqlite3.ProgrammingError):  # closed: nothing has been asked of it yet
                connection.execute(statement)
                return connection
        connection = self._connections[place] = connect(self._path)
        connection.execute(statement)
        return connection

    def _end(self, connection: sqlite3.Connection) -> None:
        """No transaction is open any more: what was not committed is undone."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()  # SQLite undoes what is open; the next call connects again


class SqliteGroup:
    """A `tocsin.journal.port.Group`, within one write transaction."""

    def __init__(self, connection: sqlite3.Connection, path: Path, now: Instant) -> None:
        self._connection = connection
        self._path = path
        self._over = False
        with Translated(path):
            self._tip = self._began = _tip(connection)
            last = connection.execute(_LAST).fetchone() or (0, self._tip.digest)
        if last != (self._tip.sequence, self._tip.digest):
            raise Broken(max(self._tip.sequence, 1), "the tip and the last event do not agree; verify the journal")
        refuse_retired(self._tip)
        refuse_lag(now, self._tip)
        self._recorded_at = max(floor_quarter(now), self._tip.recorded_at)
        self._retired = False

    @property
    def tip(self) -> Tip:
        return self._tip

    def read(self, after: int, limit: int = PAGE_EVENTS) -> list[StoredEvent]:
        return self._ask(lambda connection: _events(connection, after, limit))

    def expect(self, claims: Iterable[Claim]) -> None:
        pass  # the file is at hand

    def claimed(self, claim: Claim) -> int | None:
        return self._ask(lambda connection: _holder(connection, claim))

    def retire(self) -> None:
        self._retired = True

    def append(self, event: NewEvent) -> StoredEvent:
        for claim in sorted_claims(event.claims):
            holder = self.claimed(claim)
            if holder is not None:
                raise ClaimTaken(claim, holder)
        stored = number_event(event, self._tip.digest, self._tip.sequence + 1, self._recorded_at)
        self._ask(lambda connection: _insert(connection, stored))
        self._tip = self._tip.moved_to(stored)
        return stored

    def move_tip(self) -> None:
        """Moves the tip, or counts a beat, so that there is something to commit. Not for callers of a group."""
        tip = self._tip
        beats = RETIRED if self._retired else tip.beats + (tip.sequence == self._began.sequence)
        self._ask(lambda connection: connection.execute(_MOVE_TIP, (tip.sequence, tip.digest, tip.recorded_at, beats)))

    def end(self) -> None:
        """Nothing can be stored in this group any more: it would be outside of the transaction."""
        self._over = True

    def _ask(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """The answer to `ask`. After a failure there is none: SQLite may have undone the transaction by itself, and
        what came then would be stored outside of it."""
        if self._over:
            raise Unavailable("The group is over, or its disk failed before: nothing more can be stored in it.")
        try:
            return ask(self._connection)
        except FOREIGN as error:
            self._over = True
            raise in_our_words(error, self._path) from None


def _tip(connection: sqlite3.Connection) -> Tip:
    row = connection.execute(_TIP).fetchone()
    if row is None or _types(row) != _TIP_TYPES:
        raise Invalid("The journal has lost its tip: restore the newest copy.")
    return Tip(*row)


def _events(connection: sqlite3.Connection, after: int, limit: int) -> list[StoredEvent]:
    events = []
    for expected, row in enumerate(connection.execute(_READ, (after, limit)), after + 1):
        sequence, recorded_at, kind, body, content, content_digest, claims, digest = row
        if sequence != expected:
            raise Broken(expected, "it is missing")
        if _types(row) not in _EVENT_TYPES:
            raise Broken(expected, "a field of it is of another type: the file is damaged there")
        try:
            split = split_claims(claims)
        except Invalid as invalid:
            raise Broken(sequence, str(invalid)) from None
        events.append(StoredEvent(sequence, recorded_at, kind, body, content, content_digest, split, digest))
    return events


def _holder(connection: sqlite3.Connection, claim: Claim) -> int | None:
    row = connection.execute(_HOLDER, (claim,)).fetchone()
    if row is not None and _types(row) != (int,):
        raise Invalid(_NO_INDEX)
    return None if row is None else row[0]


def _is_any(run: tuple[int, int, bytes], connection: sqlite3.Connection) -> bool:
    """Whether one of the events in this run, without its beginning and with its end, has content of this day."""
    return connection.execute(_ERASABLE, run).fetchone() is not None


def _claim_rows(connection: sqlite3.Connection, after: Claim, limit: int) -> list[tuple[Claim, int]]:
    rows = connection.execute(_CLAIM_ROWS, (after, limit)).fetchall()
    if any(_types(row) != (bytes, int) for row in rows):
        raise Invalid(_NO_INDEX)
    return rows


def _types(row: Sequence[object]) -> tuple[type, ...]:
    """What a row holds: SQLite does not look again whether a damaged one keeps to its table's types."""
    return tuple(map(type, row))


def _insert(connection: sqlite3.Connection, event: StoredEvent) -> None:
    connection.execute(_ADD_EVENT, _event_row(event))
    for claim in event.claims:
        connection.execute(_ADD_CLAIM, (claim, event.sequence))


def _event_row(event: StoredEvent) -> tuple[object, ...]:
    return (
        event.sequence,
        event.recorded_at,
        event.kind,
        event.body,
        event.content,
        event.content_digest,
        b"".join(event.claims),
        event.digest,
    )


def _check_disk(path: Path, durability: Durability) -> None:
    if durability is Durability.REQUIRED and in_memory(path.parent):
        raise NotDurable("The journal's folder is in memory and would be lost with the power: put it on a disk.")
