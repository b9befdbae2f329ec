"""Other writers: whether what is public was decided by this journal, and under its term.

Any number of servers may work on one journal. Two journals that were one, such as a folder and its copy, may not both
run: each spends the other's codes, and their versions contradict each other.
"""

from collections.abc import Iterator

from tocsin.journal.port import Journal
from tocsin.model.errors import Invalid, TocsinError
from tocsin.publication.release import Released, released
from tocsin.service.deployment import head_verifier
from tocsin.service.doctor.finding import Code, Finding, in_full
from tocsin.service.doctor.subject import Subject
from tocsin.service.publish import refuse_other_journal


def look(subject: Subject) -> Iterator[Finding]:
    """A bucket whose head another journal decided, or a later term of this one."""
    verifier = head_verifier(subject.settings, subject.keys)
    try:
        out = released(subject.bucket, verifier)
    except TocsinError:
        return  # of that the check of the bucket tells
    yield from foreign(out, subject.journal, "the bucket")


def foreign(out: Released, journal: Journal, where: str) -> Iterator[Finding]:
    """What the head that was found `where` tells of another writer."""
    if out.leaf is None:
        return
    term = journal.tip().term
    if out.leaf.term > term:
        yield Finding(
            Code.SECOND_WRITER,
            f"The head of {where} is of term {out.leaf.term}, and this journal of term {term}: it was replaced by a"
            " rebuilt one. Stop every server and publisher on this folder, for good.",
        )
        return
    try:
        refuse_other_journal(journal, out)
    except Invalid as error:
        yield Finding(
            Code.SECOND_WRITER,
            f"The head of {where} was not decided by this journal. Another copy of this deployment is running, or this"
            f" one is the older copy: stop all but one of them. {in_full(error)}",
        )
