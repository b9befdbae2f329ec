"""Following the journal: the ledger at the tip, as far as this process has read."""

from collections.abc import Callable, Iterator
from typing import Final

from tocsin.journal.content import open_event
from tocsin.journal.encoding import StoredEvent
from tocsin.journal.port import PAGE_EVENTS
from tocsin.ledger.fold import fold
from tocsin.ledger.state import Ledger
from tocsin.model.events import Event
from tocsin.model.ports import DayKeys

Read = Callable[[int], list[StoredEvent]]
"""One page of the events behind a sequence: `Journal.read` or `Group.read`."""

FOLLOW_SECONDS: Final = 0.5
"""How often a running server looks for events of other processes; the design promises a second."""


class Follower:
    """A ledger and how far it has come. One thread at a time may use it."""

    def __init__(self, day_keys: DayKeys) -> None:
        self._day_keys = day_keys
        self.ledger = Ledger()

    def unread(self, read: Read) -> Iterator[Event]:
        """The events behind the ledger, opened, one by one; the caller folds each before it asks for the next.

        Raises as `read` does; `UnknownKind` for an event that only a newer version knows; `Invalid` for a content
        that does not open.
        """
        while page := read(self.ledger.sequence):
            for stored in page:
                yield open_event(self._day_keys, stored)
            if len(page) < PAGE_EVENTS:
                return

    def catch_up(self, read: Read) -> None:
        """Folds everything behind the ledger. Raises as `unread`; the ledger then holds what came before."""
        while page := read(self.ledger.sequence):
            fold(self.ledger, (open_event(self._day_keys, stored) for stored in page))
            if len(page) < PAGE_EVENTS:
                return

    def forget(self) -> None:
        """Drops the ledger, whose last events turned out not to be stored; the next reading starts from event 1."""
        self.ledger = Ledger()
