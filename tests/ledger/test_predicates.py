"""What a target covers: asked of one code, and of all reports at once."""

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import Story, day_key, report_call
from tocsin.ledger.predicates import covered_reports, covers, standing_revocations
from tocsin.ledger.state import Ledger
from tocsin.model.code_reading import NO_CODE
from tocsin.model.events import Target
from tocsin.model.policy import Policy

TARGETS = st.one_of(
    st.builds(Target, provider=st.integers(1, 3)),
    st.builds(Target, batch=st.integers(1, 3)),
    st.builds(
        lambda batch, first, length: Target(batch=batch, first=first, last=first + length),
        st.integers(1, 3),
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


STORY = reported()


def origins(ledger: Ledger) -> list[tuple[int, int, int, int]]:
    names = ("sequence", "batch", "serial", "provider")
    return list(zip(*(ledger.reports[name].tolist() for name in names), strict=True))


@given(TARGETS, st.integers(0, 30))
def test_one_code_and_all_reports_are_told_alike(target: Target, since: int) -> None:
    expected = [
        sequence >= since and covers(target, batch, serial, provider)
        for sequence, batch, serial, provider in origins(STORY.ledger)
    ]
    assert covered_reports(STORY.ledger, target, since).tolist() == expected
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
    story.reinstate(second)
    assert standing(2, 0, 2, next_one) == 1
    story.reinstate(first)
    assert standing(2, 0, 2, next_one) == 0
