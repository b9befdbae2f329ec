"""The queue of writers."""

import fcntl
import os
import threading
from pathlib import Path

import pytest

from tocsin.journal.turn import reached, turn
from tocsin.model.errors import Unavailable


def test_one_at_a_time(tmp_path: Path) -> None:
    with turn(tmp_path / "j", 1):
        for _ in range(2):
            with pytest.raises(Unavailable, match="writers"), turn(tmp_path / "j", 0.01):
                raise AssertionError("two at once")
    with turn(tmp_path / "j", 0.01):
        pass


def test_no_deadline_left_still_takes_a_free_turn(tmp_path: Path) -> None:
    with turn(tmp_path / "j", 0):
        pass


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="folder"), turn(tmp_path / "none" / "j", 1):
        raise AssertionError("no lock file")


def test_the_turn_comes_back_when_the_block_raises(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), turn(tmp_path / "j", 1):
        raise ZeroDivisionError
    with turn(tmp_path / "j", 0):
        pass


def is_locked(path: Path) -> bool:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_who_comes_back_at_once_does_not_overtake_who_waits(tmp_path: Path) -> None:
    order: list[str] = []

    def wait() -> None:
        with turn(tmp_path / "j", 30):
            order.append("who waited")

    waiter = threading.Thread(target=wait)
    with turn(tmp_path / "j", 30):
        waiter.start()
        assert any(is_locked(tmp_path / "j-gate") for _ in range(100_000))  # it is next
    with turn(tmp_path / "j", 30):
        order.append("who came back")
    waiter.join()
    assert order == ["who waited", "who came back"]


def test_what_was_reached_is_remembered(tmp_path: Path) -> None:
    assert reached(tmp_path / "j") == 0
    for sequence in (7, 2**63 - 1, 7):
        with turn(tmp_path / "j", 1) as mine:
            assert reached(tmp_path / "j") in (0, 7, 2**63 - 1)
            mine.reached(sequence)
        assert reached(tmp_path / "j") == sequence
    (tmp_path / "j-turn").write_bytes(b"garbage")
    assert reached(tmp_path / "j") == 0, "no proof of anything"


def test_a_pipe_in_the_place_of_the_turn_file_holds_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "journal-turn")
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(reached(tmp_path / "journal")), daemon=True)
    asking.start()
    asking.join(5)
    assert answers == [0]
