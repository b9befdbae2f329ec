"""Whether a folder outlives a loss of power, as far as the operating system tells."""

import os
import re
from pathlib import Path
from typing import Final

from tocsin.model.errors import Unavailable

MEMORY_FILE_SYSTEMS: Final = frozenset({"tmpfs", "ramfs"})
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def in_memory(folder: Path) -> bool:
    """Whether `folder` lies on a file system that a loss of power empties. False where the system does not say."""
    return file_system_of(folder) in MEMORY_FILE_SYSTEMS


def file_system_of(folder: Path) -> str:
    """The type of the file system that holds `folder`; empty where the system does not say (no ``/proc``)."""
    try:
        mounts = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape")
    except OSError:
        return ""
    return file_system_type(folder.resolve(), mounts)


def file_system_type(folder: Path, mounts: str) -> str:
    """The type of the file system that holds the absolute path `folder`; `mounts` as in proc(5), fstab(5).

    >>> file_system_type(Path("/dev/shm/journal"), "/dev/sda / ext4 rw 0 0\\ntmpfs /dev/shm tmpfs rw 0 0\\n")
    'tmpfs'
    """
    found, depth = "", 0
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        mounted_at = Path(_ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), fields[1]))
        # the deepest one holds the folder; of two at one place, the later one covers the earlier
        if folder.is_relative_to(mounted_at) and len(mounted_at.parts) >= depth:
            found, depth = fields[2], len(mounted_at.parts)
    return found


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` durable, not only what they name. Raises `Unavailable`."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        raise Unavailable("The journal's folder can't be made durable: see that its disk is sound.") from None
