"""The spool: reports that were answered, and wait on this machine's disk for the journal."""

from collections.abc import Iterator
from contextlib import closing
from typing import Final

from tocsin.model.errors import Unavailable
from tocsin.model.times import QUARTER_SECONDS, utc
from tocsin.service.doctor.finding import Code, Finding, in_full
from tocsin.service.doctor.subject import Subject
from tocsin.stores.spool import Spool

LONG_SECONDS: Final = QUARTER_SECONDS + 600
"""What is stamped with its quarter-hour has then waited for ten minutes; within three it should be delivered."""
FULL_SHARE: Final = 0.5


def look(subject: Subject) -> Iterator[Finding]:
    """What waits for too long, can't be delivered, or fills the spool."""
    with closing(Spool(subject.folders.spool)) as spool:
        try:
            waiting = spool.waiting()
        except Unavailable as error:
            yield Finding(Code.SPOOL_UNUSABLE, f"While the journal is away, reports are answered 503. {in_full(error)}")
            return
    path = subject.folders.spool
    if waiting.set_aside:
        yield Finding(
            Code.SPOOL_WAITING,
            f"Reports in {path} can't be delivered ({waiting.set_aside:,}), by a fault of this version: keep the file,"
            " report the `fault` in the server's log, and update; the next version tries them again.",
        )
    if waiting.oldest_at is not None and subject.clock.now() - waiting.oldest_at > LONG_SECONDS:
        yield Finding(
            Code.SPOOL_WAITING,
            f"Reports wait in {path} for the journal ({waiting.records:,}, the oldest since {utc(waiting.oldest_at)}):"
            " they are on this machine's disk alone. See why the journal is away, and that `tocsin serve` runs here.",
        )
    if waiting.records > FULL_SHARE * spool.most:
        yield Finding(
            Code.SPOOL_WAITING,
            f"{path} is more than half full ({waiting.records:,} of {spool.most:,}): beyond that reports are answered"
            " 503. Bring the journal back.",
        )
