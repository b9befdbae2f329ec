"""`tocsin rebuild`: a deployment that is lost, made anew from its archive and its key folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from msgspec.structs import replace

from tocsin.cli.acting import DEFAULT_DATA, Data, Json, Today
from tocsin.cli.reading import read_instant
from tocsin.cli.terminal import InTerminal, Terminal, counted
from tocsin.model.errors import Invalid, Refused
from tocsin.model.times import day_of
from tocsin.service import rebuild as service
from tocsin.service.archiver import open_archive
from tocsin.service.rebuild import Part, Rebuilt
from tocsin.service.settings import Settings

if TYPE_CHECKING:
    from tocsin.journal.archive import Archive


def rebuild(
    *,
    keys: Annotated[Path, Parameter(help="The key folder, or a copy of it. It is copied into the new folder.")],
    archive: Annotated[
        str | None,
        Parameter(help="Where the archive lies: s3://BUCKET/PREFIX or /FOLDER. Unless given: as the settings say."),
    ] = None,
    settings: Annotated[
        Path | None, Parameter(help="The deployment's tocsin.toml. Unless given, it lies in the new folder already.")
    ] = None,
    data: Data = DEFAULT_DATA,
    today: Today = None,
    json: Json = False,
    terminal: InTerminal,
) -> int:
    """Make a lost deployment anew from its archive and its key folder, in the new folder --data.

    Same numbers, times, digests, codes and accounts. The term is raised: an old server that is still
    alive can archive and publish nothing from then on. That is the one thing that can't be undone, and
    it is done only when all has been read, proven, and found to belong to these keys. What is left of
    the old folder may lie in the new one: tocsin.toml, bucket, spool. Where the journal goes is what
    [journal] in tocsin.toml says; it must be empty. If it breaks off, run it again.

    Example: tocsin rebuild --archive s3://tocsin-archive/xx --keys /media/keys --settings tocsin.toml
    --data /srv/tocsin

    """
    with terminal.progress() as told:
        rebuilt = service.rebuild(
            data,
            lambda found: archive_of(found, archive),
            keys,
            settings,
            terminal.clock,
            None if today is None else day_of(read_instant(today)),
            told,
        )
    if json:
        terminal.json(
            {
                "sequence": rebuilt.tip.sequence,
                "digest": rebuilt.tip.digest.hex(),
                "term": rebuilt.tip.term,
                "version": rebuilt.version,
                "unfinished": rebuilt.unfinished,
                "parts": rebuilt.parts,
            }
        )
    else:
        _tell(rebuilt, data, terminal)
    if rebuilt.unfinished is not None:
        terminal.warn(f"the journal is rebuilt, and public files are missing: {rebuilt.unfinished}")
    return 0 if rebuilt.unfinished is None else 1


def archive_of(settings: Settings, url: str | None) -> "Archive":
    """The archive at `url`, or the one that the settings name; what opens it stands in the settings."""
    try:
        chosen = settings.archive if url is None else replace(settings.archive, url=url)
    except ValueError as error:
        raise Invalid(f"--archive: {error}") from None
    if not chosen.url:
        raise Refused("no_archive", "the settings name no archive: name it by --archive")
    return open_archive(chosen)


def tell_parts(parts: tuple[Part, ...], terminal: Terminal) -> None:
    """The clock: each part and its seconds, and all of them."""
    rows = [(part.name, f"{part.seconds:.1f} s") for part in parts]
    terminal.table(("part", "took"), [*rows, ("all", f"{sum(part.seconds for part in parts):.1f} s")])


def _tell(rebuilt: Rebuilt, data: Path, terminal: Terminal) -> None:
    terminal.say(
        f"Rebuilt in {data}: {counted(rebuilt.tip.sequence, 'event')}, version {rebuilt.version:,} out, term"
        f" {rebuilt.tip.term}."
    )
    terminal.line(f"tip {rebuilt.tip.digest.hex()}")
    tell_parts(rebuilt.parts, terminal)
    terminal.say("See that the old server is stopped; what it still takes is lost. Then:")
    terminal.line(f"  tocsin serve --data {data}")
