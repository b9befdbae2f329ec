"""Files that hold all or nothing and outlive a loss of power, and the words for a disk that says no.

A file is written under a hidden name beside its place, synced, renamed into it, and its folder is synced; so a name
holds the whole of what was written, or what it held before. What a crash leaves behind is the hidden file, a *draft*;
the next write of that name removes it. Source of the order: the usual write-sync-rename-sync of a POSIX file system.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tocsin.model.errors import Unavailable

_WAYS_OUT: Final = {
    errno.ENOSPC: "; free some space on it",
    errno.EDQUOT: "; free some space on it",
    errno.EROFS: "; look why it is read-only, then mount it writable",
}


def in_words(error: OSError) -> str:
    """What the operating system says, in its own words, with the way out where there is one.

    >>> in_words(OSError(errno.ENOSPC, ""))
    'No space left on device; free some space on it'
    """
    number = error.errno or errno.EIO
    return os.strerror(number) + _WAYS_OUT.get(number, "")


def write_whole(path: Path, data: bytes, mode: int) -> None:
    """Puts `data` at `path`, in the place of any file there; durable once its folder is synced. One writer at a time.

    Raises `Unavailable`, which names the file, if the disk says no; what was there is then there still.
    """
    write_pieces(path, (data,), mode)


def write_pieces(path: Path, pieces: Iterable[bytes], mode: int) -> None:
    """`write_whole` of what is made piece by piece. Raises as that, and as the making of a piece does."""
    draft = path.with_name(f".{path.name}")
    with writing(path):
        draft.unlink(missing_ok=True)  # and never written through: it could be a link
        try:
            _write_synced(draft, pieces, mode)
            os.replace(draft, path)
        except BaseException:
            with suppress(OSError):
                draft.unlink()  # room may be what is lacking
            raise


def write_synced(path: Path, data: bytes, mode: int) -> None:
    """Makes the file `path`, which is not there yet, and syncs what it holds but not its name. Raises `OSError`."""
    _write_synced(path, (data,), mode)


def _write_synced(path: Path, pieces: Iterable[bytes], mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` durable. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A block whose errors of the operating system come out as `Unavailable`, naming `path`."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{path} can't be written: {in_words(error)}") from error
