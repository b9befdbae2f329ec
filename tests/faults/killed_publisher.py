"""Run as a process: a publisher that is killed at one of its steps. Arguments: folder, instant, step.

Step n kills it right before the n-th thing it would make durable; a step beyond the last lets it finish.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.sites import FixedClock
from tocsin.journal.port import Group, Journal
from tocsin.model.times import Instant
from tocsin.service.deployment import Deployment
from tocsin.stores.folder import FolderBucket


class Fuse:
    """Burns down by one at each step, and then kills the process as a power cut would."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def burn(self) -> None:
        if self.steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.steps -= 1


class FusedBucket(FolderBucket):
    fuse: Fuse

    def create(self, name: str, data: bytes) -> bool:
        self.fuse.burn()
        return super().create(name, data)

    def replace(self, name: str, data: bytes, expected: bytes | None) -> bool:
        self.fuse.burn()
        return super().replace(name, data, expected)


class FusedJournal:
    """The journal, whose groups are killed right before they commit."""

    def __init__(self, journal: Journal, fuse: Fuse) -> None:
        self._journal = journal
        self._fuse = fuse
        self.read = journal.read
        self.tip = journal.tip
        self.holders = journal.holders
        self.close = journal.close

    @contextmanager
    def group(self, now: Instant) -> Iterator[Group]:
        with self._journal.group(now) as group:
            yield group
            self._fuse.burn()


def main(top: str, at: str, step: str) -> None:
    deployment = Deployment(Path(top), FixedClock(int(at)))
    fuse = Fuse(int(step))
    bucket = FusedBucket(deployment.folders.bucket)
    bucket.fuse = fuse
    deployment.bucket = bucket
    deployment.journal = FusedJournal(deployment.journal, fuse)  # type: ignore[assignment]
    deployment.publisher().publish()
    print(fuse.steps)


if __name__ == "__main__":
    main(*sys.argv[1:])
