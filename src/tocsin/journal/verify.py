"""Proves a journal without keys: numbering, chain, claims, tip. What is erased stays provable, since digests are kept.

What it can't see is a whole journal that someone wrote anew, every digest recomputed: for that, compare the tip with
what has been published.
"""

from collections.abc import Callable, Iterable, Iterator
from operator import lt
from typing import Final, Protocol

from tocsin.journal.encoding import StoredEvent, digest_of_content, event_digest
from tocsin.journal.port import PAGE_EVENTS, Broken, Tip
from tocsin.model.claims import CLAIM_BYTES, Claim
from tocsin.model.errors import Invalid
from tocsin.model.events import Founded
from tocsin.model.times import QUARTER_SECONDS

PAGE_CLAIMS: Final = 10_000
_CLAIM_LENGTHS: Final = frozenset({CLAIM_BYTES})


class Evidence(Protocol):
    """What of a `Journal` is needed to prove it."""

    def tip(self) -> Tip: ...
    def read(self, after: int, limit: int = PAGE_EVENTS) -> list[StoredEvent]: ...
    def holders(self, claims: list[Claim]) -> list[int | None]: ...
    def claim_rows(self, after: Claim, limit: int) -> list[tuple[Claim, int]]: ...


def verify(journal: Evidence, before_each_page: Callable[[], None] = lambda: None) -> Tip:
    """The tip up to which all is proven; what is appended meanwhile is left for the next time.

    Reads everything once, in pages. Raises `Broken` with the first sequence that is not right; the chain of the events
    comes first, since the index of their claims could be made again from them. What `before_each_page` raises ends it.
    """
    goal = journal.tip()
    index = _Index(journal, before_each_page)
    tip = Tip()
    for page in _pages(journal, goal.sequence):
        before_each_page()
        for event in page:
            check_link(tip, event)
            tip = tip.moved_to(event)
        index.check(page)
    if tip.sequence < goal.sequence:
        raise Broken(tip.sequence + 1, "it is missing, and the tip says that it was stored", tip.sequence)
    if (tip.digest, tip.recorded_at) != (goal.digest, goal.recorded_at):
        raise Broken(max(goal.sequence, 1), "the tip and the last event do not agree", tip.sequence)
    _check_end(journal, goal)
    index.check_whole(goal)
    return goal


def check_link(previous: Tip | StoredEvent, event: StoredEvent) -> None:
    """Nothing, if `event` is the one that follows `previous`; else raises `Broken`."""
    if fault := _fault(previous, event):
        raise Broken(previous.sequence + 1, fault, previous.sequence)


def _fault(previous: Tip | StoredEvent, event: StoredEvent) -> str | None:
    sequence, recorded_at = previous.sequence + 1, event.recorded_at
    if event.sequence != sequence:
        return "it is missing"
    if sequence == 1 and event.kind != Founded.kind:
        return "the first event must be the founding"
    if recorded_at % QUARTER_SECONDS or recorded_at < previous.recorded_at:
        return "its time is no quarter-hour, or before the time of the event before it"
    if event.content is not None and digest_of_content(event.content) != event.content_digest:
        return "its content was changed"
    try:
        digest = event_digest(
            previous.digest, sequence, recorded_at, event.kind, event.body, event.content_digest, event.claims
        )
    except Invalid as invalid:
        return str(invalid)
    if digest != event.digest or not _are_claims(event.claims):
        return "it or an event before it was changed: its digest is not that of what is stored"
    return None


def linked(events: Iterable[StoredEvent]) -> Iterator[StoredEvent]:
    """`events`, from number 1 on, each checked before it is handed on. Raises as `check_link`."""
    last: Tip | StoredEvent = Tip()
    for event in events:
        check_link(last, event)
        last = event
        yield event


def _are_claims(claims: tuple[Claim, ...]) -> bool:
    """Whether they stand as an event holds them. Asked of each event of a journal: a set of all would take longer."""
    return all(map(lt, claims, claims[1:])) and _CLAIM_LENGTHS.issuperset(map(len, claims))


def _pages(journal: Evidence, last: int) -> Iterator[list[StoredEvent]]:
    after = 0
    while after < last:
        limit = min(PAGE_EVENTS, last - after)
        try:
            page = journal.read(after, limit)
        except Invalid:
            yield from _one_by_one(journal, after, limit)
            return
        if not page:
            return
        yield page
        after = page[-1].sequence


def _one_by_one(journal: Evidence, after: int, limit: int) -> Iterator[list[StoredEvent]]:
    """The events of a page that can't be read as one, as far as they can be; ends by raising `Broken`."""
    for before in range(after, after + limit):
        try:
            page = journal.read(before, 1)
        except Invalid as invalid:
            why = invalid.why if isinstance(invalid, Broken) else "it can't be read, since the file is damaged there"
            raise Broken(before + 1, why, before) from None
        yield page
    raise Broken(after + limit, "the file is damaged beside it", after + limit)


class _Index:
    """The index of claims, held against the events that make them. What is wrong with it is told at the end."""

    def __init__(self, journal: Evidence, before_each_page: Callable[[], None]) -> None:
        self._journal = journal
        self._before_each_page = before_each_page
        self._claims = 0
        self._fault: tuple[int, str] | None = None

    def check(self, page: list[StoredEvent]) -> None:
        """Each claim of these events must be in the index under its event."""
        expected = [(claim, event.sequence) for event in page for claim in event.claims]
        self._claims += len(expected)
        if self._fault is not None:
            return
        try:
            holders = self._journal.holders([claim for claim, _ in expected])
        except Invalid:
            self._fault = page[0].sequence, "the index of claims can't be read, since the file is damaged there"
            return
        for (_, sequence), holder in zip(expected, holders, strict=True):
            if holder != sequence:
                self._fault = sequence, "a claim of it is not in the index, or stands there for another event"
                return

    def check_whole(self, goal: Tip) -> None:
        """The index has the claims of the events and no others: they are all there, so it is enough to count."""
        if self._fault is None:
            try:
                self._fault = self._foreign(goal)
            except Invalid:
                self._fault = goal.sequence, "the index of claims can't be read, since the file is damaged there"
        if self._fault is not None:
            raise Broken(*self._fault, proven=goal.sequence)

    def _foreign(self, goal: Tip) -> tuple[int, str] | None:
        rows = 0
        furthest = 0
        for _, sequence in _claim_rows(self._journal, self._before_each_page):
            rows += sequence <= goal.sequence
            furthest = max(furthest, sequence)
        if rows == self._claims and furthest <= self._journal.tip().sequence:
            return None
        return _first_foreign(self._journal), "the index has a claim for it that it does not make"


def _check_end(journal: Evidence, goal: Tip) -> None:
    """That nothing stands behind the tip, reached by the way of a reader. The order of the two reads matters: others
    may be appending."""
    try:
        last = journal.read(max(goal.sequence - 1, 0), 2)
    except Broken:
        raise
    except Invalid:
        raise Broken(goal.sequence, "the file is damaged right behind it", goal.sequence) from None
    beyond = [event.sequence for event in last if event.sequence > goal.sequence]
    if beyond and journal.tip().sequence < beyond[0]:
        raise Broken(goal.sequence + 1, "it stands behind the tip, and was never appended", goal.sequence)


def _first_foreign(journal: Evidence) -> int:
    """The lowest sequence that a foreign row names. One read a row: only a broken journal pays for it."""
    foreign = set()
    for claim, sequence in _claim_rows(journal):
        event = journal.read(sequence - 1, 1) if sequence > 0 else []
        if not event or claim not in event[0].claims:
            foreign.add(sequence)
    return min(foreign, default=0)


def _claim_rows(journal: Evidence, before_each_page: Callable[[], None] = lambda: None) -> Iterator[tuple[Claim, int]]:
    after = Claim(b"")
    while rows := journal.claim_rows(after, PAGE_CLAIMS):
        before_each_page()
        yield from rows
        after = rows[-1][0]
