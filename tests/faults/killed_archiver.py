"""Run as a process: an archiver that is killed at a step. Arguments: folder, instant, step.

It brings the archive up to the journal and puts the days before together. Step n kills it right before or behind the
n-th thing that it makes durable; a step beyond the last lets it finish, and prints how many were left.
"""

import os
import sys
from pathlib import Path
from typing import Any

import obstore
from deltalake import DeltaTable
from deltalake.table import TableOptimizer

from tests.faults.killed_publisher import Fuse
from tests.faults.killed_rebuild import sew_in
from tests.sites import FixedClock
from tocsin.model.times import day_of
from tocsin.service.deployment import Deployment

SEWN: tuple[tuple[Any, str], ...] = (
    (os, "fsync"),
    (os, "link"),
    (obstore, "put"),
    (DeltaTable, "create_write_transaction"),
    (TableOptimizer, "compact"),
    (DeltaTable, "vacuum"),
)


def main(top: str, at: str, step: str) -> None:
    deployment = Deployment(Path(top), FixedClock(int(at)))
    archiver = deployment.archiver
    assert archiver is not None
    fuse = Fuse(int(step))
    for place, name in SEWN:
        sew_in(fuse, place, name)
    archiver.catch_up()
    archiver.compact_before(day_of(int(at)))
    print(fuse.steps)


if __name__ == "__main__":
    main(*sys.argv[1:])
