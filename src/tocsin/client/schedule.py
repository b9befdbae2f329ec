"""When a phone calls, and with what: the instants come from chance and time alone, so that they tell nothing.

All phones call at one mean rate, with exponential gaps: at any moment, whatever came before, the next call is as near
for every phone (so do DP-3T's decoys, 0.2 of them a day; here are more, because what matters waits for them). What a
phone has to say takes a decoy's place, and never makes one call more or less.

>>> schedule = go_on(None, now=0, draw=0.5)
>>> schedule.due_at
14971
>>> schedule.answered(now=15_000, draw=0.5).due_at
29971
>>> next_errand([Errand.TRACK, Errand.REPEAT]).name, next_errand([]).name
('REPEAT', 'DECOY')
"""

import math
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tocsin.client.calls import PendingContinuation, PendingReport, decoy_call, track_call, withdraw_call
from tocsin.model.errors import Invalid
from tocsin.model.times import DAY_SECONDS, Instant

MEAN_GAP_SECONDS: Final = DAY_SECONDS // 4
"""Four calls a day and phone: a day without one, in which nothing can be said, is rare (e⁻⁴), and 10,000,000 phones are
463 calls a second."""
PATIENCE_SECONDS: Final = 60
"""After no answer at least this long there is no call: what a 503 says in ``Retry-After``."""
MEAN_REPEAT_SECONDS: Final = 600
"""The mean wait beyond that, after one call without an answer; twice as long after each further one."""
LONGEST_WAIT_SECONDS: Final = 30 * DAY_SECONDS
"""Further ahead no chance puts a call (53 bits: 37 mean gaps)."""
NEVER: Final = -1


class Errand(IntEnum):
    """What the call that is due is for; the least number goes first."""

    WITHDRAW = 1
    """Consent is gone: nothing goes before that."""
    REPEAT = 2
    """A report that has no last word: not answered, or *provisional*, or *over_allowance*."""
    CONTINUE = 3
    """More of a report that was taken, and that has no last word."""
    TRACK = 4
    """A report that was taken: does it stand? Once a day, so that the server sees its ID no more often than of use."""
    DECOY = 5
    """Nothing is to be said."""


class Schedule(Struct, frozen=True, forbid_unknown_fields=True):
    """When the next call is due, after how many calls in a row that got no answer.

    `tracked_day`: UTC day of the last answered `track`. It has no say in the instants; it is kept here to be stored
    with them.
    """

    due_at: Instant
    unanswered: int = 0
    tracked_day: int = NEVER

    def answered(self, now: int, draw: float) -> "Schedule":
        """What follows a call at `now` that was answered, whatever it was answered.

        `draw`: chance from [0, 1), anew for each call. A call before it was due, which a person has timed, takes the
        place of the one that was: the phone makes no call more for it.
        """
        due_at = Instant(max(self.due_at, now) + _gap(draw, MEAN_GAP_SECONDS))
        return replace(self, due_at=due_at, unanswered=0)

    def unheard(self, now: int, draw: float) -> "Schedule":
        """What follows a call at `now` that got no answer, whatever it was: the next one is sooner, also of a decoy."""
        mean = min(MEAN_GAP_SECONDS, MEAN_REPEAT_SECONDS << min(self.unanswered, 16))
        due_at = Instant(now + PATIENCE_SECONDS + _gap(draw, mean))
        return replace(self, due_at=due_at, unanswered=self.unanswered + 1)


def go_on(stored: Schedule | None, now: int, draw: float) -> Schedule:
    """The schedule to go on with: a new one for a new app, or where a clock gone wrong put the next call too far."""
    if stored is None or stored.due_at > now + LONGEST_WAIT_SECONDS:
        return Schedule(Instant(now + _gap(draw, MEAN_GAP_SECONDS)))
    return stored


def next_errand(wanted: Iterable[Errand]) -> Errand:
    """What the next call is for, of all that is `wanted`."""
    return min(wanted, default=Errand.DECOY)


def body_of(errand: Errand, report: PendingReport | None, more: PendingContinuation | None = None) -> bytes:
    """The 4,096 bytes to post. Raises `Invalid` if the errand is about a report, or more of it, and there is none."""
    if errand is Errand.DECOY:
        return decoy_call()
    if report is None:
        raise Invalid("there is no report to call about")
    match errand:
        case Errand.WITHDRAW:
            return withdraw_call(report.withdrawal_secret)
        case Errand.REPEAT:
            return report.body
        case Errand.TRACK:
            return track_call(report.withdrawal_secret)
        case Errand.CONTINUE if more is not None:
            return more.body
    raise Invalid("there is nothing to continue the report with")


def encode_schedule(schedule: Schedule) -> bytes:
    """`schedule` as an app stores it, before the call is made that it counts: a JSON object."""
    return msgspec.json.encode(schedule)


def decode_schedule(data: bytes) -> Schedule:
    """What `encode_schedule` stored. Raises `Invalid` for anything else: the app then begins a new schedule."""
    try:
        schedule = msgspec.json.decode(data, type=Schedule)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Invalid("not a stored schedule") from None
    if min(schedule.due_at, schedule.unanswered, schedule.tracked_day - NEVER) < 0:
        raise Invalid("not a stored schedule")
    return schedule


def _gap(draw: float, mean_seconds: int) -> int:
    """An exponential gap with this mean, from chance in [0, 1)."""
    return int(-mean_seconds * math.log1p(-draw))
