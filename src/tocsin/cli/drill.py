"""`tocsin drill`: practise what has to work on the worst day, while nothing is wrong."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from tocsin.cli.acting import DEFAULT_DATA, Data, Json, Today, opened
from tocsin.cli.rebuild import archive_of, tell_parts
from tocsin.cli.terminal import InTerminal, Terminal, counted
from tocsin.service.drill import Check, Drilled
from tocsin.service.drill import drill as practise
from tocsin.stores.durable import writing

app = App(name="drill", help="Practise the worst day while nothing is wrong: rebuild.")


@app.command
def rebuild(
    *,
    archive: Annotated[str | None, Parameter(help="Another archive than the settings name, such as a copy.")] = None,
    scratch: Annotated[
        Path | None,
        Parameter(help="Where there is room for a second journal and the public files. Unless given: in --data."),
    ] = None,
    data: Data = DEFAULT_DATA,
    today: Today = None,
    json: Json = False,
    terminal: InTerminal,
) -> int:
    """Rebuild from the archive in a scratch folder, compare with what is public, and throw it away.

    It changes nothing: not the archive, nor its term, nor keys, nor journal. It proves that the archive
    and the keys at hand bring back the same digests and the same public files, that an unused card is
    taken and a used one refused, and it tells how long each part took. Exit code 1 if anything differs.
    For a timer, once a month.

    Example: tocsin drill rebuild --json
    """
    with opened(data, terminal.clock, today) as deployment:
        found = archive_of(deployment.settings, archive)
        with writing(scratch or data):
            folder = Path(tempfile.mkdtemp(prefix=".drill-", dir=scratch or data))
        try:
            with terminal.progress() as told:
                drilled = practise(deployment, found, folder, told)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    if json:
        terminal.json(
            {
                "passed": drilled.passed,
                "sequence": drilled.tip.sequence,
                "digest": drilled.tip.digest.hex(),
                "version": drilled.version,
                "behind_events": drilled.behind_events,
                "checks": drilled.checks,
                "parts": drilled.parts,
            }
        )
    else:
        _tell(drilled, terminal)
    return 0 if drilled.passed else 1


def _tell(drilled: Drilled, terminal: Terminal) -> None:
    terminal.table(("compared", "found"), ((check.name, _found(check)) for check in drilled.checks))
    tell_parts(drilled.parts, terminal)
    if drilled.behind_events:
        terminal.say(f"The archive is {counted(drilled.behind_events, 'event')} behind the journal.")
    if drilled.passed:
        terminal.say(
            f"The drill passed: {counted(drilled.tip.sequence, 'event')} came back, and version {drilled.version:,}."
        )
    else:
        terminal.warn("the drill failed: this is what a rebuild would bring back. See what differs, above.")


def _found(check: Check) -> str:
    if check.skipped:
        return "nothing to compare"
    return "yes" if check.fault is None else check.fault
