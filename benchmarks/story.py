"""`tocsin demo`, the whole way once, as a newcomer runs it."""

import subprocess
import sys
import time
from typing import Final

from benchmarks.table import Row
from benchmarks.wrk import Defect

LONGEST_SECONDS: Final = 120


def measure() -> list[Row]:
    """One row. Raises `Defect` if the demo fails."""
    began = time.perf_counter()
    ended = subprocess.run([sys.executable, "-m", "tocsin", "demo"], stdout=subprocess.DEVNULL, timeout=LONGEST_SECONDS)
    seconds = time.perf_counter() - began
    if ended.returncode:
        raise Defect("the demo failed")
    return [Row("tocsin demo", "the whole way, once", f"{seconds:.1f} s", aim="a minute")]
