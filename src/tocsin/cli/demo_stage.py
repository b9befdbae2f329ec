"""The stage of the demo: a real deployment and server in a folder, a clock that is moved by hand, and phones."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from tocsin.cli.fetch import fetcher, post
from tocsin.client.calls import PendingReport, make_report, track_call, withdraw_call
from tocsin.client.ephemeral_ids import rolling_proximity_identifiers
from tocsin.client.match import SIGHTING, Sightings, match
from tocsin.client.state import SyncState
from tocsin.client.sync import sync
from tocsin.client.trust import Trust, parse_trust
from tocsin.codes.card import batch_key, make_card
from tocsin.formats.wire import decode_answer
from tocsin.ledger.state import Ledger
from tocsin.model.calls import Answer, SentKey, Verdict
from tocsin.model.code_reading import CodeKind
from tocsin.model.errors import Unavailable
from tocsin.model.events import Body, Draft
from tocsin.model.keys import KEY_BYTES, RECORD, KeyKind, Records
from tocsin.model.policy import Policy
from tocsin.model.times import INTERVALS_PER_DAY, Instant
from tocsin.rules import issuance
from tocsin.rules.attribution import Attribution, attribution
from tocsin.service.deployment import Deployment
from tocsin.service.founding import found
from tocsin.service.publish import Out
from tocsin.service.settings import Settings
from tocsin.web.server import running_server

MOST_STEPS: Final = 24
"""Quarter-hours after which the demo gives up on a version that should have come."""
POLICY: Final = Policy(minimum_reports=1)
"""One reporter alone makes a publication, which a real deployment must not do; all else as everywhere."""

Act = Callable[[Ledger, Instant, Attribution], Draft]


class StageClock:
    """A clock that is moved by hand."""

    def __init__(self, at: int) -> None:
        self._at = at

    def now(self) -> Instant:
        return Instant(self._at)

    def wait(self, seconds: int) -> None:
        self._at += seconds


class Stage:
    """A deployment whose server answers on `trust.reports_url`."""

    def __init__(self, deployment: Deployment, clock: StageClock, base_url: str) -> None:
        self.deployment = deployment
        self.clock = clock
        self.base_url = base_url
        self.trust: Trust = parse_trust(deployment.folders.trust.read_bytes())
        self._performer = deployment.performer()
        self._outs: list[Out] = []
        self._publisher = deployment.publisher(self._outs.append)

    @classmethod
    @contextmanager
    def set(cls, top: Path, at: int) -> Iterator["Stage"]:
        """A new deployment in the folder `top`, founded at `at`, and its server on a free port of this machine."""
        clock = StageClock(at)
        settings = Settings(
            region="utopia",
            origin="tocsin.example/demo",
            base_url="http://127.0.0.1",
            single_machine=True,
            policy=POLICY,
        )
        found(top, settings, clock)
        deployment = Deployment(top, clock)
        try:
            with running_server(deployment, "127.0.0.1", 0) as base_url:
                yield cls(deployment, clock, base_url)
        finally:
            deployment.close()

    # --- people ------------------------------------------------------------------------------------------------------

    def issue_cards(self, provider: str, count: int) -> list[str]:
        """A new provider's first stack of cards, activated."""
        request = issuance.BatchRequest(provider=1, count=count, issuing_period=1)
        self.act("welcome", lambda ledger, now, by: issuance.add_provider(ledger, provider, by))
        self.act("first stack", lambda ledger, now, by: issuance.issue_batch(ledger, request, POLICY, now, by))
        self.act("in hand", lambda ledger, now, by: issuance.activate_batch(ledger, 1, now, by))
        secret = self.deployment.keys.issuing_secret(1)
        if secret is None:
            raise Unavailable("the issuing secret is gone")
        key = batch_key(secret, CodeKind.CARD, 1)
        return [make_card(key, CodeKind.CARD, 1, serial) for serial in range(count)]

    def act(self, why: str, rule: Act) -> Body:
        """Does what `rule` decides; returns the event's body."""
        by = _operator(why)
        return self._performer.act(lambda ledger, now: rule(ledger, now, by)).body

    def rehearse(self, why: str, rule: Act) -> Body:
        """What `rule` would do."""
        by = _operator(why)
        return self._performer.rehearse(lambda ledger, now: rule(ledger, now, by)).body

    # --- time --------------------------------------------------------------------------------------------------------

    def publish_steps(self, steps: int) -> list[Out]:
        """So many quarter-hours pass, and their versions go out."""
        before = len(self._outs)
        for _ in range(steps):
            self.clock.wait(POLICY.step_seconds)
            self._publisher.publish()
        return self._outs[before:]

    def publish_until(self, enough: Callable[[int], bool]) -> list[Out]:
        """Quarter-hours pass until a version has `enough` keys. Raises `Unavailable` if none has."""
        outs: list[Out] = []
        while not outs or not enough(outs[-1].keys):
            if len(outs) == MOST_STEPS:
                raise Unavailable("the version that should have come did not come")
            outs += self.publish_steps(1)
        return outs

    # --- phones ------------------------------------------------------------------------------------------------------

    def keys_before(self, day: int, days: int) -> list[SentKey]:
        """Random keys of the `days` whole UTC days before `day`."""
        return [
            SentKey(secrets.token_bytes(KEY_BYTES), (day - back) * INTERVALS_PER_DAY, INTERVALS_PER_DAY)
            for back in range(1, days + 1)
        ]

    def make_report(self, keys: list[SentKey], code: str) -> PendingReport:
        """A report with secrets newly drawn."""
        return make_report(
            keys,
            code=code,
            onset_day=None,
            withdrawal_secret=secrets.token_bytes(32),
            continuation_secret=secrets.token_bytes(32),
        )

    def call(self, body: bytes) -> Answer:
        """The server's answer, over HTTP."""
        return decode_answer(post(f"{self.base_url}/v1/reports", body))

    def track(self, secret: bytes) -> Verdict:
        """What the phone with this withdrawal secret is told."""
        return self.call(track_call(secret)).verdict

    def withdraw(self, secret: bytes) -> Verdict:
        """The phone with this withdrawal secret takes its report back."""
        return self.call(withdraw_call(secret)).verdict

    @staticmethod
    def sightings_of_nobody(count: int) -> Sightings:
        """Sightings of phones whose owners never report."""
        return np.frombuffer(secrets.token_bytes(count * SIGHTING.itemsize), SIGHTING).copy()

    @classmethod
    def sightings_among(cls, records: Records, count: int) -> tuple[Sightings, int]:
        """`count` sightings, three of them of keys in `records`; and that number."""
        heard = cls.sightings_of_nobody(count)
        for row in range(3):
            heard[row : row + 1] = _sighting(records, row)
        return heard, 3


class Phone:
    """A phone: what it heard, and the set it holds."""

    def __init__(self, stage: Stage, heard: Sightings) -> None:
        self._stage = stage
        self._heard = heard
        self._state: SyncState | None = None
        self.last_file_bytes = 0

    def hear(self, key: SentKey) -> None:
        """The phone of whom this key is comes near, at noon of its day."""
        record = np.array([(key.key_data, key.rolling_start_interval_number, key.rolling_period, 1, 0, 0)], RECORD)
        self._heard = np.concatenate([self._heard, _sighting(record, 0)], dtype=SIGHTING)

    def sync_and_match(self) -> int:
        """Syncs over HTTP, matches, and returns the number of sightings of reported keys."""
        fetch = fetcher(self._stage.base_url)

        def measured(name: str, most_bytes: int) -> bytes:
            data = fetch(name, most_bytes)
            self.last_file_bytes = len(data)
            return data

        self._state = sync(self._state, self._stage.trust, self._stage.clock.now(), measured)
        return len(match(self._state.keys[KeyKind.GAEN], self._heard))


def _sighting(records: Records, row: int) -> Sightings:
    """One sighting, at noon, of the key in this row."""
    noon = INTERVALS_PER_DAY // 2 % int(records["rolling_period"][row])
    heard = np.zeros(1, SIGHTING)
    heard["rolling_proximity_identifier"] = rolling_proximity_identifiers(records[row : row + 1])[0, noon]
    heard["interval"] = records["rolling_start_interval_number"][row] + noon
    return heard


def _operator(why: str) -> Attribution:
    return attribution("the operator on duty", why, secrets.token_bytes(16))
