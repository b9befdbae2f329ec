"""The load: wrk, a closed loop of connections, each posting its next call when the last one is answered."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from msgspec import Struct

CONNECTIONS: Final = 64
LONGEST_SECONDS: Final = 60
SCRIPT: Final = Path(__file__).with_name("calls.lua")


class Defect(Exception):
    """What was measured was not what was meant."""


class Load(Struct, frozen=True):
    """Calls to make: a file of bodies, how many of them it has, and the verdict that all should be answered with."""

    bodies: Path
    count: int
    verdict: str


class Outcome(Struct, frozen=True):
    """When the first call was sent and the last answered, in seconds of the machine's monotonic clock."""

    began: float
    ended: float
    count: int

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.count / (self.ended - self.began)


def is_here() -> bool:
    """Whether there is a wrk to measure with."""
    return shutil.which("wrk") is not None


def start(url: str, load: Load, connections: int = CONNECTIONS) -> "subprocess.Popen[str]":
    """wrk, posting `load` to `url`; `outcome` waits for it, and whoever starts it ends it."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{LONGEST_SECONDS}s", "--timeout", "10s", "-s", str(SCRIPT)]
    arguments = [f"{url}/v1/reports", "--", str(load.bodies), str(load.count), load.verdict]
    return subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)


def outcome(running: "subprocess.Popen[str]", load: Load) -> Outcome:
    """What came of it. Raises `Defect` unless every call was answered once, and as it should be."""
    output, _ = running.communicate(timeout=LONGEST_SECONDS + 10)
    fields = output.splitlines()[-1].split() if output else []
    if len(fields) != 5:
        raise Defect("not all calls were answered in time")
    answered, ok, as_expected = (int(field) for field in fields[2:])
    if not answered == ok == as_expected == load.count:
        raise Defect(f"of {answered} answers {ok} had status 200, and {as_expected} said {load.verdict}")
    return Outcome(float(fields[0]), float(fields[1]), load.count)
