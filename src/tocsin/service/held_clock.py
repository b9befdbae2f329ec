"""The clock, held against the journal: what is stamped too late can't be taken back, since no stamp goes back in time.

`SystemClock` sees that the clock was set while its process ran. That it was wrong before, only the last event can tell.
"""

from typing import Final

from tocsin.journal.port import Journal, Tip, refuse_lag
from tocsin.model.errors import Unavailable
from tocsin.model.ports import Clock
from tocsin.model.times import DAY_SECONDS, Day, Instant, day_of, utc

MAX_LEAD_SECONDS: Final = 3 * DAY_SECONDS
"""A clock further than this ahead of the journal's last event is believed only if a person names its date.

A site that runs records a version each step. Longer than a weekend without power, and somebody has to look; shorter,
and a clock that was set to another month would expire what is public (``docs/decisions/0014-clock-ahead.md``).
"""


class HeldClock:
    """`clock`, held against the last event of `journal`. `today`: the UTC day that a person says it is."""

    def __init__(self, clock: Clock, journal: Journal, today: Day | None = None) -> None:
        self._clock = clock
        self._journal = journal
        self._today = today

    def now(self) -> Instant:
        """The present instant. Raises `Unavailable` if a clock that says so may not append; else as the journal does.

        Cost: one look at the journal's tip.
        """
        return self.now_against(self._journal.tip())

    def now_against(self, tip: Tip) -> Instant:
        """As `now`, held against `tip`: where the journal ended when it could last be asked."""
        now = self._clock.now()
        refuse_lag(now, tip)
        if tip.sequence and now > tip.recorded_at + MAX_LEAD_SECONDS and not self._is_named(now):
            raise Unavailable(
                f"this machine's clock is {(now - tip.recorded_at) // DAY_SECONDS} days ahead of the journal, whose"
                f" last event is of {utc(tip.recorded_at)}: if it is wrong, set it right; if nothing ran here for so"
                " long, tell today's date by another clock: `tocsin serve --today DATE`, or `tocsin publish --today"
                " DATE`"
            )
        return now

    def _is_named(self, now: Instant) -> bool:
        """Whether it is the day that a person named, give or take the one that it may be elsewhere."""
        return self._today is not None and abs(day_of(now) - self._today) <= 1
