"""A nation's fortnight brought back from its archive by `tocsin rebuild`, as an operator runs it, by parts.

The archive lies in a folder of the same disk, compacted as it is every night; a bucket adds its network. The versions
of the fortnight name no files but the last, which has dumps of both profiles: a deployment that lives has some eighty
deltas more to make again.
"""

import json
import resource
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.fortnight import MARGIN_SECONDS, prepare
from benchmarks.public_set import LONGEST_SECONDS, measured_apart
from benchmarks.table import Row
from benchmarks.wrk import Defect
from tocsin.journal.archive import make_archive
from tocsin.model.times import Day, day_of, floor_quarter
from tocsin.service.clock import SystemClock
from tocsin.service.deployment import Deployment
from tocsin.stores.place_folder import FolderPlace

COMMIT_EVENTS: Final = 10_000
AIM: Final = "1,000,000 reports < 60 s"


def measure(folder: Path, reports: int) -> list[Row]:
    """The rows of a rebuild of so many reports; `folder` is empty."""
    folder = folder.absolute()
    end = floor_quarter(int(time.time()) - MARGIN_SECONDS)
    prepare(folder / "old", reports, end)
    measured_apart(folder / "old", end)  # puts the last versions out
    (folder / "old" / "keys" / "issuing-1").unlink()  # as after its period: the fortnight's claims are drawn without it
    _archive(folder)
    before = _processor_seconds()
    rebuilt = _run(
        "rebuild",
        *("--archive", str(folder / "archive")),
        *("--keys", str(folder / "old" / "keys"), "--settings", str(folder / "old" / "tocsin.toml")),
        *("--data", str(folder / "new"), "--json"),
    )
    worked = _processor_seconds() - before
    if rebuilt["unfinished"] is not None:
        raise Defect("the public files were not made again")
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    seconds = {part["name"]: part["seconds"] for part in rebuilt["parts"]}
    size, total = f"{reports:,} reports, {rebuilt['sequence']:,} events", sum(seconds.values())
    back = total - seconds["public files made"]
    rows = [
        Row(f"rebuild: {name}", size, f"{took:.1f} s", f"{took / reports * 1e6:.1f} µs a report")
        for name, took in seconds.items()
    ]
    return [
        *rows,
        Row("rebuild: all but public files", size, f"{back:.1f} s", f"{back / reports * 1e6:.1f} µs a report", AIM),
        Row("rebuild: all", size, f"{total:.1f} s, {most / 1e6:,.0f} MB resident at most", aim=AIM),
        Row("rebuild: processor time, start to end", size, f"{worked:.1f} s", "of all threads, user's and system's"),
    ]


def _archive(folder: Path) -> None:
    deployment = Deployment(folder / "old", SystemClock())
    archive = make_archive(FolderPlace(folder / "archive"))
    after, days = 0, set[Day]()
    while page := deployment.journal.read(after, COMMIT_EVENTS):
        archive.append(page, 1)
        days |= {day_of(event.recorded_at) for event in page}
        after = page[-1].sequence
    for day, _ in pairwise(sorted(days)):  # the last one is not over
        archive.compact(day)
    deployment.close()


def _processor_seconds() -> float:
    """Of the programs that have ended. On a machine with other work it says more than the clock."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(*words: str) -> Any:
    """What `tocsin` printed for a program, where it was asked to."""
    done = subprocess.run([sys.executable, "-m", "tocsin", *words], stdout=subprocess.PIPE, timeout=LONGEST_SECONDS)
    if done.returncode:
        raise Defect(f"tocsin {words[0]} failed")
    return json.loads(done.stdout) if "--json" in words else None
