"""`tocsin init`: a new deployment, and what its operator must know of it."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tocsin.cli.terminal import InTerminal, Terminal
from tocsin.model.errors import Invalid
from tocsin.service.founding import found
from tocsin.service.key_folder import PURPOSES
from tocsin.service.settings import Folders, Settings
from tocsin.service.settings_table import read_table


def init(
    directory: Annotated[Path, Parameter(name="DIR")],
    /,
    *,
    region: str,
    origin: str,
    base_url: str,
    journal_url: str | None = None,
    single_machine: bool = False,
    terminal: InTerminal,
) -> None:
    """Make a new deployment in DIR, which must be new or empty.

    It makes all keys, the journal with its first event, the public folder, the settings and the
    trust file, and says what each is for. To undo it, remove DIR: nothing else was touched.

    Example: tocsin init /srv/tocsin --region xx --origin tocsin.example.org/xx
    --base-url https://tocsin.example.org

    Parameters
    ----------
    directory
        The folder to make.
    region
        The region, 1 to 32 of a-z, 0-9 and -; it can't be changed later.
    origin
        The name under which heads are signed; apps pin it, so it can't be changed later.
    base_url
        Where apps will reach this server, such as https://tocsin.example.org
    journal_url
        Keep the journal in the PostgreSQL database at this address, which must hold none yet, as a
        user who may make tables there: postgresql://USER@HOST/DATABASE, without a password. Else it
        is a file in DIR.
    single_machine
        For a trial: accept a disk that may lose what it holds in a power cut, or a
        PostgreSQL without a standby.
    """
    # cyclopts knows no msgspec: the settings' own checks speak here as they do for the file
    given: dict[str, Any] = {
        "region": region,
        "origin": origin,
        "base_url": base_url,
        "single_machine": single_machine,
    }
    if journal_url is not None:
        given["journal"] = {"engine": "postgresql", "url": journal_url}
    try:
        settings = read_table(given, Settings)
    except Invalid as invalid:
        raise Invalid(f"{invalid}.") from None
    _tell(terminal, region, directory, found(directory, settings, terminal.clock))


def _tell(terminal: Terminal, region: str, directory: Path, folders: Folders) -> None:
    terminal.line(f"A deployment for region {region} is in {directory}")
    terminal.line()
    terminal.facts(
        (
            ("tocsin.toml", "the settings, for you to edit"),
            ("journal/", "the journal: every report and every act. All else is computed from it."),
            ("bucket/", "the public files; may be lost, and are made again from the journal"),
            ("trust.json", "what an app is built with: names, public keys, addresses. Nothing in it is secret."),
        )
    )
    terminal.line()
    terminal.line(f"The keys, in {folders.keys} (readable by you alone; every command refuses otherwise):")
    terminal.facts((f"  {name}", purpose) for name, purpose in PURPOSES.items())
    terminal.line()
    terminal.say(
        "Back up the key folder, sealed, and never in one place with the journal: who has both can read what the ill"
        " reported. The day keys must stay out of any backup that outlives 16 days, since destroying them is what"
        " erases a day. Back up journal/ often: a report that is lost with its disk is lost."
    )
    terminal.line()
    terminal.say("Next:")
    here = f"--data {directory}"
    terminal.line(f'  tocsin provider add "General Hospital" {here}')
    terminal.line(f"  tocsin codes issue 1 --count 20 {here}")
    terminal.line(f"  tocsin codes activate 1 {here}")
    terminal.line(f"  tocsin serve {here}")
