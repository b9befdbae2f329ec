"""Run as a process: a rebuild that is killed at a step. Arguments: old folder, archive, new folder, instant, step.

Step n kills it right before the n-th thing that it makes durable, or that others see; a step beyond the last lets it
finish, and prints how many were left.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.killed_publisher import Fuse
from tests.sites import FixedClock
from tocsin.journal.archive import Archive, open_archive
from tocsin.journal.sqlite import SqliteJournal
from tocsin.service.rebuild import rebuild
from tocsin.stores.place_folder import FolderPlace

SEWN: tuple[tuple[Any, str], ...] = (
    (os, "fsync"),
    (os, "rename"),
    (os, "replace"),
    (os, "mkdir"),
    (Archive, "raise_term"),
    (SqliteJournal, "load"),
    (SqliteJournal, "close"),
)
"""Before each of these there is a step, and one behind."""


def sew_in(fuse: Fuse, place: Any, name: str) -> None:
    work: Callable[..., Any] = getattr(place, name)

    def fused(*args: Any, **more: Any) -> Any:
        fuse.burn()
        done = work(*args, **more)
        fuse.burn()
        return done

    setattr(place, name, fused)


def main(old: str, archive: str, new: str, at: str, step: str) -> None:
    fuse = Fuse(int(step))
    opened = open_archive(FolderPlace(Path(archive)))
    for place, name in SEWN:
        sew_in(fuse, place, name)
    top = Path(old)
    rebuild(Path(new), lambda settings: opened, top / "keys", top / "tocsin.toml", FixedClock(int(at)))
    print(fuse.steps)


if __name__ == "__main__":
    main(*sys.argv[1:])
