"""The machine: what it may keep of a server's memory, and how many files it lets one open."""

import ctypes
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tocsin.service.doctor.finding import Code, Finding
from tocsin.service.doctor.subject import Subject

FILES_NEEDED: Final = 8_704
"""Open files of a server whose connections are all in use, as `tocsin.web.server` asks for."""
_PR_GET_DUMPABLE: Final = 3
"""prctl(2)."""


def look(subject: Subject) -> Iterator[Finding]:
    """Swap that is not encrypted, cores, and a limit of open files that is too low."""
    if swap := plain_swap(_text(Path("/proc/swaps")), _device_kind):
        yield Finding(
            Code.SWAP_ON,
            f"Swap is on ({', '.join(swap)}) and not known to be encrypted: memory with keys is written to a disk. Turn"
            " it off (`swapoff -a`), or encrypt it with a key drawn at each start.",
        )
    if leaves_cores():
        yield Finding(
            Code.CORES_POSSIBLE,
            "This system lets a crash leave a core file, with keys in it: run the server with `LimitCORE=0`.",
        )
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES_NEEDED:
        yield Finding(
            Code.FEW_FILES,
            f"A process of this user may open {hard:,} files, and a busy server needs {FILES_NEEDED:,}: raise the hard"
            f" limit (`LimitNOFILE={FILES_NEEDED}` in its unit).",
        )


def plain_swap(swaps: str, kind: Callable[[str], str]) -> list[str]:
    """The places of swap that are on and lie neither in memory nor on an encrypted device; `swaps` as in proc(5).

    >>> plain_swap("Filename Type Size\\n/dev/zram0 partition 9\\n/dev/sda2 partition 9\\n", lambda name: "")
    ['/dev/sda2']
    """
    places = [line.split()[0] for line in swaps.splitlines()[1:] if line.strip()]
    return [place for place in places if "/zram" not in place and not kind(Path(place).name).startswith("CRYPT-")]


def leaves_cores() -> bool:
    """Whether a crash of this process could leave a core, although every command forbids it as its first act."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None
    if prctl is None:
        return resource.getrlimit(resource.RLIMIT_CORE)[0] != 0
    return bool(prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0))


def _device_kind(name: str) -> str:
    """The UUID that the device mapper gives a device, which begins by its kind; empty for any other device."""
    return _text(Path("/sys/class/block") / name / "dm" / "uuid")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
