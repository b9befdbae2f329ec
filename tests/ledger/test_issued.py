"""What quotas are compared with: the same as counting every event anew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.ledger.issued import IssuedCards
from tocsin.model.code_reading import CodeKind
from tocsin.model.events import BatchIssued
from tocsin.model.names import folded
from tocsin.model.times import Day

WHO = ["Ada", "ADA ", "Grace"]
BATCHES = st.lists(
    st.tuples(
        st.integers(0, 1),  # days that pass before it
        st.sampled_from(WHO),
        st.integers(1, 2),
        st.integers(1, 5),
        st.sampled_from([CodeKind.CARD, CodeKind.TRAINING]),
    ),
    max_size=8,
)


def _issued(who: str, provider: int, count: int, kind: int) -> BatchIssued:
    return BatchIssued(
        batch=1,
        provider=provider,
        code_kind=kind,
        count=count,
        issuing_period=1,
        valid_from=0,
        valid_until=1,
        report_type=1,
        who=who,
        why="a test",
    )


@given(BATCHES, st.integers(0, 1))
def test_one_day_is_counted_as_if_all_events_were(batches: list[tuple[int, str, int, int, int]], later: int) -> None:
    issued, day = IssuedCards(), Day(20_000)
    counted: list[tuple[Day, str, int, int]] = []
    for passed, who, provider, count, kind in batches:
        day = Day(day + passed)
        issued = issued.with_batch(_issued(who, provider, count, kind), day)
        if kind == CodeKind.CARD:
            counted.append((day, folded(who), provider, count))
    asked = Day(day + later)
    for who in WHO:
        assert issued.by(who, asked) == sum(row[3] for row in counted if row[:2] == (asked, folded(who)))
    for provider in (1, 2, 3):
        assert issued.to(provider, asked) == sum(row[3] for row in counted if (row[0], row[2]) == (asked, provider))


@pytest.mark.parametrize(("day", "cards"), [(20_000, 7), (20_001, 0)])
def test_a_new_day_begins_with_none(day: int, cards: int) -> None:
    issued = IssuedCards().with_batch(_issued("Ada", 1, 7, CodeKind.CARD), Day(20_000))
    assert (issued.by("Ada", Day(day)), issued.to(1, Day(day))) == (cards, cards)


def test_what_was_counted_before_is_left_as_it_was() -> None:
    """A dry run folds into a copy of the ledger that shares it."""
    before = IssuedCards().with_batch(_issued("Ada", 1, 7, CodeKind.CARD), Day(20_000))
    before.with_batch(_issued("Ada", 1, 1, CodeKind.CARD), Day(20_000))
    assert (before.by("Ada", Day(20_000)), before.to(1, Day(20_000))) == (7, 7)
