"""The server that is looked at: a process of its own, with seams for what the product does on bad days, or must not do.

    python -m benchmarks.privacy.server FOLDER SEAMS

SEAMS is a `Seams` in JSON. The first line that it prints is its base URL; it runs until its standard input ends, then
prints a `Did`.
"""

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from benchmarks.server import START_SECONDS, MeasuredPerformer
from benchmarks.wrk import Defect
from tocsin.formats.wire import decode_call, encode_answer
from tocsin.journal.port import DEADLINE_SECONDS, Group, Journal
from tocsin.model.calls import Answer, DecoyCall, Verdict
from tocsin.model.errors import Invalid
from tocsin.model.times import Instant
from tocsin.service import collect
from tocsin.service.clock import SystemClock
from tocsin.service.collect import MAX_WAITING, Answering, Collector
from tocsin.service.deployment import Deployment
from tocsin.service.keep import Keeper
from tocsin.service.perform import Arrival
from tocsin.service.reach import Reach
from tocsin.stores.spool import Spool
from tocsin.web.apps.grid import GRID_SECONDS
from tocsin.web.server import running_server

STOP_SECONDS: Final = 60
MOST_RECORDS: Final = 10**7


class Seams(Struct, frozen=True, forbid_unknown_fields=True):
    """How this server differs from the product's.

    `sync_seconds`: each sync takes longer, by an exponential time of this mean, as on a disk that is slow and erratic.
    `max_waiting`: calls that may wait before others are told that there is no room. `is_hasty`: decoys and what is
    malformed are answered at once and wait for no group: the leak that the tests must see. `is_away`: the journal is
    out of reach all the while, and the spool has room for all of the run.
    """

    grid_seconds: float = GRID_SECONDS
    sync_seconds: float = 0.0
    max_waiting: int = MAX_WAITING
    is_hasty: bool = False
    is_away: bool = False


class Did(Struct, frozen=True):
    """What a server did: the size of each group, the seconds that each took, and processor seconds in all."""

    group_sizes: list[int]
    group_seconds: list[float]
    cpu_seconds: float


class Server(Struct, frozen=True):
    """A server that runs."""

    process: "subprocess.Popen[str]"
    port: int

    def stop(self) -> Did:
        """Ends it, and returns what it did."""
        output, _ = self.process.communicate("", timeout=STOP_SECONDS)
        return msgspec.json.decode(output.splitlines()[-1], type=Did)


@contextmanager
def serving(top: Path, seams: Seams) -> Iterator[Server]:
    """A server of the deployment in `top`; it is gone when the block ends."""
    command = [sys.executable, "-m", "benchmarks.privacy.server", str(top), msgspec.json.encode(seams).decode()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(START_SECONDS, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            watchdog.cancel()
            if not url:
                raise Defect("the server did not start")
            yield Server(process, int(url.rpartition(":")[2]))
        finally:
            watchdog.cancel()
            process.kill()


class SlowJournal:
    """A journal whose groups are durable later than they might be; all else is the real one's."""

    def __init__(self, real: Journal, mean_seconds: float) -> None:
        self._real = real
        self._mean_seconds = mean_seconds
        self._chance = random.Random(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @contextmanager
    def group(self, now: Instant, deadline_seconds: float = DEADLINE_SECONDS) -> Iterator[Group]:
        with self._real.group(now, deadline_seconds) as group:
            yield group
            time.sleep(self._chance.expovariate(1 / self._mean_seconds))


class HastyCollector(Collector):
    """Looks at a call before it joins the group, as one may be tempted to."""

    async def answer(self, arrival: Arrival, loop: asyncio.AbstractEventLoop) -> bytes:
        try:
            call = decode_call(arrival.body)
        except Invalid:
            return encode_answer(Answer(Verdict.MALFORMED))
        if isinstance(call, DecoyCall):
            return encode_answer(Answer(Verdict.NOTED))
        return await super().answer(arrival, loop)


def main(top: str, seams_json: str) -> None:
    seams = msgspec.json.decode(seams_json, type=Seams)
    deployment = Deployment(Path(top), SystemClock())
    journal = deployment.journal
    if seams.sync_seconds:
        journal = cast(Any, SlowJournal(journal, seams.sync_seconds))
    performer = MeasuredPerformer(journal, deployment, None)
    collect.__dict__["MAX_WAITING"] = seams.max_waiting  # a constant of the product, and no argument
    performer.catch_up()
    answering: Answering = performer
    if seams.is_away:
        reach = Reach(deployment.journal, deployment.held_clock)
        reach.lost()  # and nobody looks whether it is back
        spool = Spool(deployment.folders.spool, MOST_RECORDS)
        answering = Keeper(performer, spool, reach, deployment.held_clock)
    collector = (HastyCollector if seams.is_hasty else Collector)(answering)
    with running_server(deployment, "127.0.0.1", 0, grid_seconds=seams.grid_seconds, collector=collector) as url:
        print(url, flush=True)
        sys.stdin.read()
    tally = performer.tally()
    times = os.times()
    did = Did(tally.group_sizes, tally.group_seconds, times.user + times.system)
    print(msgspec.json.encode(did).decode(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
