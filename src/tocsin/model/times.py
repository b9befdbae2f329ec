"""Instants, days, intervals and quarter-hours: UTC seconds since 1970, and their floors.

Times are plain integers whose unit is in the name: ``_at`` UTC seconds, ``_day`` UTC days since 1970, ``_interval``
GAEN's ten minutes since 1970. No clock is read here.
"""

from datetime import UTC, datetime
from typing import Final, NewType

Instant = NewType("Instant", int)
"""UTC seconds since 1970."""
Day = NewType("Day", int)
"""UTC days since 1970."""

INTERVAL_SECONDS: Final = 600
"""GAEN's interval: ten minutes (Exposure Notification cryptography specification v1.2)."""
INTERVALS_PER_DAY: Final = 144
QUARTER_SECONDS: Final = 900
DAY_SECONDS: Final = 86_400
QUARTERS_PER_DAY: Final = 96
KEPT_DAYS: Final = 16
"""The key of a UTC day is destroyed at 00:00 of the day that comes so many days later; until then it must be there."""
EMBARGO_SECONDS: Final = 7_200
"""No key is public before its end plus two hours: phones accept sightings that are that late."""


def floor_quarter(at: int) -> Instant:
    """The quarter-hour in which `at` lies.

    >>> floor_quarter(1801)
    1800
    """
    return Instant(at - at % QUARTER_SECONDS)


def day_of(at: int) -> Day:
    """The UTC day in which `at` lies.

    >>> day_of(86_399), day_of(86_400)
    (0, 1)
    """
    return Day(at // DAY_SECONDS)


def day_start(day: int) -> Instant:
    """The first second of a UTC day."""
    return Instant(day * DAY_SECONDS)


def utc(at: int) -> str:
    """An instant in UTC seconds for a person, to the minute.

    >>> utc(1_600_000_200), utc(10**12)
    ('2020-09-13 12:30 UTC', 'second 1000000000000')
    """
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):  # behind the year 9999: a clock or a damaged file may say so
        return f"second {at}"
