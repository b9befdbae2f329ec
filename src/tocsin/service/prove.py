"""Proving the whole journal once, beside a server that runs.

Folding proves the chain of the events. What it does not look at is the index of their claims, and an index that has
lost a claim would let a code be used twice: a server whose journal turns out broken takes no more calls.
"""

import threading
from collections.abc import Callable
from typing import Final

from tocsin.journal.verify import Evidence, verify
from tocsin.model.errors import Invalid, TocsinError

RETRY_SECONDS: Final = 60.0
"""After the journal was away, or the machine had no memory left for it: a proof that broke off proves nothing."""


class _Stopped(TocsinError):
    """The server ends before the proof does."""


class Prover:
    """The thread that proves `journal`. `found` is called from it with what is broken, if anything is."""

    def __init__(
        self, journal: Evidence, found: Callable[[Invalid], None], retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._journal = journal
        self._retry_seconds = retry_seconds
        self._found = found
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prover", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, within a page."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                verify(self._journal, self._refuse_stopped)
                return
            except Invalid as broken:
                self._found(broken)
                return
            except TocsinError:  # stopped; or the journal is away, of which others tell: then from the start again
                self._stopped.wait(self._retry_seconds)

    def _refuse_stopped(self) -> None:
        if self._stopped.is_set():
            raise _Stopped
