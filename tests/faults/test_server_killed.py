"""`tocsin serve`, killed in mid-load again and again: what it acknowledged is there, once, and the chain is whole."""

import http.client
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.sites import FixedClock, Site, by, cards_of, report
from tocsin.formats.wire import decode_answer, decode_call
from tocsin.journal.verify import verify
from tocsin.model.calls import ReportCall, Verdict
from tocsin.model.claims import report_id
from tocsin.rules.issuance import BatchRequest, activate_batch, issue_batch
from tocsin.service.clock import SystemClock
from tocsin.service.deployment import Deployment

KILLS = 20
PHONES = 12
ACKNOWLEDGED_PER_LIFE = 60
"""Acknowledged reports after which the server is killed: far into a load that goes on."""
CARDS = 2048


class Server:
    """`tocsin serve` as a process, on a free port."""

    def __init__(self, top: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tocsin", "serve", "--data", str(top), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "http://127.0.0.1:" in line, (line, self.process.stderr and self.process.stderr.read())
        self.port = int(line.partition("http://127.0.0.1:")[2].split()[0].rstrip("/"))

    def kill(self) -> None:
        """As a power cut would."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate()


class Load:
    """Phones that report until they are stopped. Each keeps its call, and repeats the same one until it is answered."""

    def __init__(self, bodies: list[bytes]) -> None:
        self.waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        for body in bodies:
            self.waiting.put(body)
        self.taken: list[bytes] = []
        self.other: list[Verdict] = []

    def run(self, port: int, enough: int) -> list[threading.Thread]:
        """Starts the phones; returns when `enough` reports were acknowledged by this server."""
        before = len(self.taken)
        threads = [threading.Thread(target=self._report, args=(port,)) for _ in range(PHONES)]
        for thread in threads:
            thread.start()
        while len(self.taken) < before + enough and any(thread.is_alive() for thread in threads):
            time.sleep(0.001)
        return threads

    def _report(self, port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            while True:
                body = self.waiting.get_nowait()
                try:
                    connection.request("POST", "/v1/reports", body, {"Content-Type": "application/json"})
                    answer = decode_answer(connection.getresponse().read())
                except BaseException:
                    self.waiting.put(body)  # no answer: the same call again, at the next server
                    raise
                if answer.verdict is Verdict.TAKEN:
                    self.taken.append(body)
                else:
                    self.other.append(answer.verdict)
        except (queue.Empty, OSError, http.client.HTTPException):
            connection.close()


@pytest.mark.faults
def test_kill_9_of_the_server_in_mid_load(tmp_path: Path) -> None:
    """Twenty times: every acknowledged report is there, no claim twice, the chain whole."""
    top = tmp_path / "site"
    clock = FixedClock(SystemClock().now())
    site = Site(top, clock, cards=CARDS)
    request = BatchRequest(provider=1, count=CARDS, issuing_period=1)
    policy = site.deployment.settings.policy
    site.performer.act(lambda ledger, now: issue_batch(ledger, request, policy, now, by("issue 2")))
    site.performer.act(lambda ledger, now: activate_batch(ledger, 2, now, by("activate 2")))
    cards = [*site.cards, *cards_of(site.deployment, 2, CARDS)]
    site.deployment.close()

    pending = [report(f"phone {number}", card, 2, clock.now()) for number, card in enumerate(cards)]
    load = Load([each.body for each in pending])
    for life in range(KILLS):
        server = Server(top)
        threads = load.run(server.port, ACKNOWLEDGED_PER_LIFE)
        alive = any(thread.is_alive() for thread in threads)
        server.kill()
        for thread in threads:
            thread.join()
        assert alive, f"life {life}: the load was over before the kill"
    assert len(load.taken) >= KILLS * ACKNOWLEDGED_PER_LIFE
    assert load.other == [], "a repeated call was answered otherwise than the first would have been"
    _check(top, load.taken)


def _check(top: Path, taken: list[bytes]) -> None:
    deployment = Deployment(top, SystemClock())
    verify(deployment.journal)
    performer = deployment.performer()
    performer.catch_up()
    ledger = performer.ledger
    for body in taken:
        call = decode_call(body)
        assert isinstance(call, ReportCall)
        assert report_id(call.tracking_id) in ledger.report_by_id, "an acknowledged report is lost"
    used = list(zip(ledger.reports["batch"].tolist(), ledger.reports["serial"].tolist(), strict=True))
    assert len(used) == len(set(used)), "a card was used twice"
    deployment.close()
