"""Following: every event once and in order, whatever the pages; what can't be read leaves what came before."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.sites import FixedClock, Site
from tocsin.journal.encoding import StoredEvent, UnknownKind
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
    return site.deployment.journal.read(0)


def pages_of(events: list[StoredEvent], size: int, asked: list[int]) -> follow.Read:
    """A journal that holds these events and gives so many of them at once."""

    def read(after: int) -> list[StoredEvent]:
        asked.append(after)
        return events[after : after + size]

    return read


@pytest.mark.parametrize(("size", "asked"), [(1, list(range(10))), (3, [0, 3, 6, 9]), (9, [0, 9]), (10, [0])])
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


@pytest.mark.parametrize("wrong", ["unknown kind", "content", "body", "gap"])
def test_what_cannot_be_read_leaves_what_came_before(site: Site, events: list[StoredEvent], wrong: str) -> None:
    content = events[6].content
    assert content is not None
    bad = {
        "unknown kind": replace(events[6], kind="merged"),
        "content": replace(events[6], content=content[:-1] + bytes([content[-1] ^ 1])),
        "body": replace(events[6], body=b"{}"),
        "gap": events[7],
    }
    follower = Follower(site.deployment.keys)
    for _ in range(2):
        with pytest.raises(UnknownKind if wrong == "unknown kind" else Invalid):
            follower.catch_up(lambda after: [*events[:6], bad[wrong]][after:])
        assert follower.ledger.sequence in (6, 0)
    follower.catch_up(lambda after: events[after:])
    assert follower.ledger.sequence == 9 and follower.ledger.reports.count == 5


def test_content_of_another_event_does_not_open(site: Site, events: list[StoredEvent]) -> None:
    """A report's content cannot be moved to another report."""
    swapped = [*events[:5], replace(events[5], content=events[6].content)]
    with pytest.raises(Invalid, match="does not open"):
        Follower(site.deployment.keys).catch_up(lambda after: swapped[after:])


def test_a_journal_that_goes_away_leaves_what_came_before(site: Site, events: list[StoredEvent]) -> None:
    def read(after: int) -> list[StoredEvent]:
        if after == 4:
            raise Unavailable("away")
        return events[after:4]

    follower = Follower(site.deployment.keys)
    follower.catch_up(read)
    with pytest.raises(Unavailable):
        follower.catch_up(read)
    assert follower.ledger.sequence == 4
