"""The embedded engine: the contract, and what only a file can suffer."""

import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contracts.journal_contract import (
    FOUNDED,
    NOW,
    TODAY,
    Abandoned,
    Engine,
    JournalContract,
    add,
    claim,
    fact,
    sealed,
)
from tests.journal.vectors import JOURNAL
from tocsin.journal import sqlite, sqlite_connection
from tocsin.journal.port import Broken, Durability, Journal
from tocsin.journal.sqlite import SqliteJournal
from tocsin.journal.verify import verify
from tocsin.model.errors import Invalid, TocsinError, Unavailable
from tocsin.model.times import Day


class SqliteEngine:
    """Journals in files of one folder; the folder of tests may be in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "none"
        self._numbers = itertools.count()
        self._made: list[SqliteJournal] = []

    def create(self) -> SqliteJournal:
        self.path = self.folder / f"journal {next(self._numbers)} #?%.sqlite"  # a name that a URI must quote
        self._made.append(sqlite.create(self.path, durability=Durability.WAIVED))
        return self._made[-1]

    def open(self) -> SqliteJournal:
        self._made.append(sqlite.open(self.path, Durability.WAIVED))
        return self._made[-1]

    def close(self) -> None:
        for journal in self._made:
            journal.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SqliteEngine]:
    made = SqliteEngine(tmp_path)
    yield made
    made.close()


class TestContract(JournalContract):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        made = SqliteEngine(tmp_path)
        yield made
        made.close()


def tamper(path: Path, *statements: str) -> None:
    """Changes the file behind the journal's back."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


# --- erasing ---


def files_with(needle: bytes, folder: Path) -> set[str]:
    """The names of the files in `folder` that hold these bytes."""
    return {file.name.rpartition(".")[2] for file in folder.iterdir() if needle in file.read_bytes()}


def test_erased_bytes_leave_every_file(engine: SqliteEngine) -> None:
    """Nulling alone would leave them in the log, and in the file what the log has not yet overwritten."""
    journal = engine.create()
    add(journal, FOUNDED, *(fact(number, content=sealed(TODAY) + b"needle" * 900) for number in range(50)))
    add(journal, fact(50, content=sealed(TODAY + 1) + b"another day"))
    assert files_with(b"needle", engine.folder)
    assert journal.erase(Day(TODAY)) == 50
    assert files_with(b"needle", engine.folder) == set()
    assert files_with(b"another day", engine.folder) == {"sqlite"}
    assert verify(journal).sequence == 52


def test_a_reader_of_the_log_delays_the_erasure_and_is_named(engine: SqliteEngine) -> None:
    journal = engine.create()
    add(journal, FOUNDED, fact(1, content=sealed(TODAY) + b"needle"))
    reader = sqlite3.connect(engine.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM event").fetchone()
    with pytest.raises(Unavailable, match="is being read"):
        journal.erase(Day(TODAY))
    assert journal.read(1)[0].content is None and files_with(b"needle", engine.folder)
    add(journal, fact(2))  # nobody else waits for the reader
    reader.close()
    assert journal.erase(Day(TODAY)) == 0
    assert files_with(b"needle", engine.folder) == set()


# --- making and opening ---


def test_a_journal_is_for_its_owner_only(engine: SqliteEngine) -> None:
    add(engine.create(), FOUNDED)
    modes = {file.name: file.stat().st_mode & 0o777 for file in engine.folder.iterdir()}
    assert len(modes) == 5  # the file, its write-ahead log and index, two lock files
    assert set(modes.values()) == {0o600}


def test_an_existing_file_is_never_overwritten(engine: SqliteEngine) -> None:
    add(engine.create(), FOUNDED)
    with pytest.raises(Invalid, match="never overwritten"):
        sqlite.create(engine.path, durability=Durability.WAIVED)
    assert engine.open().tip().sequence == 1


def test_a_rebuilt_journal_has_a_higher_term(tmp_path: Path) -> None:
    journal = sqlite.create(tmp_path / "j", term=2, durability=Durability.WAIVED)
    assert journal.load(JOURNAL).term == 2
    assert journal.tip().term == 2
    journal.close()


def test_the_file_says_what_it_is(engine: SqliteEngine) -> None:
    engine.create().close()
    with contextlib.closing(sqlite3.connect(engine.path)) as connection:
        pragmas = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        }
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        assert "AUTOINCREMENT" not in str(connection.execute("SELECT sql FROM sqlite_schema").fetchall()).upper()
    assert pragmas == {"application_id": int.from_bytes(b"tocs", "big"), "user_version": 1}
    assert mode == "wal"


def no_file(path: Path) -> None:
    pass


def a_text(path: Path) -> None:
    path.write_text("Dear diary, " * 100)


def an_empty_file(path: Path) -> None:
    path.touch()


def a_folder(path: Path) -> None:
    path.mkdir()


def a_foreign_database(path: Path) -> None:
    tamper(path, "CREATE TABLE tip (sequence)")


def a_half_made_one(path: Path) -> None:
    tamper(path, f"PRAGMA application_id = {sqlite_connection.APPLICATION_ID}")


def a_newer_one(path: Path) -> None:
    sqlite.create(path, durability=Durability.WAIVED).close()
    tamper(path, "PRAGMA user_version = 2")


@pytest.mark.parametrize(
    ("make", "family", "says"),
    [
        (no_file, Unavailable, "tocsin init"),
        (a_text, Invalid, "not a tocsin journal"),
        (an_empty_file, Invalid, "not a tocsin journal"),
        (a_folder, Unavailable, "this user's"),
        (a_foreign_database, Invalid, "not a tocsin journal"),
        (a_half_made_one, Invalid, "not a tocsin journal"),
        (a_newer_one, Invalid, "update tocsin"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_no_journal_is_refused(
    tmp_path: Path, make: Callable[[Path], None], family: type[TocsinError], says: str
) -> None:
    make(tmp_path / "j")
    with pytest.raises(family, match=says):
        sqlite.open(tmp_path / "j", Durability.WAIVED)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="folder"):
        sqlite.create(tmp_path / "none" / "j", durability=Durability.WAIVED)


def test_a_memory_file_system_is_refused_unless_waived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite.create(tmp_path / "j", durability=Durability.WAIVED).close()
    monkeypatch.setattr(sqlite, "in_memory", lambda folder: folder == tmp_path)
    with pytest.raises(Unavailable, match="in memory"):
        sqlite.create(tmp_path / "k")
    assert not (tmp_path / "k").exists()
    with pytest.raises(Unavailable, match="in memory"):
        sqlite.open(tmp_path / "j")
    sqlite.open(tmp_path / "j", Durability.WAIVED).close()


@pytest.mark.parametrize(("name", "value"), [("journal_mode", "delete"), ("synchronous", 1), ("secure_delete", 0)])
def test_settings_that_did_not_take_are_refused(name: str, value: object) -> None:
    settings = {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}
    sqlite_connection.check_durable(settings.get)
    with pytest.raises(Unavailable, match="durable"):
        sqlite_connection.check_durable({**settings, name: value}.get)


# --- connections that go away ---


def close_behind_its_back(journal: SqliteJournal) -> None:
    for connection in journal._connections.values():
        connection.close()


def test_connections_killed_while_idle_cost_nothing(engine: SqliteEngine) -> None:
    """Case 51."""
    journal = engine.create()
    add(journal, FOUNDED)
    assert journal.tip().sequence == 1
    close_behind_its_back(journal)
    assert add(journal, fact(2, claim("card")))[0].sequence == 2
    close_behind_its_back(journal)
    assert journal.tip().sequence == 2
    assert verify(journal).sequence == 2


def test_a_connection_lost_in_a_group_stores_nothing_of_it(engine: SqliteEngine) -> None:
    journal = engine.create()
    add(journal, FOUNDED)
    with pytest.raises(Unavailable), journal.group(NOW) as group:
        group.append(fact(2))
        close_behind_its_back(journal)
        with pytest.raises(Unavailable):
            group.append(fact(3))
        # the caller overlooks it and leaves its block as if all were well
    assert journal.tip().sequence == 1
    assert add(journal, fact(2))[0].sequence == 2


def test_closed_and_opened_again(engine: SqliteEngine) -> None:
    journal = engine.create()
    stored = add(journal, FOUNDED, *(fact(number, claim(number)) for number in range(2, 40)))
    journal.close()
    assert engine.open().read(0) == stored


def test_a_file_that_was_put_in_its_place_is_refused(engine: SqliteEngine) -> None:
    journal = engine.create()
    add(journal, FOUNDED)
    first = engine.path
    engine.create()
    engine.path.replace(first)
    for use in (journal.tip, lambda: add(journal, fact(2))):
        with pytest.raises(Unavailable, match="replaced"):
            use()


def test_a_file_that_was_deleted_takes_no_more(engine: SqliteEngine) -> None:
    journal = engine.create()
    add(journal, FOUNDED)
    engine.path.unlink()
    with pytest.raises(Unavailable, match="no journal at"):
        add(journal, fact(2))


def test_a_program_that_does_not_queue_is_waited_for_in_vain(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_connection, "BUSY_SECONDS", 0.01)
    journal = engine.create()
    with contextlib.closing(sqlite3.connect(engine.path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="Another program"):
            add(journal, FOUNDED)
    assert add(journal, FOUNDED)[0].sequence == 1


# --- writes that fail: not stored, and stored but reported failed ---


class Failing:
    """A connection whose COMMIT fails once, before or after SQLite has done it."""

    def __init__(self, connection: sqlite3.Connection, stored: bool) -> None:
        self._connection = connection
        self._stored = stored
        self._armed = True

    def execute(self, statement: str, parameters: tuple[object, ...] = ()) -> sqlite3.Cursor:
        if statement == "COMMIT" and self._armed:
            self._armed = False
            if self._stored:
                self._connection.execute(statement)
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(statement, parameters)

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


@pytest.mark.faults
@pytest.mark.parametrize("stored", [False, True])
def test_after_a_failed_commit_the_same_events_may_come_again(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    journal = engine.create()
    add(journal, FOUNDED)
    fresh = engine.open()
    monkeypatch.setattr(sqlite, "connect", lambda path: Failing(sqlite_connection.connect(path), stored))
    with pytest.raises(Unavailable, match="Nothing was stored"):
        add(fresh, fact(2, claim("card")))
    with journal.group(NOW) as group:  # whichever it was, one look at the claim says so, and the chain goes on
        assert group.claimed(claim("card")) == (2 if stored else None)
        if not stored:
            group.append(fact(2, claim("card")))
        group.append(fact(3))
    assert verify(journal).sequence == 3


# --- files that were changed ---


@pytest.fixture
def written(engine: SqliteEngine) -> SqliteJournal:
    """A journal with the events of the vectors."""
    journal = engine.create()
    journal.load(JOURNAL)
    return journal


LAST = len(JOURNAL)
"""The last event of the journal that is changed."""

COPY = (
    "INSERT INTO event SELECT {to}, recorded_at, kind, body, content, content_digest, claims, digest"
    " FROM event WHERE sequence = {from_}"
)
MOVE = "UPDATE event SET sequence = {to} WHERE sequence = {from_}"

CHANGES: dict[str, tuple[list[str], int]] = {
    "a body": (["UPDATE event SET body = CAST(replace(body, '100', '999') AS BLOB) WHERE sequence = 3"], 3),
    "two swapped": ([MOVE.format(from_=6, to=99), MOVE.format(from_=7, to=6), MOVE.format(from_=99, to=7)], 6),
    "one deleted": (["DELETE FROM event WHERE sequence = 6"], 6),
    "the first deleted": (["DELETE FROM event WHERE sequence = 1"], 1),
    "the last deleted": ([f"DELETE FROM event WHERE sequence = {LAST}"], LAST),
    "the tail cut": (["DELETE FROM event WHERE sequence > 10"], 11),
    "all deleted": (["DELETE FROM event"], 1),
    "one put behind the tip": ([COPY.format(from_=LAST, to=LAST + 1)], LAST + 1),
    "one put in": (
        [MOVE.format(from_=n, to=n + 1) for n in range(LAST, 5, -1)]
        + [COPY.format(from_=5, to=6), "UPDATE claim SET sequence = sequence + 1 WHERE sequence > 5"],
        6,
    ),
    "a content shortened": (
        ["UPDATE event SET content = CAST(substr(content, 1, 40) AS BLOB) WHERE sequence = 5"],
        5,
    ),
    "a content put in": (["UPDATE event SET content = x'00' WHERE sequence = 8"], 8),
    "a kind that is no text": (["UPDATE event SET kind = CAST(x'ff' AS TEXT) WHERE sequence = 8"], 8),
    "claims that are none": (["UPDATE event SET claims = x'00' WHERE sequence = 8"], 8),
    "a digest cut": (["UPDATE event SET digest = zeroblob(31) WHERE sequence = 8"], 8),
    "a claim row dropped": (["DELETE FROM claim WHERE sequence = 6"], 6),
    "a claim row moved": (["UPDATE claim SET sequence = 4 WHERE sequence = 6"], 6),
    "a foreign claim row": (["INSERT INTO claim VALUES (zeroblob(33), 9)"], 9),
    "a foreign claim row behind the tip": (["INSERT INTO claim VALUES (zeroblob(33), 14)"], 14),
    "a foreign claim row for nothing": (["INSERT INTO claim VALUES (zeroblob(33), 0)"], 0),
    "the tip's digest": (["UPDATE tip SET digest = zeroblob(32)"], LAST),
    "the tip ahead": (["UPDATE tip SET sequence = 14"], 14),
    "the tip behind": (["UPDATE tip SET sequence = 12"], 12),
}


@pytest.mark.parametrize(("statements", "broken_at"), CHANGES.values(), ids=CHANGES.keys())
def test_what_was_changed_is_seen(
    engine: SqliteEngine, written: SqliteJournal, statements: list[str], broken_at: int
) -> None:
    written.close()
    tamper(engine.path, *statements)
    engine.path.with_name(f"{engine.path.name}-turn").unlink()  # a copy for an auditor may lack it
    with pytest.raises(Broken) as broken:
        verify(engine.open())
    assert broken.value.sequence == broken_at


@pytest.mark.parametrize("statement", [COPY.format(from_=1, to=0), "INSERT INTO claim VALUES (x'', 9)"])
def test_what_no_reader_would_see_has_no_room(engine: SqliteEngine, written: SqliteJournal, statement: str) -> None:
    written.close()
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        tamper(engine.path, statement)


def test_erased_content_is_no_break(engine: SqliteEngine, written: SqliteJournal) -> None:
    tamper(engine.path, "UPDATE event SET content = NULL WHERE sequence = 5")
    assert verify(written).sequence == LAST


def test_a_gap_is_not_read_over(engine: SqliteEngine, written: SqliteJournal) -> None:
    tamper(engine.path, "DELETE FROM event WHERE sequence = 6")
    for after in (0, 5):
        with pytest.raises(Broken) as broken:
            written.read(after)
        assert broken.value.sequence == 6


@pytest.mark.parametrize(
    "statement", [f"DELETE FROM event WHERE sequence = {LAST}", f"UPDATE tip SET sequence = {LAST - 1}"]
)
def test_nothing_is_appended_to_a_journal_whose_end_is_broken(
    engine: SqliteEngine, written: SqliteJournal, statement: str
) -> None:
    tamper(engine.path, statement)
    with pytest.raises(Broken):
        add(written, fact(14))


def test_a_lost_tip(engine: SqliteEngine, written: SqliteJournal) -> None:
    written.close()
    tamper(engine.path, "DELETE FROM tip")
    with pytest.raises(Invalid, match="tip"):
        engine.open()


def test_damaged_pages_are_invalid(engine: SqliteEngine, written: SqliteJournal) -> None:
    written.close()
    data = bytearray(engine.path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    engine.path.write_bytes(data)
    with pytest.raises(Invalid, match="damaged"):
        engine.open()


def test_numbers_beyond_63_bits_are_invalid(engine: SqliteEngine) -> None:
    journal = engine.create()
    with pytest.raises(Invalid, match="number"):
        journal.read(2**64)


def test_errors_never_chain_foreign_ones(engine: SqliteEngine) -> None:
    journal = engine.create()
    journal.close()
    tamper(engine.path, "DROP TABLE event")
    with pytest.raises(TocsinError) as error:
        engine.open().read(0)
    assert error.value.__cause__ is None and error.value.__suppress_context__


def test_a_callers_own_error_comes_out_as_it_went_in(engine: SqliteEngine) -> None:
    journal: Journal = engine.create()
    with pytest.raises(Abandoned) as error, journal.group(NOW):
        raise Abandoned
    assert error.value.__cause__ is None and error.value.__context__ is None
