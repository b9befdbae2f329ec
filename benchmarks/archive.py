"""What the archive costs: twelve hours of a nation, archived every minute as a server does, then put together.

Every minute has fifty reports of fourteen keys, but for five minutes of a surge: 300 reports a second. Each minute goes
into an archive in a folder of this disk and into one in a real S3 server of this machine (SeaweedFS), in turns with the
same bytes without an archive: files of the same sizes, each synced; objects of the same sizes, each by one PUT.

``python -m benchmarks.archive URL DAY`` puts a day of one archive together, alone in its process, and tells what it
took.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import obstore
from msgspec import Struct
from obstore.store import S3Store

from benchmarks.fortnight import append_report
from benchmarks.machine import most_resident
from benchmarks.public_set import LONGEST_SECONDS
from benchmarks.site import SETTINGS, StandingClock
from benchmarks.table import Row
from benchmarks.wrk import Defect
from tests.faults.object_store import ObjectStore, running_object_store
from tocsin.journal.archive import make_archive, open_archive
from tocsin.model.times import Day, Instant, day_of, day_start
from tocsin.service.archiver import Archiver
from tocsin.service.deployment import Deployment
from tocsin.service.founding import found
from tocsin.stores.durable import sync_folder, write_synced
from tocsin.stores.place import Place, place_at

MINUTES: Final = 720
QUIET_REPORTS: Final = 50
"""In a minute: a million in a fortnight."""
SURGE_REPORTS: Final = 300 * 60
SURGE: Final = range(360, 365)
PARTS: Final = (
    (range(SURGE.start), QUIET_REPORTS),
    (SURGE, SURGE_REPORTS),
    (range(SURGE.stop, MINUTES), QUIET_REPORTS),
)

Bare = Callable[[Sequence[int]], None]
"""Stores files of these sizes, durable when it returns, and nothing else."""


class _Minute(Struct, frozen=True):
    """One minute in one archive: seconds by the clock and of this process's processors, and those of the bare thing."""

    seconds: float
    processor_seconds: float
    bare_seconds: float


class _Kept(Struct, frozen=True):
    """An archive, what is measured beside it, and the server's count of what it was asked."""

    name: str
    url: str
    bare: Bare
    requests: Callable[[], Counter[str]]


class _Log:
    """An archive's log, read as it grows."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._commits = 0

    def news(self) -> tuple[int, ...]:
        """The sizes of data files and log entries that came since the last call."""
        sizes = list[int]()
        while (entry := self._place.read(f"_delta_log/{self._commits:020d}.json")) is not None:
            added = [json.loads(line).get("add") for line in entry.splitlines()]
            sizes += [file["size"] for file in added if file] + [len(entry)]
            self._commits += 1
        return tuple(sizes)


class _Stretch(Struct, frozen=True):
    """Minutes of one archive in a row, of so many reports each; what each brought, what the server was asked."""

    reports: int
    minutes: tuple[_Minute, ...]
    sizes: tuple[tuple[int, ...], ...]
    requests: Counter[str]


def measure(folder: Path) -> list[Row]:
    """The rows of both archives; `folder` is empty, and on the disk to be measured."""
    folder = folder.absolute()
    day = Day(day_of(Instant(int(time.time()))) - 1)
    with _stores(folder) as kept:
        lived = _live(folder / "site", day, kept)
        return [row for one in kept for row in _rows(one, lived[one.name], day)]


@contextmanager
def _stores(folder: Path) -> Iterator[list[_Kept]]:
    """The folder, and the bucket of a server that has its files on the same disk."""
    home, beside = folder / "object-store", folder / "beside"
    home.mkdir()
    beside.mkdir()
    with running_object_store(home) as store, store.opened():
        yield [
            _Kept("a folder", str(folder / "archive"), _bare_files(beside), Counter),
            _Kept("S3", store.new_url(), _bare_objects(store), store.requests),
        ]


def _bare_files(folder: Path) -> Bare:
    def write(sizes: Sequence[int]) -> None:
        for size in sizes:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                write_synced(Path(place) / "file", os.urandom(size), 0o600)
                sync_folder(Path(place))

    return write


def _bare_objects(store: ObjectStore) -> Bare:
    values = store.environment
    bucket = S3Store(
        "beside",
        config={
            "access_key_id": values["AWS_ACCESS_KEY_ID"],
            "secret_access_key": values["AWS_SECRET_ACCESS_KEY"],
            "endpoint": values["AWS_ENDPOINT_URL"],
            "region": "us-east-1",
        },
        client_options={"allow_http": True},
    )

    def put(sizes: Sequence[int]) -> None:
        for size in sizes:
            obstore.put(bucket, os.urandom(8).hex(), os.urandom(size), use_multipart=False)

    return put


def _live(top: Path, day: Day, kept: Sequence[_Kept]) -> dict[str, list[_Stretch]]:
    """The day passes, and goes into each archive minute by minute; returns its stretches by the archive's name."""
    clock = StandingClock(day_start(day))
    found(top, SETTINGS, clock)
    deployment = Deployment(top, clock)
    day_key = deployment.keys.day_key(day)
    assert day_key is not None
    archivers = [Archiver(deployment.journal, clock, partial(make_archive, place_at(one.url))) for one in kept]
    for archiver in archivers:
        archiver.catch_up()
    log = _Log(place_at(kept[0].url))
    log.news()
    lived: dict[str, list[_Stretch]] = {one.name: [] for one in kept}
    for minutes, reports in PARTS:
        before = [one.requests() for one in kept]
        sizes, measured = list[tuple[int, ...]](), [list[_Minute]() for _ in kept]
        for minute in minutes:
            clock.at = Instant(day_start(day) + minute * 60)
            with deployment.journal.group(clock.now()) as group:
                for number in range(reports):
                    append_report(group, number, clock.at, day_key)
            for one, archiver, into in zip(kept, archivers, measured, strict=True):
                began, work_began = time.perf_counter(), time.process_time()
                archiver.catch_up()
                seconds, work = time.perf_counter() - began, time.process_time() - work_began
                if one is kept[0]:  # the other gets the same bytes
                    sizes.append(log.news())
                began = time.perf_counter()
                one.bare(sizes[-1])
                into.append(_Minute(seconds, work, time.perf_counter() - began))
        for one, asked, into in zip(kept, before, measured, strict=True):
            lived[one.name].append(_Stretch(reports, tuple(into), tuple(sizes), one.requests() - asked))
    deployment.close()
    return lived


def _rows(one: _Kept, lived: Sequence[_Stretch], day: Day) -> list[Row]:
    place = place_at(one.url)
    before = open_archive(place).held()
    stored = sum(file.length for file in place.found())
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.archive", one.url, str(day)],
        stdout=subprocess.PIPE,
        timeout=LONGEST_SECONDS,
    )
    if done.returncode:
        raise Defect("the day was not put together")
    seconds, resident = json.loads(done.stdout)
    after = open_archive(place).held()
    return [
        *(
            _row(one.name, reports, [part for part in lived if part.reports == reports])
            for reports in (SURGE_REPORTS, QUIET_REPORTS)
        ),
        Row(
            f"archive in {one.name}: {MINUTES // 60} hours, put together",
            f"{before.tip.sequence:,} events, {before.files:,} files, {before.length / 1e6:.1f} MB",
            f"{seconds:.1f} s, {resident / 1e6:,.0f} MB more resident at most",
            f"then {after.files}, {after.length / after.tip.sequence:,.0f} bytes an event; the log had"
            f" {(stored - before.length) / 1e6:.1f} MB",
        ),
    ]


def _row(name: str, reports: int, parts: Sequence[_Stretch]) -> Row:
    minutes = [minute for part in parts for minute in part.minutes]
    sizes = [each for part in parts for each in part.sizes]
    seconds = [minute.seconds for minute in minutes]
    figure = [
        f"{_span(statistics.median(seconds))} ({_span(min(seconds))}–{_span(max(seconds))})",
        f"processor {_span(statistics.median(minute.processor_seconds for minute in minutes))}",
        f"{statistics.median(map(sum, sizes)) / 1e3:,.0f} kB in {statistics.median(map(len, sizes)):.0f} files",
    ]
    if requests := sum((part.requests for part in parts), Counter[str]()):
        figure.append(", ".join(f"{number / len(minutes):.1f} {kind}" for kind, number in requests.most_common()))
    bare = statistics.median(minute.bare_seconds for minute in minutes)
    ratio = statistics.median(minute.seconds / minute.bare_seconds for minute in minutes)
    return Row(
        f"archive in {name}: a minute of {reports:,} reports",
        f"{len(minutes):,} minutes",
        "; ".join(figure),
        f"the same bytes alone {_span(bare)}: × {ratio:.1f}",
    )


def _span(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.0f} ms"


def _put_together(url: str, day: Day) -> tuple[float, int]:
    """Seconds, and the memory in bytes that it added at most."""
    archive = open_archive(place_at(url))
    archive.tip()
    before, began = most_resident(), time.perf_counter()
    if not archive.compact(day):
        raise Defect("there was nothing to put together")
    return time.perf_counter() - began, most_resident() - before


if __name__ == "__main__":
    print(json.dumps(_put_together(sys.argv[1], Day(int(sys.argv[2])))))
