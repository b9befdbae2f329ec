"""Each check is by itself: one that fails, hangs or can't look takes nothing from the others."""

import threading
from collections.abc import Iterator

from tests.sites import FixedClock, Site
from tocsin.model.errors import Unavailable
from tocsin.service.doctor.examination import CHECKS, examine
from tocsin.service.doctor.finding import Code, Finding
from tocsin.service.doctor.subject import Seen, Subject


def _subject(site: Site, clock: FixedClock) -> Subject:
    return Subject(site.top, clock, _nobody)


def _nobody(url: str) -> Seen:
    raise Unavailable("nobody answers")


def _first(subject: Subject) -> Iterator[Finding]:
    yield Finding(Code.DISK_LOW, "one")


def test_a_check_that_fails_tells_what_it_found_before(site: Site, clock: FixedClock) -> None:
    """And nothing of the message, which could hold a secret."""

    def fails(subject: Subject) -> Iterator[Finding]:
        yield Finding(Code.DISK_FULL, "two")
        raise KeyError("C4RD-C0DE")

    found = examine(_subject(site, clock), (("bad", fails), ("good", _first)))
    assert [each.code for each in found] == [Code.DISK_FULL, Code.CHECK_FAILED, Code.DISK_LOW]
    assert "KeyError" in found[1].sentence and "C4RD" not in found[1].sentence


def test_a_check_that_hangs(site: Site, clock: FixedClock) -> None:
    over = threading.Event()

    def hangs(subject: Subject) -> Iterator[Finding]:
        over.wait()
        yield from ()

    try:
        found = examine(_subject(site, clock), (("slow", hangs), ("good", _first)), deadline_seconds=0.05)
    finally:
        over.set()
    assert [each.code for each in found] == [Code.CHECK_FAILED, Code.DISK_LOW]
    assert "slow" in found[0].sentence


def test_what_needs_another_part_is_named_once(site: Site, clock: FixedClock) -> None:
    def needs(subject: Subject) -> Iterator[Finding]:
        raise Unavailable("the key folder is away")
        yield

    [found] = examine(_subject(site, clock), (("one", needs), ("two", needs)))
    assert found == Finding(Code.NOT_LOOKED_AT, "Not looked at: one, two. The key folder is away.")


def test_every_check_survives_a_folder_of_nothing(site: Site, clock: FixedClock) -> None:
    """No check has a fault of its own there."""
    subject = Subject(site.top / "nothing", clock, _nobody)
    found = examine(subject)
    assert Code.CHECK_FAILED not in {each.code for each in found}
    assert len(CHECKS) > 10 and not (site.top / "nothing").exists()
