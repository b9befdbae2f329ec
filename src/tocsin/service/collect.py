"""Collecting: the calls that are waiting go into one group, which a thread of its own carries through the journal.

While one group is being made durable the next one gathers: so many callers share one sync, and a lone caller waits for
no timer. A call takes its place the moment its last byte is in; nothing about it has been looked at by then.
"""

import asyncio
import contextlib
import logging
import queue
import threading
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from msgspec import Struct

from tocsin.journal.port import Broken
from tocsin.model.errors import TocsinError, Unavailable
from tocsin.service import fault
from tocsin.service import telemetry as metric
from tocsin.service.follow import FOLLOW_SECONDS
from tocsin.service.perform import Arrival
from tocsin.service.sources import Sources
from tocsin.service.telemetry import Telemetry
from tocsin.service.trouble import Told, Trouble

MAX_GROUP: Final = 256
"""Calls judged in one group: bounds the time for which it holds the journal's tip."""
ANSWER_SECONDS: Final = 10
"""After this a caller is told that the journal is away, whatever it waits for: a disk that hangs has no deadline."""
MAX_WAITING: Final = 4096
"""Calls that may wait; further ones are told, before their body is read, that there is no room."""
TROUBLE_SECONDS: Final = 10
"""After a line about groups that fail or go on there is no other for so long."""

_log = logging.getLogger(__name__)


class _Waiting(Struct, frozen=True, eq=False):
    arrival: Arrival
    loop: AbstractEventLoop
    answer: "Future[bytes]"


class Answering(Protocol):
    """What performs the calls: a `Performer`, or a `Keeper` around one. Used by the collector's thread alone."""

    @property
    def has_room(self) -> bool:
        """Whether a further call could be stored. Asked by any thread."""
        ...

    @property
    def telemetry(self) -> Telemetry:
        """What counts the calls."""
        ...

    @property
    def sources(self) -> Sources:
        """What makes the source of an arrival of its address."""
        ...

    def answer(self, arrivals: Sequence[Arrival]) -> list[bytes]:
        """The answers to these calls, durable when it returns. Raises `Unavailable`; then none of them is stored."""
        ...

    def catch_up(self) -> None:
        """Does what is to be done while nobody calls."""
        ...

    def forget_sources(self) -> None:
        """Forgets what is no longer needed of those who called."""
        ...


class Collector:
    """The thread that performs calls, and the queue before it. `told_trouble` is called from the thread."""

    def __init__(self, performer: Answering, told_trouble: Told = lambda sentence: None) -> None:
        self._performer = performer
        self._trouble = Trouble(told_trouble, TROUBLE_SECONDS)
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self.telemetry.watch(metric.CALLS_WAITING, lambda: metric.in_whole_tens(self._waiting.qsize()))
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)

    def start(self) -> None:
        """Starts the thread. The ledger should have been read by then (`Performer.catch_up`)."""
        self._thread.start()

    def stop(self) -> None:
        """Answers all that wait, and ends the thread."""
        self._waiting.put(None)
        self._thread.join()

    @property
    def has_room(self) -> bool:
        """Whether a further call may wait."""
        return self.is_alive and self._waiting.qsize() < MAX_WAITING and self._performer.has_room

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def telemetry(self) -> Telemetry:
        """What counts the calls."""
        return self._performer.telemetry

    @property
    def sources(self) -> Sources:
        """What makes the source of an arrival of its address."""
        return self._performer.sources

    async def answer(self, arrival: Arrival, loop: AbstractEventLoop) -> bytes:
        """The 1,024-byte answer to this call, once its group is durable.

        Raises `Unavailable` if it could not be, or not in time; the same call may be repeated either way.
        """
        answer: Future[bytes] = loop.create_future()
        self._waiting.put(_Waiting(arrival, loop, answer))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            raise Unavailable("the journal takes too long: repeat the same call") from None

    def _run(self) -> None:
        while True:
            try:
                first = self._waiting.get(timeout=FOLLOW_SECONDS)
            except queue.Empty:
                self._beside(self._performer.catch_up)
                self._beside(self._performer.forget_sources)
                continue
            group, last = self._gather(first)
            if group:
                self._perform(group)
            if last:
                return

    def _gather(self, first: _Waiting | None) -> tuple[list[_Waiting], bool]:
        """The calls that wait now, `first` in front, and whether the thread should end after them."""
        group: list[_Waiting] = []
        entry = first
        while entry is not None:
            group.append(entry)
            if len(group) == MAX_GROUP:
                return group, False
            try:
                entry = self._waiting.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _beside(self, step: Callable[[], None]) -> None:
        """Takes a step that no caller waits for. One that fails keeps no other from being taken."""
        try:
            step()
        except TocsinError:
            pass  # the next group meets the same and says so to its callers
        except Exception as error:  # a bug, or a machine at its end: the thread must live
            _log.error("following the journal failed: %s", fault.told(error))

    def _perform(self, group: list[_Waiting]) -> None:
        try:
            answers = self._performer.answer([waiting.arrival for waiting in group])
        except (Unavailable, Broken) as error:
            for waiting in group:
                _tell(waiting, None)
            self._trouble.is_now(str(error))
        except Exception as error:  # the door stays open, and one call must not shut out its neighbours
            if len(group) > 1:
                for waiting in group:
                    self._perform([waiting])
                return
            _tell(group[0], None)
            if isinstance(error, TocsinError):
                self._trouble.is_now(str(error))
            else:  # a bug
                _log.error("a call failed: %s", fault.told(error))
        else:
            for waiting, answer in zip(group, answers, strict=True):
                _tell(waiting, answer)
            self._trouble.is_now(None)


def _tell(waiting: _Waiting, answer: bytes | None) -> None:
    """Hands the answer over to the caller's loop; None: nothing was stored. A loop that has ended waits for nothing."""
    with contextlib.suppress(RuntimeError):
        waiting.loop.call_soon_threadsafe(_settle, waiting.answer, answer)


def _settle(future: "Future[bytes]", answer: bytes | None) -> None:
    if future.done():  # the caller has hung up
        return
    if answer is None:
        future.set_exception(Unavailable("the journal is away: nothing was stored, repeat the same call"))
    else:
        future.set_result(answer)
