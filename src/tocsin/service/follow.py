"""Following the journal: the ledger at the tip, as far as this process has read."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from tocsin.journal.content import Opener
from tocsin.journal.encoding import StoredEvent
from tocsin.journal.port import PAGE_EVENTS
from tocsin.ledger.fold import fold
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Unavailable
from tocsin.model.events import Event
from tocsin.model.ports import DayKeys
from tocsin.model.times import KEPT_DAYS, Day, Instant, day_of

Read = Callable[[int], list[StoredEvent]]
"""One page of the events behind a sequence: `Journal.read` or `Group.read`."""

FOLLOW_SECONDS: Final = 0.5
"""How often a running server looks for events of other processes; the design promises a second."""


class Follower:
    """A ledger and how far it has come. One thread at a time may use it."""

    def __init__(self, day_keys: DayKeys) -> None:
        self._day_keys = day_keys
        self.ledger = Ledger()

    def follow(self, read: Read) -> Iterator[Event]:
        """Folds the events behind the ledger one by one; yields each when the ledger stands right behind it.

        Raises as `read` does; `UnknownKind` for an event that only a newer version knows; `Invalid` for a content
        that does not open. The ledger then holds what came before.
        """
        for page in self._pages(read):
            opener = Opener(self._day_keys)
            for stored in page:
                event = opener.event(stored)
                self.fold([event])
                yield event

    def catch_up(self, read: Read) -> None:
        """Folds everything behind the ledger, a page at a time. Raises as `follow`."""
        for page in self._pages(read):
            opener = Opener(self._day_keys)
            opened: list[Event] = []
            try:
                for stored in page:
                    opened.append(opener.event(stored))
            finally:
                self.fold(opened)

    def _pages(self, read: Read) -> Iterator[list[StoredEvent]]:
        if self.ledger.torn or self._is_key_back():
            self.forget()
        while page := read(self.ledger.sequence):
            yield page
            if len(page) < PAGE_EVENTS:
                return

    def fold(self, events: Sequence[Event]) -> None:
        """Folds these events. A ledger that an error leaves with half of one is dropped: its answers would be wrong."""
        try:
            fold(self.ledger, events)
        except BaseException:
            self.forget()
            raise

    def forget(self) -> None:
        """Drops the ledger, whose last events turned out not to be stored; the next reading starts from event 1."""
        self.ledger = Ledger()

    def refuse_lost_keys(self, now: Instant) -> None:
        """Raises `Unavailable` if the key of a day is missing that is too young to have been destroyed.

        A report that can't be read must not pass for one that is erased: its keys would silently leave the public
        set, and its reporter would be told that there is nothing to withdraw. Once the key is back, the next reading
        starts from event 1.
        """
        if lost := lost_days(self.ledger, now):
            raise Unavailable(f"the day key {lost[-1]} is missing from the key folder: restore it from its backup")

    def _is_key_back(self) -> bool:
        """Whether the key of the youngest day is there by now whose content could not be opened."""
        sealed = self.ledger.sealed_days
        return bool(sealed) and self._day_keys.day_key(Day(max(sealed))) is not None


def lost_days(ledger: Ledger, now: Instant) -> list[Day]:
    """The days, ascending, whose content could not be opened and is too young to have been erased."""
    return [Day(day) for day in sorted(ledger.sealed_days) if day_of(now) < day + KEPT_DAYS]
