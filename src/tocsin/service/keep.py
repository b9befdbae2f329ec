"""Keeping: each call goes into the journal, or into the spool while that is away; from there it is delivered later.

A group that the journal fails goes into the spool at once, and so do all later groups, without asking the journal
again, until a look at it is well (`service.reach`) and what lies in the spool is delivered: in the order in which it
came, before anything newer. A crash between the two syncs of a delivery only repeats it, which leads to nothing.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from tocsin.journal.port import Broken
from tocsin.model.errors import Unavailable
from tocsin.service import fault
from tocsin.service import telemetry as metric
from tocsin.service.held_clock import HeldClock
from tocsin.service.perform import Arrival, Performer
from tocsin.service.reach import Reach
from tocsin.service.sources import Sources
from tocsin.service.telemetry import Telemetry, Values
from tocsin.service.trouble import Told, Trouble
from tocsin.stores.spool import Record, Spool

DELIVERED_AT_ONCE: Final = 512
"""More than a group of calls, so that a spool empties while others come."""
TROUBLE_SECONDS: Final = 10
"""After a line about a journal that is away or back there is no other for so long."""

_log = logging.getLogger(__name__)


class Keeper:
    """What a collector performs its calls with. One thread at a time may use it, but for `has_room`."""

    def __init__(
        self, performer: Performer, spool: Spool, reach: Reach, clock: HeldClock, told: Told = lambda sentence: None
    ) -> None:
        self._performer = performer
        self._spool = spool
        self._reach = reach
        self._clock = clock
        self._trouble = Trouble(told, TROUBLE_SECONDS)
        self._records = 0
        self._stored: list[int] = []
        """Records that are in the journal, and still to be removed."""
        self.telemetry.watch(metric.SPOOL_SHARE, self._share)
        with suppress(Unavailable):  # whoever needs the spool hears of it
            spool.forgive()
        self._look_for_room()

    @property
    def telemetry(self) -> Telemetry:
        """What counts the calls."""
        return self._performer.telemetry

    @property
    def sources(self) -> Sources:
        """What makes the source of an arrival of its address."""
        return self._performer.sources

    @property
    def has_room(self) -> bool:
        """False while the journal is away and the spool is full."""
        return self._records < self._spool.most

    def forget_sources(self) -> None:
        """As `Performer.forget_sources`, also while the journal is away."""
        self._performer.forget(self._clock.now_against(self._performer.tip))

    def catch_up(self) -> None:
        """What is done while nobody calls: delivers a part of what waits, and reads what other processes appended."""
        if self._reach.is_lost:
            return
        self._deliver()
        try:
            self._performer.catch_up()
        except Unavailable as error:  # found out before somebody waits for it
            self._reach.lost()
            self._trouble.is_now(str(error))
            raise

    def answer(self, arrivals: Sequence[Arrival]) -> list[bytes]:
        """The 1,024-byte answers to these calls. All they rest on is durable, here or there, when this returns.

        Raises `Unavailable` if neither journal nor spool could store the group.
        """
        away: Unavailable | None = None
        if not self._reach.is_lost and not self._deliver():
            try:
                return self._performer.answer(arrivals)
            except Unavailable as error:
                away = error
        try:
            answers = self._performer.keep(arrivals, self._spool, self._clock.now_against(self._performer.tip))
        except Unavailable as error:
            raise away or error from None
        finally:
            self._look_for_room()
        if away is not None:  # and not the clock or a key, which would have kept it out of the spool too
            self._reach.lost()
            self._trouble.is_now(str(away))
        return answers

    def _deliver(self) -> bool:
        """Delivers the records that came first. Returns whether calls must go behind those that wait still."""
        try:
            self._remove_stored()
            records = self._spool.first(DELIVERED_AT_ONCE)
        except Unavailable:  # keeps nothing from the journal: whoever needs the spool hears of it
            return False
        if not records:
            self._look_for_room()  # another process may have delivered what filled it
            self._trouble.is_now(None)
            return False
        try:
            self._stored = self._store(records)
        except (Unavailable, Broken) as error:
            self._reach.lost()
            self._trouble.is_now(str(error))
            return True
        with suppress(Unavailable):  # they are removed the next time
            self._remove_stored()
            return bool(self._spool.first(1))
        return False

    def _remove_stored(self) -> None:
        """Removes what the journal has by now. Raises `Unavailable` while the spool's disk says no."""
        if self._stored:
            self._spool.remove(self._stored)
            self._stored = []
            self._look_for_room()

    def _store(self, records: Sequence[Record]) -> list[int]:
        """Puts records into the journal, durable when it returns. Returns the numbers of those that are done with."""
        try:
            self._tell_lost(self._performer.deliver(records))
        except (Unavailable, Broken):
            raise
        except Exception as error:  # a bug: one record must not keep those behind it
            if len(records) > 1:
                return self._store_one_by_one(records)
            _log.error("a record of the spool can't be delivered: %s", fault.told(error))
            self._spool.failed(records[0].number)
            return []
        return [record.number for record in records]

    def _store_one_by_one(self, records: Sequence[Record]) -> list[int]:
        """As `_store`. What is about the same report as one that fails stays behind it, and is set aside with it: a
        withdrawal that came first would find nothing to take back."""
        stored: list[int] = []
        failed: set[bytes] = set()
        for record in records:
            about = {claim[1:] for claim in record.claims}
            if not failed.isdisjoint(about):
                self._spool.failed(record.number)
            elif done := self._store([record]):
                stored += done
            else:
                failed |= about
        return stored

    def _tell_lost(self, count: int) -> None:
        if count:
            _log.error("records of the spool whose day key is destroyed, and that are gone with it: %d", count)

    def _share(self) -> Values:
        """How full the spool is, in whole tenths: a single report shows in none of them."""
        return {"": 10 * self._records // self._spool.most / 10}

    def _look_for_room(self) -> None:
        with suppress(Unavailable):
            self._records = self._spool.records()
