"""A machine whose clock a test sets; the product's own `SystemClock` reads it."""

import time

import pytest


class Machine:
    """The wall clock, and the time since the machine's start: only `wait` moves both."""

    def __init__(self, wall: float) -> None:
        self.wall = wall
        self.running = 500.0

    def wait(self, seconds: float) -> None:
        self.wall += seconds
        self.running += seconds

    def put_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever asks for the time from now on is told this machine's."""
        monkeypatch.setattr(time, "time", lambda: self.wall)
        monkeypatch.setattr(time, "clock_gettime", lambda which: self.running)
