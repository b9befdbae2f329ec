"""Following the journal: the ledger at the tip, as far as this process has read."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from tocsin.journal.content import Opener, day_key_fingerprint
from tocsin.journal.encoding import StoredEvent
from tocsin.journal.port import PAGE_EVENTS, Broken, Tip
from tocsin.journal.verify import check_link
from tocsin.ledger.fold import Mark, fold, mark, take_back
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Unavailable
from tocsin.model.events import DayKeyMade, Event
from tocsin.model.ports import DayKeys
from tocsin.model.times import KEPT_DAYS, Day, Instant, day_of

Read = Callable[[int], list[StoredEvent]]
"""One page of the events behind a sequence: `Journal.read` or `Group.read`."""

Saved = Callable[[Read], tuple[Ledger, Tip] | None]
"""A ledger of this journal that was saved, and the event behind which it stands; None if there is none."""


FOLLOW_SECONDS: Final = 0.5
"""How often a running server looks for events of other processes; the design promises a second."""
_TAKEN_BACK: Final = (
    "After a fail-over of PostgreSQL: nothing acknowledged is lost; restart this process, then `tocsin journal verify`."
    " A journal in a file: stop the server, keep the folder as it is, and restore the newest copy of it."
)


def _nothing(read: Read) -> tuple[Ledger, Tip] | None:
    return None


class Place(Struct, frozen=True):
    """A place in the journal, and where the ledger stood there."""

    mark: Mark
    last: Tip


class Follower:
    """A ledger and how far it has come. One thread at a time may use it.

    What is folded is proven to be what was appended: a file that is damaged, or an older copy that was put in its
    place, is noticed before anything is answered from it.
    """

    def __init__(self, day_keys: DayKeys, saved: Saved = _nothing) -> None:
        """`saved` is what a reading begins with; else it begins with event 1."""
        self._day_keys = day_keys
        self._saved = self._begins_with = saved
        self._began_saved = False
        self.ledger = Ledger()
        self._last = Tip()

    def follow(self, read: Read, stops: Callable[[Event], bool] = lambda event: True) -> Iterator[Event]:
        """Folds the events behind the ledger; yields each at which it `stops`, when the ledger stands right behind it.

        Raises as `read` does; `Broken` where the chain does not hold; `UnknownKind` for an event that only a newer
        version knows; `Invalid` for a content that does not open. The ledger then holds what came before.
        """
        for page in self._pages(read):
            opener = Opener(self)
            opened: list[Event] = []
            try:
                for stored in page:
                    event = opener.event(stored)
                    opened.append(event)
                    names_key, is_stop = isinstance(event.body, DayKeyMade), stops(event)
                    if names_key or is_stop:
                        self.fold(opened)
                        opened = []
                    if names_key:  # the ledger tells the right key from another one from here on
                        opener = Opener(self)
                    if is_stop:
                        yield event
            finally:
                self.fold(opened)

    def catch_up(self, read: Read) -> None:
        """Folds everything behind the ledger, a page at a time. Raises as `follow`."""
        for _ in self.follow(read, stops=lambda event: False):
            pass

    def _pages(self, read: Read) -> Iterator[list[StoredEvent]]:
        if self.ledger.torn or self._is_key_back():
            self.forget()
        if not self._last.sequence and (begun := self._begins_with(read)):
            self.ledger, self._last = begun
            self._began_saved = True
        page = self._news(read)
        while page:
            yield from self._proven(page)
            if len(page) < PAGE_EVENTS - 1:  # the first page lacks the event that was read again
                return
            page = read(self._last.sequence)

    def _proven(self, page: list[StoredEvent]) -> Iterator[list[StoredEvent]]:
        """The page; where its chain breaks, what comes before, and then `Broken`."""
        last: Tip | StoredEvent = self._last
        for place, stored in enumerate(page):
            try:
                check_link(last, stored)
            except Broken:
                yield page[:place]
                raise
            last = stored
        yield page

    def _news(self, read: Read) -> list[StoredEvent]:
        """The first events behind the ledger. The last one that was folded must be there still: it is read again."""
        last = self._last
        if not last.sequence:
            return read(0)
        page = read(last.sequence - 1)
        if not page or page[0].digest != last.digest:
            raise Broken(
                last.sequence,
                "it was read before, and is another one now or gone: an older copy was put back, or a fail-over took"
                " it back",
                way_out=_TAKEN_BACK,
            )
        return page[1:]

    def fold(self, events: Sequence[Event]) -> None:
        """Folds these events. A ledger that an error leaves with half of one is dropped: its answers would be wrong."""
        try:
            fold(self.ledger, events)
        except BaseException:
            self.forget()
            raise
        if events:
            self._last = Tip(events[-1].sequence, events[-1].digest, events[-1].recorded_at)

    def twin(self) -> "Follower":
        """A follower of its own: a copy, that costs memory and no reading; or, where this one began with what is saved,
        one that does the same when it is first asked, in its own time."""
        twin = Follower(self._day_keys, self._saved)
        if not self._began_saved:
            twin.ledger, twin._last = self.ledger.copy(), self._last
        return twin

    @property
    def tip(self) -> Tip:
        """The last event that was folded."""
        return self._last

    def place(self) -> Place:
        """How far it has come."""
        return Place(mark(self.ledger), self._last)

    def take_back(self, to: Place) -> None:
        """The ledger as it stood at `to`, for what came since is not stored; or none, if that takes a reading anew."""
        if self.ledger.sequence == to.mark.sequence:
            return
        if take_back(self.ledger, to.mark):
            self._last = to.last
        else:
            self.forget()

    def forget(self) -> None:
        """Drops the ledger; the next reading starts with what is saved."""
        self.ledger = Ledger()
        self._last = Tip()
        self._begins_with = self._saved
        self._began_saved = False

    def begin_anew(self) -> None:
        """Drops the ledger; the next reading starts from event 1, whatever is saved."""
        self.forget()
        self._begins_with = _nothing

    def day_key(self, day: Day) -> bytes | None:
        """The key of that day; None if it is not at hand, or another than the one that the journal names."""
        key = self._day_keys.day_key(day)
        named = self.ledger.day_keys.get(day)
        return None if key is None or named not in (None, day_key_fingerprint(key, day)) else key

    def refuse_lost_keys(self, now: Instant) -> None:
        """Raises `Unavailable` if the key of a day is missing that is too young to have been destroyed.

        A report that can't be read must not pass for one that is erased: its keys would silently leave the public
        set, and its reporter would be told that there is nothing to withdraw. Once the key is back, the next reading
        starts anew.
        """
        if lost := lost_days(self.ledger, now):
            is_there = self._day_keys.day_key(lost[-1]) is not None
            what = (
                "in the key folder is another one than the journal names"
                if is_there
                else "is missing from the key folder"
            )
            raise Unavailable(f"the day key {lost[-1]} {what}: restore it from its backup")

    def _is_key_back(self) -> bool:
        """Whether the key of the youngest day is there by now whose content could not be opened."""
        sealed = self.ledger.sealed_days
        return bool(sealed) and self.day_key(Day(max(sealed))) is not None


def lost_days(ledger: Ledger, now: Instant) -> list[Day]:
    """The days, ascending, whose content could not be opened and is too young to have been erased."""
    return [Day(day) for day in sorted(ledger.sealed_days) if day_of(now) < day + KEPT_DAYS]
