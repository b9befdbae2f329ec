"""A real deployment in a folder, for tests of what runs: real journal, keys, bucket; the clock is a number."""

import hashlib
from pathlib import Path

from tocsin.client.calls import PendingReport, make_report, track_call, withdraw_call
from tocsin.codes.card import batch_key, make_card
from tocsin.codes.phone import PhoneDigits, check_digit
from tocsin.formats.wire import decode_answer
from tocsin.model.calls import Answer, SentKey, Verdict
from tocsin.model.code_reading import CodeKind
from tocsin.model.events import PhoneCodesIssued
from tocsin.model.policy import Policy
from tocsin.model.ports import Clock
from tocsin.model.times import INTERVALS_PER_DAY, Instant, day_of, day_start, floor_quarter
from tocsin.rules.attribution import Attribution, attribution
from tocsin.rules.issuance import BatchRequest, activate_batch, add_provider, issue_batch
from tocsin.rules.phone_issuance import PhoneCodesRequest, issue_phone_codes
from tocsin.service.codes import issued_phone_codes, phone_hashes
from tocsin.service.day_keys import DayKeeper
from tocsin.service.deployment import Deployment
from tocsin.service.erase import Eraser
from tocsin.service.follow import Follower
from tocsin.service.founding import found
from tocsin.service.journal_choice import JournalChoice
from tocsin.service.perform import Arrival
from tocsin.service.publish import Publisher
from tocsin.service.serve import PublisherLoop
from tocsin.service.settings import Settings
from tocsin.service.trouble import Told

MORNING = Instant(day_start(20_500) + 9 * 3600)
"""2026-02-16 09:00 UTC."""
PROMPT = Policy(minimum_reports=1, hold_back_quarters=0)
"""A policy under which whatever is eligible goes out at the next step."""


IN_A_FILE = JournalChoice()


class FixedClock:
    """A clock that stands until a test moves it."""

    def __init__(self, at: int = MORNING) -> None:
        self.at = at

    def now(self) -> Instant:
        return Instant(self.at)

    def wait(self, seconds: int) -> None:
        self.at += seconds


def drawn(name: str, length: int = 32) -> bytes:
    """Bytes that look drawn, the same for the same `name`."""
    return hashlib.shake_256(name.encode()).digest(length)


class Site:
    """A deployment with one provider and its cards, and the phones that report to it."""

    def __init__(
        self,
        top: Path,
        clock: FixedClock,
        policy: Policy = PROMPT,
        cards: int = 100,
        journal: JournalChoice = IN_A_FILE,
    ) -> None:
        settings = Settings(
            region="utopia",
            origin="tocsin.example/utopia",
            base_url="http://127.0.0.1:8787",
            single_machine=True,
            journal=journal,
            policy=policy,
        )
        found(top, settings, clock)
        self.top = top
        self.clock = clock
        self.deployment = Deployment(top, clock)
        self.performer = self.deployment.performer()
        self.performer.act(lambda ledger, now: add_provider(ledger, "St. Elsewhere", by("provider")))
        request = BatchRequest(provider=1, count=cards, issuing_period=1)
        self.performer.act(lambda ledger, now: issue_batch(ledger, request, policy, now, by("issue")))
        self.performer.act(lambda ledger, now: activate_batch(ledger, 1, now, by("activate")))
        self.cards = cards_of(self.deployment, 1, cards)

    def with_archive(self, url: str) -> Deployment:
        """The same deployment with an archive at `url`; it takes the place of the one that was open."""
        with self.deployment.folders.settings.open("a", encoding="utf-8") as settings:
            settings.write(f'\n[archive]\nurl = "{url}"\n')
        self.deployment.close()
        self.deployment = Deployment(self.top, self.clock)
        self.performer = self.deployment.performer()
        return self.deployment

    def name_day_keys(self) -> None:
        """The day keys that were made are named in the journal, as a publisher's first round does."""
        keys, journal = self.deployment.keys, self.deployment.journal
        DayKeeper(journal, keys, self.clock, Follower(keys), makes=True).look_ahead()

    def answer(self, body: bytes) -> Answer:
        """The answer to one call, alone in its group."""
        [answer] = self.performer.answer([Arrival(body, floor_quarter(self.clock.now()))])
        return decode_answer(answer)

    def phone_codes(self, name: str, count: int = 1) -> list[PhoneDigits]:
        """The codes that provider 1 is given by an act whose request ID is that of `name`."""
        act, keys, policy = by(name), self.deployment.keys, self.deployment.settings.policy
        hash_of = phone_hashes(keys, 1, act.request_id)
        request = PhoneCodesRequest(provider=1, count=count, issuing_period=1)
        event = self.performer.act(lambda ledger, now: issue_phone_codes(ledger, request, hash_of, policy, now, act))
        assert isinstance(event.body, PhoneCodesIssued)
        return issued_phone_codes(keys, event.body, act.request_id)

    def report(self, name: str, serial: int, days: int = 3) -> PendingReport:
        """A report that is taken, of whole days before today."""
        pending = report(name, self.cards[serial], days, self.clock.now())
        assert self.answer(pending.body).verdict is Verdict.TAKEN
        return pending

    def track(self, name: str) -> Verdict:
        """What the phone `name` is told of its report."""
        return self.answer(track_call(drawn(f"{name} w"))).verdict

    def withdraw(self, name: str) -> Verdict:
        """The phone `name` takes its report back."""
        return self.answer(withdraw_call(drawn(f"{name} w"))).verdict


def loop_of(deployment: Deployment, publisher: Publisher, clock: Clock, told: Told) -> PublisherLoop:
    """The publisher's loop of a server that goes by `clock`, whatever the journal says of it."""
    follower = publisher.follower
    keeper = DayKeeper(deployment.journal, deployment.keys, clock, follower, makes=deployment.settings.makes_day_keys)
    archives = () if deployment.archiver is None else (deployment.archiver.erase,)
    eraser = Eraser(deployment.journal, deployment.keys, clock, follower, archives)
    return PublisherLoop(publisher, keeper, eraser, clock, deployment.settings.policy.step_seconds, told)


def guess(number: int) -> str:
    """A phone code whose check digit is right, and which in all likelihood nobody was given."""
    digits = f"{number:011d}"
    return digits + check_digit(digits)


def by(name: str) -> Attribution:
    """Who acts in tests; `name` makes the request ID."""
    return attribution("Ada", "a test", drawn(name, 16))


def cards_of(deployment: Deployment, batch: int, count: int) -> list[str]:
    """The cards of a batch, as they are printed."""
    secret = deployment.keys.issuing_secret(1)
    assert secret is not None
    key = batch_key(secret, CodeKind.CARD, batch)
    return [make_card(key, CodeKind.CARD, batch, serial) for serial in range(count)]


def report(name: str, code: str | None, days: int, now: int) -> PendingReport:
    """A report of the phone `name`: whole-day keys of the `days` days before today."""
    today = day_of(now)
    keys = [
        SentKey(drawn(f"{name} {day}", 16), (today - day) * INTERVALS_PER_DAY, INTERVALS_PER_DAY)
        for day in range(1, days + 1)
    ]
    return make_report(
        keys, code=code, onset_day=None, withdrawal_secret=drawn(f"{name} w"), continuation_secret=drawn(f"{name} c")
    )
