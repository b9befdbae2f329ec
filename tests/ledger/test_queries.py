"""What one may ask of a ledger, at a moment that is given. (The delta law has its own: `tests/publication`.)"""

import numpy as np
import pytest
from msgspec.structs import replace

from tests.builders import NOON, Story, day_key
from tests.publication.press import PROMPT, public, step
from tocsin.ledger.queries import (
    Standing,
    changes,
    first_day,
    is_whole,
    live_rows,
    secrets_needed_until,
    sequence_since,
    spent_cards,
    standing,
    standing_objections,
    waiting,
)
from tocsin.model.events import Draft, Move, Published, Target
from tocsin.model.keys import KeyKind
from tocsin.model.times import DAY_SECONDS, EMBARGO_SECONDS, QUARTER_SECONDS, Day, Instant, day_of, day_start
from tocsin.publication.plan import plan
from tocsin.rules.issuance import BatchRequest, issue_batch


@pytest.fixture
def story() -> Story:
    made = Story(PROMPT)
    made.batch()
    return made


def report(story: Story, name: str, serial: int, days: int = 2) -> int:
    keys = [day_key(f"{name} {ago}", ago, story.now) for ago in range(1, days + 1)]
    return story.report(name, keys, story.card(1, serial))


def test_the_first_of_these_that_holds(story: Story) -> None:
    """Too old, withdrawn, cut off, taken."""
    sequence = report(story, "a", 0)
    assert standing(story.ledger, 0) is Standing.TAKEN
    story.rollback(sequence)
    assert standing(story.ledger, 0) is Standing.CUT_OFF
    story.withdraw("a")
    assert standing(story.ledger, 0) is Standing.WITHDRAWN
    story.erase(day_of(NOON))
    assert standing(story.ledger, 0) is Standing.TOO_OLD


def test_the_first_live_day_never_goes_back(story: Story) -> None:
    assert first_day(story.ledger, NOON, 14) == day_of(NOON) - 14
    step(story)
    assert first_day(story.ledger, NOON, 20) == day_of(NOON) - 14
    assert first_day(story.ledger, NOON + 7 * DAY_SECONDS, 20) == day_of(NOON) - 13
    assert first_day(story.ledger, NOON, 3) == day_of(NOON) - 3


def test_what_waits(story: Story) -> None:
    """Eligible, held, returning; the oldest release instant is that of eligible keys alone."""
    first = report(story, "public", 0)
    step(story)
    objection = story.rollback(first)
    step(story)
    story.report("mixed", [day_key("past", 1), day_key("today", 0)], story.card(1, 1))
    story.reinstate(objection)
    at, oldest = story.now, Day(0)
    queue = waiting(story.ledger, story.ledger.keys[KeyKind.GAEN], at, oldest)
    counts = (len(queue.eligible), len(queue.held), len(queue.returning), queue.reports)
    assert counts == (1, 1, 2, 1)
    assert queue.oldest_release_at == at
    tonight = day_start(day_of(NOON) + 1) + EMBARGO_SECONDS
    assert [
        len(waiting(story.ledger, story.ledger.keys[KeyKind.GAEN], tonight + late, oldest).held) for late in (-1, 0)
    ] == [1, 0]
    assert waiting(story.ledger, story.ledger.keys[KeyKind.GAEN], at, Day(day_of(NOON) + 1)).reports == 0, (
        "what expired waits no more"
    )


def test_a_key_that_was_public_too_early_still_waits_for_its_embargo(story: Story) -> None:
    """No plan of ours lets it out; a journal may hold a version that another program decided."""
    sequence = story.report("a", [day_key("today", 0)], story.card(1, 0))
    story.wait()
    draft = plan(story.ledger, story.policy, story.now, 1, ())
    assert draft is not None and isinstance(draft.body, Published) and draft.body.entering == ()
    story.append(Draft(replace(draft.body, entering=(Move(sequence, 1, 1),)), draft.claims))
    objection = story.rollback(sequence)
    step(story, files=())
    story.reinstate(objection)
    tonight = day_start(day_of(NOON) + 1) + EMBARGO_SECONDS
    assert [
        len(waiting(story.ledger, story.ledger.keys[KeyKind.GAEN], tonight + late, Day(0)).returning)
        for late in (-1, 0)
    ] == [0, 1]


def test_nothing_waits(story: Story) -> None:
    queue = waiting(story.ledger, story.ledger.keys[KeyKind.GAEN], NOON, Day(0))
    assert (queue.reports, queue.oldest_release_at) == (0, None)
    assert len(queue.eligible) == len(queue.held) == len(queue.returning) == 0


def test_what_is_public_ends_with_its_day(story: Story) -> None:
    report(story, "a", 0, days=3)
    step(story)
    assert len(public(story)) == 3
    days = [len(live_rows(story.ledger.keys[KeyKind.GAEN], Day(day_of(NOON) - ago))) for ago in (4, 3, 2, 1, 0)]
    assert days == [3, 3, 2, 1, 0]


def test_changes_of_an_empty_ledger(story: Story) -> None:
    told = changes(story.ledger.keys[KeyKind.GAEN], 0, Day(0))
    assert (len(told.additions), len(told.first_entered), len(told.removals)) == (0, 0, 0)


def test_changes_say_removals_as_they_were_published(story: Story) -> None:
    report(story, "a", 0)
    step(story)
    before = story.ledger.keys[KeyKind.GAEN]["record"].copy()
    story.withdraw("a")
    step(story)
    told = changes(story.ledger.keys[KeyKind.GAEN], 1, Day(0))
    assert np.sort(told.removals).tobytes() == np.sort(before).tobytes() and len(told.additions) == 0
    assert len(changes(story.ledger.keys[KeyKind.GAEN], 2, Day(0)).removals) == 0, "phones at version 2 know it"
    assert len(changes(story.ledger.keys[KeyKind.GAEN], 0, Day(0)).removals) == 2, (
        "present at some version of the window"
    )


MIDNIGHT = day_start(day_of(NOON) + 1)


@pytest.mark.parametrize(
    ("received_at", "days_later", "whole"),
    [(NOON, 15, False), (NOON, 16, True), (MIDNIGHT, 16, False), (MIDNIGHT - 900, 16, True)],
)
def test_a_version_is_whole_while_no_erased_report_may_have_a_live_key(
    received_at: Instant, days_later: int, whole: bool
) -> None:
    """A report's youngest key may end on the day after its own. First days: 14 days before."""
    story = Story(PROMPT, received_at)
    story.batch()
    report(story, "a", 0)
    step(story, days_later * DAY_SECONDS - (received_at - NOON), files=())
    assert is_whole(story.ledger)
    story.erase(day_of(received_at))
    assert is_whole(story.ledger) == whole


def test_a_secret_is_needed_until_the_last_life_of_its_period_ends(story: Story) -> None:
    quarter = NOON // QUARTER_SECONDS
    for period, end in ((2, quarter + 5), (2, quarter + 9), (2, quarter + 7), (0, quarter + 1)):
        request = BatchRequest(1, 1, period, valid_until=end)
        story.append(issue_batch(story.ledger, request, story.policy, story.now, story.by()))
    needed = secrets_needed_until(story.ledger)
    assert list(needed) == [0, 1, 2]
    assert (needed[0], needed[2]) == (NOON + 900, NOON + 9 * 900)


def test_cards_that_were_used(story: Story) -> None:
    """Case 19: one right after one report; a refused one is none."""
    report(story, "a", 0)
    assert (spent_cards(story.ledger, 1), spent_cards(story.ledger, 2)) == (1, 0)
    story.withdraw("a")
    assert spent_cards(story.ledger, 1) == 1, "a code stays spent"


def test_the_sequence_of_an_instant(story: Story) -> None:
    """The first report recorded at or after it; the next sequence where there is none."""
    first = report(story, "a", 0)
    story.wait(900)
    second = report(story, "b", 1)
    third = report(story, "c", 2)
    instants = (0, NOON, NOON + 1, NOON + 900, NOON + 901)
    assert [sequence_since(story.ledger, at) for at in instants] == [first, first, second, second, third + 1]


def test_objections_that_stand(story: Story) -> None:
    sequence = report(story, "a", 0)
    rollback, revocation = story.rollback(sequence), story.revoke(Target(batch=1))
    assert standing_objections(story.ledger) == {rollback: "rollback", revocation: "revocation"}
    story.reinstate(rollback)
    assert standing_objections(story.ledger) == {revocation: "revocation"}
