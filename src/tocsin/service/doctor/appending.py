"""Appending: whether a group of calls would get its turn now, by queueing for one and giving it back."""

from collections.abc import Iterator
from typing import Final

from tocsin.journal.port import Tip, refuse_retired
from tocsin.model.errors import Unavailable
from tocsin.model.times import Instant
from tocsin.service.doctor.finding import Code, Finding, in_full
from tocsin.service.doctor.subject import Subject

PATIENCE_SECONDS: Final = 1.0
"""Half of what a group of calls waits before its callers are sent away."""


class _Enough(Exception):
    """The turn has come. A group that ends like this stores nothing, and counts no beat."""


def look(subject: Subject) -> Iterator[Finding]:
    """A turn that does not come, or a disk or server that lets nothing be written."""
    tip = subject.journal.tip()
    refuse_retired(tip)  # of that the check of the journal tells
    try:
        _begin(subject, tip)
    except _Enough:
        return
    except Unavailable as error:
        yield Finding(Code.CANNOT_APPEND, in_full(error))


def _begin(subject: Subject, tip: Tip) -> None:
    with subject.journal.group(Instant(tip.recorded_at), PATIENCE_SECONDS):  # of the clock another check tells
        raise _Enough
