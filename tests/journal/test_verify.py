"""Proving: every way of breaking a journal in the vectors is seen, and the first broken event named.

The journals here are lists in memory, so that nothing but `verify` can notice; real files: ``test_sqlite.py``.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.journal.vectors import JOURNAL, VECTORS, stored_event
from tocsin.journal import verify as room
from tocsin.journal.encoding import NO_DIGEST, NewEvent, StoredEvent, event_digest, number_event
from tocsin.journal.port import Broken, Tip
from tocsin.journal.verify import check_link, verify
from tocsin.model.claims import Claim
from tocsin.model.events import Founded, Withdrawn

TIP = Tip().moved_to(JOURNAL[-1])


class Lists:
    """Evidence out of lists; `meanwhile` is appended by somebody else after the first look at the tip."""

    def __init__(self, events: list[StoredEvent], index: dict[Claim, int], meanwhile: int = 0) -> None:
        self.events = events
        self.index = index
        self.tips = [Tip().moved_to(JOURNAL[-1 - meanwhile])]

    def tip(self) -> Tip:
        return self.tips.pop() if self.tips else TIP

    def read(self, after: int, limit: int = 1000) -> list[StoredEvent]:
        return [event for event in self.events if event.sequence > after][:limit]

    def holders(self, claims: Sequence[Claim]) -> list[int | None]:
        return [self.index.get(claim) for claim in claims]

    def claim_rows(self, after: Claim, limit: int) -> list[tuple[Claim, int]]:
        return sorted(row for row in self.index.items() if row[0] > after)[:limit]


def index_of(events: list[StoredEvent]) -> dict[Claim, int]:
    return {claim: event.sequence for event in events for claim in event.claims}


def journal_of(case: dict[str, Any]) -> Lists:
    events = [JOURNAL[row - 1] if isinstance(row, int) else stored_event(row) for row in case["rows"]]
    index = index_of(JOURNAL)
    for claim, _ in case["index_without"]:
        del index[Claim(bytes.fromhex(claim))]
    index |= {Claim(bytes.fromhex(claim)): sequence for claim, sequence in case["index_with"]}
    return Lists(events, index)


@pytest.fixture(params=[1, 3, 1000], ids=lambda size: f"pages of {size}", autouse=True)
def page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PAGE_EVENTS", request.param)
    monkeypatch.setattr(room, "PAGE_CLAIMS", request.param)


@pytest.mark.parametrize("case", VECTORS["broken_journals"], ids=lambda case: case["case"])
def test_vectors(case: dict[str, Any]) -> None:
    if case["broken_at"] is None:
        assert verify(journal_of(case)) == TIP
    else:
        with pytest.raises(Broken) as broken:
            verify(journal_of(case))
        assert broken.value.sequence == case["broken_at"]


@pytest.mark.parametrize("field", ["sequence", "digest", "recorded_at"])
def test_a_tip_that_was_changed(field: str) -> None:
    journal = Lists(JOURNAL, index_of(JOURNAL))
    changes = {"sequence": 12, "digest": bytes(32), "recorded_at": 900}
    journal.tips = [Tip(**{**{name: getattr(TIP, name) for name in changes}, field: changes[field]})]
    with pytest.raises(Broken):
        verify(journal)


def test_an_empty_journal_is_whole() -> None:
    journal = Lists([], {})
    journal.tips = [Tip()]
    assert verify(journal) == Tip()


def test_what_is_appended_meanwhile_is_left_for_the_next_time() -> None:
    assert verify(Lists(JOURNAL, index_of(JOURNAL), meanwhile=2)).sequence == len(JOURNAL) - 2


def test_a_journal_must_begin_with_its_founding() -> None:
    case = {"rows": [{**VECTORS["journal"][9], "sequence": 1}], "index_without": [], "index_with": []}
    with pytest.raises(Broken, match="founding") as broken:
        verify(journal_of(case))
    assert broken.value.sequence == 1


def founded_at(recorded_at: int) -> StoredEvent:
    return number_event(NewEvent(Founded("xx", "A" * 43)), NO_DIGEST, 1, recorded_at)


@pytest.mark.parametrize("recorded_at", [900, 1801], ids=["before the last", "no quarter-hour"])
def test_a_wrong_time_is_seen_even_under_a_right_digest(recorded_at: int) -> None:
    first = founded_at(1800)
    with pytest.raises(Broken, match="time"):
        check_link(Tip().moved_to(first), number_event(NewEvent(Withdrawn(1)), first.digest, 2, recorded_at))


def test_claims_out_of_order_are_seen_even_under_a_right_digest() -> None:
    first = founded_at(900)
    claims = (Claim(bytes([2]) * 33), Claim(bytes([1]) * 33))
    digest = event_digest(first.digest, 2, 900, "withdrawn", b"{}", NO_DIGEST, claims)
    with pytest.raises(Broken) as broken:
        check_link(Tip().moved_to(first), StoredEvent(2, 900, "withdrawn", b"{}", None, NO_DIGEST, claims, digest))
    assert broken.value.sequence == 2
