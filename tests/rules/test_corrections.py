"""Rows R1–R12 of docs/rules.md."""

from collections.abc import Callable
from functools import partial

import pytest

from tests.builders import NOON, Story, day_key, report_call
from tocsin.model.calls import Verdict
from tocsin.model.errors import Refused
from tocsin.model.events import Draft, Reinstated, Revoked, RolledBack, Target
from tocsin.model.times import QUARTER_SECONDS, Instant
from tocsin.rules import corrections
from tocsin.rules.corrections import Selection


@pytest.fixture
def story() -> Story:
    """Two providers with a batch each; reports a, b, c with the first one's cards, d with the other's.

    A quarter-hour lies between the reports, so a was received at noon, d at 12:45.
    """
    story = Story()
    story.batch(story.provider(), count=10)
    story.batch(story.provider(), count=10)
    for name, batch, serial in (("a", 1, 0), ("b", 1, 1), ("c", 1, 5), ("d", 2, 1)):
        story.report(name, [day_key(name)], story.card(batch, serial))
        story.wait()
    return story


def _sequences(story: Story, names: str) -> tuple[int, ...]:
    first = len(story.events) - 3
    return tuple(first + "abcd".index(name) for name in names)


def _code(act: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refusal:
        act()
    return refusal.value.code


def _revoke(story: Story, target: Target, since_at: int | None = None) -> Draft:
    since = None if since_at is None else Instant(since_at)
    return corrections.revoke(story.ledger, target, since, story.now, story.by())


def _rollback(story: Story, selection: Selection) -> tuple[int, ...]:
    body = corrections.rollback(story.ledger, selection, story.by()).body
    assert isinstance(body, RolledBack)
    return body.reports


UNCLEAR = [
    Target(),
    Target(provider=1, batch=1),
    Target(first=0, last=1),
    Target(provider=1, first=0, last=1),
    Target(provider=1, first=0),
    Target(batch=1, first=0),
    Target(batch=1, last=0),
]
TARGETS = [
    *[(target, "target_unclear") for target in UNCLEAR],  # R1
    *[(Target(provider=number), "provider_unknown") for number in (-1, 0, 3)],  # R2
    *[(Target(batch=number), "batch_unknown") for number in (-1, 0, 3)],  # R3
    *[(Target(batch=1, first=a, last=b), "serials_refused") for a, b in ((-1, 0), (1, 0), (0, 10), (10, 10))],  # R4
]


@pytest.mark.parametrize(("target", "code"), TARGETS)
def test_targets_that_are_refused(story: Story, target: Target, code: str) -> None:  # R1–R4
    assert _code(lambda: _revoke(story, target)) == code
    assert _code(lambda: _rollback(story, Selection(target))) == code


@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 9), (9, 9), (3, 4)])
def test_ranges_of_serials_at_their_edges(story: Story, first: int, last: int) -> None:  # R4
    target = Target(batch=1, first=first, last=last)
    assert _revoke(story, target).body == Revoked(target, len(story.events) + 1, who="Ada", why="a test")


def test_from_now_on_spares_what_was_reported(story: Story) -> None:  # R5
    story.revoke(Target(batch=1))
    assert [story.track(name) for name in "abcd"] == ["taken"] * 4
    assert _verdict_of_a_new_report(story, "e", 7) is Verdict.CODE_CUT_OFF


def _verdict_of_a_new_report(story: Story, name: str, serial: int) -> Verdict:
    return story.send(report_call(name, [day_key(name)]), story.card(1, serial)).verdict


@pytest.mark.parametrize(
    ("seconds", "cut_off"),
    [
        (-1, "abc"),
        (0, "abc"),
        (QUARTER_SECONDS - 1, "abc"),
        (QUARTER_SECONDS, "bc"),
        (2 * QUARTER_SECONDS - 1, "bc"),
        (2 * QUARTER_SECONDS, "c"),
        (3 * QUARTER_SECONDS, ""),
        (4 * QUARTER_SECONDS, ""),
    ],
)
def test_back_to_an_instant_means_its_whole_quarter_hour(story: Story, seconds: int, cut_off: str) -> None:  # R5
    story.revoke(Target(batch=1), Instant(NOON + seconds))
    assert "".join(name for name in "abcd" if story.track(name) is Verdict.CUT_OFF) == cut_off
    assert _verdict_of_a_new_report(story, "e", 7) is Verdict.CODE_CUT_OFF


@pytest.mark.parametrize(("seconds", "good"), [(-1, True), (0, True), (1, False)])
def test_a_revocation_does_not_begin_in_the_future(story: Story, seconds: int, good: bool) -> None:  # R5
    target = Target(provider=1)
    if good:
        _revoke(story, target, story.now + seconds)
    else:
        assert _code(lambda: _revoke(story, target, story.now + seconds)) == "since_in_future"


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(Target(provider=1)), "abc"),
        (Selection(Target(provider=2)), "d"),
        (Selection(Target(batch=1)), "abc"),
        (Selection(Target(batch=1, first=1, last=5)), "bc"),
        (Selection(Target(batch=1, first=0, last=4)), "ab"),
        (Selection(since_at=Instant(NOON + QUARTER_SECONDS)), "bcd"),
        (Selection(since_at=Instant(NOON + 2 * QUARTER_SECONDS - 1)), "bcd"),
        (Selection(until_at=Instant(NOON + QUARTER_SECONDS)), "a"),
        (Selection(until_at=Instant(NOON + QUARTER_SECONDS + 1)), "ab"),
        (Selection(Target(batch=1), Instant(NOON + 900), Instant(NOON + 1800)), "b"),
        (Selection(Target(batch=1), since_at=Instant(NOON + 900)), "bc"),
        (Selection(Target(batch=2), until_at=Instant(NOON + 3600)), "d"),
    ],
)
def test_what_a_selection_means(story: Story, selection: Selection, names: str) -> None:
    assert _rollback(story, selection) == _sequences(story, names)


def test_reports_by_their_sequences_come_out_ascending_and_once(story: Story) -> None:
    d, a = _sequences(story, "da")
    assert _rollback(story, Selection(reports=(d, a, d))) == (a, d)
    assert _rollback(story, Selection(Target(batch=1), reports=(d, a))) == (a,)


def test_all_that_is_given_must_hold(story: Story) -> None:
    named = _sequences(story, "acd")
    assert _rollback(story, Selection(Target(batch=1), reports=named)) == _sequences(story, "ac")
    assert _rollback(story, Selection(since_at=Instant(NOON + 900), reports=named)) == _sequences(story, "cd")
    assert _rollback(story, Selection(until_at=Instant(NOON + 900), reports=named)) == _sequences(story, "a")


def test_nothing_named_is_not_everything(story: Story) -> None:  # R6
    assert _code(lambda: _rollback(story, Selection())) == "selection_unclear"


@pytest.mark.parametrize("sequence", [-1, 0, 1, 10**30])
def test_a_sequence_that_is_no_report(story: Story, sequence: int) -> None:  # R7
    reports = (*_sequences(story, "a"), sequence)
    assert _code(lambda: _rollback(story, Selection(reports=reports))) == "report_unknown"
    assert _code(lambda: _rollback(story, Selection(reports=(len(story.events) + 1,)))) == "report_unknown"


def test_an_empty_list_is_refused(story: Story) -> None:  # R8
    assert _code(lambda: _rollback(story, Selection(reports=()))) == "nothing_selected"
    assert _code(lambda: _rollback(story, Selection(Target(batch=1, first=8, last=9)))) == "nothing_selected"
    assert _code(lambda: _rollback(story, Selection(since_at=story.now))) == "nothing_selected"


def test_withdrawn_and_erased_reports_are_left_out(story: Story) -> None:  # R8
    sequences = _sequences(story, "abc")
    story.withdraw("b")
    assert _rollback(story, Selection(Target(batch=1))) == (sequences[0], sequences[2])
    assert _code(lambda: _rollback(story, Selection(reports=sequences[1:2]))) == "nothing_selected"
    story.erase(NOON // 86_400)
    assert _code(lambda: _rollback(story, Selection(Target(batch=1)))) == "nothing_selected"


def test_a_report_under_one_objection_is_listed_in_the_next(story: Story) -> None:  # R8
    sequences = _sequences(story, "abc")
    first = story.rollback(*sequences)
    assert _rollback(story, Selection(Target(batch=1))) == sequences
    second = story.rollback(sequences[0])
    story.reinstate(first)
    assert [story.track(name) for name in "abc"] == ["cut_off", "taken", "taken"]
    story.reinstate(second)
    assert story.track("a") is Verdict.TAKEN


def test_a_rollback_is_exact_and_a_revocation_goes_on(story: Story) -> None:  # O5
    story.rollback(*_sequences(story, "abc"))
    assert _verdict_of_a_new_report(story, "e", 7) is Verdict.TAKEN
    assert story.track("e") is Verdict.TAKEN


def test_a_report_that_was_judged_before_the_revocation_is_recorded_and_not_live(story: Story) -> None:  # O5
    judgement = story.judge(report_call("e", [day_key("e")]), story.card(1, 7))
    story.revoke(Target(batch=1))
    assert judgement.draft is not None
    story.append(judgement.draft)  # out of a spool, or by a server that saw the ledger a moment ago
    assert story.track("e") is Verdict.CUT_OFF


def test_what_can_be_reinstated(story: Story) -> None:  # R9, R10
    objection = story.revoke(Target(batch=1))
    for sequence in (0, 1, objection - 1, objection + 1):
        assert _code(partial(story.reinstate, sequence)) == "objection_unknown"
    body = corrections.reinstate(story.ledger, objection, story.by()).body
    assert body == Reinstated(objection, who="Ada", why="a test")
    story.reinstate(objection)
    assert _code(lambda: story.reinstate(objection)) == "objection_lifted"


def test_pause_and_resume(story: Story) -> None:  # R11, R12
    ledger = story.ledger
    assert _code(lambda: corrections.resume(ledger, story.by())) == "not_paused"
    story.append(corrections.pause(ledger, story.by()))
    assert ledger.paused
    assert _code(lambda: corrections.pause(ledger, story.by())) == "already_paused"
    story.append(corrections.resume(ledger, story.by()))
    assert not ledger.paused
    assert _code(lambda: corrections.resume(ledger, story.by())) == "not_paused"


# --- what continues a report -----------------------------------------------------------------------------------------


def test_with_a_first_report_goes_what_continues_it_and_not_the_other_way_round() -> None:  # R8, O6
    story = Story()
    story.batch()
    first = story.report("ada", [day_key("first", 2)], story.card(1, 0))
    story.wait()
    second = story.go_on("ada", [day_key("second", 1)])
    for selection, names in (
        (Selection(reports=(first,)), (first, second)),
        (Selection(until_at=NOON), ()),
        (Selection(until_at=Instant(NOON + 1)), (first, second)),
        (Selection(reports=(second,)), (second,)),
        (Selection(since_at=story.now), (second,)),
        (Selection(target=Target(batch=1)), (first, second)),
    ):
        if not names:
            with pytest.raises(Refused):
                corrections.rollback(story.ledger, selection, story.by())
            continue
        body = corrections.rollback(story.ledger, selection, story.by()).body
        assert isinstance(body, RolledBack) and body.reports == names
