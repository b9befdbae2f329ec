"""`tocsin journal`: prove what was recorded, and copy it."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from tocsin.cli.acting import DEFAULT_DATA, Data, Json
from tocsin.cli.terminal import InTerminal, counted
from tocsin.journal import sqlite_backup
from tocsin.journal.port import Broken
from tocsin.journal.verify import verify as prove
from tocsin.model.errors import Invalid, Refused
from tocsin.model.times import utc
from tocsin.service.deployment import durability, journal_to_read
from tocsin.service.journal_choice import JournalChoice, migrate_journal
from tocsin.service.key_folder import refuse_loose_modes
from tocsin.service.moving import move
from tocsin.service.settings import Folders, load_settings

app = App(name="journal", help="The journal: every report and every act, numbered and chained by digest.")


@app.command
def verify(*, data: Data = DEFAULT_DATA, json: Json = False, terminal: InTerminal) -> int:
    """Prove numbering, chain and claims of the whole journal. Needs no keys; changes nothing.

    A broken journal gives exit code 1 and the first event that shows it. Then stop the server, keep
    the folder as it is, and restore from the backup beside it.
    A journal that somebody wrote anew from the start proves itself: compare the tip's digest with
    one that you noted earlier or elsewhere.

    Example: tocsin journal verify --data /srv/tocsin
    """
    folders = Folders(data)
    refuse_loose_modes(folders.keys)  # a copy for an auditor has none
    journal = journal_to_read(folders)
    try:
        tip = prove(journal)
    except Broken as broken:
        if not json:
            raise
        terminal.json({"whole": False, "first_broken": broken.sequence, "proven": broken.proven, "why": broken.why})
        return 1
    finally:
        journal.close()
    if json:
        digest = tip.digest.hex()
        terminal.json({"whole": True, "sequence": tip.sequence, "recorded_at": tip.recorded_at, "digest": digest})
    else:
        terminal.say(
            f"The journal is whole: {counted(tip.sequence, 'event')},"
            f" the last recorded in the quarter-hour of {utc(tip.recorded_at)}."
        )
        terminal.line(f"tip {tip.digest.hex()}")
    return 0


@app.command
def migrate(
    *,
    data: Data = DEFAULT_DATA,
    journal_url: Annotated[
        str | None,
        Parameter(help="The address in [journal], but with the user who owns the tables, if that one does not."),
    ] = None,
    terminal: InTerminal,
) -> None:
    """Bring the tables of a journal in PostgreSQL to what this version of tocsin needs.

    All of it or nothing, and no event is changed. Run it once after an update, before the servers
    start anew. There is no way back by command: restore, or copy the journal.

    Example: tocsin journal migrate --journal-url postgresql://tocsin_owner@db1,db2,db3/tocsin
    """
    settings = load_settings(Folders(data))
    choice = settings.journal if journal_url is None else _choice(journal_url, "--journal-url")
    if choice.engine != "postgresql":
        raise Refused("no_migrations", "This deployment's journal is a SQLite file, which needs no migration.")
    migrate_journal(choice, durability(settings))
    terminal.say("The journal's tables are what this version of tocsin needs.")


@app.command
def backup(
    file: Annotated[Path, Parameter(name="FILE", help="The copy to be made; nothing may have this name.")],
    /,
    *,
    data: Data = DEFAULT_DATA,
    json: Json = False,
    terminal: InTerminal,
) -> None:
    """Copy the journal into FILE while servers run; the copy is proven before it gets its name.

    Never keep it where a copy of the key folder is: destroying a day key erases the day only where
    the journal's copies are without it. How to go back to a copy: docs/operating/restore.md.
    A journal in PostgreSQL is copied by pg_basebackup.

    Example: tocsin journal backup /backup/journal-2026-02-16.sqlite
    """
    folders = Folders(data)
    if load_settings(folders).journal.engine != "sqlite":
        raise Refused(
            "not_sqlite",
            "This deployment's journal is in PostgreSQL: copy it by `pg_basebackup` (docs/operating/restore.md)",
        )
    refuse_loose_modes(folders.keys)
    tip = sqlite_backup.back_up(folders.journal, file)
    if json:
        terminal.json({"file": str(file), "sequence": tip.sequence, "term": tip.term, "digest": tip.digest.hex()})
        return
    terminal.line(f"{file} is a whole journal: {counted(tip.sequence, 'event')}, tip {tip.digest.hex()}")
    terminal.say(
        f"To go back you also need {folders.settings.name} and {folders.trust.name}, and the key folder: its copy"
        " sealed, and kept apart from this one (docs/operating/key-folder-lost.md)."
    )


@app.command
def copy(
    *,
    to: Annotated[
        str,
        Parameter(help="Where to: sqlite (a file in the deployment's folder), or postgresql://USER@HOST/DATABASE."),
    ],
    data: Data = DEFAULT_DATA,
    json: Json = False,
    terminal: InTerminal,
) -> None:
    """Copy the journal to the other engine: same numbers, times, digests, claims and term. It goes on there.

    The target must be empty; it is proven before the old journal is retired. From then on nothing is
    recorded in the old one: a server that still runs on it answers as if the journal were away. So
    stop the servers first, copy, change [journal] in tocsin.toml, start them again. If it breaks off,
    the old journal goes on as before: run it again. The way back is a copy the other way.

    Example: tocsin journal copy --to postgresql://tocsin@db1,db2,db3/tocsin
    """
    folders = Folders(data)
    refuse_loose_modes(folders.keys)
    choice = _choice(to, "--to")
    with terminal.progress() as told:
        tip = move(
            folders, load_settings(folders), choice, terminal.clock, lambda done, of: told("events copied", done, of)
        )
    if json:
        terminal.json({"sequence": tip.sequence, "digest": tip.digest.hex(), "term": tip.term})
        return
    terminal.say(
        f"{counted(tip.sequence, 'event')} copied and proven. The journal goes on there: change {folders.settings} to",
        "",
    )
    terminal.line("[journal]")
    terminal.line(f'engine = "{choice.engine}"')
    if choice.url:
        terminal.line(f'url = "{choice.url}"')
    terminal.say("", "and start the servers again. The old one takes nothing any more; what is there can be read.")


def _choice(to: str, option: str) -> JournalChoice:
    try:
        return JournalChoice() if to == "sqlite" else JournalChoice(engine="postgresql", url=to)
    except ValueError as error:
        raise Invalid(f"{option} is sqlite, or an address: {error}") from None
