"""`tocsin journal`: prove what was recorded."""

from cyclopts import App

from tocsin.cli.acting import DEFAULT_DATA, Data, Json
from tocsin.cli.terminal import InTerminal, counted
from tocsin.journal import sqlite
from tocsin.journal.port import Broken
from tocsin.journal.sqlite import Durability
from tocsin.journal.verify import verify as prove
from tocsin.model.times import utc
from tocsin.service.key_folder import refuse_loose_modes
from tocsin.service.settings import Folders

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
    journal = sqlite.open(folders.journal, Durability.WAIVED)  # nothing is written here: any disk will do
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
