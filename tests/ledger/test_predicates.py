"""What a target covers: asked of one code, and of all reports at once."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.builders import NOON, Story, day_key, report_call
from tocsin.ledger.predicates import (
    batch_state,
    covered_reports,
    covers,
    is_cut_off,
    is_suspended,
    standing_revocations,
)
from tocsin.ledger.state import Ledger
from tocsin.model.code_reading import NO_CODE
from tocsin.model.events import Target
from tocsin.model.policy import Policy
from tocsin.model.times import QUARTER_SECONDS, Instant
from tocsin.rules import suspension

TARGETS = st.one_of(
    st.builds(Target, provider=st.integers(0, 3)),
    st.builds(Target, batch=st.integers(0, 3)),
    st.builds(
        lambda batch, first, length: Target(batch=batch, first=first, last=first + length),
        st.integers(0, 3),
        st.integers(0, 5),
        st.integers(0, 3),
    ),
)
CODES = [(batch, serial) for batch in (1, 2, 3) for serial in range(4)]


def reported() -> Story:
    """A report with each of these codes, of two providers, and one without a code."""
    story = Story(Policy(self_reports=True))
    story.provider("one")
    story.provider("two")
    for provider in (1, 2, 2):
        story.batch(provider)
    for batch, serial in CODES:
        story.report(f"{batch} {serial}", [day_key(f"{batch} {serial}")], story.card(batch, serial))
    story.send(report_call("self", [day_key("self")], code=None), NO_CODE)
    return story


@pytest.fixture(scope="module")
def story() -> Story:
    return reported()


def origins(ledger: Ledger) -> list[tuple[int, int, int, int]]:
    names = ("sequence", "batch", "serial", "provider")
    return list(zip(*(ledger.reports[name].tolist() for name in names), strict=True))


@given(target=TARGETS, since=st.integers(0, 30))
@example(target=Target(provider=0), since=0)
@example(target=Target(batch=0), since=0)
@example(target=Target(batch=0, first=0, last=0), since=0)
def test_one_code_and_all_reports_are_told_alike(story: Story, target: Target, since: int) -> None:
    expected = [
        sequence >= since and covers(target, batch, serial, provider)
        for sequence, batch, serial, provider in origins(story.ledger)
    ]
    assert covered_reports(story.ledger, target, since).tolist() == expected
    assert not expected[-1], "nothing names a report without a code"


def test_the_ends_of_a_range_are_in() -> None:
    target = Target(batch=2, first=3, last=5)
    assert [covers(target, 2, serial, 1) for serial in range(2, 7)] == [False, True, True, True, False]
    assert not covers(target, 1, 4, 1)


def test_revocations_that_stand() -> None:
    """Counted one by one, each from its own sequence on, and no more once it is reinstated."""
    story = reported()
    first = story.revoke(Target(provider=2))
    second = story.revoke(Target(batch=2, first=0, last=1))
    third = story.revoke(Target(batch=3), story.now)

    def standing(batch: int, serial: int, provider: int, sequence: int) -> int:
        return standing_revocations(story.ledger, batch, serial, provider, sequence)

    next_one = third + 1
    assert [standing(2, serial, 2, next_one) for serial in range(3)] == [2, 2, 1]
    assert standing(1, 0, 1, next_one) == 0
    assert standing(3, 0, 2, next_one) == 2
    assert standing(2, 0, 2, first - 1) == 0, "from then on"
    assert standing(3, 0, 2, first - 1) == 1, "back to an instant"
    since = int(story.ledger.reports["sequence"][0])
    assert [standing(3, 0, 2, sequence) for sequence in (since - 1, since)] == [0, 1]
    story.reinstate(second)
    assert standing(2, 0, 2, next_one) == 1
    story.reinstate(first)
    assert standing(2, 0, 2, next_one) == 0


# --- of what use a batch is -------------------------------------------------------------------------------------------

NOW = NOON // QUARTER_SECONDS


def _at(quarters: int, seconds: int = 0) -> Instant:
    return Instant(NOON + quarters * QUARTER_SECONDS + seconds)


@pytest.mark.parametrize("activated", [False, True])
@pytest.mark.parametrize(
    ("at", "state"),
    [
        (_at(1), "not_yet"),
        (_at(1, 899), "not_yet"),
        (_at(2), "active"),
        (_at(3, 899), "active"),
        (_at(4), "expired"),
        (_at(5), "expired"),
    ],
)
def test_a_life_at_its_edges(activated: bool, at: Instant, state: str) -> None:
    """A dormant batch expires like any other; until then it is dormant, whether its life has begun or not."""
    story = Story()
    wishes = {"valid_from": NOW + 2, "valid_until": NOW + 4}
    number = story.batch(**wishes) if activated else story.dormant_batch(**wishes)
    expected = state if activated or state == "expired" else "dormant"
    assert batch_state(story.ledger, story.ledger.batches[number], at) == expected


def test_a_batch_that_is_cut_off_is_nothing_else() -> None:
    story = Story()
    number = story.dormant_batch(valid_until=NOW + 4)
    objection = story.revoke(Target(batch=number))
    batch = story.ledger.batches[number]
    assert [batch_state(story.ledger, batch, _at(quarters)) for quarters in (0, 9)] == ["cut_off", "cut_off"]
    story.reinstate(objection)
    assert [batch_state(story.ledger, batch, _at(quarters)) for quarters in (0, 9)] == ["dormant", "expired"]
    story.revoke(Target(provider=1))
    assert batch_state(story.ledger, batch, NOON) == "cut_off"


def test_some_of_its_serials_are_not_the_batch() -> None:
    story = Story()
    number = story.batch(count=3)
    batch = story.ledger.batches[number]
    story.revoke(Target(batch=number, first=0, last=1))
    assert [batch_state(story.ledger, batch, NOON, serial) for serial in range(3)] == ["cut_off", "cut_off", "active"]
    assert batch_state(story.ledger, batch, NOON) == "active"
    story.revoke(Target(batch=number, first=2, last=2))
    assert batch_state(story.ledger, batch, NOON) == "active", "named card by card"


def test_a_provider_that_is_suspended() -> None:
    story = Story()
    for _ in range(2):
        story.provider()
    story.append(suspension.suspend_provider(story.ledger, 2, story.by()))
    assert [is_suspended(story.ledger, provider) for provider in (0, 1, 2, 3)] == [False, False, True, False]
    story.append(suspension.restore_provider(story.ledger, 2, story.by()))
    assert is_suspended(story.ledger, 2) is False


def test_a_provider_that_is_cut_off() -> None:
    """By itself, and not by a revocation of all it has."""
    story = Story()
    for _ in range(2):
        story.batch(story.provider())
    story.revoke(Target(batch=1))
    objection = story.revoke(Target(provider=2))
    assert [is_cut_off(story.ledger, provider) for provider in (0, 1, 2, 3)] == [False, False, True, False]
    story.reinstate(objection)
    assert not is_cut_off(story.ledger, 2)
