"""What quotas are compared with: the same as counting every event anew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.ledger.issued import IssuedCodes
from tocsin.model.names import folded
from tocsin.model.times import Day

WHO = ["Ada", "ADA ", "Grace"]
ISSUES = st.lists(
    st.tuples(
        st.integers(0, 1),  # days that pass before it
        st.sampled_from(WHO),
        st.integers(1, 2),
        st.integers(1, 5),
    ),
    max_size=8,
)


@given(ISSUES, st.integers(0, 1))
def test_one_day_is_counted_as_if_all_events_were(issues: list[tuple[int, str, int, int]], later: int) -> None:
    issued, day = IssuedCodes(), Day(20_000)
    counted: list[tuple[Day, str, int, int]] = []
    for passed, who, provider, count in issues:
        day = Day(day + passed)
        issued = issued.with_issue(who, provider, count, day)
        counted.append((day, folded(who), provider, count))
    asked = Day(day + later)
    for who in WHO:
        assert issued.by(who, asked) == sum(row[3] for row in counted if row[:2] == (asked, folded(who)))
    for provider in (1, 2, 3):
        assert issued.to(provider, asked) == sum(row[3] for row in counted if (row[0], row[2]) == (asked, provider))


@pytest.mark.parametrize(("day", "cards"), [(20_000, 7), (20_001, 0)])
def test_a_new_day_begins_with_none(day: int, cards: int) -> None:
    issued = IssuedCodes().with_issue("Ada", 1, 7, Day(20_000))
    assert (issued.by("Ada", Day(day)), issued.to(1, Day(day))) == (cards, cards)


def test_what_was_counted_before_is_left_as_it_was() -> None:
    """A dry run folds into a copy of the ledger that shares it."""
    before = IssuedCodes().with_issue("Ada", 1, 7, Day(20_000))
    before.with_issue("Ada", 1, 1, Day(20_000))
    assert (before.by("Ada", Day(20_000)), before.to(1, Day(20_000))) == (7, 7)
