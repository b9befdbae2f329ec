"""A copy made while others write: one state, proven; never in another file's place; nothing left where it fails."""

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.disks import disk
from tocsin.journal import sqlite, sqlite_backup
from tocsin.journal.encoding import NewEvent
from tocsin.journal.port import Broken, Durability
from tocsin.journal.sqlite import SqliteJournal
from tocsin.journal.sqlite_backup import back_up
from tocsin.journal.verify import verify
from tocsin.model.errors import Refused, Unavailable
from tocsin.model.events import Founded, Paused
from tocsin.model.times import Instant

NOW = Instant(1_800_000_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "journal").mkdir()
    return tmp_path / "journal" / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> SqliteJournal:
    made = sqlite.create(path, durability=Durability.WAIVED)
    with made.group(NOW) as group:
        group.append(NewEvent(Founded("utopia", "A" * 43)))
    _append(made, 19)
    return made


def _append(journal: SqliteJournal, count: int) -> None:
    for _ in range(count):
        with journal.group(NOW) as group:
            group.append(NewEvent(Paused(who="Ada", why="a test" * 50, approved_by=None)))


def test_a_copy_is_a_whole_journal_that_goes_on(journal: SqliteJournal, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert back_up(path, copy) == journal.tip()
    assert sorted(tmp_path.iterdir()) == [copy, path.parent]
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite.open(copy, Durability.WAIVED)) as copied:
        assert verify(copied) == journal.tip()
        _append(copied, 1)
        assert copied.read(0)[:20] == journal.read(0)


def test_it_is_one_state_while_others_write(journal: SqliteJournal, path: Path, tmp_path: Path) -> None:
    stopped = threading.Event()

    def write() -> None:
        while not stopped.is_set():
            _append(journal, 1)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for number in range(5):
            before = journal.tip().sequence
            tip = back_up(path, tmp_path / str(number))
            assert before <= tip.sequence <= journal.tip().sequence
    finally:
        stopped.set()
        for writer in writers:
            writer.join()
    assert verify(journal).sequence > 20


@pytest.mark.parametrize("kind", ["file", "link to nothing", "folder"])
def test_it_is_never_put_in_another_s_place(journal: SqliteJournal, path: Path, tmp_path: Path, kind: str) -> None:
    copy = tmp_path / "copy"
    match kind:
        case "file":
            copy.write_text("mine")
        case "link to nothing":
            copy.symlink_to("nothing")
        case "folder":
            copy.mkdir()
    with pytest.raises(Refused, match="never overwritten"):
        back_up(path, copy)
    assert kind != "file" or copy.read_text() == "mine"


def test_one_that_comes_meanwhile_stays(
    journal: SqliteJournal, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    monkeypatch.setattr(sqlite_backup, "_sync", lambda draft: copy.write_text("mine"))
    with pytest.raises(Refused):
        back_up(path, copy)
    assert copy.read_text() == "mine" and sorted(tmp_path.iterdir()) == [copy, path.parent]


def test_what_a_crash_left_is_removed(journal: SqliteJournal, path: Path, tmp_path: Path) -> None:
    for suffix in ("", "-wal", "-journal"):
        (tmp_path / f".copy{suffix}").write_text("half")
    assert back_up(path, tmp_path / "copy") == journal.tip()
    assert sorted(tmp_path.iterdir()) == [tmp_path / "copy", path.parent]


def test_of_a_broken_journal_there_is_no_copy(journal: SqliteJournal, path: Path, tmp_path: Path) -> None:
    journal.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE event SET body = zeroblob(3) WHERE sequence = 7")
    with pytest.raises(Broken) as broken:
        back_up(path, tmp_path / "copy")
    assert broken.value.sequence == 7 and os.listdir(tmp_path) == ["journal"]


def test_where_there_is_no_room_there_is_no_copy(journal: SqliteJournal, path: Path, tmp_path: Path) -> None:
    with disk(tmp_path / "small", 32) as small:
        with pytest.raises(Unavailable, match="room"):
            back_up(path, small.place / "copy")
        assert os.listdir(small.place) == []


def test_where_there_is_no_folder_it_says_so(journal: SqliteJournal, path: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        back_up(path, tmp_path / "nowhere" / "copy")
