"""The index of claims made anew: ascending, each with its event, none held twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.journal.vectors import JOURNAL
from tocsin.journal.claim_index import ClaimIndex
from tocsin.journal.encoding import StoredEvent
from tocsin.journal.port import Broken
from tocsin.model.claims import CLAIM_BYTES, Claim


def claim(first: int, last: int) -> Claim:
    """One of many that share their first bytes, or all but the last."""
    return Claim(bytes([first]) * 9 + bytes(CLAIM_BYTES - 10) + bytes([last]))


def events(claims: list[list[Claim]]) -> list[StoredEvent]:
    return [
        replace(JOURNAL[0], sequence=sequence, claims=tuple(sorted(held))) for sequence, held in enumerate(claims, 1)
    ]


CLAIMS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 255)), unique=True, max_size=40)


@given(drawn=CLAIMS, counts=st.lists(st.integers(0, 4), max_size=20), together=st.integers(1, 5))
def test_rows_are_those_of_the_events_ascending(drawn: list[tuple[int, int]], counts: list[int], together: int) -> None:
    left = iter(drawn)
    stored = events([[claim(*each) for _, each in zip(range(count), left, strict=False)] for count in counts])
    index = ClaimIndex()
    for begin in range(0, len(stored), together):
        index.add(stored[begin : begin + together])
    expected = sorted((held, event.sequence) for event in stored for held in event.claims)
    assert list(index.rows()) == expected


def test_a_claim_that_two_events_hold_names_the_later_one() -> None:
    index = ClaimIndex()
    index.add(events([[claim(1, 1)], [claim(0, 1), claim(0, 2)], [claim(1, 1)], [claim(0, 2)]]))
    with pytest.raises(Broken, match="at event 3: an event before it holds a claim of it"):
        list(index.rows())


def test_no_claims_are_no_rows() -> None:
    assert list(ClaimIndex().rows()) == []
