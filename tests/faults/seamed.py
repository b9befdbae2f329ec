"""`tocsin`, run as a process with seams that the product does not have: a clock of its own, and places to stop at.

``python -m tests.faults.seamed FOLDER NAME SKEW WORDS…``. The clock is the file `clock` in the deployment's folder, and
so many seconds more. If a file `stop-NAME-PLACE` is there when the process comes to that place, it takes the file away
and stops itself, as by ``kill -STOP``; whoever continues it finds it there. The publisher looks for work all the time.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.site_process import FileClock
from tocsin.cli import main
from tocsin.formats.leaf import HEAD_NAME
from tocsin.journal.port import DEADLINE_SECONDS
from tocsin.journal.sqlite import SqliteGroup, SqliteJournal
from tocsin.model.times import Instant
from tocsin.service import serve
from tocsin.stores.folder import FolderBucket

BEFORE_GROUP = "before-group"
"""The clock was read, the writers' lock is not yet asked for."""
IN_GROUP = "in-group"
"""The writers' lock is held, everything is appended, nothing is committed."""
BEFORE_HEAD = "before-head"
"""All other files of a version are in the bucket."""


class SkewedClock(FileClock):
    """The instant that the file `clock` holds, and so many seconds more."""

    def __init__(self, folder: Path, skew: int) -> None:
        super().__init__(folder)
        self._skew = skew

    def now(self) -> Instant:
        return Instant(super().now() + self._skew)


def sew_in(top: Path, name: str) -> None:
    """Puts the places into the journal and the bucket."""

    def come_to(place: str) -> None:
        try:
            (top / f"stop-{name}-{place}").unlink()
        except FileNotFoundError:
            return
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # to the process: this thread might run on a while

    group, replace = SqliteJournal.group, FolderBucket.replace

    @contextmanager
    def stopping_group(
        journal: SqliteJournal, now: Instant, deadline_seconds: float = DEADLINE_SECONDS
    ) -> Iterator[SqliteGroup]:
        come_to(BEFORE_GROUP)
        with group(journal, now, deadline_seconds) as opened:
            yield opened
            come_to(IN_GROUP)

    def stopping_replace(bucket: FolderBucket, key: str, data: bytes, expected: bytes | None) -> bool:
        if key == HEAD_NAME:
            come_to(BEFORE_HEAD)
        return replace(bucket, key, data, expected)

    SqliteJournal.group = stopping_group  # type: ignore[method-assign,assignment]
    FolderBucket.replace = stopping_replace  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    folder, own_name, own_skew, *words = sys.argv[1:]
    sew_in(Path(folder), own_name)
    serve.LONGEST_SLEEP_SECONDS = serve.RETRY_SECONDS = 0.05  # type: ignore[misc,assignment]
    sys.exit(main([*words, "--data", folder], SkewedClock(Path(folder), int(own_skew))))
