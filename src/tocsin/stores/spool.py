"""The spool's file: records that wait for the journal, durable on this machine's own disk, in the order they came.

One SQLite file, shared by the processes of one deployment. What a record says is sealed before it comes here: this room
knows its claims, by which it is found, and nothing of what it holds. Source: ``docs/formats/spool.md``.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from tocsin.model.claims import CLAIM_BYTES, Claim
from tocsin.model.errors import Unavailable
from tocsin.model.times import Instant
from tocsin.stores.durable import sync_folder

MOST_RECORDS: Final = 20_000
"""Some 100 MB of disk; nearly two of the worst days of a large country, where an outage lasts half a minute."""
MOST_ATTEMPTS: Final = 3
"""A record whose delivery failed so often by a fault of its own is set aside, so that those behind it come through."""
APPLICATION_ID: Final = 0x746F7370  # "tosp"
SCHEMA_VERSION: Final = 1
BUSY_SECONDS: Final = 2.0

_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS record (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        received_at INTEGER NOT NULL,
        claims BLOB NOT NULL,
        sealed BLOB NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    """CREATE TABLE IF NOT EXISTS claim (
        claim BLOB PRIMARY KEY CHECK (length(claim) = 33),
        number INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS waiting ON record (attempts, received_at)",
    """CREATE TABLE IF NOT EXISTS beat (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        beats INTEGER NOT NULL,
        records INTEGER NOT NULL
    ) STRICT""",
    "INSERT OR IGNORE INTO beat VALUES (1, 0, 0)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_WANTED: Final = (("journal_mode", "WAL", "wal"), ("synchronous", "FULL", 2), ("secure_delete", "ON", 1))
"""Pragma, what is asked for, what must be read back: durable at COMMIT; what is delivered leaves no copy."""
_READ: Final = (
    "SELECT number, received_at, claims, sealed FROM record WHERE +attempts < ? ORDER BY number LIMIT ?",
    "SELECT number, received_at, claims, sealed FROM record WHERE number = ?",
)


class Record(Struct, frozen=True):
    """A call that waits: `number` in order of arrival, `received_at` a multiple of 900, `claims` it is found by."""

    number: int
    received_at: Instant
    claims: tuple[Claim, ...]
    sealed: bytes


class Waiting(Struct, frozen=True):
    """How much waits: all records, when the oldest of them came, and how many are set aside."""

    records: int = 0
    oldest_at: Instant | None = None
    set_aside: int = 0


class Spool:
    """The records of the file `path`, at most `most`. For one thread at a time, and any number of processes.

    Everything raises `Unavailable` if the disk or the file says no; nothing is then stored or lost.
    """

    def __init__(self, path: Path, most: int = MOST_RECORDS) -> None:
        self._path = path
        self._most = most
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    @property
    def most(self) -> int:
        """How many records there may be."""
        return self._most

    @contextmanager
    def group(self) -> Iterator["SpoolGroup"]:
        """Records that are durable when the block ends, also if there are none; if it raises, none is."""
        with self._asked("BEGIN IMMEDIATE") as connection:
            group = SpoolGroup(connection, self._path, self._most)
            yield group
            with _translated(self._path):
                connection.execute("UPDATE beat SET beats = beats + 1")  # an empty transaction would not be synced
                connection.execute("COMMIT")

    def first(self, limit: int) -> list[Record]:
        """The records to deliver next, at most `limit`; those that are set aside are left out."""
        with self._asked("BEGIN") as connection, _translated(self._path):
            return [_record(row) for row in connection.execute(_READ[0], (MOST_ATTEMPTS, limit))]

    def remove(self, numbers: Sequence[int]) -> None:
        """Removes these records; durable when it returns. One that is gone already was delivered by another process."""
        with self.group() as group:
            group.remove(numbers)
        with self._asked("BEGIN") as connection, _translated(self._path):
            left = connection.execute("SELECT 1 FROM record LIMIT 1").fetchone()
            connection.execute("ROLLBACK")
            if left is None:  # so that the log holds no copy either
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def failed(self, number: int) -> None:
        """Counts a delivery of this record that failed by a fault of its own."""
        with self._asked("BEGIN IMMEDIATE") as connection, _translated(self._path):
            connection.execute("UPDATE record SET attempts = attempts + 1 WHERE number = ?", (number,))
            connection.execute("COMMIT")

    def forgive(self) -> None:
        """No record is set aside any more: another version of tocsin may deliver what this one could not."""
        if not self._is_there:
            return
        with self._asked("BEGIN IMMEDIATE") as connection, _translated(self._path):
            connection.execute("UPDATE record SET attempts = 0 WHERE attempts > 0")
            connection.execute("COMMIT")

    def waiting(self) -> Waiting:
        """How much waits; nothing where there is no file yet."""
        if not self._is_there:
            return Waiting()
        with self._asked("BEGIN") as connection, _translated(self._path):
            asked = "SELECT count(*), min(received_at), count(*) FILTER (WHERE attempts >= ?) FROM record"
            return Waiting(*connection.execute(asked, (MOST_ATTEMPTS,)).fetchone())

    def records(self) -> int:
        """How many records there are; none where there is no file yet."""
        if not self._is_there:
            return 0
        with self._asked("BEGIN") as connection, _translated(self._path):
            return _count(connection)

    def close(self) -> None:
        """Lets go of the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @property
    def _is_there(self) -> bool:
        return _identity(self._path) is not None

    def _connected(self) -> sqlite3.Connection:
        """A connection to the file that stands at the path now: what is written into a removed one would be lost."""
        if self._connection is not None and self._identity == _identity(self._path):
            return self._connection
        self.close()
        self._connection = _connect(self._path)
        self._identity = _identity(self._path)
        return self._connection

    @contextmanager
    def _asked(self, begin: str) -> Iterator[sqlite3.Connection]:
        """A transaction, undone unless the block commits it."""
        with _translated(self._path):
            connection = self._connected()
            connection.execute(begin)
        try:
            yield connection
        finally:
            try:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            except sqlite3.Error:
                self.close()  # SQLite undoes what is open; the next question connects again


class SpoolGroup:
    """Records of one transaction, in front of all that others may add."""

    def __init__(self, connection: sqlite3.Connection, path: Path, most: int) -> None:
        self._connection = connection
        self._path = path
        self._most = most

    def number(self, claim: Claim) -> int | None:
        """The number of the record with this claim."""
        with _translated(self._path):
            row = self._connection.execute("SELECT number FROM claim WHERE claim = ?", (claim,)).fetchone()
        return None if row is None else int(row[0])

    def record(self, number: int) -> Record:
        """The record with this number, which is there."""
        with _translated(self._path):
            return _record(self._connection.execute(_READ[1], (number,)).fetchone())

    def add(self, received_at: Instant, claims: tuple[Claim, ...], sealed: bytes) -> None:
        """Adds a record, of which no claim is held. Raises `Unavailable` if there are as many as may be."""
        with _translated(self._path):
            if _count(self._connection) >= self._most:
                raise Unavailable(f"the spool {self._path} is full: {self._most} reports wait in it for the journal")
            added = self._connection.execute(
                "INSERT INTO record (received_at, claims, sealed) VALUES (?, ?, ?)",
                (received_at, b"".join(claims), sealed),
            )
            self._connection.executemany("INSERT INTO claim VALUES (?, ?)", [(c, added.lastrowid) for c in claims])
            self._connection.execute("UPDATE beat SET records = records + 1")

    def remove(self, numbers: Sequence[int]) -> None:
        """Removes these records and their claims."""
        with _translated(self._path):
            for number in numbers:
                row = self._connection.execute("SELECT claims FROM record WHERE number = ?", (number,)).fetchone()
                if row is not None:
                    self._connection.executemany("DELETE FROM claim WHERE claim = ?", [(c,) for c in _split(row[0])])
                    self._connection.execute("DELETE FROM record WHERE number = ?", (number,))
                    self._connection.execute("UPDATE beat SET records = records - 1")


def _count(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT records FROM beat").fetchone()
    return int(count)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:  # connecting says what it is
        return None
    return status.st_dev, status.st_ino


def _record(row: tuple[int, int, bytes, bytes]) -> Record:
    number, received_at, claims, sealed = row
    return Record(number, Instant(received_at), _split(claims), sealed)


def _split(claims: bytes) -> tuple[Claim, ...]:
    return tuple(Claim(claims[at : at + CLAIM_BYTES]) for at in range(0, len(claims), CLAIM_BYTES))


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        why = getattr(error, "sqlite_errorname", "SQLITE_ERROR").removeprefix("SQLITE_").lower()
        raise Unavailable(
            f"the spool {path} can't be used ({why}): see that its disk has room and is sound, and that file and folder"
            " are this user's"
        ) from None
    except OSError as error:
        raise Unavailable(f"the spool {path} can't be made: {os.strerror(error.errno or 0)}") from None


def _connect(path: Path) -> sqlite3.Connection:
    """A connection to the spool at `path`, which is made if need be, for its owner alone; its settings are proven."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        sync_folder(path.parent)
        sync_folder(path.parent.parent)
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode=rw",
        uri=True,
        isolation_level=None,  # transactions are begun and ended by hand
        timeout=BUSY_SECONDS,
        check_same_thread=False,  # one at a time
    )
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    for name, asked, wanted in _WANTED:
        connection.execute(f"PRAGMA {name} = {asked}")
        if connection.execute(f"PRAGMA {name}").fetchone() != (wanted,):
            raise Unavailable(f"SQLite did not take the settings that make the spool {path} durable: use a local disk")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application not in (0, APPLICATION_ID) or version > SCHEMA_VERSION:
        raise Unavailable(f"{path} is not a spool that this version of tocsin can read: update tocsin, or move it away")
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute("COMMIT")
