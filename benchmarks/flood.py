"""What a patient waits for while junk is posted: reports one by one, alone and beside a flood of forged codes.

Each round has a fresh copy of one site and a fresh server, and measures the patient alone first. It is a figure only if
every report of the patient was taken, every forged one refused, and the journal holds the patient's and no more.
"""

import http.client
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from benchmarks import wrk
from benchmarks.server import serving
from benchmarks.site import found_site, report_body
from benchmarks.table import Row
from benchmarks.wrk import Defect, Load
from tocsin.formats.wire import decode_answer
from tocsin.model.calls import Verdict
from tocsin.service.clock import SystemClock

JUNK: Final = 10_000
"""Forged reports of one round."""
ALONE: Final = 400
"""Reports of the patient before the flood."""
CONNECTIONS: Final = 4
"""Of the flood: each posts its next one when the last is answered, so this sets how much of it there is."""
CARDS: Final = 8192
ROUNDS: Final = 3
FORGED: Final = "C123-4567-89AB-CDEF-GH94"


class Round(Struct, frozen=True):
    """Seconds that each report took, alone and in the flood; junk a second; bytes that the server grew by."""

    alone: list[float]
    beside: list[float]
    junk_rate: float
    grown_bytes: int


def measure(folder: Path) -> list[Row]:
    """The row of the flood; `folder` is empty, and on the disk to be measured. Without wrk, a row that says so."""
    if not wrk.is_here():
        return [
            Row("a report beside a flood", "–", "not measured", "wrk is not installed (Debian: apt-get install wrk)")
        ]
    clock = SystemClock()
    cards = found_site(folder / "site", CARDS, clock)
    junk = folder / "junk"
    junk.write_bytes(report_body(FORGED, clock.now()) * JUNK)
    load = Load(junk, JUNK, Verdict.CODE_UNKNOWN)
    rounds = [_round(folder, load, (report_body(card, clock.now()) for card in cards)) for _ in range(ROUNDS)]
    alone = _p99([seconds for each in rounds for seconds in each.alone])
    beside = _p99([seconds for each in rounds for seconds in each.beside])
    rate = sum(each.junk_rate for each in rounds) / ROUNDS
    return [
        Row(
            "a report, start to answer, while forged ones are posted, grid off",
            f"{ROUNDS} × {JUNK:,} forged at {rate:,.0f}/s, {sum(len(each.beside) for each in rounds):,} reports",
            f"p99 {1e3 * beside:.1f} ms, none lost, no event for the forged",
            f"alone p99 {1e3 * alone:.1f} ms: **× {beside / alone:.1f}**;"
            f" memory + {max(each.grown_bytes for each in rounds) / 2**20:.0f} MB at most",
            "≤ 3 × alone at 2,000/s, < 50 MB",
        )
    ]


def _round(folder: Path, load: Load, bodies: Iterator[bytes]) -> Round:
    site = folder / "run"
    shutil.copytree(folder / "site", site)
    try:
        with serving(site, "sqlite") as server:
            alone = _reports(server.url, bodies, lambda done: done == ALONE)
            before = _resident_bytes(server.process)
            flood = wrk.start(server.url, load, CONNECTIONS)
            try:
                beside = _reports(server.url, bodies, lambda done: flood.poll() is not None)
                outcome = wrk.outcome(flood, load)
            finally:
                flood.kill()
            grown = _resident_bytes(server.process) - before
            tally = server.stop()
    finally:
        shutil.rmtree(site)
    if tally.reports != len(alone) + len(beside):
        raise Defect(f"of {len(alone) + len(beside)} reports {tally.reports} are in the ledger")
    return Round(alone, beside, outcome.rate, grown)


def _reports(url: str, bodies: Iterator[bytes], enough: Callable[[int], bool]) -> list[float]:
    """The seconds that each report took, one after the other on one connection, until `enough` of so many."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    seconds: list[float] = []
    try:
        for body in bodies:
            if enough(len(seconds)):
                return seconds
            began = time.perf_counter()
            connection.request("POST", "/v1/reports", body, {"Content-Type": "application/json"})
            verdict = decode_answer(connection.getresponse().read()).verdict
            seconds.append(time.perf_counter() - began)
            if verdict is not Verdict.TAKEN:
                raise Defect(f"a patient was told {verdict}")
    finally:
        connection.close()
    raise Defect("there are too few cards for a flood this long")


def _resident_bytes(process: "subprocess.Popen[str]") -> int:
    """Memory that the process holds (proc(5): VmRSS)."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.99 * len(seconds))]
