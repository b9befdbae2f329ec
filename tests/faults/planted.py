"""Thousands of honest, refused, malformed and hostile requests with planted values, and the search for each of them.

``python -m tests.faults.planted FOLDER [REQUESTS [SEED]]``, or ``make test-planted``. The server is what an operator
runs, with the log in JSON and metrics on, behind a proxy that it trusts; scraped all the time; and made to fail, in
every way that `tests.faults.leaky` knows, while planted calls are in flight. In the end it is killed by SIGABRT.
"""

import ipaddress
import json
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.faults.leaky import GROUP_AWAY, GROUP_FAILS, WAYS
from tests.faults.needles import Found, Needles, Planted
from tests.faults.servers import ROOT, Server, until
from tests.sites import PROMPT, FixedClock, Site, by, cards_of
from tests.web.wire import Wire
from tocsin.client.calls import continue_id, make_report, track_call, tracking_id, withdraw_call
from tocsin.formats.wire import REQUEST_BYTES, encode_call
from tocsin.model.calls import ContinueCall, SentKey
from tocsin.model.times import INTERVALS_PER_DAY, QUARTER_SECONDS, day_of
from tocsin.rules.issuance import BatchRequest, activate_batch, issue_batch

CARDS: Final = 2048
SENDERS: Final = 6
SOURCES: Final = [f"127.{a}.{b}.{c}" for a, b, c in ((171, 205, 239), (97, 113, 251), (201, 77, 143), (222, 173, 190))]
"""From these loopback addresses calls come, of which no other use is made."""
SCRAPED: Final = ("metrics", "health", "ready", "nothing")


class Run:
    """A deployment, a server, those who call it, and what they planted."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.top, self.said, self.cwd = folder / "site", folder / "said", folder / "cwd"
        for made in (self.said, self.cwd):
            made.mkdir(parents=True)
        self.chance = random.Random(seed)
        self.planted: list[Planted] = [Planted("address", ipaddress.ip_address(source).packed) for source in SOURCES]
        self.statuses: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._scraping = threading.Event()
        self.scrapes: set[bytes] = set()
        self.clock = FixedClock()
        self.cards = self._found()
        self.spent: list[str] = []
        self.reported: list[tuple[bytes, bytes]] = []
        """The withdrawal and continuation secrets of reports with a good card."""

    def _found(self) -> list[str]:
        site = Site(self.top, self.clock, cards=CARDS)
        site.deployment.keys.make_days_ahead(day_of(self.clock.at))
        request = BatchRequest(provider=1, count=CARDS, issuing_period=1)
        site.performer.act(lambda ledger, now: issue_batch(ledger, request, PROMPT, now, by("issue 2")))
        site.performer.act(lambda ledger, now: activate_batch(ledger, 2, now, by("activate 2")))
        cards = [*site.cards, *cards_of(site.deployment, 2, CARDS)]
        site.deployment.close()
        settings = self.top / "tocsin.toml"
        settings.write_text("trusted_proxies = 1\n" + settings.read_text(encoding="utf-8"), encoding="utf-8")
        self._set_clock()
        return cards

    def _set_clock(self) -> None:
        new = self.top / "clock.new"
        new.write_text(str(self.clock.at))
        new.replace(self.top / "clock")

    # --- what is planted ---------------------------------------------------------------------------------------------

    def plant(self, kind: str, value: bytes, *at_home: str) -> bytes:
        """Remembers `value`."""
        with self._lock:
            self.planted.append(Planted(kind, value, at_home))
        return value

    def word(self, kind: str) -> str:
        """A new word of letters and digits, planted."""
        return self.plant(kind, f"{kind.replace(' ', '')}{secrets.token_hex(8)}".encode()).decode()

    def address(self) -> str:
        """A new address, planted."""
        packed = secrets.token_bytes(16) if self.chance.random() < 0.8 else bytes([10, *secrets.token_bytes(3)])
        text = str(ipaddress.ip_address(packed))
        if len(text) < 9 or (len(packed) == 4 and len(str(int.from_bytes(packed))) < 8):
            return self.address()
        if len(packed) == 16:
            self.plant("address", packed)
        else:  # its dotted text; packed it is looked for with `SOURCES`, which come often enough to tell from chance
            self.plant("dotted address", text.encode())
        return text

    def report(self, code: str) -> bytes:
        """A report with everything in it planted. Its keys are at home in public files, the rest nowhere."""
        withdrawal, continuation = (self.plant("secret", secrets.token_bytes(32)) for _ in range(2))
        today = day_of(self.clock.at)
        for made in (tracking_id(withdrawal), continue_id(continuation)):
            self.plant("ID", bytes(made))
        if code in self.spent:
            self.reported.append((withdrawal, continuation))
        self.plant("code", code.encode())
        self.plant("code", code.replace("-", "").encode())
        keys = self._keys(1, 2)
        return make_report(
            keys, code=code, onset_day=today - 2, withdrawal_secret=withdrawal, continuation_secret=continuation
        ).body

    def continuation(self) -> bytes:
        """More of a report that was sent, or of none."""
        known = self.chance.choice(self.reported)[1] if self.reported and self.chance.random() < 0.7 else None
        secret = known or self.plant("secret", secrets.token_bytes(32))
        following = continue_id(self.plant("secret", secrets.token_bytes(32)))
        self.plant("ID", bytes(following))
        return encode_call(ContinueCall(secret, following, self._keys(3)))

    def _keys(self, *days: int) -> tuple[SentKey, ...]:
        """A new key of each of these days before today, at home in public files."""
        first = [(day_of(self.clock.at) - day) * INTERVALS_PER_DAY for day in days]
        return tuple(
            SentKey(self.plant("key", secrets.token_bytes(16), "bucket"), start, INTERVALS_PER_DAY) for start in first
        )

    def body(self) -> bytes:
        """A body of one of many kinds."""
        kind = self.chance.randrange(12)
        if kind <= 2 and self.cards:
            with self._lock:
                code = self.cards.pop()
                self.spent.append(code)
            return self.report(code)
        if kind == 3 and self.spent:
            return self.report(self.chance.choice(self.spent))
        if kind == 4:
            return self.report("C" + "".join(self.chance.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=19)))
        if kind in (5, 6):
            known = self.chance.choice(self.reported)[0] if self.reported and self.chance.random() < 0.5 else None
            secret = known or self.plant("secret", secrets.token_bytes(32))
            return (track_call if kind == 5 else withdraw_call)(secret)
        if kind == 7:
            fails = self.chance.choice((GROUP_FAILS, GROUP_AWAY))
            return (b"{" + fails + json.dumps(self.word("group")).encode() + b"}").ljust(REQUEST_BYTES)
        if kind == 10:  # a phone code, guessed
            digits = "".join(secrets.choice("0123456789") for _ in range(12))
            return self.report(f"{digits[:4]}-{digits[4:8]}-{digits[8:]}")
        if kind == 11:
            return self.continuation()
        if kind == 8:
            fields = {self.word("name"): self.word("value"), "act": self.word("act"), "code": self.word("code")}
            return json.dumps(fields).encode().ljust(REQUEST_BYTES)
        return (b'{"act":"report","code":"\\u001b[31m\\u202e' + self.word("broken").encode()).ljust(REQUEST_BYTES, b"[")

    def request(self) -> bytes:
        """One request, or what should have been one."""
        headers = [
            ("Host", f"{self.word('host')}.example"),
            ("X-Forwarded-For", f"{self.address()}, {self.address()}"),
            ("Forwarded", f'for="{self.address()}"'),
            ("Cookie", f"session={self.word('cookie')}"),
            ("User-Agent", self.word("agent")),
            ("Authorization", f"Bearer {self.word('token')}"),
            (f"X-{self.word('header')}", self.word("header value")),
        ]
        if self.chance.random() < 0.1:
            headers.append(("X-Fail", self.chance.choice(sorted(WAYS))))
        method, path, body = "POST", "/v1/reports", self.body()
        shape = self.chance.randrange(12)
        if shape == 0:
            method, path = self.chance.choice(("GET", "PUT", "DELETE")), f"/{self.word('path')}?q={self.word('query')}"
        elif shape == 1:
            body = body[: self.chance.randrange(REQUEST_BYTES)]
        elif shape == 2:
            return f"{self.word('nonsense')} {self.word('line')}\r\n\r\n".encode()
        elif shape == 3:
            headers.append(("Transfer-Encoding", "chunked"))
        elif shape == 4:
            headers.append(("X-Long", self.word("long") * 700))
        kind = self.word("media type") if shape == 5 else "application/json"
        headers += [("Content-Type", kind), ("Content-Length", str(len(body)))]
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body

    # --- what is done ------------------------------------------------------------------------------------------------

    def serve(self) -> Server:
        """The server, listening on free ports."""
        options = ["serve", "--port", "0", "--operations", "127.0.0.1:0", "--log-format", "json"]
        command = ["tests.faults.leaky", str(self.top), *options, "--data", str(self.top)]
        return Server(self.said / f"server {len(list(self.said.iterdir()))}", command, self.cwd)

    def send(self, server: Server, requests: int) -> None:
        """So many requests, from some senders at once, while it is scraped; a quarter-hour passes now and then."""
        operations = _operations_url(server)
        scraper = threading.Thread(target=self._scrape, args=(operations,))
        scraper.start()
        try:
            for _ in range(4):
                shares = [
                    threading.Thread(target=self._send, args=(server.port, requests // 4 // SENDERS + 1))
                    for _ in range(SENDERS)
                ]
                for share in shares:
                    share.start()
                for share in shares:
                    share.join()
                self.clock.wait(QUARTER_SECONDS)
                self._set_clock()
                version = server.out.count("version_out")
                until("a version", lambda before=version: server.out.count("version_out") > before)
        finally:
            self._scraping.set()
            scraper.join()
        self._keep_scrape(f"{operations}/metrics")

    def _send(self, port: int, requests: int) -> None:
        for _ in range(requests):
            source = self.chance.choice(SOURCES)
            status = "closed"
            with suppress(OSError, AssertionError), Wire(port, source) as wire:
                wire.send(self.request())
                status = str(wire.reply().status)
            with self._lock:
                self.statuses[status] += 1

    def _scrape(self, operations: str) -> None:
        while not self._scraping.wait(0.05):
            for page in SCRAPED:
                self._keep_scrape(f"{operations}/{page}")

    def _keep_scrape(self, url: str) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=60) as response:
                self.scrapes.add(response.read())
        except urllib.error.HTTPError as error:
            with error:
                self.scrapes.add(error.read())

    def crash(self, server: Server) -> None:
        """Ends it by SIGABRT while planted calls are in flight."""
        in_flight = [Wire(server.port, source) for source in SOURCES]
        for wire in in_flight:
            wire.send(self.request())
        server.send(signal.SIGABRT)
        server.process.wait()
        for wire in in_flight:
            wire.socket.close()
        assert server.process.returncode == -signal.SIGABRT

    def look(self) -> list[Found]:
        """What of the planted values is anywhere."""
        for number, words in enumerate((["status"], ["status", "--json"], ["codes", "list"], ["journal", "verify"])):
            command = [sys.executable, "-m", "tests.faults.leaky", str(self.top), *words, "--data", str(self.top)]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(command, cwd=self.cwd, env=environment, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr
            (self.said / f"command {number}").write_bytes(done.stdout + done.stderr)
        (self.said / "scrapes").write_bytes(b"\n".join(sorted(self.scrapes)))
        needles = Needles({(each.kind, each.value): each for each in self.planted}.values())
        return [found for place in (self.top, self.said, self.cwd) for found in needles.found_below(place)]


def _operations_url(server: Server) -> str:
    assert server.port
    found = re.search(r"readiness on (http://[0-9.:]+)", server.out)
    assert found is not None, server.out
    return found[1]


def lines(server: Server) -> list[dict[str, object]]:
    """The log: each line one object."""
    return [json.loads(line) for line in server.out.splitlines()]


def main(folder: str, requests: str = "10000", seed: str | None = None) -> None:
    """The named long run."""
    drawn = int(seed) if seed is not None else secrets.randbelow(1 << 32)
    print(f"seed {drawn}", flush=True)
    run = Run(Path(folder), drawn)
    server = run.serve()
    run.send(server, int(requests))
    run.crash(server)
    print(f"answered by status: {dict(run.statuses.most_common())}", flush=True)
    found = run.look()
    events = Counter(str(line["event"]) for line in lines(server))
    print(f"{len(run.planted):,} values planted, {len(run.scrapes):,} different scrapes, log lines {dict(events)}")
    for each in found[:20]:
        print(f"FOUND: {each.planted.kind} {each.planted.value!r}, {each.spelling}, in {each.file}")
    print(f"found: {len(found)}; files left behind by the crash: {sorted(run.cwd.iterdir())}")
    sys.exit(bool(found) or any(run.cwd.iterdir()))


if __name__ == "__main__":
    socket.setdefaulttimeout(60)
    main(*sys.argv[1:])
