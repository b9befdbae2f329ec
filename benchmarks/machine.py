"""What the figures were measured on. Linux tells it in ``/proc``; elsewhere a part says *unknown*."""

import os
import platform
import re
import sqlite3
from pathlib import Path

from tocsin.journal.disk import file_system_type


def describe(journal_folder: Path) -> str:
    """One line: processor, memory, Python, SQLite, the file system under the journal, and what else was running."""
    cores = len(os.sched_getaffinity(0))
    gigabytes = int(_field("/proc/meminfo", "MemTotal", "0 kB").split()[0]) / 1e6
    mounts = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape")
    return (
        f"{cores} cores of {_field('/proc/cpuinfo', 'model name', 'an unknown processor')}, {gigabytes:.0f} GB; "
        f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}; journal on {file_system_type(journal_folder.resolve(), mounts)}; "
        f"load average at the start {os.getloadavg()[0]:.1f}"
    )


def _field(path: str, name: str, otherwise: str) -> str:
    try:
        found = re.search(rf"^{name}\s*:\s*(.*)$", Path(path).read_text(), re.MULTILINE)
    except OSError:
        return otherwise
    return found[1] if found else otherwise


def most_resident(process: int | str = "self") -> int:
    """Bytes of memory that this process, or the one of that number, held at most, by ``/proc/…/status``."""
    return int(_field(f"/proc/{process}/status", "VmHWM", "0 kB").split()[0]) * 1024
