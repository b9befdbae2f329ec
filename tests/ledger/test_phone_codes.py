"""Remembered phone codes: the same as a list of all of them, asked anew each time."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.ledger.phone_codes import REMEMBERED_DAYS, PhoneCode, PhoneCodes
from tocsin.model.code_reading import Life
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, QUARTERS_PER_DAY, Day

DAY = Day(20_000)
START = DAY * QUARTERS_PER_DAY


def code_hash(number: int) -> bytes:
    return hashlib.sha256(bytes([number])).digest()[:16]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2 * QUARTERS_PER_DAY),  # quarter-hours that pass before it
            st.integers(1, 2),  # issuing period
            st.integers(1, 16),  # life
            st.integers(1, 3),  # codes
        ),
        max_size=12,
    ),
    st.integers(0, 20),
)
def test_what_is_remembered(issues: list[tuple[int, int, int, int]], later: int) -> None:
    held, told, now, number = PhoneCodes(), [], START, 0
    for passed, period, life, count in issues:
        now += passed
        held.forget_before(Day(now // QUARTERS_PER_DAY))
        first = PhoneCode(7, number, Life(now, now + life))
        held.add(period, [code_hash(number + place) for place in range(count)], first)
        told += [(period, number + place, first.life) for place in range(count)]
        number += count
    today = now // QUARTERS_PER_DAY
    kept = [row for row in told if row[2].valid_until // QUARTERS_PER_DAY + REMEMBERED_DAYS >= today]
    for period, serial, life_of in told:
        known = held.find(period, code_hash(serial))
        assert known == (PhoneCode(7, serial, life_of) if (period, serial, life_of) in kept else None)
        assert held.find(3 - period, code_hash(serial)) is None, "of another issuing period"
    assert held.issuing_periods == tuple(sorted({period for period, _, _ in kept}))
    asked = (now + later) * QUARTER_SECONDS
    assert held.alive(asked) == sum(now + later < life_of.valid_until for _, _, life_of in kept)


def test_a_copy_goes_its_own_way() -> None:
    """A dry run folds into one."""
    held = PhoneCodes()
    held.add(1, [code_hash(0)], PhoneCode(7, 0, Life(START, START + 4)))
    twin = held.copy()
    twin.add(1, [code_hash(1)], PhoneCode(7, 1, Life(START, START + 4)))
    assert (held.alive(DAY * DAY_SECONDS), twin.alive(DAY * DAY_SECONDS)) == (1, 2)
    twin.forget_before(Day(DAY + REMEMBERED_DAYS + 1))
    assert held.find(1, code_hash(0)) is not None and twin.find(1, code_hash(0)) is None


@pytest.mark.parametrize(("end", "remembered"), [(START - 1, False), (START, True)])
def test_the_day_of_the_end_decides(end: int, remembered: bool) -> None:
    """A code that ends at midnight ends on the day that begins."""
    held = PhoneCodes()
    held.add(1, [code_hash(0)], PhoneCode(7, 0, Life(end - 4, end)))
    held.forget_before(Day(DAY + REMEMBERED_DAYS))
    assert (held.find(1, code_hash(0)) is not None) is remembered
