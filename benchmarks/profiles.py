"""Where the time goes: `python -m benchmarks.profiles intake|fold|publish` prints the costliest functions.

cProfile makes small functions look dearer than they are: believe the order, then measure.
"""

import cProfile
import pstats
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import wrk
from benchmarks.intake import Bench
from benchmarks.public_set import prepare
from benchmarks.server import serving
from benchmarks.site import StandingClock
from tocsin.model.times import QUARTER_SECONDS
from tocsin.service.deployment import Deployment
from tocsin.service.follow import Follower

FOLDER: Final = Path(".bench")
REPORTS: Final = 7_143
SHOWN: Final = 30


def intake(folder: Path) -> None:
    """The collector's thread under load."""
    bench = Bench(folder)
    stats = folder / "stats"
    with serving(folder / "site", "sqlite", profile=stats) as server:
        running = wrk.start(server.url, bench.reports)
        wrk.outcome(running, bench.reports)
        server.stop()
    _print(pstats.Stats(str(stats)))


def fold(folder: Path) -> None:
    """Reading a journal of 100,002 keys."""
    deployment = _deployment(folder)
    _print(_profiled(lambda: Follower(deployment.keys).catch_up(deployment.journal.read)))


def publish(folder: Path) -> None:
    """The first publication of 100,002 keys, the fold included."""
    deployment = _deployment(folder)
    _print(_profiled(lambda: deployment.publisher().publish()))


def _deployment(folder: Path) -> Deployment:
    prepare(folder / "site", REPORTS)
    clock = StandingClock()
    clock.at += QUARTER_SECONDS
    return Deployment(folder / "site", clock)


def _profiled(work: Callable[[], object]) -> pstats.Stats:
    profile = cProfile.Profile()
    profile.runcall(work)
    return pstats.Stats(profile)


def _print(stats: pstats.Stats) -> None:
    stats.strip_dirs().sort_stats("tottime").print_stats(SHOWN)
    stats.sort_stats("cumtime").print_stats(SHOWN)


def main(which: str) -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    try:
        {"intake": intake, "fold": fold, "publish": publish}[which](FOLDER)
    finally:
        shutil.rmtree(FOLDER)


if __name__ == "__main__":
    main(*sys.argv[1:])
