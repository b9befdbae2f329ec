"""The bucket: its head, its files in force, and whether versions come."""

from collections.abc import Iterator
from typing import Final

from tocsin.model.errors import TocsinError
from tocsin.model.times import Instant, floor_quarter, utc
from tocsin.publication.in_force import missing
from tocsin.publication.release import Released, released
from tocsin.service.deployment import head_verifier
from tocsin.service.doctor.finding import Code, Finding, in_full
from tocsin.service.doctor.subject import Subject

LATE_STEPS: Final = 2
"""Without a new version for more than so many steps, nobody publishes."""


def look(subject: Subject) -> Iterator[Finding]:
    """A bucket that can't be used, files that are gone, versions that do not come."""
    verifier = head_verifier(subject.settings, subject.keys)
    try:
        out = released(subject.bucket, verifier)
        gone = missing(out.leaf, subject.bucket) if out.leaf is not None else []
    except TocsinError as error:
        yield Finding(Code.BUCKET_UNUSABLE, f"Nothing is published. {in_full(error)}")
        return
    if gone:
        others = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        yield Finding(
            Code.PUBLIC_FILE_MISSING,
            f"Public files in force are missing or cut short: {gone[0]}{others}. `tocsin publish` makes them again, and"
            " a running server within a minute; look at the bucket's disk, and who may write there.",
        )
    now, step = subject.clock.now(), subject.settings.policy.step_seconds
    newest = _newest(subject, out, step)
    if now - newest > LATE_STEPS * step:
        since = f"the newest is of {utc(newest)}" if out.leaf is not None else "none was ever out"
        yield Finding(
            Code.PUBLICATION_LATE,
            f"No version for {(now - newest) // 60} minutes ({since}), where one is due every {step // 60}: is `tocsin"
            " serve` running? Its log, or `tocsin publish`, says what is in the way.",
        )


def _newest(subject: Subject, out: Released, step: int) -> Instant:
    """When the newest version was due that is out; where none is, the step of the founding."""
    if out.leaf is not None:
        return Instant(out.leaf.at)
    founded = subject.journal.read(0, 1)
    return (
        Instant(founded[0].recorded_at - founded[0].recorded_at % step)
        if founded
        else floor_quarter(subject.clock.now())
    )
