"""A copy of the embedded journal while it is in use: one state of it, proven, durable, in one file.

The steps, and what a crash right after each leaves behind:

1. the copy is made under a hidden name beside its place, by SQLite's online backup, within one read transaction: a
   draft, which the next copy of that name removes
2. it is opened as a journal, and proven from event 1 to its tip: the draft
3. it is synced, and gets its name: the copy

Writers go on meanwhile; SQLite's log grows by what they write, and shrinks again afterwards. Source:
https://sqlite.org/backup.html.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tocsin.journal import sqlite
from tocsin.journal.port import Durability, Tip
from tocsin.journal.sqlite_connection import Translated, connect
from tocsin.journal.verify import verify
from tocsin.model.errors import Refused
from tocsin.stores.durable import sync_folder, write_synced, writing


def back_up(journal_path: Path, copy: Path) -> Tip:
    """Makes the new file `copy`, readable by its owner alone; returns the tip at which it ends. Durable.

    Raises `Refused` if there is a file of that name, which is never overwritten; `Broken` if the journal is not whole,
    and `Unavailable` if a disk says no: then there is no copy.
    """
    if os.path.lexists(copy):
        raise _exists(copy)
    with _draft(copy) as draft:
        _copy(journal_path, draft)  # 1
        with closing(sqlite.open(draft, Durability.WAIVED)) as copied:
            tip = verify(copied)  # 2
        with writing(copy):  # 3
            _sync(draft)
            try:
                os.link(draft, copy)  # unlike a rename it replaces nothing
            except FileExistsError:
                raise _exists(copy) from None
            sync_folder(copy.parent)
    return tip


def _copy(journal_path: Path, draft: Path) -> None:
    with Translated(journal_path), closing(connect(journal_path)) as source:
        with writing(draft):
            write_synced(draft, b"", 0o600)
        with Translated(draft), closing(sqlite3.connect(draft)) as target:
            source.backup(target)


@contextmanager
def _draft(copy: Path) -> Iterator[Path]:
    """The hidden name beside `copy`; whatever has it is removed before and after, and what SQLite puts beside it."""
    draft = copy.with_name(f".{copy.name}")
    paths = [draft.with_name(f"{draft.name}{suffix}") for suffix in ("", "-wal", "-shm", "-journal")]
    with writing(copy):
        for path in paths:
            path.unlink(missing_ok=True)
    try:
        yield draft
    finally:
        for path in paths:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exists(copy: Path) -> Refused:
    return Refused("copy_exists", f"{copy} is there already, and a copy is never overwritten: take another name")
