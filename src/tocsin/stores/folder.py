"""A bucket that is a local folder, durable and safe against a crash at any step.

A file is written beside its place, synced, and then linked or renamed into it; so a name either holds the whole object
or is not there. What a crash leaves behind is a file whose name starts with a dot, which nobody is served; the next
write of that name replaces it. Source of the order: the usual write-sync-rename-sync of a POSIX file system.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tocsin.model.errors import Invalid, Unavailable


class FolderBucket:
    """The objects below `folder`. Any number of processes may share it. Raises `Unavailable` if the disk says no."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, name: str, data: bytes) -> bool:
        """Makes object `name`; False if it exists, which is then left as it is. Durable when it returns."""
        path = self._path(name)
        with _disk():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._draft(path, data)
            try:
                os.link(draft, path)
            except FileExistsError:
                return False
            finally:
                os.unlink(draft)
            _sync_folders(path.parent, self.folder)
        return True

    def replace(self, name: str, data: bytes, expected: bytes | None) -> bool:
        """Compare-and-swap: writes `name` if it now holds `expected` (None: is absent), else False. Durable."""
        path = self._path(name)
        with _disk():
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                if self.read(name) != expected:
                    return False
                os.replace(self._draft(path, data), path)
                _sync_folders(path.parent, self.folder)
        return True

    def read(self, name: str) -> bytes | None:
        """The object, or None if there is none."""
        with _disk():
            try:
                return self._path(name).read_bytes()
            except FileNotFoundError:
                return None

    def _draft(self, path: Path, data: bytes) -> Path:
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return draft

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One writer of mutable objects at a time; the lock goes with its holder, also when that is killed."""
        descriptor = os.open(self.folder / ".lock", os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _path(self, name: str) -> Path:
        parts = name.split("/")
        if any(not part or part.startswith(".") or "\0" in part or "\\" in part for part in parts):
            raise Invalid("not the name of an object")
        return self.folder.joinpath(*parts)


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "input/output error"
        raise Unavailable(f"the bucket folder can't be used: {reason}") from error


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
