"""A bucket that is a local folder, durable and safe against a crash at any step (`tocsin.stores.durable`).

Only plain files below the folder are objects. A link, a pipe or a folder in an object's place is none: it is never
followed, served or removed, and a write to its name is refused. What starts with a dot is never an object.

All writers queue for one lock: a process ID, say, would not tell two containers apart that share the folder.
"""

import errno
import fcntl
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter, sleep
from typing import BinaryIO, Final

from tocsin.model.errors import Invalid, Unavailable
from tocsin.stores.durable import in_words, sync_folder, write_whole

LOCK_SECONDS: Final = 10.0
"""How long a writer waits for its turn: a version's files are written in a second, one after the other."""
LOCK_PAUSE_SECONDS: Final = 0.005

_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){0,7}")
"""No part leads out, is hidden, or is longer than a file system takes, the draft's dot included."""
_LOCK: Final = ".lock"
_NO_OBJECT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})
"""Nothing there; a file where a folder should be; a link; a socket or a pipe."""


class FolderBucket:
    """The objects below `folder`. Any number of processes may share it. Raises `Unavailable` if the disk says no."""

    def __init__(self, folder: Path, lock_seconds: float = LOCK_SECONDS) -> None:
        self.folder = folder
        self._lock_seconds = lock_seconds

    def create(self, name: str, data: bytes) -> bool:
        """Makes object `name`; False if it exists, which is then left as it is. Durable when it returns."""
        return self._swap(name, data, None)

    def replace(self, name: str, data: bytes, expected: bytes | None) -> bool:
        """Compare-and-swap: writes `name` if it now holds `expected` (None: is absent), else False. Durable."""
        return self._swap(name, data, expected)

    def read(self, name: str) -> bytes | None:
        """The object, or None if there is none."""
        file = self.open(name)
        if file is None:
            return None
        with file, self._disk(name):
            return file.read()

    def length(self, name: str) -> int | None:
        """The object's length in bytes, or None if there is none."""
        file = self.open(name)
        if file is None:
            return None
        with file, self._disk(name):
            return os.fstat(file.fileno()).st_size

    def open(self, name: str) -> BinaryIO | None:
        """The object, open for reading at its start; None if there is none."""
        path = self._path(name)
        with self._disk(name):
            if not self._is_inside(name):
                return None
            try:  # without waiting for the other end of a pipe
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                if error.errno in _NO_OBJECT:
                    return None
                raise
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                return None
            return os.fdopen(descriptor, "rb")

    def listed(self) -> Iterator[tuple[str, int]]:
        """Every plain file below the folder that has an object's name, and when it was written; no link is followed."""
        with self._disk(""):
            for place, _, files in os.walk(self.folder, onerror=_let_out):
                below = Path(place).relative_to(self.folder)
                for whole in (str(below / name) for name in files):
                    with suppress(FileNotFoundError):  # removed by another process meanwhile
                        status = os.lstat(self.folder / whole)
                        if stat.S_ISREG(status.st_mode) and _NAME.fullmatch(whole):
                            yield whole, int(status.st_mtime)

    def remove(self, name: str) -> None:
        """Removes the object, durable when it returns; what has its name and is none is left."""
        path = self._path(name)
        with self._disk(name), self._alone():
            if self.length(name) is not None:
                path.unlink(missing_ok=True)
                sync_folder(path.parent)

    def strangers(self, is_ours: Callable[[str], bool]) -> list[str]:
        """Every name below the folder, ascending, that is no plain file whose name `is_ours`; no link is followed.

        Folders are passed over, and what the bucket itself needs: its lock, and drafts of names that it takes.
        """
        found = []
        with self._disk(""):
            for place, folders, files in os.walk(self.folder, onerror=_let_out):
                below = Path(place).relative_to(self.folder)
                found += [str(below / name) for name in folders if os.path.islink(os.path.join(place, name))]
                for name in files:
                    whole = str(below / name)
                    plain = stat.S_ISREG(os.lstat(os.path.join(place, name)).st_mode)
                    needed = whole == _LOCK or (name.startswith(".") and _NAME.fullmatch(name[1:]))
                    if not (plain and (needed or is_ours(whole))):
                        found.append(whole)
        return sorted(found)

    def _swap(self, name: str, data: bytes, expected: bytes | None) -> bool:
        path = self._path(name)
        with self._disk(name):
            if not self._is_inside(name):
                raise Unavailable(f"{path.parent} leads out of the bucket folder: remove that link")
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                held = self.read(name)
                if held is None and os.path.lexists(path):
                    raise Unavailable(f"{path} is in the place of a public file and is none: move it away")
                swapped = held == expected
                if swapped:
                    write_whole(path, data, 0o644)
                for folder in _folders_up(path.parent, self.folder):  # also for one who was killed right before this
                    sync_folder(folder)
        return swapped

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One writer at a time; the lock goes with its holder, also when that is killed."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self.folder / _LOCK, flags, 0o644)
        try:
            self._lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        give_up_at = perf_counter() + self._lock_seconds  # a stopwatch, not the time of day
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if perf_counter() > give_up_at:
                    raise Unavailable(
                        f"another process holds {self.folder / _LOCK} for too long: end it if it is stopped"
                    ) from None
            sleep(LOCK_PAUSE_SECONDS)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise Invalid("not the name of an object")
        return self.folder / name

    def _is_inside(self, name: str) -> bool:
        """Whether no folder between the bucket's and the object is a link. The bucket's own may be one."""
        place = str(self.folder)  # text: this is asked for every file that is served
        for part in name.split("/")[:-1]:
            place = f"{place}/{part}"
            if os.path.islink(place):
                return False
        return True

    @contextmanager
    def _disk(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(f"{self.folder / name} can't be used: {in_words(error)}") from error


def _folders_up(folder: Path, top: Path) -> Iterator[Path]:
    """`folder` and every folder above it up to `top`."""
    yield folder
    while folder not in (top, folder.parent):
        folder = folder.parent
        yield folder


def _let_out(error: OSError) -> None:
    raise error
