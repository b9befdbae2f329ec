"""Row C16: what costs one, when it is asked for, and when it is given back."""

import pytest
from msgspec.structs import replace

from tests.builders import Story, day_key, report_call
from tocsin.model.calls import Call, DecoyCall, TrackCall, UnsupportedCall, Verdict, WithdrawCall
from tocsin.model.code_reading import NO_CODE, CodeKind, CodeReading
from tocsin.model.policy import Policy
from tocsin.rules.allowance import Costly

GOOD = day_key("good")
GUESS = CodeReading(CodeKind.PHONE)


class Counted:
    """An allowance of so many, and what was asked of it."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.asked: list[Costly] = []

    def take(self, what: Costly) -> bool:
        self.asked.append(what)
        if self.left == 0:
            return False
        self.left -= 1
        return True

    def give_back(self) -> None:
        self.left += 1


def verdict(call: Call, code: CodeReading, allowance: Counted, story: Story | None = None) -> Verdict:
    judgement = (story or Story(Policy(self_reports=True))).judge(call, code, allowance=allowance)
    assert (judgement.draft is not None) == (judgement.answer.verdict is Verdict.TAKEN)
    return judgement.answer.verdict


def test_a_wrong_phone_code_costs_one_and_is_not_looked_at_without() -> None:  # C16
    allowance = Counted(2)
    call = report_call("phone", [GOOD])
    assert [verdict(call, GUESS, allowance) for _ in range(4)] == [
        *[Verdict.CODE_UNKNOWN] * 2,
        *[Verdict.OVER_ALLOWANCE] * 2,
    ]
    assert allowance.asked == [Costly.GUESS] * 4


def test_over_its_allowance_a_right_code_is_answered_as_a_wrong_one() -> None:  # C16
    right = CodeReading(CodeKind.PHONE, 2**18, 0, genuine=True, claim=b"\x04" + bytes(32))
    call = report_call("phone", [GOOD])
    assert {verdict(call, code, Counted(0)) for code in (GUESS, right)} == {Verdict.OVER_ALLOWANCE}


@pytest.mark.parametrize("kind", [CodeKind.NONE, CodeKind.CARD, CodeKind.TRAINING])
def test_no_other_code_costs_anything(kind: CodeKind) -> None:  # C16
    allowance = Counted(0)
    assert verdict(report_call("phone", [GOOD]), CodeReading(kind, 5, 5), allowance) is Verdict.CODE_UNKNOWN
    assert allowance.asked == []


def test_a_card_is_taken_whatever_its_source_has_guessed() -> None:  # C16
    story = Story()
    card, allowance = story.card(story.batch(), 0), Counted(0)
    assert verdict(report_call("phone", [GOOD]), card, allowance, story) is Verdict.TAKEN
    assert (allowance.left, allowance.asked) == (0, [])


def test_a_report_without_a_code_costs_one_and_is_not_given_back() -> None:  # C16
    allowance = Counted(1)
    calls = [report_call(name, [GOOD], code=None) for name in ("ada", "bob")]
    assert [verdict(call, NO_CODE, allowance) for call in calls] == [Verdict.TAKEN, Verdict.OVER_ALLOWANCE]
    assert allowance.asked == [Costly.SELF_REPORT] * 2


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (replace(report_call("known", [GOOD]), continue_id=report_call("x", [GOOD]).continue_id), GUESS),
        (report_call("phone", [GOOD] * 31), GUESS),
        (report_call("phone", []), GUESS),
        (report_call("phone", [day_key("old", days_ago=15)]), GUESS),
        (report_call("phone", [GOOD, replace(GOOD, rolling_period=143)] * 2), GUESS),
        (report_call("phone", [], code=None), NO_CODE),
        (TrackCall(report_call("known", [GOOD]).tracking_id), NO_CODE),
        (WithdrawCall(bytes(32)), NO_CODE),
        (DecoyCall(), NO_CODE),
        (UnsupportedCall(), NO_CODE),
    ],
    ids=["known", "too many", "no key", "no key left", "overlap", "no key, no code", "track", "withdraw", "decoy", "?"],
)
def test_what_is_answered_before_step_8_costs_nothing(call: Call, code: CodeReading) -> None:  # C16
    story, allowance = Story(Policy(self_reports=True)), Counted(0)
    story.report("known", [GOOD], story.card(story.batch(), 0))
    assert story.judge(call, code, allowance=allowance).answer.verdict is not Verdict.OVER_ALLOWANCE
    assert allowance.asked == []


def test_where_self_reports_are_off_none_is_counted() -> None:
    allowance = Counted(0)
    assert verdict(report_call("phone", [GOOD], code=None), NO_CODE, allowance, Story()) is Verdict.UNSUPPORTED
    assert allowance.asked == []
