"""Publishing for as long as a server runs: a thread that wakes when a version is due, and never gives up."""

from collections.abc import Callable
from typing import Final

from tocsin.ledger.state import Ledger
from tocsin.model.errors import TocsinError
from tocsin.model.ports import Clock
from tocsin.service.day_keys import DayKeeper
from tocsin.service.erase import Eraser
from tocsin.service.publish import Publisher
from tocsin.service.rounds import Rounds
from tocsin.service.trouble import Told, Trouble

RETRY_SECONDS: Final = 5
"""After a failure. A correction must be in the bucket two minutes after its step at the latest."""
LONGEST_SLEEP_SECONDS: Final = 60
"""A machine that was suspended, or whose clock was set, finds out after this at the latest."""


def seconds_to_sleep(now: int, step_seconds: int, *, failed: bool) -> int:
    """How long to sleep after a round that ended at `now`: to the next step, less after a failure.

    >>> seconds_to_sleep(1_790, 900, failed=False), seconds_to_sleep(1_800, 900, failed=False)
    (10, 60)
    >>> seconds_to_sleep(1_790, 900, failed=True)
    5
    """
    return min(step_seconds - now % step_seconds, RETRY_SECONDS if failed else LONGEST_SLEEP_SECONDS)


class PublisherLoop(Rounds):
    """The thread that publishes, makes day keys ahead and erases.

    `told_trouble` is called from the thread.
    """

    def __init__(
        self,
        publisher: Publisher,
        day_keeper: DayKeeper,
        eraser: Eraser,
        clock: Clock,
        step_seconds: int,
        told_trouble: Told,
        looked: Callable[[Ledger], None] = lambda ledger: None,
    ) -> None:
        """`looked` is given the publisher's ledger after each round, in the thread."""
        super().__init__("publisher")
        self._publisher = publisher
        self._day_keeper = day_keeper
        self._eraser = eraser
        self._out = 0
        self._clock = clock
        self._step_seconds = step_seconds
        self._trouble = Trouble(told_trouble)
        self._looked = looked

    def round(self) -> int:
        """One round: makes day keys, publishes what is due, then erases what is due.

        Returns the seconds to sleep; raises nothing.
        """
        troubles = [
            self.attempt(work) for work in (self._day_keeper.look_ahead, self._publish, self._erase)
        ]  # each, whatever the others do
        trouble = "; ".join(dict.fromkeys(sentence for sentence in troubles if sentence)) or None
        self._trouble.is_now(trouble)
        self._looked(self._publisher.ledger)
        try:
            return seconds_to_sleep(self._clock.now(), self._step_seconds, failed=trouble is not None)
        except TocsinError:  # the clock can't be trusted: the attempts have said so
            return RETRY_SECONDS

    def _publish(self) -> None:
        self._out = self._publisher.publish()

    def _erase(self) -> None:
        self._eraser.erase(self._out)
