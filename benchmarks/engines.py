"""Both engines of the journal beside a bare driver that does the same transaction: one writer, more or fewer waiting.

PostgreSQL is three real servers on this machine, of which one of the two standbys has each commit before it returns;
what passes between them is held up by a proxy for half of the delay each way.
"""

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.table import Row
from tests.faults.cluster import Cluster, running_cluster
from tocsin.journal import postgres, sqlite
from tocsin.journal.port import Durability

WAITING: Final = (1, 16, 128)
DELAYS_MILLISECONDS: Final = (0, 5, 10)
ROUNDS: Final = 7
ROUND_SECONDS: Final = 0.5
DATABASE: Final = "bench"
AIM: Final = "≥ 0.8"
_STRACE: Final = ("strace", "--follow-forks", "--seccomp-bpf", "--trace=fsync,fdatasync")

Syncs = Callable[[], int]
"""How often the engine has synced so far."""


class Writer:
    """A process that appends to one journal (`benchmarks.engine_load`)."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def load(self, driver: str, waiting: int, seconds: float = ROUND_SECONDS) -> list[float]:
        """The seconds that each group took."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{driver} {waiting} {seconds}\n")
        self._process.stdin.flush()
        return [float(took) for took in json.loads(self._process.stdout.readline())]


@contextmanager
def writing(place: str, under: tuple[str, ...] = ()) -> Iterator[Writer]:
    """A writer of the journal at `place`, which ends with its standard input."""
    command = [*under, sys.executable, "-m", "benchmarks.engine_load", place]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Writer(process)
        assert process.stdin is not None
        process.stdin.close()


def measure(folder: Path) -> list[Row]:
    """The rows of both engines; `folder` is empty, and on the disk to be measured."""
    return [*_measure_sqlite(folder / "journal.sqlite"), *_measure_postgres()]


def _measure_sqlite(path: Path) -> list[Row]:
    sqlite.create(path, durability=Durability.WAIVED).close()
    with writing(str(path)) as writer:
        rows = [_row("SQLite", waiting, *_rounds(writer, waiting)) for waiting in WAITING]
    return [*rows, _syncs_of_sqlite(path)]


def _syncs_of_sqlite(path: Path) -> Row:
    work = f"syncs an append, SQLite, {WAITING[-1]} waiting"
    if shutil.which(_STRACE[0]) is None:
        return Row(work, "–", "strace is not installed")
    listed = path.with_name("syncs")
    with writing(str(path), (*_STRACE, f"--output={listed}")) as writer:
        appended = len(writer.load("engine", WAITING[-1])) * WAITING[-1]
    syncs = sum("sync(" in line for line in listed.read_text().splitlines())
    return Row(work, f"{appended:,} appends", f"{syncs / appended:.3f}", "by the kernel, checkpoints included")


def _measure_postgres() -> list[Row]:
    if not any(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        return [Row("appends, PostgreSQL", "–", "PostgreSQL is not installed")]
    rows = []
    with running_cluster() as cluster:
        cluster.new_database(DATABASE)
        postgres.create(cluster.url(DATABASE)).close()
        with writing(cluster.url(DATABASE)) as writer:
            for delay in DELAYS_MILLISECONDS:
                for link in cluster.links.values():
                    link.delay_seconds = delay / 2000
                for waiting in WAITING:
                    work = f"PostgreSQL, {delay} ms to the standbys"
                    rows.append(_row(work, waiting, *_rounds(writer, waiting)))
            for link in cluster.links.values():
                link.delay_seconds = 0.0
            rows.append(_syncs_of_postgres(cluster, writer))
    return rows


def _syncs_of_postgres(cluster: Cluster, writer: Writer) -> Row:
    """The primary's own count; each standby syncs what it gets as often, or less."""
    before = cluster.primary.ask("SELECT wal_sync FROM pg_stat_wal")
    appended = len(writer.load("engine", WAITING[-1])) * WAITING[-1]
    cluster.primary.ask("SELECT pg_stat_force_next_flush()")
    syncs = cluster.primary.ask("SELECT wal_sync FROM pg_stat_wal") - before
    work = f"syncs an append, PostgreSQL, {WAITING[-1]} waiting"
    return Row(work, f"{appended:,} appends", f"{syncs / appended:.3f}", "pg_stat_wal of the primary")


def _rounds(writer: Writer, waiting: int) -> tuple[list[list[float]], list[list[float]]]:
    """Rounds of the engine and of the bare driver, in turns."""
    engine, bare = [], []
    for _ in range(ROUNDS):
        bare.append(writer.load("bare", waiting))
        engine.append(writer.load("engine", waiting))
    return engine, bare


def _row(work: str, waiting: int, engine: list[list[float]], bare: list[list[float]]) -> Row:
    ratios = [_rate(one, waiting) / _rate(other, waiting) for one, other in zip(engine, bare, strict=True)]
    spread = f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}–{max(ratios):.2f})"
    return Row(
        f"appends, {work}, {waiting} waiting",
        f"{sum(map(len, engine)):,} groups",
        _figure(engine, waiting),
        f"bare driver {_figure(bare, waiting)}: {spread}",
        AIM if waiting == WAITING[-1] else "–",
    )


def _figure(rounds: list[list[float]], waiting: int) -> str:
    rate = statistics.median(_rate(one, waiting) for one in rounds)
    seconds = sorted(took for one in rounds for took in one)
    p99 = seconds[int(0.99 * len(seconds))]
    return f"{rate:,.0f}/s, p50 {1e3 * statistics.median(seconds):.1f} ms, p99 {1e3 * p99:.1f} ms"


def _rate(groups: list[float], waiting: int) -> float:
    return waiting * len(groups) / sum(groups)
