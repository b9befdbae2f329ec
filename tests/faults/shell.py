"""Who does what a page for operators says: types its lines into a shell, where the page's places are a test's own.

``systemctl start tocsin`` and ``stop`` start and stop a real server, on a free port.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from tests.faults.servers import Server
from tests.sites import Site, drawn
from tocsin.client.calls import track_call
from tocsin.model.calls import Verdict

PLACES = ("/srv/tocsin", "/backup", "/mirror", "/replica", "/sealed", "/offline", "/etc/litestream.yml")
"""Where the pages have a deployment, its copies and what goes with them; here all are below one folder."""


class Typed(Struct, frozen=True):
    """How a line ended and what it said."""

    code: int
    out: str
    err: str


class Shell:
    """Types lines for the deployment of `site`, which is ``/srv/tocsin``; `root` stands for ``/``."""

    def __init__(self, root: Path, site: Site) -> None:
        self.root = root
        self.site = site
        self.server: Server | None = None
        self._started = 0
        self._units: dict[str, Callable[[], None]] = {"start tocsin": self._start, "stop tocsin": self._stop}

    def type(self, line: str) -> Typed:
        """Types one line."""
        unit = self._units.get(line.removeprefix("systemctl "))
        if unit is not None:
            unit()
            return Typed(0, "", "")
        for place in PLACES:
            line = line.replace(place, f"{self.root}{place}")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=self.root,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "TOCSIN_DATA": f"{self.root}/srv/tocsin",
                "COLUMNS": "240",
            },
            capture_output=True,
            text=True,
        )
        return Typed(done.returncode, done.stdout, done.stderr)

    def track(self, name: str) -> Verdict | None:
        """What the server tells the phone `name` of its report."""
        assert self.server is not None
        return self.server.verdict(track_call(drawn(f"{name} w")))

    def server_s_last_words(self) -> str:
        """What a server said that did not start."""
        assert self.server is not None
        assert self.server.process.wait(60) == 1
        return self.server.err

    def _start(self) -> None:
        self._started += 1
        self.server = Server.real(self.root / "srv" / "tocsin", self.root / f"said{self._started}")

    def _stop(self) -> None:
        if self.server is not None and self.server.process.poll() is None:
            assert self.server.port
            self.server.stop()
