"""Publishing for as long as a server runs: a thread that wakes when a version is due, and never gives up."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from tocsin.ledger.state import Ledger
from tocsin.model.errors import TocsinError
from tocsin.model.ports import Clock
from tocsin.service import fault
from tocsin.service.day_keys import DayKeeper
from tocsin.service.erase import Eraser
from tocsin.service.publish import Publisher
from tocsin.service.trouble import Told, Trouble

RETRY_SECONDS: Final = 5
"""After a failure. A correction must be in the bucket two minutes after its step at the latest."""
LONGEST_SLEEP_SECONDS: Final = 60
"""A machine that was suspended, or whose clock was set, finds out after this at the latest."""

_log = logging.getLogger(__name__)


def seconds_to_sleep(now: int, step_seconds: int, *, failed: bool) -> int:
    """How long to sleep after a round that ended at `now`: to the next step, less after a failure.

    >>> seconds_to_sleep(1_790, 900, failed=False), seconds_to_sleep(1_800, 900, failed=False)
    (10, 60)
    >>> seconds_to_sleep(1_790, 900, failed=True)
    5
    """
    return min(step_seconds - now % step_seconds, RETRY_SECONDS if failed else LONGEST_SLEEP_SECONDS)


class PublisherLoop:
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
        self._publisher = publisher
        self._day_keeper = day_keeper
        self._eraser = eraser
        self._out = 0
        self._clock = clock
        self._step_seconds = step_seconds
        self._trouble = Trouble(told_trouble)
        self._looked = looked
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Starts the thread; its first round begins at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, after the round that it is in: no release is cut off."""
        self._stopped.set()
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def round(self) -> int:
        """One round: makes day keys, publishes what is due, then erases what is due.

        Returns the seconds to sleep; raises nothing.
        """
        troubles = [
            self._attempt(work) for work in (self._day_keeper.look_ahead, self._publish, self._erase)
        ]  # each, whatever the others do
        trouble = "; ".join(dict.fromkeys(sentence for sentence in troubles if sentence)) or None
        self._trouble.is_now(trouble)
        self._looked(self._publisher.ledger)
        try:
            return seconds_to_sleep(self._clock.now(), self._step_seconds, failed=trouble is not None)
        except TocsinError:  # the clock can't be trusted: the attempts have said so
            return RETRY_SECONDS

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._stopped.wait(self.round())

    def _publish(self) -> None:
        self._out = self._publisher.publish()

    def _erase(self) -> None:
        self._eraser.erase(self._out)

    @staticmethod
    def _attempt(work: Callable[[], None]) -> str | None:
        """What went wrong with `work`, as a sentence; None if nothing did."""
        try:
            work()
        except TocsinError as error:
            return str(error)
        except Exception as error:  # a bug: a publisher that is gone would be found out by stale phones only
            _log.error("publishing failed: %s", fault.told(error))
            return f"a fault in tocsin itself ({fault.told(error)}): please report it"
        return None
