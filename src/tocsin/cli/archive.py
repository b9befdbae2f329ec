"""`tocsin archive`: what the archive holds, and bringing it up to the journal where no server does."""

from typing import Annotated

from cyclopts import App, Parameter
from msgspec import Struct

from tocsin.cli.acting import DEFAULT_DATA, Data, Json, Today, opened
from tocsin.cli.serve import stop_signals
from tocsin.cli.terminal import InTerminal, Terminal, counted, size, span
from tocsin.journal.port import Journal, Tip
from tocsin.model.errors import Refused
from tocsin.model.times import Instant, day_of, day_start, utc
from tocsin.service.archiver import LATE_SECONDS, Archiver, open_archive, refuse_other_archive
from tocsin.service.archiving import ArchiverLoop
from tocsin.service.deployment import Deployment

app = App(name="archive", help="The archive: a copy of every event, from which everything can be rebuilt.")


class Status(Struct, frozen=True):
    """The whole answer. Instants in UTC seconds; `verified` is null unless it was asked for.

    `keeps_versions`: the bucket keeps what is removed from it.
    """

    url: str
    sequence: int
    recorded_at: int
    digest: str
    term: int
    journal_sequence: int
    journal_term: int
    behind_events: int
    oldest_behind_at: int | None
    late: bool
    files: int
    bytes: int
    rewritten_at: int
    days_to_compact: tuple[int, ...]
    keeps_versions: bool
    verified: bool | None


@app.command
def status(
    *,
    data: Data = DEFAULT_DATA,
    verify: Annotated[bool, Parameter(help="Read all of it, and prove numbering and chain.")] = False,
    today: Today = None,
    json: Json = False,
    terminal: InTerminal,
) -> int:
    """What the archive holds, and how far it is behind the journal. Changes nothing.

    Exit code 1 if it is late, broken, away, another journal's, or there is none.

    Example: tocsin archive status --verify
    """
    with opened(data, terminal.clock, today) as deployment:
        _archiver(deployment)
        found = _status(deployment, terminal.clock.now(), verify=verify)
    if json:
        terminal.json(found)
    else:
        _tell(found, terminal)
    return 1 if found.late else 0


@app.command
def run(*, data: Data = DEFAULT_DATA, today: Today = None, terminal: InTerminal) -> None:
    """Archive every minute, until stopped by Ctrl-C or SIGTERM. tocsin serve does the same by itself.

    For a machine apart, which reaches the journal's database. Any number of archivers may run.

    Example: tocsin archive run --data /srv/tocsin
    """

    def told(trouble: str | None) -> None:
        if trouble is None:
            terminal.say("That trouble is over: all goes on.")
        else:
            terminal.warn(f"{trouble.rstrip('.')}. It is tried again every few seconds.")

    with opened(data, terminal.clock, today) as deployment, stop_signals() as stopped:
        archiver, every_seconds = _archiver(deployment), deployment.settings.archive.every_seconds
        deployment.refuse_unfit_archive()
        loop = ArchiverLoop(archiver, deployment.held_clock, every_seconds, told)
        terminal.say(f"Archiving every {span(every_seconds)} to {deployment.settings.archive.url}; stop with Ctrl-C.")
        loop.start()
        stopped.wait()
        loop.stop()
    terminal.say("Stopped.")


@app.command
def once(*, data: Data = DEFAULT_DATA, today: Today = None, json: Json = False, terminal: InTerminal) -> None:
    """Archive what the journal holds by now, and make the archive if there is none.

    Needed only where neither tocsin serve nor tocsin archive run does it; beside them, it does no harm.

    Example: tocsin archive once
    """
    with opened(data, terminal.clock, today) as deployment:
        tip = _archiver(deployment).catch_up()
    if json:
        terminal.json({"sequence": tip.sequence, "term": tip.term})
    else:
        terminal.say(f"The archive holds {counted(tip.sequence, 'event')}.")


@app.command
def compact(*, data: Data = DEFAULT_DATA, today: Today = None, json: Json = False, terminal: InTerminal) -> None:
    """Put the many files of each day that is over together. The archiver does so by itself, every night.

    Example: tocsin archive compact
    """
    with opened(data, terminal.clock, today) as deployment:
        days = _archiver(deployment).compact_before(day_of(deployment.held_clock.now()))
    if json:
        terminal.json({"days": days})
    else:
        terminal.say(f"The files of {counted(len(days), 'day')} were put together.")


def _archiver(deployment: Deployment) -> Archiver:
    if deployment.archiver is None:
        raise Refused(
            "no_archive",
            f"there is no archive: name its place in {deployment.folders.settings}, `url` of the table [archive]",
        )
    return deployment.archiver


def _status(deployment: Deployment, now: Instant, *, verify: bool) -> Status:
    archive = open_archive(deployment.settings.archive)
    held = archive.held()
    journal = deployment.journal.tip()
    refuse_other_archive(deployment.journal, held.tip)
    verified = archive.prove().sequence >= held.tip.sequence if verify else None
    oldest = _oldest_behind(deployment.journal, held.tip)
    return Status(
        url=deployment.settings.archive.url,
        sequence=held.tip.sequence,
        recorded_at=held.tip.recorded_at,
        digest=held.tip.digest.hex(),
        term=held.tip.term,
        journal_sequence=journal.sequence,
        journal_term=journal.term,
        behind_events=max(0, journal.sequence - held.tip.sequence),
        oldest_behind_at=oldest,
        late=oldest is not None and now > oldest + LATE_SECONDS,
        files=held.files,
        bytes=held.length,
        rewritten_at=held.rewritten_at,
        days_to_compact=tuple(day for day in held.loose_days if day < day_of(now)),
        keeps_versions=archive.keeps_versions(),
        verified=verified,
    )


def _oldest_behind(journal: Journal, archived: Tip) -> int | None:
    """When the first event was recorded that is not archived; None if there is none."""
    return next((event.recorded_at for event in journal.read(archived.sequence, 1)), None)


def _tell(found: Status, terminal: Terminal) -> None:
    terminal.line(f"archive   {found.url}")
    terminal.line(f"holds     {counted(found.sequence, 'event')} of {found.journal_sequence:,}, term {found.term}")
    terminal.line(f"size      {size(found.bytes)} in {counted(found.files, 'file')}")
    if found.rewritten_at:
        terminal.line(f"rewritten {utc(found.rewritten_at)}, when files were last put together or erased")
    if found.days_to_compact:
        first = utc(day_start(found.days_to_compact[0])).partition(" ")[0]
        terminal.line(f"compact   {counted(len(found.days_to_compact), 'day')} to be put together, from {first} on")
    if found.verified:
        terminal.line("verified  numbering and chain are whole")
    if found.keeps_versions:
        terminal.warn(
            "the bucket keeps older versions of its objects: what is erased stays there. Switch versioning off, or let"
            " a lifecycle rule remove noncurrent versions after one day."
        )
    if found.late:
        terminal.warn(
            f"{counted(found.behind_events, 'event')} should be archived by now, the first of"
            f" {utc(found.oldest_behind_at or 0)}: see that tocsin serve or tocsin archive run is up, and what it says."
        )
