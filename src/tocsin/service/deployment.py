"""A deployment, opened: its settings, keys, journal and bucket, joined into the parts that run."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tocsin.journal.encoding import decode_body
from tocsin.journal.port import Durability, Journal, refuse_retired
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.events import Founded
from tocsin.model.ports import Clock
from tocsin.model.times import Day
from tocsin.publication.release import released
from tocsin.publication.sign import GaenKey, SigningKeys
from tocsin.rules.quarantine import Surge
from tocsin.service.archiver import Archiver, make_archive
from tocsin.service.checkpoints import Checkpoints
from tocsin.service.day_keys import DayKeeper
from tocsin.service.erase import Eraser
from tocsin.service.follow import Follower
from tocsin.service.held_clock import HeldClock
from tocsin.service.journal_choice import JournalChoice, open_journal
from tocsin.service.keep import Keeper
from tocsin.service.key_folder import GaenSigner, KeyFolder, refuse_loose_mode
from tocsin.service.perform import Performer
from tocsin.service.publish import Out, Publisher, refuse_other_journal
from tocsin.service.reach import Reach
from tocsin.service.settings import Folders, Settings, load_settings
from tocsin.service.trouble import Told
from tocsin.stores.folder import FolderBucket
from tocsin.stores.spool import Spool
from tocsin.transparency.note import NoteVerifier


class Deployment:
    """What lies in one folder. Opening it refuses loose modes and a journal that is not durable.

    `held_clock` is `clock` held against the journal, and believed far ahead of it if `today` is the UTC day it tells.
    """

    def __init__(self, top: Path, clock: Clock, today: Day | None = None) -> None:
        self.folders = Folders(top)
        self.settings: Settings = load_settings(self.folders)
        self.clock = clock
        self.keys = KeyFolder(self.folders.keys)
        self.journal: Journal = _open_journal(self.folders, self.settings)
        self.held_clock = HeldClock(clock, self.journal, today)
        self.bucket = FolderBucket(self.folders.bucket)
        self.archiver = self._archiver()
        """Brings the archive up to the journal; None where there is no archive."""
        self.checkpoints = Checkpoints(self.folders.checkpoints, self.keys)

    def follower(self) -> Follower:
        """A ledger not yet read; the newest checkpoint will spare most of it."""
        return Follower(self.keys, self.checkpoints.newest)

    def performer(self) -> Performer:
        """A way into the journal, its ledger not yet read."""
        return Performer(self.journal, self.keys, self.held_clock, self.settings.policy, self.follower())

    def spool(self) -> Spool:
        """The calls that wait for the journal. For one thread."""
        return Spool(self.folders.spool)

    def keeper(self, performer: Performer, reach: Reach, told: Told = lambda sentence: None) -> Keeper:
        """`performer`, with the spool behind it while the journal is out of `reach`."""
        with suppress(FileNotFoundError):
            refuse_loose_mode(self.folders.spool.parent, self.folders.spool.parent)
        return Keeper(performer, self.spool(), reach, self.held_clock, told)

    def publisher(
        self,
        told: Callable[[Out], None] = lambda out: None,
        follower: Follower | None = None,
        told_restored: Callable[[Sequence[str]], None] = lambda names: None,
        told_surge: Callable[[Surge], None] = lambda surge: None,
    ) -> Publisher:
        """A publisher that calls `told` for each version it puts out, `told_restored` for files that it made again,
        `told_surge` for what it put into quarantine.

        `follower`: one that has read the journal.
        """
        return Publisher(
            self.journal,
            self.keys,
            self.held_clock,
            self.settings.policy,
            self.bucket,
            signing_keys(self.settings, self.keys),
            told,
            follower or self.follower(),
            told_restored,
            told_surge,
            self.archiver.archive_up_to if self.archiver else lambda sequence: None,
        )

    def day_keeper(self, follower: Follower) -> DayKeeper:
        """What sees to this machine's day keys, in the thread of `follower`."""
        makes = self.settings.makes_day_keys
        return DayKeeper(self.journal, self.keys, self.held_clock, follower, makes=makes)

    def eraser(self, follower: Follower) -> Eraser:
        """What erases on this machine, in the thread of `follower`."""
        archives = () if self.archiver is None else (self.archiver.erase,)
        return Eraser(self.journal, self.keys, self.held_clock, follower, archives)

    def refuse_other_journal(self) -> None:
        """Raises `Invalid` if the bucket's head was decided by another journal, or by later events than this one has.

        What is taken by an older copy would be lost when the right one comes back. A bucket that can't be read says
        nothing about the journal.
        """
        try:
            out = released(self.bucket, head_verifier(self.settings, self.keys))
        except (Invalid, Unavailable):
            return
        refuse_other_journal(self.journal, out)

    def refuse_unfit_archive(self) -> None:
        """Raises `Invalid` if the archive is another journal's or lies where none can be kept, `Refused` if a higher
        term rules it. Nothing, where there is none; nor where it is away: then versions wait, and reports are taken.
        """
        if self.archiver:
            with suppress(Unavailable):
                self.archiver.refuse_unfit()

    def _archiver(self) -> Archiver | None:
        settings = self.settings.archive
        return Archiver(self.journal, self.held_clock, lambda: make_archive(settings)) if settings.url else None

    def close(self) -> None:
        """Lets go of the journal's files or connections."""
        self.journal.close()


def _open_journal(folders: Folders, settings: Settings) -> Journal:
    """The journal, if its folder is closed to others, it was founded for the region that the settings name, and it is
    the one that goes on."""
    with suppress(FileNotFoundError):
        refuse_loose_mode(folders.journal.parent, folders.journal.parent)
    journal = open_journal(settings.journal, folders.journal, durability(settings))
    try:
        _refuse_unfit(journal, folders, settings)
    except BaseException:
        journal.close()
        raise
    return journal


def _refuse_unfit(journal: Journal, folders: Folders, settings: Settings) -> None:
    refuse_retired(journal.tip())
    first = next(iter(journal.read(0, 1)), None)
    if first is None:
        raise Invalid("the journal is empty: a rebuild or a copy into it broke off, or is under way. Run it again")
    founded = decode_body(first.kind, first.body)
    if isinstance(founded, Founded) and founded.region != settings.region:
        raise Invalid(f"the journal was founded for region {founded.region}, and {folders.settings} names another")


def journal_to_read(folders: Folders) -> Journal:
    """The journal of a deployment's folder, or of a copy for an auditor, which has no settings and is SQLite's.

    Nothing is to be written to it: any disk will do, and no keys are needed.
    """
    chosen = load_settings(folders).journal if folders.settings.exists() else JournalChoice()
    return open_journal(chosen, folders.journal, Durability.WAIVED)


def durability(settings: Settings) -> Durability:
    """What the settings ask of the disk or the server that keeps the journal."""
    return Durability.WAIVED if settings.single_machine else Durability.REQUIRED


def head_verifier(settings: Settings, keys: KeyFolder) -> NoteVerifier:
    """The public half of the head's key, under the deployment's origin."""
    public = keys.head_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return NoteVerifier(settings.origin, public)


def signing_keys(settings: Settings, keys: KeyFolder) -> SigningKeys:
    """The keys with which this deployment publishes."""
    signs_from = keys.gaen_signs_from()
    return SigningKeys(
        head=keys.head_key(),
        head_verifier=head_verifier(settings, keys),
        gaen={
            info: GaenKey(GaenSigner(key), key.public_key(), signs_from[info]) for info, key in keys.gaen_keys().items()
        },
    )
