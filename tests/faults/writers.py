"""Several processes that load a journal in PostgreSQL, what they were told, and whether the journal has kept it."""

import subprocess
import sys
import threading
import time
from collections import defaultdict
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import Final

from tests.faults.journal_writer import claim
from tests.faults.servers import ROOT, until
from tocsin.journal import postgres
from tocsin.journal.verify import verify

WRITERS: Final = 4


class Writers(AbstractContextManager["Writers"]):
    """`WRITERS` processes, each with so many groups of so many events; they are ended with the block."""

    def __init__(self, url: str, groups: int, size: int) -> None:
        self._url = url
        self._each = groups * (size + 1)
        self.told: list[tuple[float, int, str]] = []
        """What was acknowledged: when, by the time since this machine's start, and the event that claims this name."""
        words = [sys.executable, "-m", "tests.faults.cluster_writer", url]
        self._processes = [
            subprocess.Popen(
                [*words, f"w{number}", str(groups), str(size)], cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
            for number in range(WRITERS)
        ]
        self._threads = [threading.Thread(target=self._listen, args=(process,)) for process in self._processes]
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        for thread in self._threads:
            thread.join()
        for process in self._processes:
            assert process.stdout is not None
            process.stdout.close()

    def wait_for(self, more: int) -> int:
        """Waits until so many more events are acknowledged; returns how many are in all."""
        goal = len(self.told) + more
        until(f"{goal} acknowledged events", lambda: len(self.told) >= goal)
        return len(self.told)

    def finish(self) -> None:
        """Waits until each has appended all that it was to, and none has failed."""
        for process in self._processes:
            assert process.wait() == 0
        for thread in self._threads:
            thread.join()
        assert len(self.told) == WRITERS * self._each

    @property
    def longest_silence(self) -> float:
        """The longest time, in seconds, in which nothing was acknowledged."""
        times = [at for at, _, _ in self.told]
        return max(after - before for before, after in pairwise(times))

    def check(self) -> int:
        """Fails unless all that was acknowledged is in the journal, once, under its number, and the chain is whole.

        Returns the journal's last event.
        """
        told = defaultdict[str, set[int]](set)
        for _, sequence, name in self.told:
            told[name].add(sequence)
        journal = postgres.open(self._url)
        try:
            end = verify(journal).sequence
            holders = journal.holders([claim(name) for name in told])
        finally:
            journal.close()
        assert [{holder} for holder in holders] == list(told.values()), (
            "an acknowledged event is lost, or is another one"
        )
        return end

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            sequence, name = line.split()
            self.told.append((time.monotonic(), int(sequence), name))
