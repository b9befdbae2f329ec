"""The journal's engine: whether it can be opened, and whether what it acknowledges outlives a loss of power."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tocsin.journal.disk import file_system_of, in_memory
from tocsin.journal.port import NotDurable, refuse_retired
from tocsin.model.errors import TocsinError
from tocsin.service.deployment import durability
from tocsin.service.doctor.finding import Code, Finding, in_full
from tocsin.service.doctor.subject import Subject
from tocsin.service.journal_choice import open_journal

NETWORK_FILE_SYSTEMS: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "fuse.sshfs", "glusterfs"})
"""SQLite's log is shared memory: over a network it is neither safe nor durable (https://sqlite.org/wal.html)."""
WAL_RESET_MENDED: Final = (3, 51, 3)
"""The SQLite release that mends the WAL-reset fault (https://sqlite.org/wal.html#walresetbug)."""


def look(subject: Subject) -> Iterator[Finding]:
    """A journal that can't be used, or would not keep what it acknowledges."""
    try:
        refuse_retired(subject.journal.tip())
    except NotDurable as error:
        yield Finding(Code.NOT_DURABLE, in_full(error))
    except TocsinError as error:
        yield Finding(Code.JOURNAL_UNUSABLE, in_full(error))
    else:
        if subject.journal_choice.engine == "postgresql":
            yield from _server(subject)
    if subject.journal_choice.engine == "sqlite":
        yield from _file(subject)


def _file(subject: Subject) -> Iterator[Finding]:
    yield from _disk(subject.folders.journal.parent, subject)
    if not mends_wal_reset(sqlite3.sqlite_version_info):
        yield Finding(
            Code.SQLITE_OLD,
            f"This Python's SQLite is {sqlite3.sqlite_version}, which in rare cases damages a file whose log two"
            " programs empty at once (the WAL-reset fault). Those of tocsin queue; litestream or a shell beside them"
            " does not. Use 3.51.3 or later, or one in which your distribution has mended it.",
        )


def _server(subject: Subject) -> Iterator[Finding]:
    """What `tocsin serve` asks of its database besides, where one machine is not meant."""
    try:
        open_journal(subject.journal_choice, subject.folders.journal, durability(subject.settings)).close()
    except NotDurable as error:
        yield Finding(Code.NOT_DURABLE, in_full(error))


def _disk(folder: Path, subject: Subject) -> Iterator[Finding]:
    if file_system_of(folder) in NETWORK_FILE_SYSTEMS:
        yield Finding(
            Code.NOT_DURABLE,
            f"{folder} is on a network file system, where SQLite's log is not safe: stop the server, and move the"
            " deployment to a local disk.",
        )
    elif in_memory(folder) and not subject.settings.single_machine:
        yield Finding(
            Code.NOT_DURABLE,
            f"{folder} is in memory and would be lost with the power: move the deployment to a disk.",
        )


def mends_wal_reset(version: tuple[int, ...]) -> bool:
    """Whether this release of SQLite is free of the WAL-reset fault.

    >>> [mends_wal_reset(version) for version in ((3, 40, 1), (3, 51, 2), (3, 51, 3))]
    [False, False, True]
    """
    return version >= WAL_RESET_MENDED
