"""`tocsin serve` as a process, and phones that load it. Each phone keeps its call until it is answered."""

import http.client
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from tocsin.formats.wire import decode_answer
from tocsin.model.calls import Verdict

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
PHONES = 12
JSON = {"Content-Type": "application/json"}


def until(what: str, holds: Callable[..., object], patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Waits for something that can be seen; fails if it does not come."""
    give_up_at = time.monotonic() + patience_seconds
    while not holds():
        assert time.monotonic() < give_up_at, f"still waiting: {what}"
        time.sleep(0.002)


class Server:
    """A server on a free port. What it says goes into two files of the new folder `said`."""

    def __init__(self, said: Path, command: Sequence[str], cwd: Path = ROOT) -> None:
        said.mkdir()
        self._out, self._err = said / "out", said / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=cwd,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=out,
                stderr=err,
            )
        weakref.finalize(self, _end, self.process)  # also where a test fails

    @classmethod
    def real(cls, top: Path, said: Path) -> "Server":
        """What an operator runs."""
        return cls(said, ["tocsin", "serve", "--port", "0", "--data", str(top)])

    @classmethod
    def seamed(cls, top: Path, said: Path, skew: int = 0) -> "Server":
        """One whose clock is the file `clock` and so many seconds, and that stops where `tests.faults.seamed` says."""
        return cls(said, ["tests.faults.seamed", str(top), said.name, str(skew), "serve", "--port", "0"])

    @cached_property
    def port(self) -> int:
        """Where it listens, once it does."""
        until("a server that listens", lambda: self.process.poll() is not None or "stop with" in self.out)
        found = re.search(r"serving on http://127\.0\.0\.1:(\d+)", self.out)
        assert found is not None, (self.out, self.err)
        return int(found[1])

    @property
    def out(self) -> str:
        return self._out.read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        return self._err.read_text(encoding="utf-8")

    @property
    def versions(self) -> list[int]:
        """The versions that this server put out."""
        return [int(number) for number in re.findall(r"  version ([\d]+):", self.out)]

    def call(self, body: bytes) -> bytes | None:
        """The answer to a call; None if the server says that it may be repeated later."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("POST", "/v1/reports", body, JSON)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        assert response.status in (200, 503), response.status
        return answer if response.status == 200 else None

    def verdict(self, body: bytes) -> Verdict | None:
        """What a call is told; None for a 503."""
        answer = self.call(body)
        return None if answer is None else decode_answer(answer).verdict

    @property
    def is_stopped(self) -> bool:
        """Whether the process stands still (proc(5): state T)."""
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """As an operator would; everything that was begun is finished."""
        self.process.terminate()
        assert self.process.wait(PATIENCE_SECONDS) == 0, self.err
        assert self.out.endswith("Stopped.\n")


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.kill()
        process.wait()


class Load:
    """Phones that report until they are stopped. Each keeps its call, and repeats the same one until it is answered."""

    def __init__(self, bodies: list[bytes]) -> None:
        self.waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        for body in bodies:
            self.waiting.put(body)
        self.taken: list[tuple[bytes, bytes]] = []
        """The calls that were acknowledged, each with its answer."""
        self.kept: set[bytes] = set()
        """Calls that were ever answered *provisional*; they are repeated until they are taken."""
        self.other: list[Verdict] = []
        self.cut_off: list[bytes] = []
        """Calls that got no answer: nobody knows whether they are stored."""
        self.away = 0
        """Calls that were answered 503."""

    def run(self, port: int, enough: int) -> list[threading.Thread]:
        """Starts the phones; returns when `enough` reports were acknowledged by this server."""
        before = len(self.taken)
        threads = self.start(port)
        while len(self.taken) < before + enough and any(thread.is_alive() for thread in threads):
            time.sleep(0.001)
        return threads

    def start(self, port: int, phones: int = PHONES) -> list[threading.Thread]:
        """Starts so many phones."""
        threads = [threading.Thread(target=self._report, args=(port,)) for _ in range(phones)]
        for thread in threads:
            thread.start()
        return threads

    def _report(self, port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            while True:
                body = self.waiting.get_nowait()
                try:
                    connection.request("POST", "/v1/reports", body, JSON)
                    response = connection.getresponse()
                    read = response.read()
                except BaseException:
                    self.cut_off.append(body)
                    self.waiting.put(body)  # no answer: the same call again, at the next server
                    raise
                if response.status == 503:
                    self.waiting.put(body)
                    self.away += 1
                    continue
                answer = decode_answer(read)
                if answer.verdict is Verdict.TAKEN:
                    self.taken.append((body, read))
                elif answer.verdict is Verdict.PROVISIONAL:
                    self.kept.add(body)
                    self.waiting.put(body)
                else:
                    self.other.append(answer.verdict)
        except (queue.Empty, OSError, http.client.HTTPException):
            connection.close()
