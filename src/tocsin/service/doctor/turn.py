"""The journal's turn: whether somebody holds it who does not give it back."""

from collections.abc import Iterator
from typing import Final

from tocsin.journal.turn import turn
from tocsin.model.errors import Unavailable
from tocsin.service.doctor.finding import Code, Finding, in_full
from tocsin.service.doctor.subject import Subject

PATIENCE_SECONDS: Final = 1.0
"""Half of what a group of calls waits before its callers are sent away."""


def look(subject: Subject) -> Iterator[Finding]:
    """A turn that does not come. When it comes it is given back at once: writers behind wait some microseconds."""
    if not subject.folders.journal.exists():  # no lock files beside nothing
        return
    try:
        with turn(subject.folders.journal, PATIENCE_SECONDS):
            pass
    except Unavailable as error:
        yield Finding(Code.JOURNAL_HELD, in_full(error))
