"""A place that is a local folder, durable like everything else that tocsin keeps on a disk."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident

from tocsin.model.errors import Unavailable
from tocsin.stores.durable import in_words, sync_folder, write_synced
from tocsin.stores.place import Found

FOLDER_MODE = 0o700
"""What lies there is no one else's business, sealed as it is."""


class FolderPlace:
    """The files below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def uri(self) -> str:
        return str(self._folder)

    @property
    def options(self) -> Mapping[str, str]:
        return {}

    def refuse_unfit(self) -> None:
        """Makes the folder. A file system decides who was first by itself."""
        with self._disk():
            self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)

    def keeps_versions(self) -> bool:
        return False

    def create(self, name: str, data: bytes) -> bool:
        path = self._folder / name
        draft = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}")
        with self._disk():
            path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            draft.unlink(missing_ok=True)  # of one who was killed
            try:
                write_synced(draft, data, 0o600)
                made = _link(draft, path)
            finally:
                draft.unlink(missing_ok=True)  # room may be what is lacking, and the next file has another name
            sync_folder(path.parent)  # also for one who made it a moment earlier, and is not so far yet
            sync_folder(path.parent.parent)
        return made

    def read(self, name: str) -> bytes | None:
        with self._disk():
            try:
                return (self._folder / name).read_bytes()
            except FileNotFoundError:
                return None

    def settle(self, names: Iterable[str]) -> None:
        with self._disk():
            folders = {self._folder}
            for name in names:
                path = self._folder / name
                _sync_file(path)
                folders |= {path.parent, path.parent.parent}
            for folder in folders:
                sync_folder(folder)

    def found(self) -> list[Found]:
        with self._disk():
            return list(_files_below(self._folder))

    def remove(self, names: Iterable[str]) -> None:
        with self._disk():
            for name in names:
                (self._folder / name).unlink(missing_ok=True)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(f"{self._folder} can't be used: {in_words(error)}") from error


def _link(draft: Path, path: Path) -> bool:
    """Gives the file `draft` the name `path`, unless there is one of that name."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    return True


def _sync_file(path: Path) -> None:
    """Nothing, if there is none: a checkpoint that is made now and then."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files_below(top: Path) -> Iterator[Found]:
    for place, _, names in os.walk(top):
        for name in names:
            path = Path(place, name)
            try:
                state = path.lstat()
            except FileNotFoundError:  # removed meanwhile
                continue
            if stat.S_ISREG(state.st_mode):
                yield Found(str(path.relative_to(top)), state.st_size, int(state.st_mtime))
