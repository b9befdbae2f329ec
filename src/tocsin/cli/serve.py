"""`tocsin serve`: the web server and the publisher, in one process, until it is told to stop."""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Annotated, Final, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from tocsin.cli import DONE, FAILED
from tocsin.cli.acting import DEFAULT_DATA, Data, Today, opened
from tocsin.cli.log import JsonLog, Log, TextLog, faults_told
from tocsin.cli.publish import restored_line, surge_line, version_line
from tocsin.cli.reading import NUMBER
from tocsin.cli.terminal import InTerminal, Terminal, counted, span
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Invalid, Refused, TocsinError, Unavailable
from tocsin.rules.quarantine import Surge
from tocsin.service import telemetry as metric
from tocsin.service.archiving import ArchiverLoop, Behind
from tocsin.service.collect import Collector
from tocsin.service.deployment import Deployment
from tocsin.service.follow import Follower
from tocsin.service.operations import Operations
from tocsin.service.perform import Performer
from tocsin.service.prove import Prover
from tocsin.service.publish import Out
from tocsin.service.reach import Reach
from tocsin.service.readiness import Readiness
from tocsin.service.serve import PublisherLoop
from tocsin.service.telemetry import Telemetry, in_whole_tens
from tocsin.service.trouble import Told
from tocsin.service.watch import Watch
from tocsin.web.server import running_operations, running_server

_AWAY: Final = "the journal is away, reports are kept in the spool and answered provisional: "
MANY_EVENTS: Final = 100_000
"""A journal of so many events takes seconds to read: the operator is told what is being waited for."""


def serve(
    *,
    data: Data = DEFAULT_DATA,
    host: str | None = None,
    port: Annotated[int | None, NUMBER, Parameter(validator=Number(gte=0, lte=65535))] = None,
    operations: str | None = None,
    log_format: Literal["text", "json"] | None = None,
    today: Today = None,
    terminal: InTerminal,
) -> int:
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
    operations
        ADDRESS:PORT of this machine for metrics, health and readiness. Unless given: that of
        tocsin.toml.
    log_format
        How it writes: sentences, or one JSON object a line. Unless given: as tocsin.toml says.
    """
    log = _log(log_format or "text", terminal)
    try:
        with opened(data, terminal.clock, today) as deployment:
            settings = deployment.settings
            log = _log(log_format or settings.operations.log_format, terminal)
            listen = settings.host if host is None else host, settings.port if port is None else port
            asked = settings.operations if operations is None else _operations(settings.operations, operations)
            with faults_told(log), stop_signals() as stopped:
                _run(deployment, listen, asked, log, stopped)
        log.say("stopped", "Stopped.")
    except TocsinError as error:
        if isinstance(log, TextLog):
            raise
        log.warn("failed", str(error), code=error.code if isinstance(error, Refused) else type(error).__name__.lower())
        return FAILED
    return DONE


def _log(log_format: str, terminal: Terminal) -> Log:
    return JsonLog(terminal.clock, sys.stdout) if log_format == "json" else TextLog(terminal)


def _operations(settings: Operations, listen: str) -> Operations:
    try:
        return Operations(listen=listen, beyond_loopback=settings.beyond_loopback)
    except ValueError as error:
        raise Invalid(f"--operations: {error}") from None


def _run(
    deployment: Deployment, listen: tuple[str, int], operations: Operations, log: Log, stopped: threading.Event
) -> None:
    """Everything that runs, until `stopped`."""
    settings = deployment.settings
    deployment.held_clock.now()  # a server does not start while its clock is in doubt
    deployment.refuse_other_journal()
    deployment.refuse_unfit_archive()
    performer = _read(deployment, log)
    telemetry = performer.telemetry
    troubles = _Troubles(log, telemetry)
    reach = Reach(deployment.journal, deployment.held_clock)
    keeper = deployment.keeper(performer, reach, troubles.teller("journal", _AWAY))
    collector = Collector(keeper, troubles.teller("calls", "calls are answered 503: "))
    with suppress(Unavailable):  # the publisher's first round says so: a full disk keeps no server from starting
        deployment.day_keeper(performer.follower).look_ahead()  # before the first report can come
    loop = _publisher_loop(deployment, performer.follower.twin(), log, troubles, Watch(deployment, telemetry))
    with ExitStack() as running:
        reach.start()
        running.callback(reach.stop)
        base_url = running.enter_context(running_server(deployment, *listen, collector=collector))
        log.say(
            "serving",
            f"Region {settings.region}, serving on {base_url} (apps are told {settings.base_url})",
            url=base_url,
        )
        if operations.listen:
            readiness = Readiness(deployment, collector, lambda: loop.is_alive)
            url = running.enter_context(running_operations(telemetry, readiness, deployment.clock, *operations.address))
            log.say("operations", f"Metrics, health and readiness on {url}", url=url)
        log.say("started", f"A version every {span(settings.policy.step_seconds)}; stop with Ctrl-C.")
        prover = _prover(deployment, performer, log, troubles)
        parts: list[Prover | PublisherLoop | ArchiverLoop] = [
            prover,
            loop,
            *_archiver_loops(deployment, performer, troubles),
        ]
        for part in parts:
            part.start()
        stopped.wait()
        log.say("stopping", "Stopping: what was begun is finished first.")
        for part in parts:
            part.stop()


def _prover(deployment: Deployment, performer: Performer, log: Log, troubles: "_Troubles") -> Prover:
    def found(broken: Invalid) -> None:
        performer.take_no_more(str(broken))
        troubles.is_now("calls", True)
        with suppress(OSError, ValueError):  # a terminal that is gone
            log.warn("journal_broken", f"from now on calls are answered 503: {broken}")

    return Prover(deployment.journal, found)


def _archiver_loops(deployment: Deployment, performer: Performer, troubles: "_Troubles") -> list[ArchiverLoop]:
    """The one that archives, where there is an archive. Once a rebuilt journal rules that, no call is taken here."""

    def looked(behind: Behind) -> None:
        performer.telemetry.measure(
            {
                metric.ARCHIVE_BEHIND_SECONDS: {"": behind.seconds(deployment.held_clock.now())},
                metric.ARCHIVE_BEHIND_EVENTS: in_whole_tens(behind.events),
            }
        )

    if deployment.archiver is None:
        return []
    every_seconds, told = deployment.settings.archive.every_seconds, troubles.teller("archiving")
    clock, replaced = deployment.held_clock, performer.take_no_more
    return [ArchiverLoop(deployment.archiver, clock, every_seconds, told, looked, replaced)]


def _read(deployment: Deployment, log: Log) -> Performer:
    """A performer that has read the journal."""
    events = deployment.journal.tip().sequence
    if events >= MANY_EVENTS:
        log.say("reading", f"Reading the journal: {counted(events, 'event')}.", events=events)
    performer = deployment.performer()
    performer.catch_up()
    return performer


def _publisher_loop(
    deployment: Deployment, follower: Follower, log: Log, troubles: "_Troubles", watch: Watch
) -> PublisherLoop:
    def told(out: Out) -> None:
        reports = len(publisher.ledger.report_by_id)
        log.say(
            "version_out",
            f"{version_line(out)}; {counted(reports, 'report')} so far",
            version=out.version,
            keys=out.keys,
            entered=out.entered,
            left=out.left,
            reports=reports,
        )

    def told_restored(names: Sequence[str]) -> None:
        log.warn("files_restored", restored_line(names), files=len(names))

    def told_surge(surge: Surge) -> None:
        log.warn("surge_kept_back", surge_line(surge), reports=surge.reports)

    def looked(ledger: Ledger) -> None:
        watch.look(ledger)
        deployment.checkpoints.keep_up(publisher.follower)

    publisher = deployment.publisher(told, follower, told_restored, told_surge)
    return PublisherLoop(
        publisher,
        deployment.day_keeper(follower),
        deployment.eraser(follower),
        deployment.held_clock,
        deployment.settings.policy.step_seconds,
        troubles.teller("publishing"),
        looked,
    )


class _Troubles:
    """What is in the way of each part of the server, told to its log and its metrics."""

    def __init__(self, log: Log, telemetry: Telemetry) -> None:
        self._log = log
        self._telemetry = telemetry
        self._now: dict[str, bool] = {"calls": False, "journal": False, "publishing": False}
        telemetry.watch(metric.TROUBLE, lambda: {part: int(is_there) for part, is_there in self._now.items()})

    def is_now(self, part: str, is_there: bool) -> None:
        """From now on `part` is in trouble, or not."""
        self._now[part] = is_there

    def teller(self, part: str, before: str = "") -> Told:
        """What tells of trouble with `part`; `before` stands before each sentence."""

        self._now.setdefault(part, False)

        def tell(sentence: str | None) -> None:
            self.is_now(part, sentence is not None)
            if sentence is None:
                self._log.say("trouble_over", "That trouble is over: all goes on.", part=part)
            else:
                told = f"{before}{sentence.rstrip('.')}. It is tried again every few seconds."
                self._log.warn("trouble", told, part=part)

        return tell


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
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
