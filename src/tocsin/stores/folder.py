"""A bucket that is a local folder, durable and safe against a crash at any step.

A file is written beside its place, synced, and then renamed into it; so a name either holds the whole object or is not
there. What a crash leaves behind is a file whose name starts with a dot, which nobody is served; the next write of that
name replaces it. Source of the order: the usual write-sync-rename-sync of a POSIX file system.

All writers queue for one lock: a process ID, say, would not tell two containers apart that share the folder.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tocsin.model.errors import Invalid, Unavailable

_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){0,7}")
"""No part leads out, is hidden, or is longer than a file system takes, the draft's dot included."""


class FolderBucket:
    """The objects below `folder`. Any number of processes may share it. Raises `Unavailable` if the disk says no."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, name: str, data: bytes) -> bool:
        """Makes object `name`; False if it exists, which is then left as it is. Durable when it returns."""
        return self._swap(name, data, None)

    def replace(self, name: str, data: bytes, expected: bytes | None) -> bool:
        """Compare-and-swap: writes `name` if it now holds `expected` (None: is absent), else False. Durable."""
        return self._swap(name, data, expected)

    def read(self, name: str) -> bytes | None:
        """The object, or None if there is none."""
        path = self._path(name)
        with _disk():
            try:
                return path.read_bytes()
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None

    def _swap(self, name: str, data: bytes, expected: bytes | None) -> bool:
        path = self._path(name)
        with _disk():
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                swapped = self.read(name) == expected
                if swapped:
                    draft = path.with_name(f".{path.name}")
                    _write(draft, data)
                    os.replace(draft, path)
                _sync_folders(path.parent, self.folder)  # also for one who was killed right before this line
        return swapped

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One writer at a time; the lock goes with its holder, also when that is killed."""
        descriptor = os.open(self.folder / ".lock", os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise Invalid("not the name of an object")
        return self.folder / name


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "input/output error"
        raise Unavailable(f"the bucket folder can't be used: {reason}") from error


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folders(folder: Path, top: Path) -> None:
    """Makes the entries of `folder`, and of every folder above it up to `top`, durable."""
    while True:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if folder == top or folder == folder.parent:
            return
        folder = folder.parent
