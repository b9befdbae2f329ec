"""One connection to a journal's file: the schema, the settings that make it durable, and SQLite's errors in our words.

The settings are not believed but read back. Source: ``docs/formats/events.md``, "In SQLite";
https://sqlite.org/pragma.html.
"""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from tocsin.journal.port import NotDurable
from tocsin.model.errors import Invalid, TocsinError, Unavailable

APPLICATION_ID: Final = 0x746F6373  # "tocs"
SCHEMA_VERSION: Final = 1
OLDEST_SQLITE: Final = (3, 37, 0)
"""STRICT tables (https://sqlite.org/stricttables.html)."""
BUSY_SECONDS: Final = 2.0
"""How long SQLite waits for a lock that is held by something which does not queue, such as a shell."""

SCHEMA: Final = (
    """CREATE TABLE tip (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        sequence INTEGER NOT NULL,
        digest BLOB NOT NULL,
        recorded_at INTEGER NOT NULL,
        term INTEGER NOT NULL,
        beats INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE event (
        sequence INTEGER PRIMARY KEY CHECK (sequence > 0),
        recorded_at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        body BLOB NOT NULL,
        content BLOB,
        content_digest BLOB NOT NULL,
        claims BLOB NOT NULL,
        digest BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE claim (
        claim BLOB PRIMARY KEY CHECK (length(claim) = 33),
        sequence INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

_WANTED: Final = (("journal_mode", "WAL", "wal"), ("synchronous", "FULL", 2), ("secure_delete", "ON", 1))
"""Pragma, what is asked for, what must be read back: durable at COMMIT; nulled content leaves no copy in the file."""

_NO_JOURNAL: Final = "There is no journal at {file}: `tocsin init` makes one, or its disk is not mounted."
_NO_ROOM: Final = "The disk of {file} has no room left. Nothing was stored; free some space, and all goes on."
_DISK_FAILED: Final = (
    "The disk of {file} failed, or may not be written. Nothing was stored; check the disk, then the journal:"
    " `tocsin journal verify`."
)
_NOT_WRITABLE: Final = (
    "{file} can't be read or written. Nothing was stored; see that it and its folder are this user's, and that the disk"
    " is not mounted read-only."
)
_HELD: Final = "Another program holds {file}. Nothing was stored; end that program, then try again."
_DAMAGED: Final = (
    "{file} is damaged. Nothing was stored; stop the server, keep the folder as it is, see by `tocsin journal verify`"
    " how far it is whole, and restore the newest copy."
)
_NOT_OURS: Final = "{file} is not a tocsin journal, or its first page is damaged: restore the newest copy."
_NO_MEMORY: Final = "The machine has no memory left for {file}. Nothing was stored; end what takes so much."
_NO_SPACE_BYTES: Final = 1 << 16
"""Fewer free bytes than SQLite takes in one go: some of its errors do not say that this is why."""

_MEANINGS: Final[dict[int, tuple[type[TocsinError], str]]] = {
    sqlite3.SQLITE_FULL: (Unavailable, _NO_ROOM),
    sqlite3.SQLITE_IOERR: (Unavailable, _DISK_FAILED),
    sqlite3.SQLITE_NOMEM: (Unavailable, _NO_MEMORY),
    sqlite3.SQLITE_BUSY: (Unavailable, _HELD),
    sqlite3.SQLITE_LOCKED: (Unavailable, _HELD),
    sqlite3.SQLITE_PROTOCOL: (Unavailable, _HELD),
    sqlite3.SQLITE_READONLY: (Unavailable, _NOT_WRITABLE),
    sqlite3.SQLITE_PERM: (Unavailable, _NOT_WRITABLE),
    sqlite3.SQLITE_AUTH: (Unavailable, _NOT_WRITABLE),
    sqlite3.SQLITE_CANTOPEN: (Unavailable, _NOT_WRITABLE),
    sqlite3.SQLITE_CORRUPT: (Invalid, _DAMAGED),
    sqlite3.SQLITE_CONSTRAINT: (Invalid, _DAMAGED),
    sqlite3.SQLITE_MISMATCH: (Invalid, _DAMAGED),
    sqlite3.SQLITE_NOTADB: (Invalid, _NOT_OURS),
    sqlite3.SQLITE_ERROR: (Invalid, _NOT_OURS),
}


FOREIGN: Final = (sqlite3.Error, OverflowError)
"""What SQLite's module raises; the latter for numbers that need more than 64 bits."""


def in_our_words(error: Exception, path: Path) -> TocsinError:
    """What an error of SQLite means for whoever runs the journal at `path` (https://sqlite.org/rescode.html)."""
    if isinstance(error, OverflowError):
        return Invalid("A number has no room in the journal: it takes less than 2⁶³.")
    # the low byte is the primary code; errors that Python's module raises itself have none
    primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF
    family, sentence = _MEANINGS.get(primary, (Unavailable, _DISK_FAILED))
    if family is Unavailable and sentence != _HELD and _is_full(path.parent):
        sentence = _NO_ROOM
    return family(sentence.format(file=path))


def _is_full(folder: Path) -> bool:
    """Whether the disk has no room. False where it does not say."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _NO_SPACE_BYTES


class Translated:
    """A block out of which the errors of SQLite about the journal at `path` come in our words."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, FOREIGN):
            raise in_our_words(error, self._path) from None


class FileIdentity(Struct, frozen=True):
    """Which file stands at a path, so that one put in its place, or its absence, is seen."""

    device: int
    inode: int


def file_identity(path: Path) -> FileIdentity:
    """Raises `Unavailable` if there is no file, or it is out of reach."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise Unavailable(_NO_JOURNAL.format(file=path)) from None
    except OSError:
        raise Unavailable(_NOT_WRITABLE.format(file=path)) from None
    return FileIdentity(status.st_dev, status.st_ino)


def create_file(path: Path, term: int) -> None:
    """An empty journal at `path`, for its owner only.

    Raises `Invalid` if a file is there, `Unavailable` if none can be made. A crash in here leaves a file that is
    refused as no journal; nothing was ever acknowledged from it.
    """
    _check_library()
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise Invalid("There is a file at this place already: an existing journal is never overwritten.") from None
    except OSError as error:
        raise Unavailable(f"{path} can't be made: {os.strerror(error.errno or 0)}.") from None
    with Translated(path):
        connection = _connect(path)
        try:
            _make_durable(connection)
            connection.execute("BEGIN IMMEDIATE")
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute("INSERT INTO tip VALUES (1, 0, zeroblob(32), 0, ?, 0)", (term,))
            connection.execute("COMMIT")
        finally:
            connection.close()


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the journal at `path`, its settings proven.

    Raises `Invalid` if the file is no journal or a newer one, `Unavailable` if it can't be used now.
    """
    _check_library()
    file_identity(path)
    with Translated(path):
        connection = _connect(path)
        try:
            _check_schema(connection, path)
            _make_durable(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode=rw",
        uri=True,
        isolation_level=None,  # transactions are begun and ended by hand
        timeout=BUSY_SECONDS,
        check_same_thread=False,  # a thread has its own; only `close` reaches across
    )
    connection.text_factory = _lenient_text
    return connection


def _lenient_text(data: bytes) -> str:
    """Text that was damaged is read all the same, so that the digest can say which event it is."""
    return data.decode("utf-8", "replace")


def _check_library() -> None:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise Unavailable("This Python was built with an SQLite older than 3.37: the journal needs a newer one.")


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise Invalid(_NOT_OURS.format(file=path))
    version = _pragma(connection, "user_version")
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise Invalid("The journal was written by a newer version of tocsin: update tocsin, then try again.")


def _make_durable(connection: sqlite3.Connection) -> None:
    for name, asked, _ in _WANTED:
        connection.execute(f"PRAGMA {name} = {asked}")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    check_durable(lambda name: _pragma(connection, name))


def check_durable(read_back: Callable[[str], object]) -> None:
    """Raises `NotDurable` unless the settings read back are those that keep the journal's promises."""
    if any(read_back(name) != wanted for name, _, wanted in _WANTED):
        raise NotDurable("SQLite did not take the settings that make the journal durable: put it on a local disk.")


def _pragma(connection: sqlite3.Connection, name: str) -> object:
    row = connection.execute(f"PRAGMA {name}").fetchone()
    return row[0] if row else None
