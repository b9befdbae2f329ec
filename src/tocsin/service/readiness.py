"""Whether this server lives, and whether it takes calls now: it makes one itself, and sees it answered."""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Final

from tocsin.formats.wire import REQUEST_BYTES
from tocsin.model.errors import TocsinError
from tocsin.model.times import day_of, floor_quarter
from tocsin.service.collect import Collector
from tocsin.service.deployment import Deployment
from tocsin.service.perform import Arrival

PROBE: Final = b'{"act":"decoy"}'.ljust(REQUEST_BYTES)
"""A decoy: it goes the whole way of a report into the journal's sync, and leaves nothing."""


class Reason(Enum):
    """Why a server does not live, or takes no calls: a stable code and a sentence. Closed, and free of any value."""

    THREAD_GONE = ("thread_gone", "A thread of this server has ended: restart it, and report the fault in its log.")
    CLOCK = ("clock", "The clock is not trusted: nothing is recorded.")
    DAY_KEY = ("day_key", "Today's day key is not there or can't be read.")
    NO_ROOM = ("no_room", "As many calls wait as may.")
    JOURNAL = ("journal", "A call of the server's own was not made durable in time: its log says why.")

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        self.sentence = sentence


class Readiness:
    """Asks the parts of one server. `publisher_lives`: whether the thread runs that publishes."""

    def __init__(self, deployment: Deployment, collector: Collector, publisher_lives: Callable[[], bool]) -> None:
        self._deployment = deployment
        self._collector = collector
        self._publisher_lives = publisher_lives

    def ails(self) -> Reason | None:
        """Why only a restart helps; None if the process lives. Waits for nothing."""
        return None if self._collector.is_alive and self._publisher_lives() else Reason.THREAD_GONE

    async def refuses(self) -> Reason | None:
        """Why calls are answered 503 now; None if one was just taken all the way, in at most ten seconds."""
        if (ailment := self.ails()) is not None:
            return ailment
        if not self._collector.has_room:
            return Reason.NO_ROOM
        try:
            now = self._deployment.clock.now()
        except TocsinError:
            return Reason.CLOCK
        try:
            if not self._deployment.keys.has_day_key(day_of(now)):
                return Reason.DAY_KEY
        except TocsinError:
            return Reason.DAY_KEY
        try:
            await self._collector.answer(Arrival(PROBE, floor_quarter(now)), asyncio.get_running_loop())
        except TocsinError:
            return Reason.JOURNAL
        return None
