"""Quarter-hours and days of UTC at their edges."""

import time
from collections.abc import Iterator

import pytest

from tocsin.model.times import day_of, day_start, floor_quarter, utc


@pytest.mark.parametrize(("at", "quarter"), [(0, 0), (899, 0), (900, 900), (901, 900), (1_799, 900)])
def test_a_quarter_hour_holds_its_first_second_and_not_its_end(at: int, quarter: int) -> None:
    assert floor_quarter(at) == quarter


def test_a_day_holds_its_first_second_and_not_its_end() -> None:
    assert day_start(20_000) == 1_728_000_000
    edges = [day_of(day_start(20_000) + offset) for offset in (-1, 0, 86_399, 86_400)]
    assert edges == [19_999, 20_000, 20_000, 20_001]


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine stands in Tokyo, nine hours ahead of UTC."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("tokyo")
def test_an_instant_is_written_in_utc_wherever_the_machine_stands() -> None:
    """Case 13."""
    assert time.localtime(0).tm_hour == 9
    assert utc(day_start(20_000) + 83_700) == "2024-10-04 23:15 UTC"
