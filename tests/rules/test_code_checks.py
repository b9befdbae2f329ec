"""Rows D1–D8 of docs/rules.md: each alone, at its edge, and before the next."""

import pytest
from msgspec.structs import replace

from tests.builders import NOON, Story
from tocsin.model.calls import Verdict
from tocsin.model.code_reading import NO_CODE, CodeKind, CodeReading
from tocsin.model.events import Draft, Revoked, Target
from tocsin.model.times import QUARTER_SECONDS, Instant, floor_quarter
from tocsin.rules.code_checks import Origin, origin_of

NOW = NOON // QUARTER_SECONDS


def _judge(story: Story, code: CodeReading) -> Origin | Verdict:
    return origin_of(story.ledger, code, floor_quarter(story.now))


def test_a_good_card_tells_where_the_report_comes_from() -> None:
    story = Story()
    story.provider()
    provider = story.provider()
    card = story.card(story.batch(provider, report_type=2), 99)
    assert card.claim is not None
    origin = _judge(story, card)
    assert isinstance(origin, Origin)
    assert (origin.report_type, origin.batch, origin.serial, origin.provider, origin.claim) == (2, 1, 99, 2, card.claim)


@pytest.mark.parametrize("kind", [CodeKind.NONE, CodeKind.PHONE, CodeKind.TRAINING, 31])
def test_only_card_codes(kind: int) -> None:  # D1
    story = Story()
    assert _judge(story, story.card(story.batch(), 0, kind)) is Verdict.CODE_UNKNOWN


def test_a_training_code_of_a_training_batch() -> None:  # D1
    story = Story()
    batch = story.batch(code_kind=CodeKind.TRAINING)
    assert _judge(story, story.card(batch, 0, CodeKind.TRAINING)) is Verdict.CODE_UNKNOWN


def test_what_does_not_parse() -> None:  # D1
    assert _judge(Story(), NO_CODE) is Verdict.CODE_UNKNOWN


def test_a_batch_that_was_never_issued() -> None:  # D2
    story = Story()
    assert _judge(story, story.card(story.batch() + 1, 0)) is Verdict.CODE_UNKNOWN


def test_a_card_of_a_batch_of_another_kind() -> None:  # D2
    story = Story()
    assert _judge(story, story.card(story.batch(code_kind=CodeKind.TRAINING), 0)) is Verdict.CODE_UNKNOWN


def test_a_dormant_batch() -> None:  # D3
    story = Story()
    assert _judge(story, story.card(story.dormant_batch(), 0)) is Verdict.CODE_UNKNOWN


@pytest.mark.parametrize(("serial", "good"), [(0, True), (9, True), (10, False), (11, False), (2047, False)])
def test_the_serial_is_below_the_count(serial: int, good: bool) -> None:  # D4
    story = Story()
    assert isinstance(_judge(story, story.card(story.batch(count=10), serial)), Origin) is good


@pytest.mark.parametrize(("begins_in", "good"), [(-1, True), (0, True), (1, False)])
def test_a_life_that_has_not_begun(begins_in: int, good: bool) -> None:  # D5
    story = Story()
    batch = story.batch(valid_from=NOW + begins_in)
    assert (_judge(story, story.card(batch, 0)) is not Verdict.CODE_UNKNOWN) is good


def test_a_wrong_mac() -> None:  # D6
    story = Story()
    forged = replace(story.card(story.batch(), 0), genuine=False, claim=None)
    assert _judge(story, forged) is Verdict.CODE_UNKNOWN


@pytest.mark.parametrize("seconds", [0, 1, QUARTER_SECONDS - 1])
@pytest.mark.parametrize(("quarters", "verdict"), [(-1, None), (0, "code_expired"), (1, "code_expired")])
def test_the_end_of_a_life_is_not_included(seconds: int, quarters: int, verdict: str | None) -> None:  # D8
    story = Story()
    card = story.card(story.batch(valid_until=NOW + 4), 0)
    story.wait((4 + quarters) * QUARTER_SECONDS + seconds)
    judged = _judge(story, card)
    assert (judged if isinstance(judged, Verdict) else None) == verdict


@pytest.mark.parametrize("quarters", [-1, 0, 1])
def test_a_batch_that_was_never_activated_tells_nothing_of_its_end(quarters: int) -> None:  # D3 before D8
    story = Story()
    card = story.card(story.dormant_batch(valid_until=NOW + 4), 0)
    story.wait((4 + quarters) * QUARTER_SECONDS)
    assert _judge(story, card) is Verdict.CODE_UNKNOWN


@pytest.mark.parametrize(("quarters", "verdict"), [(-1, None), (0, "code_expired"), (1, "code_expired")])
def test_the_time_of_receipt_decides_and_not_that_of_the_record(quarters: int, verdict: str | None) -> None:  # D8
    story = Story()
    card = story.card(story.batch(valid_until=NOW + 4), 0)
    story.wait(9 * QUARTER_SECONDS)  # the journal was away
    story.provider("one more event")
    judged = origin_of(story.ledger, card, Instant(NOON + (4 + quarters) * QUARTER_SECONDS))
    assert (judged if isinstance(judged, Verdict) else None) == verdict


def test_a_secret_that_is_gone() -> None:  # D8
    story = Story()
    card = replace(story.card(story.batch(), 0), genuine=None, claim=None)
    assert _judge(story, card) is Verdict.CODE_EXPIRED


def test_nothing_is_told_of_a_batch_to_one_without_a_whole_code() -> None:  # D6 before D7, D8
    story = Story()
    card = replace(story.card(story.batch(valid_until=NOW + 1), 0), genuine=False, claim=None)
    story.revoke(Target(batch=1))
    story.wait()
    assert _judge(story, card) is Verdict.CODE_UNKNOWN


def test_cut_off_before_expired() -> None:  # D7 before D8
    story = Story()
    card = story.card(story.batch(valid_until=NOW + 1), 0)
    story.revoke(Target(batch=1))
    story.wait()
    assert _judge(story, card) is Verdict.CODE_CUT_OFF


@pytest.mark.parametrize(
    ("target", "cut_off"),
    [
        (Target(provider=1), [True, True, True, True, False, False]),
        (Target(batch=1), [True, True, True, True, False, False]),
        (Target(batch=1, first=5, last=6), [False, True, True, False, False, False]),
        (Target(batch=1, first=5, last=5), [False, True, False, False, False, False]),
        (Target(provider=2), [False, False, False, False, True, True]),
        (Target(batch=2, first=5, last=5), [False, False, False, False, False, True]),
    ],
)
def test_what_a_revocation_cuts_off(target: Target, cut_off: list[bool]) -> None:  # D7
    story = Story()
    story.batch(story.provider())
    story.batch(story.provider())
    cards = [story.card(1, serial) for serial in (4, 5, 6, 7)] + [story.card(2, 4), story.card(2, 5)]
    objection = story.revoke(target)
    assert [_judge(story, card) is Verdict.CODE_CUT_OFF for card in cards] == cut_off
    story.reinstate(objection)
    assert all(isinstance(_judge(story, card), Origin) for card in cards)


@pytest.mark.parametrize(("later", "cut_off"), [(-1, True), (0, True), (1, True), (2, False)])
def test_a_revocation_meets_the_next_sequence(later: int, cut_off: bool) -> None:  # D7
    story = Story()
    card = story.card(story.batch(), 0)
    own = len(story.events) + 1
    story.append(Draft(Revoked(Target(batch=1), own + later, who="Ada", why="a test")))
    assert (_judge(story, card) is Verdict.CODE_CUT_OFF) is cut_off
