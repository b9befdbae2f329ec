"""The newest events: whether this version of tocsin knows all their kinds."""

from collections.abc import Iterator
from typing import Final

from tocsin.journal.encoding import UnknownKind, decode_body
from tocsin.journal.port import PAGE_EVENTS
from tocsin.model.errors import Invalid
from tocsin.service.doctor.finding import Code, Finding, in_full
from tocsin.service.doctor.subject import Subject

NEWEST: Final = 10 * PAGE_EVENTS
"""Events looked at: who wrote an unknown kind longer ago has been running for long, and is missed by nobody."""


def look(subject: Subject) -> Iterator[Finding]:
    """The first of the newest events that this version can't read."""
    after = max(0, subject.journal.tip().sequence - NEWEST)
    while page := subject.journal.read(after):
        for event in page:
            try:
                decode_body(event.kind, event.body)
            except UnknownKind:
                yield Finding(
                    Code.UNKNOWN_KIND,
                    f"Event {event.sequence} is of a kind that this version of tocsin does not know: a newer version"
                    " wrote it, and this one takes no calls and publishes nothing. Update tocsin on this machine.",
                )
                return
            except Invalid as invalid:
                yield Finding(Code.JOURNAL_UNUSABLE, f"Event {event.sequence} can't be read. {in_full(invalid)}")
                return
        after = page[-1].sequence
