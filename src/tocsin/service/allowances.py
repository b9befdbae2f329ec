"""Allowances: how often a source, and all of them together, may do what costs one. In memory, for this process alone.

Each source has an allowance of its own. Beyond the first few of its network it needs one of the deployment's too: so
many sources together find few codes, and whoever uses up the deployment's allowance does not shut out those who have
not failed yet. Why these numbers, and what they mean for a guesser: docs/decisions/0023.
"""

from collections import OrderedDict
from typing import Final

from msgspec import Struct

from tocsin.model.policy import Policy, Rate
from tocsin.model.times import Instant
from tocsin.rules.allowance import Costly
from tocsin.service.sources import Source

MAX_SOURCES: Final = 65_536
"""Sources that are remembered of each kind; one more, and the one that was charged longest ago is forgotten."""
_ALL: Final = b""
"""The one source under which the deployment's own is counted."""


class Meter:
    """One allowance, for each of many sources: at most `rate.at_once`, and one more every `rate.refill_seconds`.

    What is kept of a source is the instant at which all of its allowance is there again; a source whose instant has
    come is as good as one never seen.
    """

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._full_at: OrderedDict[bytes, int] = OrderedDict()  # in the order in which sources were last charged

    def has_one(self, source: bytes, now: Instant) -> bool:
        """Whether `source` has one left."""
        missing_seconds = max(0, self._full_at.get(source, now) - now)
        return missing_seconds <= (self._rate.at_once - 1) * self._rate.refill_seconds

    def take(self, source: bytes, now: Instant) -> None:
        """Takes one from `source`, which has one."""
        full_at = max(now, self._full_at.pop(source, now)) + self._rate.refill_seconds
        self._full_at[source] = full_at
        if len(self._full_at) > MAX_SOURCES:
            self._full_at.popitem(last=False)

    def give_back(self, source: bytes, now: Instant) -> None:
        """Undoes a `take`. Of a source that has all of its allowance again nothing is kept."""
        full_at = self._full_at.get(source, now) - self._rate.refill_seconds
        if full_at > now:
            self._full_at[source] = full_at
        else:
            self._full_at.pop(source, None)

    def forget(self, now: Instant) -> None:
        """Forgets sources that have all of their allowance again, from the one charged longest ago on.

        So each is gone when the longest refill (``at_once * refill_seconds``) has passed since it was last charged.
        """
        while self._full_at and self._full_at[source := next(iter(self._full_at))] <= now:
            del self._full_at[source]

    def __len__(self) -> int:
        return len(self._full_at)


class _Meters(Struct, frozen=True):
    """The three of one costly thing."""

    own: Meter
    first: Meter
    all: Meter


class Allowances:
    """The allowances of one process. One thread at a time may use it."""

    def __init__(self, policy: Policy) -> None:
        self._meters = {
            Costly.GUESS: _Meters(
                Meter(policy.guesses_per_source),
                Meter(policy.first_guesses_per_network),
                Meter(policy.guesses_in_all),
            ),
            Costly.SELF_REPORT: _Meters(
                Meter(policy.self_reports_per_source),
                Meter(policy.first_self_reports_per_network),
                Meter(policy.self_reports_in_all),
            ),
        }

    def of(self, source: Source, now: Instant) -> "SourceAllowance":
        """What `source` may do at this moment."""
        return SourceAllowance(self._meters, source, now)

    def forget(self, now: Instant) -> None:
        """Forgets what no longer counts: to be called now and then, also when nobody calls."""
        for meters in self._meters.values():
            for meter in (meters.own, meters.first, meters.all):
                meter.forget(now)


class SourceAllowance:
    """The allowances as one call sees them, for one thing that costs: the `Allowance` of `rules.allowance`."""

    def __init__(self, meters: dict[Costly, _Meters], source: Source, now: Instant) -> None:
        self._meters = meters
        self._source = source
        self._now = now
        self._taken: list[tuple[Meter, bytes]] = []

    def take(self, what: Costly) -> bool:
        """Takes one of everything that it needs; False, and nothing is taken, if one of them is used up."""
        meters = self._meters[what]
        own = (meters.own, self._source.own)
        first, shared = (meters.first, self._source.network), (meters.all, _ALL)
        needed = [own, first if meters.first.has_one(self._source.network, self._now) else shared]
        if not all(meter.has_one(source, self._now) for meter, source in needed):
            return False
        for meter, source in needed:
            meter.take(source, self._now)
        self._taken = needed
        return True

    def give_back(self) -> None:
        """Gives back what was taken, all of it."""
        for meter, source in self._taken:
            meter.give_back(source, self._now)
        self._taken = []
