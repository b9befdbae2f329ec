"""What an engine of the journal promises, and what it is asked with. One suite of tests holds every engine to it."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import Final, Protocol

from msgspec import Struct

from tocsin.journal.encoding import NO_DIGEST, NewEvent, StoredEvent
from tocsin.model.claims import Claim
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.times import Day, Instant, utc

DEADLINE_SECONDS: Final = 2.0
"""How long a group waits for its turn before its callers are told that the journal is away."""
MAX_CLOCK_LAG_SECONDS: Final = 300
"""A clock further than this behind the tip's quarter-hour is wrong, and its machine may not append."""
PAGE_EVENTS: Final = 1000
"""Events read at once, unless told otherwise."""
FIRST_TERM: Final = 1
RETIRED: Final = -1
"""Stands for the number of `beats` in a journal that was copied to another engine: nothing is appended to it."""


class Durability(Enum):
    """What is asked of the disk under the journal, or of the server that keeps it."""

    REQUIRED = "required"
    WAIVED = "waived"
    """For tests and trials: a journal in memory or on one server without a standby is taken, and lost with it."""


class Tip(Struct, frozen=True):
    """Where the journal ends: the last event's `sequence`, `digest` and `recorded_at`; zeros before event 1.

    `term` is raised when the journal is rebuilt or taken over; `beats` counts the groups that had no event, and is
    `RETIRED` once there are to be no more groups.
    """

    sequence: int = 0
    digest: bytes = NO_DIGEST
    recorded_at: int = 0
    term: int = FIRST_TERM
    beats: int = 0

    def moved_to(self, event: StoredEvent) -> "Tip":
        """The tip when `event` is the last one."""
        return Tip(event.sequence, event.digest, event.recorded_at, self.term, self.beats)


def refuse_lag(now: Instant, tip: Tip) -> None:
    """Raises `Unavailable` if a machine whose clock says `now` may not append behind `tip`. Every engine asks this."""
    if now + MAX_CLOCK_LAG_SECONDS < tip.recorded_at:
        raise Unavailable(
            f"this machine's clock is over five minutes behind the journal, whose last event is of"
            f" {utc(tip.recorded_at)}: set it right; if it is right, a clock was ahead then, and nothing can be"
            " recorded before that time has come"
        )


def refuse_retired(tip: Tip) -> None:
    """Raises `Unavailable` if the journal goes on elsewhere. It can still be read."""
    if tip.beats == RETIRED:
        raise Unavailable(
            "this journal was copied to another engine by `tocsin journal copy`, and goes on there: name that one in"
            " the settings, [journal], then start again. Nothing was stored in this one"
        )


class NotDurable(Unavailable):
    """What this engine acknowledges could be lost with one machine's power: its disk or its settings do not hold."""


class ClaimTaken(Refused):
    """A claim of the event is held already, by the event `sequence`, which may be a member of the same group.

    An answer that rests on it may leave only after the group is durable.
    """

    def __init__(self, claim: Claim, sequence: int) -> None:
        super().__init__("claim_taken", "This was recorded before, and can be recorded once only.")
        self.claim = claim
        self.sequence = sequence


_WAY_OUT: Final = (
    "Stop the server and keep all as it is. A journal in a file: restore the newest copy of its folder. In PostgreSQL:"
    " prove a standby, or rebuild it from the archive (docs/operating/postgresql.md)."
)


class Broken(Invalid):
    """The journal is not what was appended: `sequence` is the first event that shows it, `why` says how.

    `proven`: the last event up to which the chain is known to hold; None where nobody has looked. `way_out`: what an
    operator does.
    """

    def __init__(self, sequence: int, why: str, proven: int | None = None, way_out: str = _WAY_OUT) -> None:
        known = "" if proven is None else f"; its chain holds up to event {proven}"
        super().__init__(f"the journal is broken at event {sequence}: {why}{known}. {way_out}")
        self.sequence = sequence
        self.why = why
        self.proven = proven


class Group(Protocol):
    """Events that are numbered one after the other and become durable together. Used by one thread.

    While it is open nobody else appends, so what is decided against its tip stays right.
    """

    @property
    def tip(self) -> Tip:
        """The last event, members of this group included."""
        ...

    def read(self, after: int, limit: int = PAGE_EVENTS) -> list[StoredEvent]:
        """As `Journal.read`, members of this group included."""
        ...

    def expect(self, claims: Iterable[Claim]) -> None:
        """These claims will be asked for: an engine beyond a network looks at them all at once. Changes no answer."""
        ...

    def claimed(self, claim: Claim) -> int | None:
        """The sequence of the event that holds this claim, members of this group included."""
        ...

    def retire(self) -> None:
        """Lets no group follow this one, in this journal: it goes on elsewhere. In force with the group's end."""
        ...

    def append(self, event: NewEvent) -> StoredEvent:
        """`event`, numbered and chained, its `recorded_at` the group's quarter-hour or the tip's, whichever is later.

        Raises `ClaimTaken` for its lowest claim that is held, and `Invalid` for an event that can't be encoded; both
        leave the group as it was. After `Unavailable` nothing of the group is stored, whatever the caller does.
        """
        ...


class Journal(Protocol):
    """The journal. `tip`, `read` and `group` may be called from any thread; each raises `Unavailable` or `Invalid`."""

    def tip(self) -> Tip:
        """The tip as last committed."""
        ...

    def read(self, after: int, limit: int = PAGE_EVENTS) -> list[StoredEvent]:
        """The events behind number `after`, in order, at most `limit`. Raises `Broken` where one is missing."""
        ...

    def group(self, now: Instant, deadline_seconds: float = DEADLINE_SECONDS) -> AbstractContextManager[Group]:
        """A group of events, appended at `now`. All of it is durable when the block ends, also if it has no event.

        If the block raises, nothing of it is stored. Raises `Unavailable` if its turn does not come in time, the clock
        is behind, or the disk fails; the same events may then be appended again (their claims make that harmless).
        A server that fell silent over the commit may have stored them: what is read next tells.
        """
        ...

    def load(self, events: Iterable[StoredEvent]) -> Tip:
        """Restores these events, from number 1 on, into an empty journal: all or none; durable when it returns.

        Raises `Broken` where their chain breaks, `Invalid` if the journal is not empty.
        """
        ...

    def holders(self, claims: Sequence[Claim]) -> list[int | None]:
        """For each claim the sequence that the claim index names. Raises as `read`."""
        ...

    def claim_rows(self, after: Claim, limit: int) -> list[tuple[Claim, int]]:
        """The rows of the claim index behind the claim `after`, ascending by claim, at most `limit`."""
        ...

    def erase(self, day: Day) -> int:
        """Replaces the content that is sealed under this UTC day's key by none; returns how many events had such.

        Numbers, chain and claims stay as they are. In small steps, so that appending goes on meanwhile; called again
        it goes on where it stopped, and nulled bytes have left the files of an engine that can see to it (SQLite) when
        it returns. Whose key is destroyed can't be read already. Raises as `group`.
        """
        ...

    def close(self) -> None:
        """Lets go of files and connections; nothing else is lost by not calling it."""
        ...


def first_recorded_since(journal: Journal, at: Instant) -> int:
    """The first sequence recorded at or after `at`; the one behind the tip if there is none. Cost: some 20 events."""

    def recorded_at(sequence: int) -> int:
        return journal.read(sequence - 1, 1)[0].recorded_at

    return 1 + bisect_left(range(1, journal.tip().sequence + 1), int(at), key=recorded_at)


def event_with(journal: Journal, claim: Claim) -> StoredEvent | None:
    """The event that holds `claim`; None if none does. Raises `Broken` where the index of claims names a wrong one."""
    (sequence,) = journal.holders([claim])
    if sequence is None:
        return None
    event = next(iter(journal.read(sequence - 1, 1)), None)
    if event is None or claim not in event.claims:
        raise Broken(sequence, "the index of claims names it for a claim that it does not make")
    return event
