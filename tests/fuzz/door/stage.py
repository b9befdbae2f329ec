"""A deployment with a past, in which every verdict waits for the call that is answered by it; and what calls need.

It was founded two days ago, so that cards have expired since then, were cut off, and reports were rolled back.
"""

import time
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from tests.sites import PROMPT, FixedClock, Site, by, cards_of, drawn
from tocsin.model.calls import Verdict
from tocsin.model.events import Target
from tocsin.model.policy import Rate
from tocsin.model.times import DAY_SECONDS, Instant
from tocsin.rules.corrections import Selection, revoke, rollback
from tocsin.rules.issuance import BatchRequest, activate_batch, issue_batch

CARDS = 2048
UNREACHED = frozenset({Verdict.PROVISIONAL, Verdict.TOO_OLD})
"""Verdicts that no call to this stage can be answered: there is no spool yet, and nothing is erased within two days."""


class Past(Struct, frozen=True):
    """What a fuzzer knows of the stage: secrets of phones by what became of their reports, and codes by their state."""

    fresh: list[str]
    phone_codes: list[str]
    spent: list[str]
    expired: list[str]
    cut_off: list[str]
    dormant: list[str]
    secrets: list[bytes]
    objects: list[str]
    """Names of public objects, from the profile on: ``keyset/HASH``."""


def make_stage(top: Path) -> Past:
    """A new deployment in the folder `top`, for `tocsin serve`, and what is known of it."""
    clock = FixedClock(int(time.time()) - 2 * DAY_SECONDS)
    # A surge would be told on stderr; a guesser is to be found out soon, however slow the machine is.
    policy = replace(PROMPT, surge_reports="none", guesses_per_source=Rate(3, 3600))
    site = Site(top, clock, policy, cards=CARDS)
    expired = _batch(site, 2, life=1)
    cut_off = _batch(site, 3)
    dormant = _batch(site, 4, active=False)
    for number, name in enumerate(["stands", "withdrawn", "rolled back"]):
        site.report(name, number)
    site.withdraw("withdrawn")
    clock.wait(DAY_SECONDS)
    more = _batch(site, 5, count=CARDS)
    site.performer.act(lambda ledger, now: revoke(ledger, Target(batch=3), None, now, by("revoke")))
    selection = Selection(target=Target(batch=1, first=2, last=2))
    site.performer.act(lambda ledger, now: rollback(ledger, selection, by("rollback")))
    clock.at = int(time.time())
    phone_codes = [str(code) for code in site.phone_codes("phone codes", 50)]
    site.deployment.publisher().publish()
    site.deployment.close()
    return Past(
        fresh=[*site.cards[3:], *more],
        phone_codes=phone_codes,
        spent=site.cards[:3],
        expired=expired,
        cut_off=cut_off,
        dormant=dormant,
        secrets=[drawn(f"{name} w") for name in ("stands", "withdrawn", "rolled back")],
        objects=[
            f"{path.parent.name}/{path.name}"
            for path in (top / "bucket" / "v1" / "utopia").rglob("*")
            if len(path.name) == 64
        ],
    )


def _batch(site: Site, number: int, *, count: int = 20, life: int | None = None, active: bool = True) -> list[str]:
    """The cards of one more batch; `life` in quarter-hours from now."""
    now_quarter = site.clock.now() // 900

    def request() -> BatchRequest:
        until = None if life is None else now_quarter + life
        return BatchRequest(provider=1, count=count, issuing_period=1, valid_until=until)

    policy = site.deployment.settings.policy
    site.performer.act(lambda ledger, now: issue_batch(ledger, request(), policy, now, by(f"issue {number}")))
    if active:
        site.performer.act(lambda ledger, now: activate_batch(ledger, number, Instant(now), by(f"activate {number}")))
    return cards_of(site.deployment, number, count)
