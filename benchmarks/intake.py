"""What a caller waits for: reports and decoys a second over HTTP, how many share a sync, two servers on one journal.

Each run has a fresh copy of one site, a fresh server, and every body once. What is compared is run in turns (with,
without, with, without …), and medians are told, so that a machine that slows down does so for both.
"""

import shutil
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from msgspec import Struct

from benchmarks import wrk
from benchmarks.server import Tally, serving
from benchmarks.site import KEYS_PER_REPORT, found_site, report_body
from benchmarks.table import Row
from benchmarks.wrk import CONNECTIONS, Defect, Load, Outcome
from tocsin.client.calls import decoy_call
from tocsin.service.clock import SystemClock

CALLS: Final = 8192
"""Reports, and decoys, of one run."""
TRACED_CALLS: Final = 2048
ROUNDS: Final = 3
_STRACE: Final = ("strace", "--follow-forks", "--seccomp-bpf", "--trace=fsync,fdatasync")


class Run(Struct, frozen=True):
    """One run of one load on one or several servers: what wrk saw, and what the servers did."""

    outcomes: tuple[Outcome, ...]
    tallies: tuple[Tally, ...]

    @property
    def rate(self) -> float:
        """Calls a second, of all servers together."""
        began = min(outcome.began for outcome in self.outcomes)
        ended = max(outcome.ended for outcome in self.outcomes)
        return sum(outcome.count for outcome in self.outcomes) / (ended - began)

    @property
    def calls_per_group(self) -> float:
        """Calls that shared a sync."""
        return statistics.mean(size for tally in self.tallies for size in tally.group_sizes)


class Bench:
    """A site that is copied for each run, and the loads."""

    def __init__(self, folder: Path, calls: int = CALLS) -> None:
        self.folder = folder
        clock = SystemClock()
        cards = found_site(folder / "site", calls, clock)
        reports = [report_body(card, clock.now()) for card in cards]
        half = calls // 2
        self.reports = self._load("reports", reports, "taken")
        self.halves = self._load("half-1", reports[:half], "taken"), self._load("half-2", reports[half:], "taken")
        self.some_reports = self._load("some", reports[:TRACED_CALLS], "taken")
        self.decoys = self._load("decoys", [decoy_call()] * calls, "noted")

    def _load(self, name: str, bodies: Sequence[bytes], verdict: str) -> Load:
        path = self.folder / name
        path.write_bytes(b"".join(bodies))
        return Load(path, len(bodies), verdict)

    def run(self, journal: str, *loads: Load, under: Sequence[str] = ()) -> Run:
        """A server for each load, all on one journal; `under` is a command to run them under.

        Raises `Defect` unless every call was judged, and every report is in the ledger at the end.
        """
        site = self.folder / "run"
        shutil.copytree(self.folder / "site", site)
        try:
            with ExitStack() as stack:
                servers = [stack.enter_context(serving(site, journal, *under)) for _ in loads]
                running = [wrk.start(server.url, load) for server, load in zip(servers, loads, strict=True)]
                for process in running:
                    stack.callback(process.kill)
                outcomes = tuple(wrk.outcome(process, load) for process, load in zip(running, loads, strict=True))
                tallies = tuple(server.stop() for server in servers)
        finally:
            shutil.rmtree(site)
        reports = sum(load.count for load in loads if load.verdict == "taken")
        for tally, load in zip(tallies, loads, strict=True):
            if tally.reports != reports or sum(tally.group_sizes) != load.count:
                raise Defect(f"of {reports} reports {tally.reports} are in the ledger")
        return Run(outcomes, tallies)


def measure(folder: Path) -> list[Row]:
    """The rows of intake; `folder` is empty, and on the disk to be measured. Without wrk, a row that says so."""
    if not wrk.is_here():
        return [Row("intake over HTTP", "–", "not measured", "wrk is not installed (Debian: apt-get install wrk)")]
    bench = Bench(folder)
    with_journal: list[Run] = []
    without: list[Run] = []
    together: list[Run] = []
    decoys: list[Run] = []
    decoys_without: list[Run] = []
    for _ in range(ROUNDS):
        with_journal.append(bench.run("sqlite", bench.reports))
        without.append(bench.run("memory", bench.reports))
        together.append(bench.run("sqlite", *bench.halves))
        decoys.append(bench.run("sqlite", bench.decoys))
        decoys_without.append(bench.run("memory", bench.decoys))
    size = f"{ROUNDS} × {CALLS:,}, {CONNECTIONS} connections"
    return [
        Row(
            f"durable reports of {KEYS_PER_REPORT} keys over HTTP, grid off",
            size,
            f"{_rate(with_journal):,.0f}/s",
            f"without the journal {_rate(without):,.0f}/s: {_ratio(with_journal, without)}",
            "≥ 0.7",
        ),
        _syncs(bench, with_journal),
        Row(
            "a group of reports under that load, start to durable",
            f"{sum(len(run.tallies[0].group_seconds) for run in with_journal)} groups",
            _milliseconds(with_journal),
            f"without the journal {_milliseconds(without)}",
        ),
        Row(
            "decoys over HTTP, grid off",
            size,
            f"{_rate(decoys):,.0f}/s, {_sharing(decoys)} a sync",
            f"without the journal {_rate(decoys_without):,.0f}/s: {_ratio(decoys, decoys_without)}",
            "wait for a group that syncs",
        ),
        Row(
            "two servers on one journal file, a load for each",
            f"{ROUNDS} × 2 × {CALLS // 2:,}, 2 × {CONNECTIONS} connections",
            f"{_rate(together):,.0f}/s together",
            f"one server {_rate(with_journal):,.0f}/s: {_ratio(together, with_journal)}",
        ),
    ]


def _syncs(bench: Bench, untraced: list[Run]) -> Row:
    """Reports a sync: counted by the kernel where there is strace, else taken from the groups."""
    groups = f"by groups, untraced: {_sharing(untraced)}"
    work, aim = "reports that share a sync at saturation", "≥ 10"
    if shutil.which(_STRACE[0]) is None:
        return Row(work, "the same runs", f"{_sharing(untraced)}, by groups", "strace is not installed", aim)
    listed = bench.folder / "syncs"
    run = bench.run("sqlite", bench.some_reports, under=(*_STRACE, f"--output={listed}"))
    syncs = sum("sync(" in line for line in listed.read_text().splitlines())
    figure = f"{TRACED_CALLS / syncs:.1f} (syncs a report {syncs / TRACED_CALLS:.3f})"
    return Row(work, f"{TRACED_CALLS:,}, under strace", figure, f"{groups}; traced: {run.calls_per_group:.1f}", aim)


def _rate(runs: Sequence[Run]) -> float:
    return statistics.median(run.rate for run in runs)


def _ratio(runs: Sequence[Run], beside: Sequence[Run]) -> str:
    """The ratio of the medians, and the least and most of a round."""
    rounds = [one.rate / other.rate for one, other in zip(runs, beside, strict=True)]
    return f"**{_rate(runs) / _rate(beside):.2f}** ({min(rounds):.2f}–{max(rounds):.2f})"


def _sharing(runs: Sequence[Run]) -> str:
    return f"{statistics.median(run.calls_per_group for run in runs):.1f}"


def _milliseconds(runs: Sequence[Run]) -> str:
    seconds = sorted(second for run in runs for tally in run.tallies for second in tally.group_seconds)
    return f"p50 {1e3 * statistics.median(seconds):.1f} ms, p99 {1e3 * seconds[int(0.99 * len(seconds))]:.1f} ms"
