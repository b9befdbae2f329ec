"""A phone's files: the set it holds, and the one report it made. Each is replaced whole, or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from tocsin.client.calls import PendingReport, decode_pending, encode_pending
from tocsin.client.state import SyncState, decode_state, encode_state
from tocsin.model.errors import Refused, Unavailable


class Stage(Enum):
    """How far a report has come; the value is the name of its file."""

    PENDING = "report.pending"
    """Made and stored; perhaps posted; not answered yet."""
    TAKEN = "report.taken"
    WITHDRAWING = "report.withdrawing"
    """To be taken back, never to be posted again."""


class Phone:
    """The folder of one phone; made when it is first written to. Readable by its owner alone: it holds secrets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def state(self) -> SyncState | None:
        """The set held, None if there is none yet. Raises `Invalid` if it is damaged."""
        data = self._read("state")
        return None if data is None else decode_state(data)

    def keep_state(self, state: SyncState) -> None:
        """Puts `state` in the old one's place."""
        self._write("state", encode_state(state))

    def report(self) -> tuple[Stage, PendingReport] | None:
        """The report of this phone and how far it has come, None if there is none. Raises `Invalid` if damaged."""
        for stage in Stage:
            data = self._read(stage.value)
            if data is not None:
                return stage, decode_pending(data)
        return None

    def require_report(self) -> tuple[Stage, PendingReport]:
        """As `report`; raises `Refused` if there is none."""
        found = self.report()
        if found is None:
            raise Refused("nothing_reported", "This phone has made no report, or its report is taken back.")
        return found

    def keep_report(self, report: PendingReport) -> None:
        """Stores a report before it is posted for the first time."""
        self._write(Stage.PENDING.value, encode_pending(report))

    def move_report(self, before: Stage, after: Stage) -> None:
        """The report has come further."""
        with _disk():
            os.replace(self._folder / before.value, self._folder / after.value)

    def drop_report(self, stage: Stage) -> None:
        """The report and its secrets are of no more use."""
        with _disk():
            (self._folder / stage.value).unlink()

    def _read(self, name: str) -> bytes | None:
        with _disk():
            try:
                return (self._folder / name).read_bytes()
            except FileNotFoundError:
                return None

    def _write(self, name: str, data: bytes) -> None:
        draft = self._folder / f".{name}.{secrets.token_hex(8)}"
        with _disk():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self._folder / name)


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"The phone's folder can't be used: {os.strerror(error.errno or 0)}.") from None
