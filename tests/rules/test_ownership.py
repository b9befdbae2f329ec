"""Laws O1–O5 of docs/rules.md: random histories against a brute-force restatement, through the rules and the fold."""

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.builders import Story, day_key, report_call
from tocsin.ledger.fold import fold
from tocsin.ledger.predicates import owned_rows, owner, standing_reports
from tocsin.ledger.state import Ledger
from tocsin.model.calls import Verdict
from tocsin.model.errors import Refused
from tocsin.model.events import Draft, Event, Reinstated, Reported, Revoked, RolledBack, Target, Withdrawn
from tocsin.model.keys import KeyKind
from tocsin.model.times import QUARTER_SECONDS, Instant

NAMES = "pqrs"
"""The keys that all reports are made of: few, so that they are often held twice."""

Holder = tuple[int, int]
"""A report's sequence, and a position in it."""


class Law:
    """The laws as docs/rules.md says them, asked of a plain list of events. Nothing is kept; all is read off again."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events

    def reports(self) -> Iterator[Event]:
        return (event for event in self.events if isinstance(event.body, Reported))

    def withdrawn(self, report: Event) -> bool:
        return any(isinstance(e.body, Withdrawn) and e.body.report == report.sequence for e in self.events)

    def under_objection(self, report: Event) -> bool:  # O5
        lifted = {event.body.objection for event in self.events if isinstance(event.body, Reinstated)}
        return any(_meets(event, report) for event in self.events if event.sequence not in lifted)

    def holders(self, name: str) -> Iterator[tuple[Event, int]]:  # O1
        data = day_key(name).key_data
        for report in self.reports():
            assert report.content is not None
            for held in report.content.keys:
                if held["record"]["key_data"].tobytes() == data:
                    yield report, int(held["position"])

    def next_in_line(self, name: str, pardoned: int | None = None) -> Holder | None:
        """Who has the key's turn; objections against the report `pardoned` do not count."""
        for report, position in self.holders(name):
            if self.withdrawn(report):  # O4
                return None
            if report.sequence == pardoned or not self.under_objection(report):  # O2
                return report.sequence, position
        return None

    def final(self, name: str) -> bool:  # O3
        for i, event in enumerate(self.events):
            if isinstance(event.body, Withdrawn):
                turn = Law(self.events[:i]).next_in_line(name, pardoned=event.body.report)
                if turn is not None and turn[0] == event.body.report:
                    return True
        return False

    def owner(self, name: str) -> Holder | None:
        return None if self.final(name) else self.next_in_line(name)


def _meets(objection: Event, report: Event) -> bool:
    content = report.content
    assert content is not None
    match objection.body:
        case RolledBack(reports=reports):
            return report.sequence in reports
        case Revoked(target=Target(provider, batch, first, last), since=since):
            by_batch = batch == content.batch and (first is None or last is None or first <= content.serial <= last)
            return report.sequence >= since and (provider == content.provider or by_batch)
    return False


def _owner(ledger: Ledger, name: str) -> Holder | None:
    rows = np.nonzero(ledger.keys[KeyKind.GAEN]["record"]["key_data"] == np.void(day_key(name).key_data))[0]
    row = owner(ledger, ledger.keys[KeyKind.GAEN], int(rows[0])) if len(rows) else None
    if row is None:
        return None
    return int(ledger.reports["sequence"][ledger.keys[KeyKind.GAEN]["report"][row]]), int(
        ledger.keys[KeyKind.GAEN]["position"][row]
    )


TARGETS = st.one_of(
    st.builds(Target, provider=st.sampled_from([1, 2])),
    st.builds(Target, batch=st.sampled_from([1, 2])),
    st.builds(
        lambda batch, a, b: Target(None, batch, min(a, b), max(a, b)), st.sampled_from([1, 2]), *[st.integers(0, 6)] * 2
    ),
)


class Histories(RuleBasedStateMachine):
    """Reports, withdrawals, revocations, rollbacks and reinstatements in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story()
        self.phones: list[str] = []
        self.serials = 0
        self.spool: list[tuple[str, Draft]] = []

    @initialize()
    def stacks(self) -> None:
        for _ in (1, 2):
            self.story.batch(self.story.provider(), count=2048)

    @rule(
        batch=st.sampled_from([1, 2]),
        names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3),
        late=st.booleans(),
    )
    def report(self, batch: int, names: list[str], late: bool) -> None:
        """A report, with each name on a day of its own so that none overlap; a late one is judged now, stored later."""
        phone = f"phone {self.serials}"
        keys = [day_key(name, 1 + NAMES.index(name)) for name in names]
        judgement = self.story.judge(report_call(phone, keys), self.story.card(batch, self.serials))
        self.serials += 1
        if judgement.draft is None:
            assert judgement.answer.verdict is Verdict.CODE_CUT_OFF
        elif late:
            self.spool.append((phone, judgement.draft))
        else:
            self.phones.append(phone)
            self.story.append(judgement.draft)

    @precondition(lambda self: self.spool)
    @rule()
    def deliver(self) -> None:
        phone, draft = self.spool.pop(0)
        self.story.append(draft)
        self.phones.append(phone)

    @precondition(lambda self: self.phones)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        assert self.story.withdraw(data.draw(st.sampled_from(self.phones))) is Verdict.WITHDRAWN

    @rule(cut_off=TARGETS, quarters_back=st.one_of(st.none(), st.integers(0, 3)))
    def revoke(self, cut_off: Target, quarters_back: int | None) -> None:
        since = None if quarters_back is None else Instant(self.story.now - quarters_back * QUARTER_SECONDS)
        self.story.revoke(cut_off, since)

    @precondition(lambda self: self.phones)
    @rule(data=st.data())
    def rollback(self, data: st.DataObject) -> None:
        sequences = self.story.ledger.reports["sequence"].tolist()
        chosen = data.draw(st.lists(st.sampled_from(sequences), min_size=1, max_size=3))
        with contextlib.suppress(Refused):  # all of them withdrawn
            self.story.rollback(*chosen)

    @precondition(lambda self: any(objection.standing for objection in self.story.ledger.objections.values()))
    @rule(data=st.data())
    def reinstate(self, data: st.DataObject) -> None:
        standing = [number for number, objection in self.story.ledger.objections.items() if objection.standing]
        self.story.reinstate(data.draw(st.sampled_from(standing)))

    @rule()
    def wait(self) -> None:
        self.story.wait()

    @invariant()
    def the_ledger_keeps_the_law(self) -> None:
        ledger, law = self.story.ledger, Law(self.story.events)
        owners = {name: law.owner(name) for name in NAMES}
        assert {name: _owner(ledger, name) for name in NAMES} == owners
        rows = np.nonzero(owned_rows(ledger, ledger.keys[KeyKind.GAEN]))[0]
        owning = zip(
            ledger.reports["sequence"][ledger.keys[KeyKind.GAEN]["report"][rows]],
            ledger.keys[KeyKind.GAEN]["position"][rows],
            strict=True,
        )
        assert sorted(owning) == sorted(holder for holder in owners.values() if holder is not None)
        standing = [not law.withdrawn(report) and not law.under_objection(report) for report in law.reports()]
        assert standing_reports(ledger).tolist() == standing

    def teardown(self) -> None:
        """The same journal, folded at once, is the same ledger."""
        ledger = Ledger()
        fold(ledger, self.story.events)
        assert (
            owned_rows(ledger, ledger.keys[KeyKind.GAEN]).tolist()
            == owned_rows(self.story.ledger, self.story.ledger.keys[KeyKind.GAEN]).tolist()
        )
        assert standing_reports(ledger).tolist() == standing_reports(self.story.ledger).tolist()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=25)


# --- the same, told one by one ---------------------------------------------------------------------------------------


@pytest.fixture
def story() -> Story:
    """Reports a, b and c, in this order, all with the same key."""
    story = Story()
    batch = story.batch()
    for serial, name in enumerate("abc"):
        story.report(name, [day_key("p")], story.card(batch, serial))
    return story


def _first(story: Story) -> int:
    return int(story.ledger.reports["sequence"][0])


def _owns(story: Story) -> str | None:
    holder = _owner(story.ledger, "p")
    return None if holder is None else "abc"[holder[0] - _first(story)]


def test_the_first_holder_owns_the_key(story: Story) -> None:  # O1
    assert _owns(story) == "a"


def test_within_a_report_the_first_position_comes_first() -> None:  # O1
    story = Story()
    sequence = story.report("a", [day_key("p"), day_key("p")], story.card(story.batch(), 0))
    assert _owner(story.ledger, "p") == (sequence, 0)


def test_a_key_goes_on_under_an_objection_and_comes_back(story: Story) -> None:  # O2
    objection = story.rollback(_first(story))
    assert _owns(story) == "b"
    story.rollback(_first(story) + 1)
    assert _owns(story) == "c"
    story.reinstate(objection)
    assert _owns(story) == "a"


def test_the_owner_withdraws_for_good(story: Story) -> None:  # O3
    story.withdraw("a")
    assert _owns(story) is None
    story.rollback(_first(story) + 1)
    assert _owns(story) is None


def test_a_patient_caught_in_a_rolled_back_stack_withdraws_all_the_same(story: Story) -> None:  # O3, case 41
    objection = story.rollback(_first(story))
    assert story.withdraw("a") is Verdict.WITHDRAWN
    assert _owns(story) is None
    story.reinstate(objection)
    assert _owns(story) is None


def test_one_who_would_own_it_but_for_an_objection_withdraws_for_good(story: Story) -> None:  # O3
    objection = story.rollback(_first(story), _first(story) + 1)
    story.withdraw("b")
    assert _owns(story) is None
    story.reinstate(objection)
    assert _owns(story) is None


def test_one_who_does_not_own_it_withdraws_its_own_report_only(story: Story) -> None:  # O4
    story.withdraw("b")
    assert _owns(story) == "a"
    objection = story.rollback(_first(story))
    assert _owns(story) is None  # b's turn, and c never gets it
    story.reinstate(objection)
    assert _owns(story) == "a"


def test_one_behind_a_holder_that_withdrew_never_had_a_turn(story: Story) -> None:  # O4
    story.withdraw("b")
    objection = story.revoke(Target(batch=1), story.now)
    story.withdraw("c")
    story.reinstate(objection)
    assert _owns(story) == "a"
