"""``kill -9`` again and again, at moments drawn by chance: of a server under load, or as it starts or publishes; of a
publisher beside it; of an operator's command. After each, what was acknowledged is there once, and nothing half done.

``python -m tests.faults.kills FOLDER [KILLS [SEED]]``, or ``make test-kills``. Everything is what an operator runs, but
that its clock is a file: a quarter-hour passes at each kill, so that each has a version to be cut off in.
"""

import hashlib
import random
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from tests.faults.servers import ROOT, Load, Server, until
from tests.faults.test_processes_beside_each_other import set_clock
from tests.sites import PROMPT, FixedClock, Site, by, cards_of, report
from tocsin.client.state import SyncState
from tocsin.client.sync import sync
from tocsin.client.trust import parse_trust
from tocsin.formats.gaen.reader import read_zip
from tocsin.formats.leaf import Profile, decode_file_list, object_name
from tocsin.formats.wire import decode_answer, decode_call
from tocsin.journal.encoding import StoredEvent, decode_body
from tocsin.journal.verify import verify
from tocsin.model.calls import ReportCall, Verdict
from tocsin.model.claims import Claim, report_id
from tocsin.model.events import ProviderAdded
from tocsin.model.times import QUARTER_SECONDS, floor_quarter
from tocsin.publication.release import released
from tocsin.rules.issuance import BatchRequest, activate_batch, issue_batch
from tocsin.service.collect import MAX_GROUP
from tocsin.service.deployment import Deployment, head_verifier
from tocsin.service.perform import Arrival, Performer

CARDS: Final = 2048
PHONES: Final = 4
REPORTS_PER_KILL: Final = 80
"""As many reports are made ready for each kill; a kill under load comes after 1 to so many were acknowledged."""
CARD_CLAIM: Final = 3
VICTIMS: Final = {"server under load": 6, "server publishing": 4, "server starting": 2, "publisher": 4, "command": 4}
"""Who is killed, and how often in twenty."""


class Run:
    """A deployment, who loads it and who kills."""

    def __init__(self, folder: Path, kills: int, seed: int) -> None:
        self.top, self.said = folder / "site", folder / "said"
        self.said.mkdir(parents=True)
        self.chance = random.Random(seed)
        self.kills = Counter[str]()
        self.clock = FixedClock()
        bodies = self._found(kills * REPORTS_PER_KILL)
        self.deployment = Deployment(self.top, self.clock)
        self.trust = parse_trust(self.deployment.folders.trust.read_bytes())
        self.ledger_keeper = self.deployment.performer()
        self.load = Load(bodies)
        self.phones: list[threading.Thread] = []
        self.server: Server | None = None
        self.checked = 0
        self.phone: SyncState | None = None
        self.acts: dict[str, str] = {}
        """Names of providers to their request IDs."""

    def _found(self, reports: int) -> list[bytes]:
        """Makes the deployment and its cards; returns a report for each."""
        no_quota = replace(PROMPT, person_daily_cards="none", provider_daily_cards="none")
        site = Site(self.top, self.clock, no_quota)
        cards: list[str] = []
        while len(cards) < reports:
            batch = 2 + len(cards) // CARDS
            _issue(site, batch)
            cards += cards_of(site.deployment, batch, CARDS)
        set_clock(self.top, self.clock.at)
        site.deployment.close()
        return [report(f"phone {n}", card, 2, self.clock.at).body for n, card in enumerate(cards[:reports])]

    # --- killing -----------------------------------------------------------------------------------------------------

    def draw_victim(self) -> str:
        """Who is killed next."""
        return self.chance.choices(list(VICTIMS), list(VICTIMS.values()))[0]

    def kill(self, victim: str) -> None:
        """One kill, and what has to hold after it."""
        if victim == "server starting" and self.server is not None:
            self._kill_server()
        server = self._serving() if victim != "server starting" else None
        self.clock.wait(QUARTER_SECONDS)
        set_clock(self.top, self.clock.at)
        if server is None:
            starting = self._server()
            time.sleep(self.chance.uniform(0.1, 1.5))
            starting.kill()
        elif victim == "publisher":
            self._kill(self._command("publish"))
        elif victim == "command":
            name = f"Provider {len(self.acts) + 2}"
            self.acts[name] = secrets.token_hex(16)
            self._kill(self._add_provider(name))
        else:
            enough = len(self.load.taken) + self.chance.randint(1, REPORTS_PER_KILL)
            if victim == "server under load":
                until("acknowledged reports", lambda: len(self.load.taken) >= enough or not self._loaded())
            else:
                time.sleep(self.chance.uniform(0, 0.15))
            self._kill_server()
        self.kills[victim] += 1
        self._check()

    def _serving(self) -> Server:
        """The server, under load."""
        if self.server is None:
            self.server = self._server()
        if not self._loaded():
            self.phones = self.load.start(self.server.port, PHONES)
        return self.server

    def _server(self) -> Server:
        return Server.seamed(self.top, self.said / f"server {len(list(self.said.iterdir()))}")

    def _loaded(self) -> bool:
        return any(phone.is_alive() for phone in self.phones)

    def _kill_server(self) -> None:
        assert self.server is not None
        self.server.kill()
        self.server = None
        for phone in self.phones:
            phone.join()

    def _kill(self, process: "subprocess.Popen[bytes]") -> None:
        time.sleep(self.chance.uniform(0.2, 1.5))
        process.kill()
        process.wait()

    def _command(self, *words: str) -> "subprocess.Popen[bytes]":
        program = [sys.executable, "-m", "tests.faults.seamed", str(self.top), "command", "0", *words]
        return subprocess.Popen(program, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _add_provider(self, name: str) -> "subprocess.Popen[bytes]":
        return self._command("provider", "add", name, "--request-id", self.acts[name])

    # --- what has to hold --------------------------------------------------------------------------------------------

    def _check(self) -> None:
        """The chain is whole; what was acknowledged since the last time is there; the bucket leads to a whole set."""
        taken, self.checked = self.load.taken[self.checked :], len(self.load.taken)
        verify(self.deployment.journal)
        self.ledger_keeper.catch_up()
        for body, _ in taken:
            call = decode_call(body)
            assert isinstance(call, ReportCall)
            assert report_id(call.tracking_id) in self.ledger_keeper.ledger.report_by_id, (
                "an acknowledged report is lost"
            )
        assert self.load.other == [], "a report that was cut off is answered otherwise than it would have been"
        out = released(self.deployment.bucket, head_verifier(self.deployment.settings, self.deployment.keys))
        if out.leaf is None:
            assert self.phone is None
            return
        fresh = sync(None, self.trust, self.clock.at, self._fetch)
        self.phone = sync(self.phone, self.trust, self.clock.at, self._fetch)  # refuses an older or another head
        assert fresh.version <= self.phone.version, "a server that was not killed may have published in between"
        assert fresh.version < self.phone.version or fresh.set_digest == self.phone.set_digest
        gaen = [files for files in out.leaf.profiles if files.profile is Profile.GAEN]
        for named in (each for files in gaen for each in (files.dump, files.delta) if each is not None):
            listed = self._fetch(object_name("utopia", Profile.GAEN, named.file.hash), named.file.length)
            for file in decode_file_list(listed):
                export_bin, _ = read_zip(self._fetch(object_name("utopia", Profile.GAEN, file.file.hash), 10**9))
                assert hashlib.sha256(export_bin).digest() == file.file.hash

    def _fetch(self, name: str, most: int) -> bytes:
        return (self.deployment.folders.bucket / name).read_bytes()[: most + 1]

    def finish(self) -> None:
        """Everything that was cut off is done again; then all is counted."""
        server = self._serving()
        for name in self.acts:
            assert self._add_provider(name).wait() == 0
        server.stop()
        for phone in self.phones:
            phone.join()
        self._check()
        performer = self.deployment.performer()
        receipts = [answer for _, answer in self.load.taken]
        again = self._answers(performer, [body for body, _ in self.load.taken])
        assert again == receipts, "a receipt does not read the same again"
        left = [self.load.waiting.get() for _ in range(self.load.waiting.qsize())]
        verdicts = {decode_answer(answer).verdict for answer in self._answers(performer, left)}
        assert verdicts <= {Verdict.TAKEN}, "a report that was cut off burnt its code"
        reports = performer.ledger.reports
        used = set(zip(reports["batch"].tolist(), reports["serial"].tolist(), strict=True))
        claims = self.deployment.journal.claim_rows(Claim(bytes([CARD_CLAIM])), 10**9)
        spent = sum(claim[0] == CARD_CLAIM for claim, _ in claims)
        assert len(used) == reports.count == spent == len(self.load.taken) + len(left), "a code burnt, or spent twice"
        events = (decode_body(event.kind, event.body) for event in _events(self.deployment))
        added = Counter(body.name for body in events if isinstance(body, ProviderAdded))
        assert added == {"St. Elsewhere": 1, **dict.fromkeys(self.acts, 1)}, "an act was lost, or done twice"
        versions = performer.ledger.versions
        assert [version.version for version in versions] == list(range(1, len(versions) + 1))
        self.deployment.close()

    def _answers(self, performer: Performer, bodies: list[bytes]) -> list[bytes]:
        at = floor_quarter(self.clock.at)
        groups = (bodies[first : first + MAX_GROUP] for first in range(0, len(bodies), MAX_GROUP))
        return [answer for group in groups for answer in performer.answer([Arrival(body, at) for body in group])]

    def tell(self) -> None:
        """The figures so far."""
        told = ", ".join(f"{count} {victim}" for victim, count in sorted(self.kills.items()))
        ledger = self.ledger_keeper.ledger
        print(
            f"{self.kills.total()} kills ({told}): {len(self.load.taken)} reports acknowledged, {self.load.away} calls"
            f" answered 503, {len(self.acts)} commands; {ledger.sequence} events, {ledger.version} versions",
            flush=True,
        )


def _issue(site: Site, batch: int) -> None:
    """The next batch, which gets this number."""
    request, policy = BatchRequest(provider=1, count=CARDS, issuing_period=1), site.deployment.settings.policy
    site.performer.act(lambda ledger, now: issue_batch(ledger, request, policy, now, by(f"issue {batch}")))
    site.performer.act(lambda ledger, now: activate_batch(ledger, batch, now, by(f"activate {batch}")))


def _events(deployment: Deployment) -> list[StoredEvent]:
    events: list[StoredEvent] = []
    while page := deployment.journal.read(len(events)):
        events += page
    return events


def main(folder: Path, kills: int = 200, seed: int | None = None) -> None:
    """Kills so many times, and tells the seed first: it draws victims and moments."""
    drawn = secrets.randbelow(2**32) if seed is None else seed
    print(f"seed {drawn}", flush=True)
    run = Run(folder, kills, drawn)
    for number in range(1, kills + 1):
        run.kill(run.draw_victim())
        if number % 10 == 0:
            run.tell()
    run.finish()
    run.tell()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
