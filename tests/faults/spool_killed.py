"""A server's way with calls, without the server: keeps what it is told, or delivers, and kills itself at one place.

``python -m tests.faults.spool_killed FOLDER PLACE keep|deliver CALL…``: calls are files. It says the verdicts.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.service.journals import OutOfReach
from tests.sites import PROMPT, FixedClock
from tocsin.formats.wire import decode_answer
from tocsin.model.times import floor_quarter
from tocsin.service.deployment import Deployment
from tocsin.service.held_clock import HeldClock
from tocsin.service.keep import Keeper
from tocsin.service.perform import Arrival, Performer
from tocsin.service.reach import Reach
from tocsin.stores.spool import Spool, SpoolGroup

NOWHERE = "nowhere"
BEFORE_KEPT = "the calls are in the spool, and not yet durable"
AFTER_KEPT = "they are durable, and nobody is answered"
IN_DELIVERY = "the events are appended, and not yet durable"
AFTER_DELIVERY = "the events are durable, and the records are there still"
IN_REMOVAL = "the records are removed, and that is not yet durable"
AFTER_REMOVAL = "all is done, and nobody knows"
KEEPING, DELIVERING = (BEFORE_KEPT, AFTER_KEPT), (IN_DELIVERY, AFTER_DELIVERY, IN_REMOVAL, AFTER_REMOVAL)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying(work: Callable[..., Any]) -> Callable[..., Any]:
    """`work`, after which the process is gone."""

    def done(*given: Any) -> None:
        work(*given)
        die()

    return done


def sew_in(place: str) -> None:
    """Puts the end of the process into its place."""
    group, deliver = Spool.group, Performer._deliver

    @contextmanager
    def dying_group(spool: Spool) -> Iterator[SpoolGroup]:
        with group(spool) as opened:
            yield opened
            if place == BEFORE_KEPT:
                die()
        if place == AFTER_KEPT:
            die()

    if place in KEEPING:
        Spool.group = dying_group  # type: ignore[method-assign,assignment]
    elif place == IN_DELIVERY:
        Performer._deliver = dying(deliver)  # type: ignore[method-assign]
    elif place == AFTER_DELIVERY:
        Performer.deliver = dying(Performer.deliver)  # type: ignore[method-assign]
    elif place == IN_REMOVAL:
        SpoolGroup.remove = dying(SpoolGroup.remove)  # type: ignore[method-assign]
    elif place == AFTER_REMOVAL:
        Spool.remove = dying(Spool.remove)  # type: ignore[method-assign]


def main(folder: str, place: str, way: str, *calls: str) -> None:
    """Keeps these calls in one group, or delivers what was kept and then performs them."""
    clock = FixedClock()
    deployment = Deployment(Path(folder), clock)
    journal = OutOfReach(deployment.journal)
    held = HeldClock(clock, journal)
    performer = Performer(journal, deployment.keys, held, PROMPT)
    performer.catch_up()
    keeper = Keeper(performer, deployment.spool(), Reach(journal, held), held)
    sew_in(place)
    journal.is_away = way == "keep"
    if not journal.is_away:
        keeper.catch_up()
    arrivals = [Arrival(Path(call).read_bytes(), floor_quarter(clock.now())) for call in calls]
    for answer in keeper.answer(arrivals) if arrivals else ():
        print(decode_answer(answer).verdict, flush=True)


def command(folder: Path, place: str, way: str, calls: Sequence[Path] = ()) -> list[str]:
    """How this is started."""
    return [sys.executable, "-m", "tests.faults.spool_killed", str(folder), place, way, *map(str, calls)]


if __name__ == "__main__":
    main(*sys.argv[1:])
