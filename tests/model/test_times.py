"""Quarter-hours and days of UTC at their edges."""

import pytest

from tocsin.model.times import day_of, day_start, floor_quarter


@pytest.mark.parametrize(("at", "quarter"), [(0, 0), (899, 0), (900, 900), (901, 900), (1_799, 900)])
def test_a_quarter_hour_holds_its_first_second_and_not_its_end(at: int, quarter: int) -> None:
    assert floor_quarter(at) == quarter


def test_a_day_holds_its_first_second_and_not_its_end() -> None:
    assert day_start(20_000) == 1_728_000_000
    edges = [day_of(day_start(20_000) + offset) for offset in (-1, 0, 86_399, 86_400)]
    assert edges == [19_999, 20_000, 20_000, 20_001]
