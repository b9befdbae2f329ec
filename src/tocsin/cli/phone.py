"""A phone's files: the set it holds, the one report it made, when it calls. Each is replaced whole, or not at all."""

import os
import secrets
from enum import Enum
from pathlib import Path
from typing import Final

from tocsin.client.calls import (
    PendingContinuation,
    PendingReport,
    decode_continuation,
    decode_pending,
    encode_continuation,
    encode_pending,
)
from tocsin.client.schedule import Schedule, decode_schedule, encode_schedule
from tocsin.client.state import SyncState, decode_state, encode_state
from tocsin.model.errors import Invalid, Refused, Unavailable


class Stage(Enum):
    """How far a report has come; the value is the name of its file."""

    STORED = "report.stored"
    """Made and stored, never posted: it can be dropped as if it had never been."""
    PENDING = "report.pending"
    """Perhaps posted; not answered yet."""
    TAKEN = "report.taken"
    WITHDRAWING = "report.withdrawing"
    """To be taken back, never to be posted again."""


class Link(Enum):
    """How far more of a report has come; the value is the name of its file."""

    PENDING = "continuation.pending"
    TAKEN = "continuation.taken"
    """The last one that was taken: the report goes on with its secret."""


_STATE: Final = "state"
_SCHEDULE: Final = "schedule"
_WAYS_OUT: Final = {
    _STATE: "Run `tocsin client sync`, which fetches the set anew; if it says the same, remove it first."
    " Nothing is lost by it but which version was the newest.",
    _SCHEDULE: "Remove it: the phone then begins a new schedule.",
    Stage.STORED.value: "Put a copy in its place, or remove it and report anew: it was never sent.",
    Stage.PENDING.value: "Put a copy in its place, or remove it and report anew. If the code is used by then, the"
    " report was taken, and only the health service can take it back.",
    Stage.TAKEN.value: "Put a copy in its place. Without one the report stands, and only the health service can take it"
    " back; remove it to report anew.",
    Stage.WITHDRAWING.value: "Put a copy in its place. Without one the report may still stand, and only the health"
    " service can take it back; remove it to report anew.",
    Link.PENDING.value: "Put a copy in its place, or remove it and continue anew. If it was taken, the report can't be"
    " continued any more; it stands, and can be withdrawn.",
    Link.TAKEN.value: "Put a copy in its place. Without one the report can't be continued any more; it stands, and can"
    " be withdrawn: remove it for that.",
}
"""For each file what to do if it is damaged, and what is lost by it."""


class Phone:
    """The folder of one phone; made when it is first written to. Readable by its owner alone: it holds secrets.

    Raises `Unavailable` where the disk says no; each message names the file and the way out.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def state_file(self) -> Path:
        """Where the set is held."""
        return self._folder / _STATE

    def state(self) -> SyncState | None:
        """The set held, None if there is none yet. Raises `Invalid` if it is damaged."""
        data = self._read(_STATE)
        try:
            return None if data is None else decode_state(data)
        except Invalid:
            raise self._damaged(_STATE) from None

    def keep_state(self, state: SyncState) -> None:
        """Puts `state` in the old one's place."""
        self._write(_STATE, encode_state(state))

    @property
    def schedule_file(self) -> Path:
        """Where it is kept when the next call is due."""
        return self._folder / _SCHEDULE

    def schedule(self) -> Schedule | None:
        """When this phone calls, None if it never did. Raises `Invalid` if it is damaged."""
        data = self._read(_SCHEDULE)
        try:
            return None if data is None else decode_schedule(data)
        except Invalid:
            raise self._damaged(_SCHEDULE) from None

    def keep_schedule(self, schedule: Schedule) -> None:
        """Puts `schedule` in the old one's place."""
        self._write(_SCHEDULE, encode_schedule(schedule))

    def report(self) -> tuple[Stage, PendingReport] | None:
        """The report of this phone and how far it has come, None if there is none. Raises `Invalid` if damaged."""
        for stage in Stage:
            data = self._read(stage.value)
            if data is not None:
                try:
                    return stage, decode_pending(data)
                except Invalid:
                    raise self._damaged(stage.value) from None
        return None

    def require_report(self) -> tuple[Stage, PendingReport]:
        """As `report`; raises `Refused` if there is none."""
        found = self.report()
        if found is None:
            raise Refused(
                "nothing_reported", f"The phone in {self._folder} has made no report, or its report is taken back."
            )
        return found

    def keep_report(self, report: PendingReport) -> None:
        """Stores a report before it is posted for the first time."""
        self._write(Stage.STORED.value, encode_pending(report))

    def mark_posted(self) -> None:
        """To be called before a report is posted: from now on it may be with the server."""
        if self._read(Stage.STORED.value) is not None:
            self._rename(Stage.STORED.value, Stage.PENDING.value)

    def move_report(self, before: Stage, after: Stage) -> None:
        """The report has come further."""
        self._rename(before.value, after.value)

    def drop_report(self, stage: Stage) -> None:
        """The report and its secrets are of no more use. What continues it goes first: it must never meet another."""
        for name in (Link.PENDING.value, Link.TAKEN.value, stage.value):
            self._remove(name)

    def continuation(self, link: Link) -> PendingContinuation | None:
        """More of the report that has come so far, None if there is none. Raises `Invalid` if it is damaged."""
        data = self._read(link.value)
        try:
            return None if data is None else decode_continuation(data)
        except Invalid:
            raise self._damaged(link.value) from None

    def continuation_secret(self, report: PendingReport) -> bytes:
        """The secret with which `report` goes on from here."""
        last = self.continuation(Link.TAKEN)
        return report.continuation_secret if last is None else last.continuation_secret

    def keep_continuation(self, more: PendingContinuation) -> None:
        """Stores more of the report before it is posted for the first time."""
        self._write(Link.PENDING.value, encode_continuation(more))

    def take_continuation(self) -> None:
        """What was pending is taken: from now on the report goes on with its secret, in one step."""
        self._rename(Link.PENDING.value, Link.TAKEN.value)

    def drop_continuation(self) -> None:
        """What was pending will not be taken; the report goes on as before."""
        self._remove(Link.PENDING.value)

    def _rename(self, before: str, after: str) -> None:
        try:
            os.replace(self._folder / before, self._folder / after)
        except OSError as error:
            raise self._unwritable(after, error) from None

    def _remove(self, name: str) -> None:
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(name, error) from None

    def _read(self, name: str) -> bytes | None:
        path = self._folder / name
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            raise self._no_folder() from None
        except OSError as error:
            raise Unavailable(f"{path} can't be read: {os.strerror(error.errno or 0)}. {_WAYS_OUT[name]}") from None

    def _write(self, name: str, data: bytes) -> None:
        draft = self._folder / f".{name}.{secrets.token_hex(8)}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(draft, self._folder / name)
            finally:
                draft.unlink(missing_ok=True)  # half of it, and with secrets
        except (FileExistsError, NotADirectoryError):
            raise self._no_folder() from None
        except OSError as error:
            raise self._unwritable(name, error) from None

    def _damaged(self, name: str) -> Invalid:
        return Invalid(f"{self._folder / name} is damaged. {_WAYS_OUT[name]}")

    def _no_folder(self) -> Unavailable:
        return Unavailable(f"{self._folder} is no folder: name another by --phone, which is made.")

    def _unwritable(self, name: str, error: OSError) -> Unavailable:
        return Unavailable(
            f"{self._folder / name} can't be written: {os.strerror(error.errno or 0)}. What the phone held before is"
            " as it was: make room, or let it be written to, and run this again."
        )
