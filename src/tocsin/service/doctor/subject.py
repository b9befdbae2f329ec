"""What the doctor looks at: the parts of one deployment, each opened when a check asks for it."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from tocsin.journal.port import Durability, Journal
from tocsin.model.errors import TocsinError
from tocsin.model.ports import Clock
from tocsin.service.journal_choice import JournalChoice, open_journal
from tocsin.service.key_folder import KeyFolder
from tocsin.service.settings import Folders, Settings, load_settings
from tocsin.stores.folder import FolderBucket


class Seen(Struct, frozen=True):
    """What the public address answered: its HTTP status, its clock in UTC seconds (None: it told none), the body."""

    status: int
    clock_at: int | None
    body: bytes


Look = Callable[[str], Seen]
"""Fetches an address, in a second or two. Raises `Unavailable` if nobody answers there."""


class Subject:
    """One deployment's folder, this machine's `clock`, and a way to `look` at its public address.

    Unlike `Deployment` it opens what is loose, not durable or half broken. Each property raises as what it opens does.
    """

    def __init__(self, top: Path, clock: Clock, look: Look) -> None:
        self.folders = Folders(top)
        self.clock = clock
        self.look = look

    @cached_property
    def settings(self) -> Settings:
        """The settings. Raises `Refused` or `Invalid`."""
        return load_settings(self.folders)

    @cached_property
    def journal_choice(self) -> JournalChoice:
        """Which engine keeps the journal: SQLite's, where the settings do not say."""
        try:
            return self.settings.journal
        except TocsinError:
            return JournalChoice()

    @property
    def journal(self) -> Journal:
        """The journal, on whatever disk. A failure is remembered: a server that is away is waited for once."""
        if isinstance(self._journal, TocsinError):
            raise self._journal
        return self._journal

    @cached_property
    def _journal(self) -> Journal | TocsinError:
        try:
            return open_journal(self.journal_choice, self.folders.journal, Durability.WAIVED)
        except TocsinError as error:
            return error

    @cached_property
    def keys(self) -> KeyFolder:
        """The key folder, whatever its modes. Raises `Refused` if there is none."""
        return KeyFolder.to_examine(self.folders.keys)

    @cached_property
    def bucket(self) -> FolderBucket:
        """The bucket."""
        return FolderBucket(self.folders.bucket)

    def close(self) -> None:
        """Lets go of the journal's files or connections, if it was opened."""
        opened = self.__dict__.get("_journal")
        if opened is not None and not isinstance(opened, TocsinError):
            opened.close()
