"""The data files that the archive's table names, and in which runs they are read. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
from msgspec import Struct

from tocsin.model.errors import Invalid
from tocsin.model.times import Day

RUN_FILES: Final = 64
RUN_BYTES: Final = 32 << 20
"""What is read before the first event of it is handed on: a day put together has some ten thousand events."""

_AS_APPENDED: Final = re.compile(r"day=\d+/\d{20}-(\d{20})-[0-9a-f]{16}\.parquet")


class ArchivedFile(Struct, frozen=True):
    """A data file: what the table's log says of it. `first` and `last` are sequences; content days may be absent."""

    name: str
    length: int
    written_at: int
    day: Day
    first: int
    last: int
    first_content_day: int | None
    last_content_day: int | None

    @property
    def is_as_appended(self) -> bool:
        """Whether it is one that was appended, and not put together of such or rewritten."""
        return _AS_APPENDED.fullmatch(self.name) is not None

    def may_hold(self, day: Day) -> bool:
        """Whether a content of this day may be in it."""
        first, last = self.first_content_day, self.last_content_day
        return first is not None and last is not None and first <= day <= last

    @staticmethod
    def last_by_name(name: str) -> int:
        """The last event of a file that was appended, by its name; 0 for others."""
        appended = _AS_APPENDED.fullmatch(name)
        return int(appended[1]) if appended else 0


def files_of(actions: pa.Table) -> list[ArchivedFile]:
    """The files, ascending by their first event, of a table of Delta's add actions, its columns flat.

    Raises `Invalid` if one lacks what was written with it.
    """
    rows: list[dict[str, Any]] = actions.to_pylist()
    try:
        files = [
            ArchivedFile(
                row["path"],
                row["size_bytes"],
                row["modification_time"] // 1000,
                Day(int(row["partition.day"])),
                row["min.sequence"],
                row["max.sequence"],
                row.get("min.content_day"),
                row.get("max.content_day"),
            )
            for row in rows
        ]
        return sorted(files, key=lambda file: (file.first, file.last))
    except (KeyError, TypeError):
        raise Invalid("the archive's table was written by a program that keeps no bounds of its columns") from None


def runs(files: Sequence[ArchivedFile]) -> Iterator[list[ArchivedFile]]:
    """`files`, ascending, in runs to be read at once: no event of a later run comes before one of an earlier."""
    run: list[ArchivedFile] = []
    end = length = 0
    for file in files:
        if run and file.first > end and (len(run) >= RUN_FILES or length >= RUN_BYTES):
            yield run
            run, length = [], 0
        run.append(file)
        end = max(end, file.last)
        length += file.length
    if run:
        yield run
