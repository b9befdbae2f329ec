"""One condition of the journal: a server on a fresh copy of the site, all calls, and what they tell."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct

from benchmarks.privacy.load import Load, Plan, Watched
from benchmarks.privacy.server import Did, Seams, Server, serving
from benchmarks.privacy.stock import Kind, while_away
from benchmarks.privacy.told import Comparison, Power, compare, null_spread, power

SEED: Final = 20_201
LEAST_CALLS: Final = 20
"""Of a kind: with fewer there is nothing to train a classifier with."""


class Condition(Struct, frozen=True):
    """`share`: of the calls of a kind, those that are made. `is_promised`: whether nothing may be told by these."""

    name: str
    says: str
    plan: Plan
    seams: Seams = Seams()
    share: float = 1.0
    is_promised: bool = True


OPEN: Final = 1024
"""Connections at once."""
CONDITIONS: Final = (
    Condition("idle", "few calls at once", Plan(700.0, OPEN)),
    Condition("busy", "dozens of calls a group", Plan(2000.0, OPEN)),
    Condition(
        "saturated",
        "more than can be done: 640 phones that call again as soon as they are answered, room for 192",
        Plan(None, 640),
        Seams(max_waiting=192),
    ),
    Condition(
        "slow", "each sync takes 30 ms more in the mean, at random", Plan(1400.0, OPEN), Seams(sync_seconds=0.03)
    ),
    Condition("away", "the journal is out of reach: all goes into the spool", Plan(1400.0, OPEN), Seams(is_away=True)),
    Condition("no grid", "the group alone; not how it is run", Plan(700.0, OPEN), Seams(grid_seconds=0), 0.2, False),
    Condition(
        "leak",
        "no grid, and decoys and malformed calls wait for no group: the tests have to see this",
        Plan(700.0, OPEN),
        Seams(grid_seconds=0, is_hasty=True),
        0.1,
        False,
    ),
)


class Result(Struct, frozen=True):
    """What came of a condition.

    `forms`: the different answers, told by status, head (dates apart) and bytes both ways. `kinds`: the first are the
    decoys, against themselves; the last is all that is stored. `pieces`: how many answers came in how many reads.
    `server_cpu`, `client_cpu`, `seconds`: processor seconds of either, and how long it took.
    """

    condition: Condition
    machine: str
    forms: list[str]
    kinds: list[Comparison]
    power: Power
    pieces: dict[int, int]
    calls_per_group: float
    syncs: int
    server_cpu: float
    client_cpu: float
    seconds: float


def observe(condition: Condition, site: Path, kinds: Sequence[Kind], calls: int, machine: str) -> Result:
    """Runs a copy of `site` under this condition; the server on one core and the phones on another, if there are two.

    Raises `Defect` if a call was not answered, or not as its kind says.
    """
    calls = max(LEAST_CALLS, round(calls * condition.share))
    if condition.seams.is_away:
        kinds = [while_away(kind) for kind in kinds]
    copy = site.with_name("run")
    shutil.copytree(site, copy)
    try:
        with _serving_beside(copy, condition.seams) as server:
            watched = Load(server.port, kinds, calls, condition.plan, SEED).run()
            did = server.stop()
    finally:
        shutil.rmtree(copy)
    return _result(condition, kinds, calls, watched, did, machine)


@contextmanager
def _serving_beside(copy: Path, seams: Seams) -> Iterator[Server]:
    """The server, on the first core, while this process keeps to the last one."""
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})  # which the server inherits
        with serving(copy, seams) as server:
            os.sched_setaffinity(0, {max(cores)})
            yield server
    finally:
        os.sched_setaffinity(0, cores)


def _result(
    condition: Condition, kinds: Sequence[Kind], calls: int, watched: Watched, did: Did, machine: str
) -> Result:
    seen = watched.seen
    decoys = seen[seen["kind"] == 0]
    stored = np.isin(seen["kind"], [number for number, kind in enumerate(kinds) if kind.is_stored])
    others = list(enumerate(kinds))[1:]
    reads, counts = np.unique(seen["reads"], return_counts=True)
    wider = null_spread(seen, calls)
    tests = 3 * (len(kinds) + 1) * sum(one.is_promised for one in CONDITIONS)
    return Result(
        condition=condition,
        machine=machine,
        forms=_forms(watched),
        kinds=[
            compare("decoy", decoys, decoys, wider),
            *(compare(kind.name, seen[seen["kind"] == number], decoys, wider) for number, kind in others),
            compare("all that is stored", seen[stored], decoys, wider),
        ],
        power=power(seen, calls, tests, condition.seams.grid_seconds, wider),
        pieces={int(read): int(count) for read, count in zip(reads, counts, strict=True)},
        calls_per_group=float(np.mean(did.group_sizes)),
        syncs=len(did.group_sizes),
        server_cpu=did.cpu_seconds,
        client_cpu=watched.cpu_seconds,
        seconds=watched.wall_seconds,
    )


def _forms(watched: Watched) -> list[str]:
    """Each way in which answers look that is seen at all, and of how many kinds; one a status is what is promised."""
    seen = watched.seen
    sizes: dict[tuple[int, int, int], set[int]] = {}
    for status, up, down, kind in np.unique(seen[["status", "bytes_up", "bytes_down", "kind"]]).tolist():
        sizes.setdefault((status, up, down), set()).add(kind)
    heads: dict[bytes, set[int]] = {}
    for kind, own in watched.forms.items():
        for head in own:
            heads.setdefault(head, set()).add(kind)
    return [
        *(f"{status}: {up:,} bytes up, {down:,} down, {len(of)} kinds" for (status, up, down), of in sizes.items()),
        *(f"{head.decode().replace(chr(13) + chr(10), ' · ')}: {len(of)} kinds" for head, of in heads.items()),
    ]
