"""Writers of several processes and threads queue here before they open a write transaction.

SQLite's own busy handler lets a waiting writer starve behind one that comes back at once. Here two locks make a queue:
whoever holds the *gate* is next, and waits for the *turn*; whoever has just given the turn back must pass the gate
again, and so can't overtake. Both are advisory locks (``flock``) on files beside the journal, which the kernel
drops with their holder. They only order the writers: that no two write at once is SQLite's own doing, so a lock file
that somebody deletes costs fairness and nothing else.

The turn's file also says how far the journal had come (*reached*), written after each group that was stored. A journal
that ends before that has lost what was acknowledged: its log was removed, or an older copy was put in its place. It is
not synced, for it may lag behind the journal and must never be ahead of it.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter, sleep
from typing import Final

from tocsin.model.errors import Unavailable
from tocsin.stores.durable import in_words

FIRST_PAUSE_SECONDS: Final = 0.0001
LONGEST_PAUSE_SECONDS: Final = 0.002
"""Pauses between two looks double up to this: a group takes a few milliseconds."""
_REACHED_BYTES: Final = 21
_REACHED: Final = re.compile(rb"[0-9]{20}\n")
"""The only spelling; anything else was written by somebody else, and says nothing."""


class Turn:
    """The right to write."""

    def __init__(self, file: int) -> None:
        self._file = file

    def reached(self, sequence: int) -> None:
        """Remembers that event `sequence` is stored. A disk without room for that is no reason to fail."""
        with suppress(OSError):
            os.pwrite(self._file, b"%020d\n" % sequence, 0)


def reached(journal_path: Path) -> int:
    """The last event that is remembered to be stored; 0 if none is. To be asked before the journal's tip is."""
    try:  # without waiting for the other end of a pipe
        descriptor = os.open(f"{journal_path}-turn", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        found = _REACHED.fullmatch(os.read(descriptor, _REACHED_BYTES))
        return int(found[0]) if found else 0
    except OSError:
        return 0
    finally:
        os.close(descriptor)


@contextmanager
def turn(journal_path: Path, deadline_seconds: float) -> Iterator[Turn]:
    """The right to write, for the length of the block. Raises `Unavailable` if it does not come in time."""
    give_up_at = perf_counter() + deadline_seconds  # a stopwatch, not the time of day
    with _lock_file(journal_path, "-turn") as turn_file:
        with _lock_file(journal_path, "-gate") as gate_file:
            if not (_lock(gate_file, give_up_at) and _lock(turn_file, give_up_at)):
                raise Unavailable(
                    "other writers held the journal for too long: nothing was stored, try again. If it goes on, a"
                    f" process stands still or hangs: `lslocks` tells who has {journal_path}-turn; continue or end it"
                )
        yield Turn(turn_file)


@contextmanager
def _lock_file(journal_path: Path, suffix: str) -> Iterator[int]:
    try:
        descriptor = os.open(f"{journal_path}{suffix}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(
            f"The journal's folder {journal_path.parent} can't be written: {in_words(error)}. Nothing was stored."
        ) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # and with it the lock


def _lock(descriptor: int, give_up_at: float) -> bool:
    """Whether the lock was to be had in time."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            pass
        except OSError:
            raise Unavailable("The journal's folder does not support file locks: put it on a local disk.") from None
        if perf_counter() + pause > give_up_at:
            return False
        sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
