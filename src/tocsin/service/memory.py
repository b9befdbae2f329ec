"""What this process holds in memory stays there: it leaves no core file, and no other user may look into it.

Swap and hibernation are the machine's: see docs/operating/watching.md.
"""

import ctypes
import faulthandler
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4
"""prctl(2)."""


def keep_to_itself() -> None:
    """From now on until the process ends; where the system lacks it, as much of it as there is.

    Both are needed: a limit of nought is not asked where the kernel pipes cores to a program (core(5)), and a process
    that is not dumpable leaves none either way; its files in ``/proc`` are root's.
    """
    faulthandler.disable()  # whatever the environment says
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        prctl = getattr(ctypes.CDLL(None), "prctl", None)
        if prctl is not None:
            prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
