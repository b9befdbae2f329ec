"""Whether the journal is in reach: once it was not, a thread looks until it is."""

import logging
import threading
from typing import Final

from tocsin.journal.port import Journal
from tocsin.model.errors import TocsinError
from tocsin.model.ports import Clock
from tocsin.service import fault

LOOK_SECONDS: Final = 0.5
"""Between two looks. Each waits for the journal's own deadline, and no caller waits for it."""

_log = logging.getLogger(__name__)


class Reach:
    """Whether `journal` can store something now. `lost` and `is_lost` may be asked by any thread."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._lost = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reach", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, after the look that it takes."""
        self._stopped.set()
        self._lost.set()
        self._thread.join()

    @property
    def is_lost(self) -> bool:
        """Whether it was out of reach when it was last asked for something."""
        return self._lost.is_set()

    def lost(self) -> None:
        """The journal has just failed: nothing is asked of it until a look at it is well."""
        self._lost.set()

    def look(self) -> None:
        """Takes a look: an empty group, durable as any other. Raises nothing."""
        try:
            with self._journal.group(self._clock.now()):
                pass
        except TocsinError:
            return
        except Exception as error:  # a bug: the thread must live
            _log.error("looking for the journal failed: %s", fault.told(error))
            return
        self._lost.clear()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._lost.wait()
            while self._lost.is_set() and not self._stopped.wait(LOOK_SECONDS):
                self.look()
