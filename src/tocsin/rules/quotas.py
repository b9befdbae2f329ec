"""How many cards one person may issue, and one provider be given, in a UTC day (rows I14, I15).

A quota binds one person alone: a second one who approves is what a burst needs. What was approved counts like the rest.
"""

from typing import Final

from msgspec import Struct

from tocsin.ledger.state import Ledger
from tocsin.model.errors import Refused
from tocsin.model.policy import DailyCards, Policy
from tocsin.model.times import Day, Instant, day_of, day_start, utc
from tocsin.rules.attribution import Attribution

WARNING_PERCENT: Final = 80
"""From this part of a quota on, whoever issues is warned, so that no refusal comes as a surprise."""


class QuotaUse(Struct, frozen=True):
    """How much of a quota is used on a day: more than all of it, where a second person approved."""

    whose: str
    quota: int
    used: int

    @property
    def left(self) -> int:
        """How many cards may still be issued without a second person."""
        return max(0, self.quota - self.used)

    @property
    def runs_out(self) -> bool:
        """Whether it is time to warn."""
        return self.used * 100 >= self.quota * WARNING_PERCENT


def person_use(ledger: Ledger, policy: Policy, who: str, now: Instant) -> QuotaUse | None:
    """What this person has used of today's quota; None where there is no limit."""
    return _use("person", policy.person_daily_cards, ledger.issued.by(who, _today(ledger, now)))


def provider_use(ledger: Ledger, policy: Policy, provider: int, now: Instant) -> QuotaUse | None:
    """What this provider was given of today's quota; None where there is no limit."""
    return _use("provider", policy.provider_daily_cards, ledger.issued.to(provider, _today(ledger, now)))


def _use(whose: str, quota: DailyCards, used: int) -> QuotaUse | None:
    return QuotaUse(whose, quota, used) if isinstance(quota, int) else None


def _today(ledger: Ledger, now: Instant) -> Day:
    """The UTC day to which an event appended now counts: that of its `recorded_at`, which never falls."""
    return day_of(max(now, ledger.recorded_at))


def check_quotas(ledger: Ledger, policy: Policy, provider: int, count: int, now: Instant, by: Attribution) -> None:
    """`Refused` if `count` more cards are above a quota, and no second person approves of them."""
    if by.approved_by is not None:
        return
    tomorrow = utc(day_start(_today(ledger, now) + 1))
    person = person_use(ledger, policy, by.who, now)
    if person is not None and count > person.left:  # I14
        raise Refused("person_quota_spent", _spent(person, tomorrow))
    given = provider_use(ledger, policy, provider, now)
    if given is not None and count > given.left:  # I15
        raise Refused("provider_quota_spent", _spent(given, tomorrow))


def _spent(use: QuotaUse, tomorrow: str) -> str:
    return (
        f"One {use.whose} has {use.quota:,} cards a day, and {use.left:,} of today's are left; "
        f"all are there again at {tomorrow}. Issue fewer, or let a second person approve."
    )
