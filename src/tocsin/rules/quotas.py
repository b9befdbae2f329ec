"""How many codes one person may issue, and one provider be given, in a UTC day (rows I14, I15).

A quota binds one person alone: a second one who approves is what a burst needs. What was approved counts like the rest.
Cards and phone codes have quotas of their own.
"""

from typing import Final

from msgspec import Struct

from tocsin.ledger.issued import IssuedCodes
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Refused
from tocsin.model.policy import DailyCodes, Policy
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
        """How many codes may still be issued without a second person."""
        return max(0, self.quota - self.used)

    @property
    def runs_out(self) -> bool:
        """Whether it is time to warn."""
        return self.used * 100 >= self.quota * WARNING_PERCENT


class Quotas(Struct, frozen=True):
    """Today's quotas for one kind of code, and what is used of them. `codes`: its name, in the plural."""

    codes: str
    person_daily: DailyCodes
    provider_daily: DailyCodes
    issued: IssuedCodes
    today: Day

    def person(self, who: str) -> QuotaUse | None:
        """What this person has used; None where there is no limit."""
        return _use("person", self.person_daily, self.issued.by(who, self.today))

    def provider(self, provider: int) -> QuotaUse | None:
        """What this provider was given; None where there is no limit."""
        return _use("provider", self.provider_daily, self.issued.to(provider, self.today))

    def uses(self, who: str, provider: int) -> list[QuotaUse]:
        """Both, those without a limit left out."""
        return [use for use in (self.person(who), self.provider(provider)) if use is not None]

    def check(self, provider: int, count: int, by: Attribution) -> None:
        """`Refused` if `count` more codes are above a quota, and no second person approves of them."""
        if by.approved_by is not None:
            return
        person = self.person(by.who)
        if person is not None and count > person.left:  # I14
            raise Refused("person_quota_spent", self._spent(person))
        given = self.provider(provider)
        if given is not None and count > given.left:  # I15
            raise Refused("provider_quota_spent", self._spent(given))

    def _spent(self, use: QuotaUse) -> str:
        return (
            f"One {use.whose} has {use.quota:,} {self.codes} a day, and {use.left:,} of today's are left; "
            f"all are there again at {utc(day_start(self.today + 1))}. Issue fewer, or let a second person approve."
        )


def card_quotas(ledger: Ledger, policy: Policy, now: Instant) -> Quotas:
    """Those for cards; training codes use none."""
    person, provider = policy.person_daily_cards, policy.provider_daily_cards
    return Quotas("cards", person, provider, ledger.issued_cards, _today(ledger, now))


def phone_code_quotas(ledger: Ledger, policy: Policy, now: Instant) -> Quotas:
    """Those for phone codes."""
    person, provider = policy.person_daily_phone_codes, policy.provider_daily_phone_codes
    return Quotas("phone codes", person, provider, ledger.issued_phone_codes, _today(ledger, now))


def _use(whose: str, quota: DailyCodes, used: int) -> QuotaUse | None:
    return QuotaUse(whose, quota, used) if isinstance(quota, int) else None


def _today(ledger: Ledger, now: Instant) -> Day:
    """The UTC day to which an event appended now counts: that of its `recorded_at`, which never falls."""
    return day_of(max(now, ledger.recorded_at))
