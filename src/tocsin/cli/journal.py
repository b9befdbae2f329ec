"""`tocsin journal`: prove what was recorded."""

from cyclopts import App

from tocsin.cli.acting import DEFAULT_DATA, Data, Json
from tocsin.cli.terminal import InTerminal, counted
from tocsin.journal.port import Broken
from tocsin.journal.verify import verify as prove
from tocsin.model.errors import Refused
from tocsin.model.times import utc
from tocsin.service.deployment import durability, journal_to_read
from tocsin.service.journal_choice import migrate_journal
from tocsin.service.key_folder import refuse_loose_modes
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
def migrate(*, data: Data = DEFAULT_DATA, terminal: InTerminal) -> None:
    """Bring the tables of a journal in PostgreSQL to what this version of tocsin needs.

    All of it or nothing, and no event is changed. Run it as the user who owns the tables (set
    PGUSER, or name that user in [journal] url), once after an update, before the servers start
    anew. There is no way back by command: restore, or copy the journal.

    Example: tocsin journal migrate --data /srv/tocsin
    """
    settings = load_settings(Folders(data))
    if settings.journal.engine != "postgresql":
        raise Refused("no_migrations", "This deployment's journal is a SQLite file, which needs no migration.")
    migrate_journal(settings.journal, durability(settings))
    terminal.say("The journal's tables are what this version of tocsin needs.")
