"""The queue of writers."""

import threading
from pathlib import Path

import pytest

from tocsin.journal.turn import turn
from tocsin.model.errors import Unavailable


def test_one_at_a_time(tmp_path: Path) -> None:
    with turn(tmp_path / "j", 1):
        for _ in (range(2),):
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


def test_who_comes_back_at_once_does_not_overtake_who_waits(tmp_path: Path) -> None:
    """The greedy one asks again the moment it is done; the other must have its turn all the same, many times over."""
    order: list[str] = []
    done = threading.Event()

    def greedy() -> None:
        while not done.is_set():
            with turn(tmp_path / "j", 30):
                order.append("greedy")

    thread = threading.Thread(target=greedy)
    thread.start()
    try:
        for _ in range(20):
            with turn(tmp_path / "j", 30):
                order.append("patient")
    finally:
        done.set()
        thread.join()
    assert order.count("patient") == 20
