"""`tocsin standby`: which standby of the journal's PostgreSQL to promote, when its primary is gone."""

import time
from typing import Annotated

from cyclopts import App, Parameter

from tocsin.cli.acting import Json
from tocsin.cli.terminal import InTerminal
from tocsin.journal.standbys import Standby
from tocsin.journal.standbys import compare as compare_standbys

app = App(name="standby", help="Standbys of a journal in PostgreSQL: compare. docs/operating/fail-over.md")

PAUSE_SECONDS = 0.5


@app.command
def compare(
    *urls: Annotated[str, Parameter(name="URL", help="The address of each standby, postgresql://…")],
    json: Json = False,
    terminal: InTerminal,
) -> None:
    """Say which standby has everything that was acknowledged: promote that one and no other.

    For a journal on servers that no Patroni looks after, when the primary is gone. Changes nothing.
    Cut all standbys off from the old primary first; one that still hears from it is refused, and so
    is a comparison that lacks one. Passwords: in ~/.pgpass or PGPASSFILE, not in the address.

    Example: tocsin standby compare postgresql://s2/tocsin postgresql://s3/tocsin
    """
    found = compare_standbys(urls, lambda: time.sleep(PAUSE_SECONDS))
    if json:
        terminal.json(
            {
                "promote": found.promote.place,
                "standbys": [
                    {"place": one.place, "timeline": one.timeline, "position": position(one), "sequence": one.sequence}
                    for one in found.standbys
                ],
            }
        )
        return
    for one in found.standbys:
        terminal.line(f"{one.place}  timeline {one.timeline}  position {position(one)}  event {one.sequence}")
    terminal.line(f"Promote {found.promote.place}: it has everything that was acknowledged.")


def position(standby: Standby) -> str:
    """How far it has come, as PostgreSQL writes it (pg_lsn)."""
    return f"{standby.received >> 32:X}/{standby.received & 0xFFFFFFFF:X}"
