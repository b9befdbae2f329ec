"""What is in force at a journal's end, from its versions alone: whoever knows it before the keys are read can make the
files of earlier versions on the way, and reads the journal once."""

from typing import Final

from msgspec.structs import replace

from tocsin.ledger.fold import fold
from tocsin.ledger.state import Ledger
from tocsin.model.events import Event, Founded, MadeFile, Published
from tocsin.publication.build import files_in_force

OUTLINED: Final = frozenset({Founded.kind, Published.kind})
"""The kinds of events of which an outline consists."""


class Outline:
    """The versions of a journal, without the keys that they moved."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def note(self, event: Event) -> None:
        """Takes the next event of one of the kinds `OUTLINED`; others are left out."""
        body = event.body
        if isinstance(body, Published):
            body = replace(body, entering=(), leaving=())
        self._events.append(replace(event, sequence=len(self._events) + 1, body=body))

    def files_in_force(self) -> list[MadeFile]:
        """As `tocsin.publication.build.files_in_force`. Raises `Invalid` for events that are no journal's."""
        ledger = Ledger()
        fold(ledger, self._events)
        return files_in_force(ledger) if ledger.versions else []
