"""Run as a process beside others of a site. Arguments: role, folder, name.

The clock of all of them is the file `clock` in the folder; 0 means that they should end. A collector sends the reports
of its list, one group after the other, and writes a line for each that was taken; a publisher publishes over and over;
a console issues phone codes, its name being the request ID.
"""

import sys
from pathlib import Path

import tocsin.cli
from tests.sites import cards_of, report
from tocsin.formats.wire import decode_answer
from tocsin.journal.port import ClaimTaken
from tocsin.model.errors import Refused, Unavailable
from tocsin.model.times import Instant, floor_quarter
from tocsin.service.deployment import Deployment
from tocsin.service.perform import Arrival

GROUP = 5


class FileClock:
    """The instant that the file `clock` holds."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"

    def now(self) -> Instant:
        return Instant(int(self._file.read_text()))


def collect(deployment: Deployment, clock: FileClock, name: str) -> None:
    """Sends a report with every card; the process next door tries the same cards."""
    cards = cards_of(deployment, 1, 100)
    started = clock.now()
    performer = deployment.performer()
    for first in range(0, len(cards), GROUP):
        serials = range(first, first + GROUP)
        bodies = [report(f"{name} {serial}", cards[serial], 1, started).body for serial in serials]
        arrivals = [Arrival(body, floor_quarter(clock.now())) for body in bodies]
        answers = performer.answer(arrivals)
        for serial, answer in zip(serials, answers, strict=True):
            print(serial, decode_answer(answer).verdict, flush=True)


def publish(deployment: Deployment, clock: FileClock) -> None:
    """Publishes whatever is due until the clock says 0; prints the versions that this process put out."""
    publisher = deployment.publisher(lambda out: print(out.version, flush=True))
    while clock.now():
        try:
            publisher.publish()
        except (Refused, Unavailable, ClaimTaken) as error:
            if clock.now():  # else it ended in the middle of it, and the clock is believed no more
                print(type(error).__name__, error, file=sys.stderr)
            return


def main(role: str, top: str, name: str) -> None:
    clock = FileClock(Path(top))
    deployment = Deployment(Path(top), clock)
    if role == "console":
        words = ("codes", "phone", "1", "--count", "5", "--data", top, "--request-id", name, "--json")
        sys.exit(tocsin.cli.main(words, clock))
    if role == "collector":
        collect(deployment, clock, name)
    else:
        publish(deployment, clock)


if __name__ == "__main__":
    main(*sys.argv[1:])
