"""A thread that goes round for as long as a server runs, and never gives up."""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from tocsin.model.errors import TocsinError
from tocsin.service import fault

_log = logging.getLogger(__name__)


class Rounds(ABC):
    """The thread `name`, which sleeps after each round for as long as that says."""

    def __init__(self, name: str) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def round(self) -> int:
        """One round. Returns the seconds to sleep; raises nothing."""

    def start(self) -> None:
        """Starts the thread; its first round begins at once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, after the round that it is in: nothing is cut off."""
        self._stopped.set()
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def attempt(self, work: Callable[[], None]) -> str | None:
        """What went wrong with `work`, as a sentence; None if nothing did."""
        try:
            work()
        except TocsinError as error:
            return str(error)
        except Exception as error:  # a bug: that the thread is gone would be found out when it is too late
            _log.error("a round of the %s failed: %s", self._thread.name, fault.told(error))
            return f"a fault in tocsin itself ({fault.told(error)}): please report it"
        return None

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._stopped.wait(self.round())
