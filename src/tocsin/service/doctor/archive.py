"""The archive: whether it lies where one can be kept, is this journal's, and follows it."""

from collections.abc import Iterator

from tocsin.journal.port import Journal, Tip
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.times import Instant, utc
from tocsin.service.archiver import LATE_SECONDS, open_archive, place_of, refuse_other_archive
from tocsin.service.doctor.finding import Code, Finding, in_full
from tocsin.service.doctor.subject import Subject


def look(subject: Subject) -> Iterator[Finding]:
    """An archive that is away, unfit, another journal's or behind; nothing where the settings name none."""
    settings = subject.settings.archive
    if not settings.url:
        return
    try:
        if settings.url.startswith("s3://"):  # of a folder it would make one, where a disk is not mounted
            place_of(settings).refuse_unfit()
        archived = open_archive(settings).tip()
    except Unavailable as error:
        yield Finding(Code.ARCHIVE_AWAY, f"Versions wait until the archive is back. {in_full(error)}")
        return
    except (Invalid, Refused) as error:
        yield Finding(Code.ARCHIVE_UNFIT, in_full(error))
        return
    try:
        refuse_other_archive(subject.journal, archived)
    except (Invalid, Refused) as error:
        yield Finding(Code.SECOND_WRITER, in_full(error))
        return
    yield from _behind(subject.journal, archived, subject.clock.now())


def _behind(journal: Journal, archived: Tip, now: Instant) -> Iterator[Finding]:
    first = next(iter(journal.read(archived.sequence, 1)), None)
    if first is None or now - first.recorded_at <= LATE_SECONDS:
        return
    count = journal.tip().sequence - archived.sequence
    yield Finding(
        Code.ARCHIVE_BEHIND,
        f"The archive lacks {count:,} of the journal's events, the first of {utc(first.recorded_at)}: with the journal"
        " lost now they would be lost as well. Is `tocsin serve` running? Its log, or `tocsin archive status`, says"
        " what is in the way.",
    )
