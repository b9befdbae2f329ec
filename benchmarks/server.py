"""A server to be measured, as a process: it runs until its standard input ends, then tells what it did.

    python -m benchmarks.server FOLDER sqlite|memory [PROFILE]

Its first line is its base URL, its last one a `Tally` in JSON. Answers are off the grid. With PROFILE, a file, it
writes there where the collector's thread spent its time in groups, as cProfile has it.
"""

import cProfile
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from benchmarks.memory_journal import MemoryJournal
from benchmarks.wrk import Defect
from tocsin.journal.port import Journal
from tocsin.model.times import Instant
from tocsin.service.clock import SystemClock
from tocsin.service.deployment import Deployment
from tocsin.service.perform import Arrival, Performer
from tocsin.stores.spool import Spool
from tocsin.web.server import running_server

START_SECONDS: Final = 30
STOP_SECONDS: Final = 30


class Tally(Struct, frozen=True):
    """What a server did: reports in its ledger, the size of each group, and the seconds that each took."""

    reports: int
    group_sizes: list[int]
    group_seconds: list[float]


class Server(Struct, frozen=True):
    """A server that runs."""

    process: "subprocess.Popen[str]"
    url: str

    def stop(self) -> Tally:
        """Ends it, and returns what it did."""
        output, _ = self.process.communicate("", timeout=STOP_SECONDS)
        return msgspec.json.decode(output.splitlines()[-1], type=Tally)


@contextmanager
def serving(top: Path, journal: str, *before: str, profile: Path | None = None) -> Iterator[Server]:
    """A server of the deployment in `top`; `before` is a command to run it under. It is gone when the block ends."""
    arguments = [str(top), journal, *([str(profile)] if profile else [])]
    process = subprocess.Popen(
        [*before, sys.executable, "-m", "benchmarks.server", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        watchdog.cancel()
        if not url:
            raise Defect("the server did not start")
        yield Server(process, url)
    finally:
        watchdog.cancel()
        with process:  # closes its input: also a server under strace, which is not `process`, ends by that
            process.kill()


class MeasuredPerformer(Performer):
    """A performer that notes each group, and profiles them if it is given a profile."""

    def __init__(self, journal: Journal, deployment: Deployment, profile: cProfile.Profile | None) -> None:
        super().__init__(journal, deployment.keys, deployment.clock, deployment.settings.policy)
        self._profile = profile
        self._sizes: list[int] = []
        self._seconds: list[float] = []

    def answer(self, arrivals: Sequence[Arrival]) -> list[bytes]:
        began = time.perf_counter()
        judge = super().answer
        answers = judge(arrivals) if self._profile is None else self._profile.runcall(judge, arrivals)
        self._seconds.append(time.perf_counter() - began)
        self._sizes.append(len(arrivals))
        return answers

    def keep(self, arrivals: Sequence[Arrival], spool: Spool, now: Instant) -> list[bytes]:
        began = time.perf_counter()
        answers = super().keep(arrivals, spool, now)
        self._seconds.append(time.perf_counter() - began)
        self._sizes.append(len(arrivals))
        return answers

    def tally(self) -> Tally:
        """What it did, and what the journal holds by now."""
        self.catch_up()
        return Tally(self.ledger.reports.count, self._sizes, self._seconds)


class MeasuredDeployment(Deployment):
    """A deployment whose performer is a measured one, on its own journal or on a copy of it in memory."""

    def __init__(self, top: Path, in_memory: bool, profile: cProfile.Profile | None) -> None:
        super().__init__(top, SystemClock())
        journal: Journal = MemoryJournal(self.journal.read(0)) if in_memory else self.journal
        self.measured = MeasuredPerformer(journal, self, profile)

    def performer(self) -> Performer:
        return self.measured


def main(top: str, journal: str, profile_file: str | None = None) -> None:
    profile = cProfile.Profile() if profile_file else None
    deployment = MeasuredDeployment(Path(top), journal == "memory", profile)
    with running_server(deployment, "127.0.0.1", 0, grid_seconds=0) as url:
        print(url, flush=True)
        sys.stdin.read()
    print(msgspec.json.encode(deployment.measured.tally()).decode(), flush=True)
    if profile is not None and profile_file is not None:
        profile.dump_stats(profile_file)


if __name__ == "__main__":
    main(*sys.argv[1:])
