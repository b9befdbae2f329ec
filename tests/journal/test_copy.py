"""A journal that moves to another engine: here from file to file; the two engines are one to it."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.contracts.journal_contract import FOUNDED, NOW, add, claim, fact
from tocsin.journal import sqlite
from tocsin.journal.copy import copy
from tocsin.journal.encoding import StoredEvent
from tocsin.journal.port import PAGE_EVENTS, RETIRED, Durability
from tocsin.journal.sqlite import SqliteJournal
from tocsin.journal.verify import verify
from tocsin.model.errors import Invalid, Unavailable


class Interrupted(BaseException):
    """What ends a process."""


@pytest.fixture
def source(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = sqlite.create(tmp_path / "source.sqlite", term=3, durability=Durability.WAIVED)
    add(journal, FOUNDED, *(fact(number, claim(number), content=b"sealed") for number in range(2, 40)))
    add(journal)
    yield journal
    journal.close()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[SqliteJournal]:
    journal = sqlite.create(tmp_path / "target.sqlite", term=3, durability=Durability.WAIVED)
    yield journal
    journal.close()


def test_nothing_changes_but_the_place(source: SqliteJournal, target: SqliteJournal) -> None:
    events = source.read(0)
    told: list[int] = []
    tip = copy(source, target, NOW, told.append)
    assert target.read(0) == events and told == [39]
    assert tip == target.tip() and tip.term == 3
    assert target.holders([claim(20)]) == [20]
    assert add(target, fact(40))[0].sequence == 40


def test_nothing_is_acknowledged_in_the_old_one_afterwards(source: SqliteJournal, target: SqliteJournal) -> None:
    copy(source, target, NOW)
    with pytest.raises(Unavailable, match="goes on there"):
        add(source, fact(40))
    assert source.tip().beats == RETIRED
    assert verify(source).digest == target.tip().digest


def test_what_others_append_during_the_copy_is_there(source: SqliteJournal, target: SqliteJournal) -> None:
    """A writer goes on until it is told no: each event that it was told yes for is in the new journal."""
    acknowledged: list[StoredEvent] = []
    refusals: list[Unavailable] = []

    def write() -> None:
        for number in range(100, 100_000):
            try:
                acknowledged.extend(add(source, fact(number, claim(number))))
            except Unavailable as refusal:
                refusals.append(refusal)
                return

    writer = threading.Thread(target=write)
    copying = threading.Event()

    def read_slowly(sequence: int) -> None:
        """The copy goes on when the writer has appended more behind its first page."""
        if not copying.is_set():
            copying.set()
            writer.start()
            while source.tip().sequence < sequence + 20:
                pass

    copy(source, target, NOW, read_slowly)
    writer.join()
    assert len(acknowledged) >= 20 and "goes on there" in str(refusals[0])
    assert target.read(39, len(acknowledged) + 1) == acknowledged
    assert target.tip().sequence == 39 + len(acknowledged)


@pytest.mark.parametrize("error", [Interrupted(), Unavailable("the disk failed")])
def test_a_copy_that_breaks_off_leaves_nothing_and_can_be_begun_again(
    source: SqliteJournal, target: SqliteJournal, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(after: int, limit: int = PAGE_EVENTS) -> Sequence[StoredEvent]:
        if after:
            raise error
        return SqliteJournal.read(source, after, 10)

    with monkeypatch.context() as meddling:
        meddling.setattr(source, "read", read)
        with pytest.raises(type(error)):
            copy(source, target, NOW)
    assert target.tip().sequence == 0
    add(source, fact(40))  # it goes on as if nothing had been tried
    assert copy(source, target, NOW).sequence == 40


def test_a_copy_that_was_not_retired_is_finished(source: SqliteJournal, target: SqliteJournal) -> None:
    """The process died between the target's commit and the source's."""
    target.load(source.read(0))
    copy(source, target, NOW)
    assert source.tip().beats == RETIRED


def test_an_earlier_copy_is_no_target(source: SqliteJournal, target: SqliteJournal) -> None:
    target.load(source.read(0))
    add(source, fact(40))
    with pytest.raises(Invalid, match="not empty"):
        copy(source, target, NOW)
    add(source, fact(41))


def test_another_term_is_no_copy(source: SqliteJournal, tmp_path: Path) -> None:
    target = sqlite.create(tmp_path / "other.sqlite", term=2, durability=Durability.WAIVED)
    with pytest.raises(Invalid):
        copy(source, target, NOW)
    add(source, fact(40))
    target.close()


def test_a_journal_that_was_retired_is_copied_no_more(
    source: SqliteJournal, target: SqliteJournal, tmp_path: Path
) -> None:
    copy(source, target, NOW)
    second = sqlite.create(tmp_path / "second.sqlite", term=3, durability=Durability.WAIVED)
    with pytest.raises(Unavailable, match="goes on there"):
        copy(source, second, NOW)
    assert second.tip().sequence == 0
    second.close()
