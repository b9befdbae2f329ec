"""What is asked of the keys of a report: each by itself, then all that are left together (rows K1–K16).

All arithmetic is Python's, on numbers up to 2³²−1: nothing overflows.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import Final

from tocsin.model.calls import KeyVerdict, SentKey
from tocsin.model.keys import (
    DP3T_KEY_BYTES,
    KIND_OF_LENGTH,
    MAX_ONSET_DISTANCE,
    MAX_PERIOD,
    NO_ONSET,
    KeyKind,
    dp3t_chain,
    unheld_release,
)
from tocsin.model.policy import Policy
from tocsin.model.times import INTERVAL_SECONDS, INTERVALS_PER_DAY, QUARTER_SECONDS, Instant, day_of

MAX_SAME_START: Final = 3
"""Most keys with one start (google/exposure-notifications-server, ``docs/tek_validation.md``)."""


_OLDEST_ONSET_DAYS: Final = 28
"""An onset further back is not believed (google/exposure-notifications-server, on publishing)."""


def key_verdict(key: SentKey, received_at: Instant, policy: Policy, since: int | None = None) -> KeyVerdict:
    """What is said of `key` by itself, received in the quarter-hour that begins at `received_at`.

    `since`: the first UTC day on which its owner may have infected somebody, where that is known.
    """
    start, period = key.rolling_start_interval_number, key.rolling_period
    kind = KIND_OF_LENGTH.get(len(key.key_data))
    if kind is None or (kind is KeyKind.DP3T and not policy.dp3t_keys):  # K1, K12
        return KeyVerdict.BAD_LENGTH
    if not 1 <= period <= MAX_PERIOD:  # K2
        return KeyVerdict.BAD_PERIOD
    if kind is KeyKind.DP3T and (start % INTERVALS_PER_DAY or period != INTERVALS_PER_DAY):  # K13
        return KeyVerdict.BAD_PERIOD
    day = (start + period - 1) // INTERVALS_PER_DAY
    if day < day_of(received_at) - policy.useful_days or (since is not None and day < since):  # K3, K11
        return KeyVerdict.TOO_OLD
    if start * INTERVAL_SECONDS >= received_at + QUARTER_SECONDS:  # K4
        return KeyVerdict.FUTURE
    return KeyVerdict.TAKEN


def plausible(day: int | None, received_at: Instant) -> int | None:
    """The day of an onset or a test as a phone named it; None for one that can't be, which is as if it were not sent.

    GAEN's window, and a day more ahead: it may be tomorrow already where the phone is.
    """
    today = day_of(received_at)
    return day if day is not None and today - _OLDEST_ONSET_DAYS <= day <= today + 1 else None


def first_contagious_day(
    onset_day: int | None, test_day: int | None, received_at: Instant, policy: Policy
) -> int | None:
    """The first UTC day on which this person may have infected somebody, by their onset, else by their test (K11)."""
    onset_day, test_day = plausible(onset_day, received_at), plausible(test_day, received_at)
    if onset_day is not None:
        return onset_day - policy.contagious_days_before_onset
    return None if test_day is None else test_day - policy.contagious_days_before_test


def contradict(keys: Sequence[SentKey], held: Sequence[SentKey] = ()) -> bool:
    """Whether the `keys` of one call can't be one person's, who has reported those `held` before."""
    lengths = {len(key.key_data) for key in (*held, *keys)}
    if len(lengths) > 1:  # K14
        return True
    if lengths == {DP3T_KEY_BYTES}:
        return not is_chain(keys) or any(_of_one_chain(keys, key) for key in held)
    return overlap((*held, *keys))


def is_chain(keys: Iterable[SentKey]) -> bool:
    """Whether DP-3T keys are of days that follow each other, each the SHA-256 of the day before's (K15)."""
    ordered = sorted(keys, key=_start)
    return all(_start(after) == _start(before) + INTERVALS_PER_DAY for before, after in pairwise(ordered)) and [
        key.key_data for key in ordered
    ] == (dp3t_chain(ordered[0].key_data, len(ordered)) if ordered else [])


def _of_one_chain(keys: Sequence[SentKey], other: SentKey) -> bool:
    """Whether one of `keys`, a chain, leads to `other` or is led to by it, and so opens what is to be shut (K15)."""
    if not keys:
        return False
    earlier, later = sorted((min(keys, key=_start), other), key=_start)
    days = (_start(later) - _start(earlier)) // INTERVALS_PER_DAY
    return dp3t_chain(earlier.key_data, days + 1)[-1] == later.key_data


def _start(key: SentKey) -> int:
    return key.rolling_start_interval_number


def overlap(keys: Iterable[SentKey]) -> bool:
    """Whether keys with different starts share an interval, or too many share one start."""
    spans = sorted((key.rolling_start_interval_number, key.rolling_period) for key in keys)
    busy_until = 0
    for start, same_start in groupby(spans, key=lambda span: span[0]):
        periods = [period for _, period in same_start]
        if len(periods) > MAX_SAME_START or start < busy_until:  # K5, K6
            return True
        busy_until = start + periods[-1]
    return False


def days_since_onset(key: SentKey, onset_day: int | None) -> int:
    """Days from the onset to the day of the key's start; `NO_ONSET` where absent or beyond what GAEN expresses (K8)."""
    if onset_day is None:
        return NO_ONSET
    days = key.rolling_start_interval_number // INTERVALS_PER_DAY - onset_day
    return days if abs(days) <= MAX_ONSET_DISTANCE else NO_ONSET


def hold_backs(keys: Sequence[SentKey], received_at: Instant, drawn: Iterable[int]) -> list[int]:
    """The hold-back of each key in quarter-hours: one drawn value a part, by the order of their instants (K10)."""
    ends = [(key.rolling_start_interval_number + key.rolling_period) * INTERVAL_SECONDS for key in keys]
    if keys and len(keys[0].key_data) == DP3T_KEY_BYTES:  # a day's key opens all later ones: one part (K16)
        ends = [max(ends)] * len(ends)
    instants = [unheld_release(received_at, end) for end in ends]
    hold_of = dict(zip(sorted(set(instants)), drawn, strict=False))  # draws no more than there are parts
    return [hold_of[instant] for instant in instants]
