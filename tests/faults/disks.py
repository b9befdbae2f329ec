"""Disks of a test's own: small ones that fill up, and ones that turn read-only. Needs the right to mount."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    """A file system in memory, mounted at `place`."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def fill(self) -> None:
        """Leaves no byte free."""
        with (self.place / "filler").open("ab", buffering=0) as filler:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while True:
                        filler.write(bytes(size))
                except OSError:
                    continue

    def free(self) -> None:
        """Takes back what `fill` took."""
        (self.place / "filler").unlink()

    def resize(self, kilobytes: int) -> None:
        """Makes the disk larger or smaller."""
        _run("mount", "-o", f"remount,size={kilobytes}k", str(self.place))

    def read_only(self) -> None:
        """What the kernel does to a disk that fails. Files that are open for writing would keep it from it."""
        _run("mount", "-o", "remount,ro", str(self.place))

    def writable(self) -> None:
        _run("mount", "-o", "remount,rw", str(self.place))

    def detach_read_only(self) -> None:
        """Lays the same folder over itself, read-only: also where files are open for writing."""
        _run("mount", "--bind", str(self.place), str(self.place))
        _run("mount", "-o", "remount,bind,ro", str(self.place))

    def attach(self) -> None:
        """Takes that away again."""
        _run("umount", str(self.place))


@contextmanager
def disk(place: Path, kilobytes: int) -> Iterator[Disk]:
    """A disk of this size at the folder `place`, with what was there; gone at the end. Skips where it may not mount."""
    place.mkdir(exist_ok=True)
    before = place.with_name(f"{place.name}.before")
    place.rename(before)
    place.mkdir(mode=before.stat().st_mode & 0o777)
    options = f"size={kilobytes}k,mode={before.stat().st_mode & 0o777:o}"
    try:
        _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
    except (OSError, subprocess.CalledProcessError):
        place.rmdir()
        before.rename(place)
        pytest.skip("this test mounts a small disk, which needs root")
    try:
        _run("cp", "-a", f"{before}/.", str(place))
        yield Disk(place)
    finally:
        while os.path.ismount(place):  # one over the other, if a test ended too early
            _run("umount", "--lazy", str(place))
        place.rmdir()
        before.rename(place)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
