"""`tocsin serve`: the web server and the publisher, in one process, until it is told to stop."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number

from tocsin.cli.acting import DEFAULT_DATA, Data, Today, opened
from tocsin.cli.publish import restored_line, version_line
from tocsin.cli.reading import NUMBER
from tocsin.cli.terminal import InTerminal, Terminal, counted, span
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.times import day_of
from tocsin.service.deployment import Deployment
from tocsin.service.follow import Follower
from tocsin.service.perform import Performer
from tocsin.service.prove import Prover
from tocsin.service.publish import Out
from tocsin.service.serve import PublisherLoop
from tocsin.service.trouble import Told
from tocsin.web.server import running_server

MANY_EVENTS: Final = 100_000
"""A journal of so many events takes seconds to read: the operator is told what is being waited for."""


def serve(
    *,
    data: Data = DEFAULT_DATA,
    host: str | None = None,
    port: Annotated[int | None, NUMBER, Parameter(validator=Number(gte=0, lte=65535))] = None,
    today: Today = None,
    terminal: InTerminal,
) -> None:
    """Take reports, hand out the public files and publish, until stopped by Ctrl-C or SIGTERM.

    It prints a line for each version. Other commands may be used meanwhile: what they do is seen
    within a second. Stopping answers what was begun and finishes the version in hand; after a
    crash, starting again repairs everything.

    Example: tocsin serve --data /srv/tocsin

    Parameters
    ----------
    host
        The address to listen on. Unless given: that of tocsin.toml.
    port
        The port to listen on; 0 takes a free one. Unless given: that of tocsin.toml.
    """
    with opened(data, terminal.clock, today) as deployment, _stop_signals() as stopped:
        settings = deployment.settings
        day = day_of(deployment.held_clock.now())
        deployment.refuse_other_journal()
        with suppress(Unavailable):  # the publisher's first round says so: a full disk keeps no server from starting
            deployment.keys.make_days_ahead(day)  # before the first report can come
        listen = settings.host if host is None else host, settings.port if port is None else port
        performer = _read(deployment, terminal)
        loop = _publisher_loop(deployment, performer.follower(), terminal)  # read once: a big journal takes a while
        with running_server(
            deployment, *listen, told_trouble=_teller(terminal, "calls are answered 503: "), performer=performer
        ) as base_url:
            terminal.line(f"Region {settings.region}, serving on {base_url} (apps are told {settings.base_url})")
            terminal.line(f"A version every {span(settings.policy.step_seconds)}; stop with Ctrl-C.")
            prover = _prover(deployment, performer, terminal)
            prover.start()
            loop.start()
            stopped.wait()
            terminal.line("Stopping: what was begun is finished first.")
            prover.stop()
            loop.stop()
    terminal.line("Stopped.")


def _prover(deployment: Deployment, performer: Performer, terminal: Terminal) -> Prover:
    def found(broken: Invalid) -> None:
        performer.take_no_more(str(broken))
        with suppress(OSError, ValueError):  # a terminal that is gone
            terminal.warn(f"from now on calls are answered 503: {broken}")

    return Prover(deployment.journal, found)


def _read(deployment: Deployment, terminal: Terminal) -> Performer:
    """A performer that has read the journal."""
    events = deployment.journal.tip().sequence
    if events >= MANY_EVENTS:
        terminal.line(f"Reading the journal: {counted(events, 'event')}.")
    performer = deployment.performer()
    performer.catch_up()
    return performer


def _publisher_loop(deployment: Deployment, follower: Follower, terminal: Terminal) -> PublisherLoop:
    def told(out: Out) -> None:
        reports = publisher.ledger.reports.count
        terminal.line(f"{version_line(out)}; {counted(reports, 'report')} so far")

    def told_restored(names: Sequence[str]) -> None:
        terminal.warn(restored_line(names))

    publisher = deployment.publisher(told, follower, told_restored)
    return PublisherLoop(
        publisher,
        deployment.keys,
        deployment.held_clock,
        deployment.settings.policy.step_seconds,
        _teller(terminal),
    )


def _teller(terminal: Terminal, before: str = "") -> Told:
    """What tells of trouble with one part of the server; `before` stands before each sentence."""

    def tell(sentence: str | None) -> None:
        if sentence is None:
            terminal.line("That trouble is over: all goes on.")
        else:
            terminal.warn(f"{before}{sentence.rstrip('.')}. It is tried again every few seconds.")

    return tell


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, instead of ending the process in the middle of something."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
