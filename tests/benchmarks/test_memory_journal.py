"""The journal that is measured against makes the same events as the real one, so that nothing but storing differs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.memory_journal import MemoryJournal
from benchmarks.site import MORNING, POLICY, StandingClock, found_site, report_body
from tocsin.formats.wire import decode_answer
from tocsin.journal.encoding import NewEvent, StoredEvent, decode_body
from tocsin.journal.port import ClaimTaken
from tocsin.journal.verify import verify
from tocsin.model.calls import Verdict
from tocsin.service.deployment import Deployment
from tocsin.service.perform import Arrival, Performer


class Both:
    """A deployment, and a copy of its journal in memory that has two reports more."""

    def __init__(self, top: Path) -> None:
        clock = StandingClock()
        cards = found_site(top, 2, clock)
        self.deployment = Deployment(top, clock)
        self.memory = MemoryJournal(self.deployment.journal.read(0))
        before = self.memory.tip().sequence
        performer = Performer(self.memory, self.deployment.keys, clock, POLICY)
        answers = performer.answer([Arrival(report_body(card, MORNING), MORNING) for card in cards])
        assert {decode_answer(answer).verdict for answer in answers} == {Verdict.TAKEN}
        self.reports = self.memory.read(before)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    both = Both(tmp_path / "site")
    yield both
    both.deployment.close()


def test_its_events_are_those_of_the_real_journal(both: Both) -> None:
    real = both.deployment.journal
    with real.group(MORNING) as group:
        assert [group.append(_new(stored)) for stored in both.reports] == both.reports
    assert verify(both.memory) == verify(real)


def test_it_holds_a_claim_once(both: Both) -> None:
    with both.memory.group(MORNING) as group, pytest.raises(ClaimTaken):
        group.append(_new(both.reports[0]))


def _new(stored: StoredEvent) -> NewEvent:
    return NewEvent(decode_body(stored.kind, stored.body), stored.content, stored.claims)
