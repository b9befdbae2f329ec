"""Rows Q1–Q9 of docs/rules.md: a surge is kept back until a person has looked, and nobody is refused for it."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from tests.builders import NOON, Story, day_key, report_call
from tests.publication.press import PROMPT, public, step
from tocsin.model.calls import Verdict
from tocsin.model.errors import Refused
from tocsin.model.events import Quarantined, QuarantineLifted, Target
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS
from tocsin.rules.quarantine import PEACE_SECONDS, SELF_REPORTS, Surge, lift, quarantine, surges

HOUR = 3600
POLICY = replace(PROMPT, surge_reports=5, surge_factor=2, surge_window_seconds=HOUR)


class Clinic:
    """Provider 1 with batches 1 and 2, provider 2 with batch 3; reports come in any number."""

    def __init__(self) -> None:
        self.story = Story(POLICY)
        self.story.provider()
        self.story.provider()
        for provider in (1, 1, 2):
            self.story.batch(provider, 2048)
        self.serials = {1: 0, 2: 0, 3: 0}
        self.names = 0

    def reports(self, count: int, batch: int = 1) -> list[int]:
        """The sequences of so many reports with cards of `batch`, one key each."""
        sequences = []
        for _ in range(count):
            self.names += 1
            name = f"phone {self.names}"
            card = self.story.card(batch, self.serials[batch])
            self.serials[batch] += 1
            sequences.append(self.story.report(name, [day_key(name, 1, self.story.now)], card))
        return sequences

    def surges(self) -> tuple[Surge, ...]:
        return surges(self.story.ledger, self.story.policy, self.story.now)

    def quarantine(self, target: Target) -> int:
        return self.story.append(quarantine(self.story.ledger, target, self.story.by()))

    def lift(self, sequence: int) -> int:
        return self.story.append(lift(self.story.ledger, sequence, self.story.by()))

    def next_version(self) -> int:
        """The number of public keys after one more step."""
        self.story.wait()
        step(self.story)
        return len(public(self.story))


@pytest.fixture
def clinic() -> Clinic:
    return Clinic()


def _code(act: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refusal:
        act()
    return refusal.value.code


# --- what a surge is --------------------------------------------------------------------------------------------------


def test_up_to_the_floor_nothing_is_a_surge(clinic: Clinic) -> None:  # Q2
    clinic.reports(5)
    assert clinic.surges() == ()
    clinic.reports(1)
    assert clinic.surges() == (Surge(Target(batch=1), reports=6, most=5),)
    clinic.story.policy = replace(POLICY, surge_reports="none")
    assert clinic.surges() == ()


def test_up_to_a_multiple_of_the_week_before_nothing_is_a_surge(clinic: Clinic) -> None:  # Q2
    """168 hours with 4 reports an hour on the mean: up to 8 an hour are usual."""
    for _ in range(7):
        clinic.reports(96)
        clinic.story.wait(DAY_SECONDS)
    clinic.reports(8)
    assert clinic.surges() == ()
    clinic.reports(1)
    assert clinic.surges() == (Surge(Target(batch=1), reports=9, most=8),)


def test_the_week_before_has_an_edge(clinic: Clinic) -> None:  # Q2
    """What was received a week and the window ago, to the quarter-hour, is of no account any more."""
    clinic.reports(672)  # 4 an hour, all at once
    clinic.story.wait(7 * DAY_SECONDS + HOUR - QUARTER_SECONDS)
    clinic.reports(8)
    assert clinic.surges() == ()
    clinic.story.wait(QUARTER_SECONDS)
    assert clinic.surges() == (Surge(Target(batch=1), reports=8, most=5),)


def test_the_window_is_of_whole_quarter_hours(clinic: Clinic) -> None:  # Q2
    clinic.reports(6)
    clinic.story.wait(HOUR - 1)
    assert len(clinic.surges()) == 1
    clinic.story.wait(1)
    assert clinic.surges() == ()


def test_what_was_taken_back_is_no_surge(clinic: Clinic) -> None:  # Q2
    sequences = clinic.reports(6)
    assert clinic.surges()
    clinic.story.rollback(sequences[0])
    assert clinic.surges() == ()
    clinic.reports(1)
    assert clinic.surges()
    assert clinic.story.withdraw("phone 2") is Verdict.WITHDRAWN
    assert clinic.surges() == ()


def test_each_provider_is_compared_with_itself(clinic: Clinic) -> None:  # Q2
    clinic.reports(5, batch=1)
    clinic.reports(5, batch=3)
    assert clinic.surges() == ()
    clinic.reports(1, batch=3)
    assert [surge.target for surge in clinic.surges()] == [Target(batch=3)]


def test_a_batch_is_named_if_nearly_all_is_its_own(clinic: Clinic) -> None:  # Q4
    clinic.reports(9, batch=1)
    clinic.reports(1, batch=2)
    assert [surge.target for surge in clinic.surges()] == [Target(batch=1)]
    clinic.reports(1, batch=2)
    assert [surge.target for surge in clinic.surges()] == [Target(provider=1)]


def test_what_is_kept_back_is_no_second_surge(clinic: Clinic) -> None:  # Q3
    clinic.reports(6)
    clinic.quarantine(Target(batch=1))
    clinic.reports(50)
    assert clinic.surges() == ()
    clinic.reports(6, batch=2)
    assert [surge.target for surge in clinic.surges()] == [Target(batch=2)]


def test_who_has_been_looked_at_is_left_in_peace_for_a_day(clinic: Clinic) -> None:  # Q3
    clinic.reports(6)
    begun = clinic.quarantine(Target(batch=1))
    clinic.lift(begun)
    assert clinic.surges() == ()
    clinic.story.wait(PEACE_SECONDS - QUARTER_SECONDS)
    clinic.reports(6, batch=2)  # another batch of the same provider
    assert clinic.surges() == ()
    clinic.reports(6, batch=3)
    assert [surge.target for surge in clinic.surges()] == [Target(batch=3)]
    clinic.story.wait(QUARTER_SECONDS)
    assert [surge.target for surge in clinic.surges()] == [Target(batch=2), Target(batch=3)]


def test_reports_without_a_code_are_one_provider(clinic: Clinic) -> None:  # Q2
    clinic.story.policy = replace(POLICY, self_reports=True)
    for number in range(6):
        name = f"self {number}"
        assert clinic.story.send(report_call(name, [day_key(name)], code=None)).verdict is Verdict.TAKEN
    [surge] = clinic.surges()
    assert surge == Surge(SELF_REPORTS, reports=6, most=5)
    clinic.reports(2)
    begun = clinic.quarantine(surge.target)
    assert clinic.next_version() == 2
    clinic.lift(begun)
    assert clinic.next_version() == 8


def test_who_goes_on_with_a_code_of_another_provider_counts_there(clinic: Clinic) -> None:  # Q2
    """Else a stolen stack could bring its keys in by way of reports on trust, unseen."""
    clinic.story.policy = replace(POLICY, self_reports=True)
    for number in range(6):
        name = f"self {number}"
        clinic.story.send(report_call(name, [day_key(name)], code=None))
        clinic.story.go_on(name, [day_key(f"{name}, more", 2)], clinic.story.card(3, number))
    assert clinic.surges() == (Surge(SELF_REPORTS, reports=6, most=5), Surge(Target(batch=3), reports=6, most=5))


def test_more_keys_are_of_no_further_person(clinic: Clinic) -> None:  # Q2
    clinic.reports(5)
    for number in range(1, 6):
        clinic.story.go_on(f"phone {number}", [day_key(f"more {number}", 2)])
    assert clinic.surges() == ()


# --- what a quarantine does -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [Target(provider=1), Target(batch=1)], ids=["provider", "batch"])
def test_new_keys_wait_and_nobody_is_told(clinic: Clinic, target: Target) -> None:  # Q1
    clinic.reports(1)
    begun = clinic.quarantine(target)
    clinic.reports(1)  # taken as ever
    clinic.reports(1, batch=3)
    assert clinic.next_version() == 1
    assert [clinic.story.track(f"phone {number}") for number in (1, 2, 3)] == [Verdict.TAKEN] * 3
    clinic.lift(begun)
    assert clinic.next_version() == 3


def test_what_is_public_stays_and_can_leave_and_come_back(clinic: Clinic) -> None:  # Q1
    first, second = clinic.reports(2)
    assert clinic.next_version() == 2
    clinic.quarantine(Target(provider=1))
    assert clinic.next_version() == 2
    objection = clinic.story.rollback(first)
    clinic.story.rollback(second)
    assert clinic.next_version() == 0
    clinic.story.reinstate(objection)
    assert clinic.next_version() == 1, "it was public before"


def test_what_is_kept_back_does_not_count_for_the_minimum(clinic: Clinic) -> None:  # Q1
    clinic.story.policy = replace(POLICY, minimum_reports=2, longest_wait_seconds=DAY_SECONDS)
    clinic.reports(1, batch=1)
    clinic.reports(1, batch=3)
    begun = clinic.quarantine(Target(batch=1))
    assert clinic.next_version() == 0
    clinic.lift(begun)
    assert clinic.next_version() == 2


def test_two_quarantines_are_both_to_be_lifted(clinic: Clinic) -> None:  # Q1
    clinic.reports(1)
    batch, provider = clinic.quarantine(Target(batch=1)), clinic.quarantine(Target(provider=1))
    clinic.lift(batch)
    assert clinic.next_version() == 0
    clinic.lift(provider)
    assert clinic.next_version() == 1


# --- the acts ---------------------------------------------------------------------------------------------------------


def test_the_acts_of_a_person(clinic: Clinic) -> None:  # Q7, Q8, Q9
    story = clinic.story
    draft = quarantine(story.ledger, Target(batch=1), story.by())
    assert draft.body == Quarantined(Target(batch=1), who="Ada", why="a test")
    begun = story.append(draft)
    assert _code(lambda: quarantine(story.ledger, Target(batch=1), story.by())) == "already_quarantined"
    lifted = lift(story.ledger, begun, story.by())
    assert lifted.body == QuarantineLifted(begun, who="Ada", why="a test")
    story.append(lifted)
    assert _code(lambda: lift(story.ledger, begun, story.by())) == "already_lifted"
    assert _code(lambda: lift(story.ledger, begun + 1, story.by())) == "quarantine_unknown"
    assert story.append(quarantine(story.ledger, Target(batch=1), story.by())) == begun + 2


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (Target(), "target_unclear"),
        (Target(provider=1, batch=1), "target_unclear"),
        (Target(batch=1, first=0, last=9), "target_unclear"),
        (Target(provider=3), "provider_unknown"),
        (Target(provider=-1), "provider_unknown"),
        (Target(batch=9), "batch_unknown"),
        (Target(batch=0), "batch_unknown"),
    ],
    ids=str,
)
def test_a_target_is_one_provider_one_batch_or_reports_without_a_code(
    clinic: Clinic, target: Target, code: str
) -> None:  # Q5, Q6
    assert _code(lambda: quarantine(clinic.story.ledger, target, clinic.story.by())) == code


def test_no_surge_in_an_empty_ledger() -> None:
    story = Story(POLICY)
    assert surges(story.ledger, POLICY, NOON) == ()
