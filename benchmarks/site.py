"""A real deployment to measure on: its keys, its journal on disk, its batches of cards, and reports made with them."""

import os
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from tocsin.client.calls import make_report
from tocsin.codes.card import batch_key, make_card
from tocsin.ledger.state import Ledger
from tocsin.model.calls import SentKey
from tocsin.model.code_reading import CodeKind
from tocsin.model.errors import Unavailable
from tocsin.model.events import Draft
from tocsin.model.policy import Policy
from tocsin.model.ports import Clock
from tocsin.model.times import INTERVALS_PER_DAY, Instant, day_of, day_start
from tocsin.rules.attribution import Attribution, attribution
from tocsin.rules.issuance import BatchRequest, activate_batch, add_provider, issue_batch
from tocsin.service.deployment import Deployment
from tocsin.service.founding import found
from tocsin.service.key_folder import KeyFolder
from tocsin.service.perform import Performer
from tocsin.service.settings import Settings

BATCH_CARDS: Final = 2048
KEYS_PER_REPORT: Final = 14
POLICY: Final = Policy(minimum_reports=1, hold_back_quarters=0, person_daily_cards="none", provider_daily_cards="none")
"""All that waits goes out at the next step, so that what is published can be counted beforehand."""
SETTINGS: Final = Settings(
    region="utopia", origin="tocsin.example/bench", base_url="http://127.0.0.1", single_machine=True, policy=POLICY
)
MORNING: Final = Instant(day_start(20_500) + 9 * 3600)
"""2026-02-16 09:00 UTC: where no server is needed, the clock stands."""


class StandingClock:
    """A clock that is moved by hand."""

    def __init__(self, at: int = MORNING) -> None:
        self.at = at

    def now(self) -> Instant:
        return Instant(self.at)


def found_site(top: Path, cards: int, clock: Clock) -> list[str]:
    """Founds a deployment in `top` with as many active batches as `cards` need; returns those cards, as printed."""
    found(top, SETTINGS, clock)
    deployment = Deployment(top, clock)
    try:
        batches = issue(deployment.performer(), cards)
    finally:
        deployment.close()
    return list(islice((card for batch in batches for card in cards_of(deployment.keys, batch)), cards))


def issue(performer: Performer, cards: int) -> range:
    """Issues and activates as many batches as `cards` need, to one provider; returns their numbers."""
    performer.act(lambda ledger, now: add_provider(ledger, "St. Elsewhere", _by()))
    batches = range(1, -(-cards // BATCH_CARDS) + 1)
    request = BatchRequest(provider=1, count=BATCH_CARDS, issuing_period=1)
    for batch in batches:
        performer.act(lambda ledger, now: issue_batch(ledger, request, POLICY, now, _by()))
        performer.act(partial(_activate, batch))
    return batches


def _activate(batch: int, ledger: Ledger, now: Instant) -> Draft:
    return activate_batch(ledger, batch, now, _by())


def cards_of(keys: KeyFolder, batch: int) -> Iterator[str]:
    """The cards of one batch, as printed."""
    secret = keys.issuing_secret(1)
    if secret is None:
        raise Unavailable("the issuing secret is gone")
    key = batch_key(secret, CodeKind.CARD, batch)
    return (make_card(key, CodeKind.CARD, batch, serial) for serial in range(BATCH_CARDS))


def report_body(card: str, now: int) -> bytes:
    """The 4,096 bytes of a report like no other: whole-day keys of the fourteen days before today."""
    today = day_of(now)
    keys = [
        SentKey(os.urandom(16), (today - day) * INTERVALS_PER_DAY, INTERVALS_PER_DAY)
        for day in range(1, KEYS_PER_REPORT + 1)
    ]
    secrets = os.urandom(32), os.urandom(32)
    return make_report(
        keys, code=card, onset_day=None, withdrawal_secret=secrets[0], continuation_secret=secrets[1]
    ).body


def _by() -> Attribution:
    return attribution("Ada", "a measurement", os.urandom(16))
