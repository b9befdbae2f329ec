"""Rebuilding a deployment that is lost, from the archive and the key folder.

The steps, and what a crash right after each leaves behind:

1. keys, trust file and settings are put in place: a folder without a journal, which is no deployment; run again
2. the archive is read, proven and loaded, in one transaction: the same, with a journal that is empty
3. before that is durable, the archive's term is raised: from here on the old primary archives nothing, and so
   publishes nothing. The next try raises it once more
4. the journal is durable: the deployment. Whatever runs next, `tocsin serve` or `tocsin publish`, goes on from here
5. the files in force are made again, for a bucket that lacks them
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from time import perf_counter
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from tocsin.client.trust import parse_trust
from tocsin.journal.port import Durability, Journal, Tip
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.events import MadeFile
from tocsin.model.ports import Clock
from tocsin.model.times import Day
from tocsin.publication.release import Released, released
from tocsin.service.archived import Archived, Loading
from tocsin.service.deployment import Deployment, durability, head_verifier
from tocsin.service.journal_choice import JournalChoice, create_journal, open_journal
from tocsin.service.key_folder import KeyFolder
from tocsin.service.publish import Publisher
from tocsin.service.settings import Folders, Settings, load_settings
from tocsin.service.trust import trust_of, write_trust
from tocsin.stores.durable import in_words, sync_folder, write_synced, write_whole, writing
from tocsin.stores.folder import FolderBucket

Told = Callable[[str, int, int], None]
"""Is told how far it is: the part, how many of its events are done, of how many."""

_KEYS_DRAFT: Final = ".keys"
LEFT_OVER: Final = frozenset(
    {"tocsin.toml", "trust.json", "bucket", "keys", _KEYS_DRAFT, "spool", "journal", "lost+found"}
)
"""What may lie in the new folder: what is left of the old one, or was put there by those who keep its settings."""


class Part(Struct, frozen=True):
    """A part of the work and the seconds that it took."""

    name: str
    seconds: float


class Rebuilt(Struct, frozen=True):
    """What came back: the journal's tip, its newest version, and how long each part took.

    `unfinished`: why public files are missing still, as a sentence; None if all that are in force are there.
    """

    tip: Tip
    version: int
    parts: tuple[Part, ...]
    unfinished: str | None = None


class Stopwatch:
    """Parts of the work, one after the other."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self.parts: list[Part] = []

    def part(self, name: str, but: float = 0) -> None:
        """Ends a part; `but` so many seconds of it, which were another part's."""
        now = perf_counter()
        self.parts.append(Part(name, now - self._began - but))
        self._began = now

    def loaded(self, read_seconds: float) -> None:
        """Ends the loading, in which the archive took so many seconds."""
        self.parts.append(Part("archive read", read_seconds))
        self.part("journal loaded, its chain proven", but=read_seconds)


def rebuild(
    top: Path,
    open_archive: Callable[[Settings], Archived],
    keys: Path,
    settings: Path | None,
    clock: Clock,
    today: Day | None = None,
    told: Told = lambda part, done, of: None,
) -> Rebuilt:
    """Makes the deployment anew in the folder `top`, from its archive and the key folder `keys`.

    `settings`: its `tocsin.toml`, unless that lies in `top` already. The term is raised above the archive's and the
    public head's. Raises `Refused` for a folder or a database that is not empty, or for keys that do not fit; what
    `Loading.load` raises; and `Unavailable`. Then nothing is left in `top` that was not there before.
    """
    folders = Folders(top)
    watch = Stopwatch()
    with _held(folders):
        with _put_in_place(folders, keys, settings) as placed:
            head, archive = _head(folders, placed), open_archive(placed.settings)
            term = max(archive.tip().term, head.leaf.term if head.leaf else 0) + 1
            last = archive.tip().sequence
            loading = Loading(archive, placed.keys, clock.now(), head, lambda done: told("events loaded", done, last))
            with closing(_empty_journal(folders, placed.settings, term)) as journal:
                loading.load(journal, lambda: archive.raise_term(term))
        watch.loaded(loading.read_seconds)
        deployment = Deployment(top, clock, today)

        with closing(deployment):
            publisher = deployment.publisher()
            rebuilt = put_out(deployment.journal, publisher, loading.files_in_force(), watch, told)
            deployment.checkpoints.keep_up(publisher.follower)  # so that the first start need not fold it once more
            watch.part("checkpoint written")
            return replace(rebuilt, parts=tuple(watch.parts))


def put_out(
    journal: Journal, publisher: Publisher, in_force: Sequence[MadeFile], watch: Stopwatch, told: Told
) -> Rebuilt:
    """Folds the journal, and makes the files in force for a bucket that lacks them."""
    tip = journal.tip()
    remaking = publisher.read_through(in_force, lambda sequence: told("events folded", sequence, tip.sequence))
    told("events folded", tip.sequence, tip.sequence)
    watch.part("ledger folded", but=remaking)
    decided, out, unfinished = publisher.ledger.version, 0, None
    try:
        if decided:
            out = publisher.restore()
            if out < decided:
                unfinished = (
                    f"version {decided} can't be made again, since some of its keys are erased by now: the next version"
                    " takes its place"
                )
    except (Unavailable, Invalid, Refused) as error:
        unfinished = str(error)
    watch.part("public files made", but=-remaking)
    return Rebuilt(tip, decided, tuple(watch.parts), unfinished)


class _Placed(Struct, frozen=True):
    """What is in place before the journal."""

    keys: KeyFolder
    settings: Settings


@contextmanager
def _held(folders: Folders) -> Iterator[None]:
    """The folder, made if it is not there, and held by this process alone. Raises `Refused` if it holds anything else
    than what may be left over."""
    with writing(folders.top):
        is_new = not folders.top.exists()
        folders.top.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folders.top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(descriptor, folders.top)
        if strange := sorted(set(os.listdir(folders.top)) - LEFT_OVER):
            raise Refused(
                "not_empty",
                f"{folders.top} is not empty: it holds {strange[0]}. A deployment is rebuilt in a new folder; only its"
                " tocsin.toml, bucket and spool may lie there",
            )
        _refuse_held_journal(folders)
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):  # not empty, if the journal is there
                folders.top.rmdir()
        raise
    finally:
        os.close(descriptor)


def _lock(descriptor: int, top: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Refused("not_empty", f"another `tocsin rebuild` works in {top}: let it end, or end it") from None
    except OSError:
        raise Unavailable(f"{top} does not support file locks: put it on a local disk") from None


@contextmanager
def _put_in_place(folders: Folders, keys: Path, settings: Path | None) -> Iterator[_Placed]:
    """All but the journal, durable; what was put there is taken away again if the block raises."""
    before = {path for path in _parts(folders) if path.exists()}
    try:
        _put_settings(folders, settings)
        _put_keys(folders, keys)
        placed = _Placed(KeyFolder(folders.keys), load_settings(folders))
        with writing(folders.bucket):
            folders.bucket.mkdir(exist_ok=True)
        _refuse_other_trust(folders, placed)
        write_trust(folders, placed.settings, placed.keys)
        with writing(folders.top):
            sync_folder(folders.top)
        yield placed
    except BaseException:
        for path in set(_parts(folders)) - before:
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        raise


def _parts(folders: Folders) -> tuple[Path, ...]:
    draft = folders.top / _KEYS_DRAFT
    return folders.settings, folders.keys, folders.bucket, folders.trust, folders.journal.parent, draft


def _put_settings(folders: Folders, settings: Path | None) -> None:
    if settings is None:
        if not folders.settings.exists():
            raise Refused(
                "no_settings", f"there are no settings: name the deployment's tocsin.toml, or put it into {folders.top}"
            )
        return
    text = _read(settings)
    if folders.settings.exists() and _read(folders.settings) != text:
        raise Refused(
            "not_empty", f"{folders.settings} is there, and {settings} says something else: leave one of them"
        )
    write_whole(folders.settings, text, 0o644)


def _put_keys(folders: Folders, source: Path) -> None:
    """A copy of the key folder, unless it lies in its place already."""
    try:
        KeyFolder(source)  # refuses modes by which others can read it
    except OSError as error:
        raise Unavailable(f"{source} can't be read: {in_words(error)}") from None
    wanted = _files(source)
    if folders.keys.exists():
        if _files(folders.keys) != wanted:
            raise Refused(
                "not_empty", f"{folders.keys} is there, and holds other keys than {source}: remove one of them"
            )
        return
    draft = folders.top / _KEYS_DRAFT
    with writing(draft):
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        for name, data in wanted.items():
            path = draft / name
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_synced(path, data, 0o600)
        for folder in {draft / name for name in wanted}:
            sync_folder(folder.parent)
        draft.rename(folders.keys)


def _files(folder: Path) -> dict[Path, bytes]:
    """What the files of a key folder hold, by name; drafts that a killed process left are none."""
    try:
        return {
            path.relative_to(folder): _read(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        }
    except OSError as error:
        raise Unavailable(f"{folder} can't be read: {in_words(error)}") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(f"{path} can't be read: {in_words(error)}") from None


def _refuse_other_trust(folders: Folders, placed: _Placed) -> None:
    """Raises `Refused` if phones were told to trust another head key than the one that is here."""
    if not folders.trust.exists():
        return
    if parse_trust(_read(folders.trust)).vkeys != trust_of(placed.settings, placed.keys).vkeys:
        raise Refused(
            "keys_do_not_fit", f"{folders.trust} names another head key or origin: phones would refuse every head"
        )


def _head(folders: Folders, placed: _Placed) -> Released:
    """The public head, where the bucket is left."""
    try:
        return released(FolderBucket(folders.bucket), head_verifier(placed.settings, placed.keys))
    except Invalid as invalid:
        raise Refused("keys_do_not_fit", str(invalid)) from None


def _refuse_held_journal(folders: Folders) -> None:
    """Raises `Refused` if there is a journal that holds anything; what a rebuild left that broke off holds nothing.

    A database is looked at when its journal is made.
    """
    if not folders.journal.exists():
        return
    with closing(open_journal(JournalChoice(), folders.journal, Durability.WAIVED)) as left:
        if left.tip().sequence:
            raise Refused(
                "not_empty",
                f"{folders.journal} is not empty: a deployment is rebuilt in a new folder. If a rebuild was cut off"
                " after its journal was stored, there is nothing to repeat: run `tocsin publish`, or `tocsin serve`",
            )


def _empty_journal(folders: Folders, settings: Settings, term: int) -> Journal:
    with writing(folders.journal.parent):
        if folders.journal.parent.exists():  # what a rebuild left that broke off: nothing is in it
            shutil.rmtree(folders.journal.parent)
        folders.journal.parent.mkdir(mode=0o700)
    return create_journal(settings.journal, folders.journal, durability(settings), term)
