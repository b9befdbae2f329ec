"""The checkpoints of a deployment: which one a start begins with, and when the next is written.

They spare time and nothing else: any of them may be removed at any moment, and what can't be used is passed over.
"""

import logging
from pathlib import Path
from typing import Final

from tocsin import __version__
from tocsin.journal.port import Tip
from tocsin.ledger.checkpoint import held_days
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Invalid, TocsinError
from tocsin.model.times import QUARTER_SECONDS, Day
from tocsin.service.checkpoint_file import Header, open_checkpoint, sections
from tocsin.service.follow import Follower, Read
from tocsin.service.key_folder import KeyFolder
from tocsin.stores.durable import sync_folder, write_pieces, writing

KEPT: Final = 2
EVENTS_BEHIND: Final = 20_000
"""So many events are folded in less time than anybody waits for."""
_SUFFIX: Final = ".checkpoint"

_log = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints in `folder`. One thread at a time may write."""

    def __init__(self, folder: Path, keys: KeyFolder) -> None:
        self._folder = folder
        self._keys = keys
        self._newest: Header | None = None
        self._tried_at = 0
        self._passed_over: set[Path] = set()

    def newest(self, read: Read) -> tuple[Ledger, Tip] | None:
        """The ledger of the newest checkpoint that is right, and the event behind which it stands; None if none is.

        What is not right is passed over, with a warning. Raises as `read`.
        """
        for path in self._paths():
            try:
                with open_checkpoint(path, self._keys) as saved:
                    _refuse_other(saved.header, read)
                    ledger = saved.ledger()
                if any(self._keys.day_key(Day(day)) for day in ledger.sealed_days):
                    raise Invalid("it was written while a day key was away that is back")
            except TocsinError as error:
                self._passed_over.add(path)
                _log.warning("the checkpoint %s is passed over: %s", path, error)
                continue
            self._newest = saved.header
            return ledger, saved.header.last
        return None

    def keep_up(self, follower: Follower) -> None:
        """Writes a checkpoint of this follower's ledger if one is due. Raises nothing: a warning is all."""
        if not self._is_due(follower.ledger):
            return
        self._tried_at = follower.ledger.recorded_at
        try:
            self.write(follower.ledger, follower.tip)
        except TocsinError as error:
            _log.warning("no checkpoint is written, so the next start takes longer: %s", error)

    def write(self, ledger: Ledger, last: Tip) -> None:
        """Writes a checkpoint of `ledger`, which stands behind the event `last`, and removes what it replaces.

        Raises `Unavailable` if the disk says no, or the key of a day is away whose reports the ledger has read.
        """
        path = self._folder / f"{last.sequence:020d}{_SUFFIX}"
        with writing(self._folder):
            self._folder.mkdir(mode=0o700, exist_ok=True)
        write_pieces(path, sections(ledger, last, self._keys), 0o600)
        with open_checkpoint(path, self._keys) as saved:
            self._newest = saved.header
        right = [each for each in self._paths() if each != path and each not in self._passed_over]
        with writing(self._folder):
            sync_folder(self._folder)
            for each in self._folder.glob(f"*{_SUFFIX}"):  # what a killed process left half written, too
                if each not in (path, *right[: KEPT - 1]):
                    each.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        """The checkpoints there are, the newest first."""
        return sorted((path for path in self._folder.glob(f"*{_SUFFIX}") if path.name[0] != "."), reverse=True)

    def _is_due(self, ledger: Ledger) -> bool:
        """Whether a start would have many events to fold, or a day to drop; at most once a quarter-hour."""
        if ledger.recorded_at <= self._tried_at:
            return False
        before = self._newest
        if before is None:
            return ledger.sequence >= EVENTS_BEHIND
        if ledger.sequence - before.last.sequence >= EVENTS_BEHIND:
            return ledger.recorded_at >= before.last.recorded_at + QUARTER_SECONDS
        return not before.days.keys() <= set(held_days(ledger))


def _refuse_other(header: Header, read: Read) -> None:
    """Raises `Invalid` for a checkpoint of another version of tocsin, or one that this journal does not lead to."""
    if header.made_by != __version__:
        raise Invalid("another version of tocsin wrote it, which may have read the journal differently")
    at = read(header.last.sequence - 1)[:1] if header.last.sequence else []
    if not at or at[0].digest != header.last.digest:
        raise Invalid("it is of another journal than this, or of a later state of it")
