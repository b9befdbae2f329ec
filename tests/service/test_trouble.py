"""What an operator is told of trouble: once when it begins, once when it is over, not more often than is bearable."""

import pytest

from tocsin.service import trouble
from tocsin.service.trouble import Trouble


class Stopwatch:
    """A stopwatch that a test moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    made = Stopwatch()
    monkeypatch.setattr(trouble, "perf_counter", made)
    return made


def test_a_sentence_is_told_once_and_its_end_once() -> None:
    told: list[str | None] = []
    watched = Trouble(told.append)
    for state in (None, "full", "full", "gone", None, None, "full"):
        watched.is_now(state)
    assert told == ["full", "gone", None, "full"]


def test_what_comes_and_goes_does_not_fill_the_log(stopwatch: Stopwatch) -> None:
    """A disk that takes one group and refuses the next: a line in ten seconds, and at the end what is so."""
    told: list[str | None] = []
    watched = Trouble(told.append, silent_seconds=10)
    for number in range(1000):
        watched.is_now("full" if number % 2 == 0 else None)
        stopwatch.at += 0.02
    assert told == ["full", None]
    stopwatch.at += 10
    watched.is_now("full")
    stopwatch.at += 9.9
    watched.is_now(None)
    assert told == ["full", None, "full"], "not yet"
    stopwatch.at += 0.1
    watched.is_now(None)
    assert told == ["full", None, "full", None]


def test_a_terminal_that_is_gone_is_in_nobodys_way() -> None:
    def full(sentence: str | None) -> None:
        raise OSError(28, "no space left on device")

    Trouble(full).is_now("full")
