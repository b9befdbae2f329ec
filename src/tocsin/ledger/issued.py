"""How many codes were issued on the newest day on which any were: what quotas are compared with."""

from msgspec import Struct

from tocsin.model.names import folded
from tocsin.model.times import Day


class IssuedCodes(Struct, frozen=True):
    """Codes of one kind issued on the UTC day `day` of `recorded_at`, by the folded name of the issuer and by provider.

    One day is enough: `recorded_at` never falls, so no later question is about another.
    """

    day: Day = Day(0)
    by_person: dict[str, int] = {}
    by_provider: dict[int, int] = {}

    def by(self, who: str, day: Day) -> int:
        """How many codes this person has issued on `day`, the newest day or a later one."""
        return self.by_person.get(folded(who), 0) if day == self.day else 0

    def to(self, provider: int, day: Day) -> int:
        """How many codes this provider was given on `day`, the newest day or a later one."""
        return self.by_provider.get(provider, 0) if day == self.day else 0

    def with_issue(self, who: str, provider: int, count: int, day: Day) -> "IssuedCodes":
        """These and `count` codes more, recorded on `day`."""
        before = self if day == self.day else IssuedCodes(day)
        return IssuedCodes(
            day,
            {**before.by_person, folded(who): before.by(who, day) + count},
            {**before.by_provider, provider: before.to(provider, day) + count},
        )
