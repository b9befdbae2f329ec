"""Following: every event once and in order, whatever the pages; what can't be read leaves what came before."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.sites import FixedClock, Site
from tocsin.journal.encoding import StoredEvent, UnknownKind, digest_of_content, event_digest
from tocsin.journal.port import Broken
from tocsin.model.errors import Invalid, Unavailable
from tocsin.service import follow
from tocsin.service.follow import Follower


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "site", FixedClock())
    for serial in range(5):
        made.report(f"phone {serial}", serial)
    yield made
    made.deployment.close()


@pytest.fixture
def events(site: Site) -> list[StoredEvent]:
    read = site.deployment.journal.read(0)
    PREVIOUS.update((after.sequence, before.digest) for before, after in pairwise(read))
    return read


def at_once(events: list[StoredEvent]) -> follow.Read:
    """Read in one page."""
    return lambda after: events[after:]


def pages_of(events: list[StoredEvent], size: int, asked: list[int]) -> follow.Read:
    """A journal that holds these events and gives so many of them at once."""

    def read(after: int) -> list[StoredEvent]:
        asked.append(after)
        return events[after : after + size]

    return read


@pytest.mark.parametrize(("size", "asked"), [(1, list(range(10))), (3, [0, 3, 6, 9]), (9, [0, 9]), (11, [0])])
def test_pages(
    site: Site, events: list[StoredEvent], monkeypatch: pytest.MonkeyPatch, size: int, asked: list[int]
) -> None:
    monkeypatch.setattr(follow, "PAGE_EVENTS", size)
    follower = Follower(site.deployment.keys)
    pages: list[int] = []
    seen = [(event.sequence, follower.ledger.sequence) for event in follower.follow(pages_of(events, size, pages))]
    assert seen == [(number, number) for number in range(1, 10)], "the ledger stands right behind each event"
    assert pages == asked
    assert follower.ledger.reports.count == 5
    follower.catch_up(pages_of(events, size, []))
    assert follower.ledger.reports.count == 5, "nothing is folded twice"


def chained(event: StoredEvent) -> StoredEvent:
    """`event`, changed, with the digests that whoever appends it like that would have stored."""
    content_digest = digest_of_content(event.content)
    previous = PREVIOUS[event.sequence]
    digest = event_digest(
        previous, event.sequence, event.recorded_at, event.kind, event.body, content_digest, event.claims
    )
    return replace(event, content_digest=content_digest, digest=digest)


PREVIOUS: dict[int, bytes] = {}
"""The digest before each event of the journal at hand."""


@pytest.mark.parametrize("wrong", ["unknown kind", "content", "body", "gap"])
def test_what_cannot_be_read_leaves_what_came_before(site: Site, events: list[StoredEvent], wrong: str) -> None:
    content = events[6].content
    assert content is not None
    bad = {
        "unknown kind": chained(replace(events[6], kind="merged")),
        "content": chained(replace(events[6], content=content[:-1] + bytes([content[-1] ^ 1]))),
        "body": chained(replace(events[6], body=b"{}")),
        "gap": events[7],
    }
    follower = Follower(site.deployment.keys)
    for _ in range(2):
        with pytest.raises(UnknownKind if wrong == "unknown kind" else Invalid):
            follower.catch_up(at_once([*events[:6], bad[wrong]]))
        assert follower.ledger.sequence in (6, 0)
    follower.catch_up(at_once(events))
    assert follower.ledger.sequence == 9 and follower.ledger.reports.count == 5


def test_content_of_another_event_does_not_open(site: Site, events: list[StoredEvent]) -> None:
    """A report's content cannot be moved to another report."""
    swapped = [*events[:5], chained(replace(events[5], content=events[6].content))]
    with pytest.raises(Invalid, match="does not open"):
        Follower(site.deployment.keys).catch_up(at_once(swapped))


def test_what_was_changed_is_never_folded(site: Site, events: list[StoredEvent]) -> None:
    """A flipped bit that SQLite can't see, in a body that still reads: nothing may be answered from it."""
    body = events[6].body.replace(b'"report_type"', b'"report_typf"')
    assert body != events[6].body
    for changed in (replace(events[6], body=body), replace(events[6], claims=()), replace(events[6], content=b"")):
        follower = Follower(site.deployment.keys)
        with pytest.raises(Broken, match="chain holds up to event 6") as broken:
            follower.catch_up(at_once([*events[:6], changed]))
        assert (broken.value.sequence, broken.value.proven, follower.ledger.sequence) == (7, 6, 6)


def test_an_older_copy_put_back_under_a_running_process(site: Site, events: list[StoredEvent]) -> None:
    """It may have gone on by itself since: both are seen at the next look."""
    follower = Follower(site.deployment.keys)
    follower.catch_up(at_once(events))
    grown = [*events[:6], *(chained(replace(event, recorded_at=event.recorded_at + 900)) for event in events[6:])]
    for copy in (events[:6], grown):
        with pytest.raises(Broken, match="older copy"):
            follower.catch_up(at_once(copy))
    follower.catch_up(at_once(events))
    assert follower.ledger.sequence == 9


def test_a_journal_that_goes_away_leaves_what_came_before(site: Site, events: list[StoredEvent]) -> None:
    def read(after: int) -> list[StoredEvent]:
        if after > 2:
            raise Unavailable("away")
        return events[after:4]

    follower = Follower(site.deployment.keys)
    follower.catch_up(read)
    with pytest.raises(Unavailable):
        follower.catch_up(read)
    assert follower.ledger.sequence == 4
