"""The settings: whether they can be read, and what they say that is not for a site that people rely on."""

from collections.abc import Iterator

from tocsin.model.errors import TocsinError
from tocsin.service.doctor.finding import Code, Finding, in_full
from tocsin.service.doctor.subject import Subject


def look(subject: Subject) -> Iterator[Finding]:
    """Settings that are not right; those of a trial."""
    try:
        settings = subject.settings
    except TocsinError as error:
        yield Finding(Code.SETTINGS_INVALID, f"{in_full(error)} Nothing starts with these settings.")
        return
    if settings.single_machine:
        yield Finding(
            Code.SINGLE_MACHINE,
            "single_machine = true: a journal on a disk that does not outlive a loss of power is taken, as for a trial."
            f" Where people rely on it, set it to false in {subject.folders.settings}.",
        )
    if not settings.operations.listen:
        yield Finding(
            Code.NO_OPERATIONS,
            "No machine watches this server: [operations] listen is empty, so there are no metrics and no alerts. See"
            " docs/operating/watching.md.",
        )
