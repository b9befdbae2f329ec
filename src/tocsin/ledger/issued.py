"""How many cards were issued on the newest day on which any were: what quotas are compared with."""

from msgspec import Struct

from tocsin.model.code_reading import CodeKind
from tocsin.model.events import BatchIssued
from tocsin.model.names import folded
from tocsin.model.times import Day


class IssuedCards(Struct, frozen=True):
    """Cards issued on the UTC day `day` of `recorded_at`, by the folded name of who issued them and by provider.

    Training codes do not count. One day is enough: `recorded_at` never falls, so no later question is about another.
    """

    day: Day = Day(0)
    by_person: dict[str, int] = {}
    by_provider: dict[int, int] = {}

    def by(self, who: str, day: Day) -> int:
        """How many cards this person has issued on `day`, the newest day or a later one."""
        return self.by_person.get(folded(who), 0) if day == self.day else 0

    def to(self, provider: int, day: Day) -> int:
        """How many cards this provider was given on `day`, the newest day or a later one."""
        return self.by_provider.get(provider, 0) if day == self.day else 0

    def with_batch(self, body: BatchIssued, day: Day) -> "IssuedCards":
        """These and the cards of a batch that is recorded on `day`."""
        if body.code_kind == CodeKind.TRAINING:
            return self
        before = self if day == self.day else IssuedCards(day)
        return IssuedCards(
            day,
            {**before.by_person, folded(body.who): before.by(body.who, day) + body.count},
            {**before.by_provider, body.provider: before.to(body.provider, day) + body.count},
        )
