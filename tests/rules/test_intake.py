"""Rows C1–C15, T1–T6 of docs/rules.md; cases 8, 10, 15, 23, 41."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.builders import NOON, Story, day_key, key, report_call, secret, tracking_id, with_continue_id_of
from tests.rules.test_allowance import Counted
from tocsin.model.base64url import decode
from tocsin.model.calls import (
    Answer,
    DecoyCall,
    KeyVerdict,
    SentKey,
    TrackCall,
    UnsupportedCall,
    Verdict,
    WithdrawCall,
)
from tocsin.model.claims import continue_claim, report_id, tracking_claim, withdrawal_claim
from tocsin.model.code_reading import CodeKind, CodeReading
from tocsin.model.events import Reported, Target, Withdrawn
from tocsin.model.keys import NO_ONSET, KeyKind
from tocsin.model.policy import Policy
from tocsin.model.sent import sent_digest
from tocsin.model.times import DAY_SECONDS, INTERVALS_PER_DAY, QUARTER_SECONDS, Instant, day_of, floor_quarter

TODAY = day_of(NOON)
GOOD = day_key("good")
OLD = day_key("old", days_ago=15)
SHORT = SentKey(b"short", GOOD.rolling_start_interval_number, 144)
OVERLAPPING = (key("a", GOOD.rolling_start_interval_number), key("b", GOOD.rolling_start_interval_number + 143))


def test_a_report_is_taken_whole() -> None:  # C15
    story = Story()
    card = story.card(story.batch(), 7)
    call = report_call("phone", [SHORT, GOOD, OLD, day_key("two", 2)])
    judgement = story.judge(call, card)
    taken, short, old = KeyVerdict.TAKEN, KeyVerdict.BAD_LENGTH, KeyVerdict.TOO_OLD
    assert judgement.answer == Answer(Verdict.TAKEN, (short, taken, old, taken))
    assert judgement.draft is not None
    body, content = judgement.draft.body, judgement.draft.content
    report = report_id(call.tracking_id)
    assert isinstance(body, Reported) and content is not None and card.claim is not None
    assert (decode(body.id), body.received_at, body.report_type) == (report, NOON, 1)
    assert (body.verdicts, body.hold) == ("ltot", (0, 0, 0, 0))
    assert judgement.draft.claims == (tracking_claim(report), card.claim, continue_claim(call.continue_id))
    assert list(judgement.draft.claims) == sorted(judgement.draft.claims)
    assert (content.batch, content.serial, content.provider) == (1, 7, 1)
    assert content.sent == sent_digest(call, 12, 1, 7)
    assert content.keys["position"].tolist() == [1, 3] and content.keys["key_kind"].tolist() == [1, 1]
    expected = GOOD.key_data + GOOD.rolling_start_interval_number.to_bytes(4, "big") + bytes([144, 1, 0x80, 0])
    assert content.keys["record"][0].tobytes() == expected


def test_a_key_that_ends_in_zeros_stays_sixteen_bytes() -> None:
    story = Story()
    zeros = SentKey(b"\x01" + bytes(15), GOOD.rolling_start_interval_number, 144)
    judgement = story.judge(report_call("phone", [zeros]), story.card(story.batch(), 0))
    assert judgement.draft is not None and judgement.draft.content is not None
    assert judgement.draft.content.keys["record"]["key_data"].tobytes() == zeros.key_data


# --- every verdict ---------------------------------------------------------------------------------------------------


def _taken() -> Verdict:
    return _send(Story(), [GOOD])


def _send(story: Story, keys: list[SentKey], serial: int = 0, **changes: object) -> Verdict:
    card = replace(story.card(1 if story.ledger.batches else story.batch(), serial), **changes)
    return story.send(report_call("phone", keys), card).verdict


def _code_spent() -> Verdict:
    story = Story()
    story.report("first", [GOOD], story.card(story.batch(), 0))
    return _send(story, [day_key("other")])


def _code_expired() -> Verdict:
    story = Story()
    story.batch(valid_until=NOON // QUARTER_SECONDS + 1)
    story.wait(QUARTER_SECONDS)
    return _send(story, [GOOD])


def _code_cut_off() -> Verdict:
    story = Story()
    story.revoke(Target(batch=story.batch()))
    return _send(story, [GOOD])


def _mismatch() -> Verdict:
    story = Story()
    story.report("phone", [GOOD], story.card(story.batch(), 0))
    return _send(story, [day_key("other")])


def _withdrawn() -> Verdict:
    story = Story()
    story.report("phone", [GOOD], story.card(story.batch(), 0))
    return story.withdraw("phone")


def _cut_off() -> Verdict:
    story = Story()
    story.rollback(story.report("phone", [GOOD], story.card(story.batch(), 0)))
    return story.track("phone")


def _too_old() -> Verdict:
    story = Story()
    story.report("phone", [GOOD], story.card(story.batch(), 0))
    story.erase(TODAY)
    return story.track("phone")


def _over_allowance() -> Verdict:  # C16
    guess = CodeReading(CodeKind.PHONE)
    return Story().judge(report_call("phone", [GOOD]), guess, allowance=Counted(0)).answer.verdict


def _noted() -> Verdict:
    story = Story()
    return story.judge(DecoyCall()).answer.verdict


REACHED: dict[Verdict, Callable[[], Verdict]] = {
    Verdict.TAKEN: _taken,
    Verdict.CODE_UNKNOWN: lambda: _send(Story(), [GOOD], genuine=False),
    Verdict.CODE_SPENT: _code_spent,
    Verdict.CODE_EXPIRED: _code_expired,
    Verdict.CODE_CUT_OFF: _code_cut_off,
    Verdict.NO_KEY_LEFT: lambda: _send(Story(), [OLD]),
    Verdict.REPORT_REFUSED: lambda: _send(Story(), list(OVERLAPPING)),
    Verdict.MISMATCH: _mismatch,
    Verdict.UNSUPPORTED: lambda: Story().send(report_call("phone", [GOOD], code=None)).verdict,
    Verdict.WITHDRAWN: _withdrawn,
    Verdict.CUT_OFF: _cut_off,
    Verdict.UNKNOWN: lambda: Story().track("phone"),
    Verdict.TOO_OLD: _too_old,
    Verdict.NOTED: _noted,
    Verdict.OVER_ALLOWANCE: _over_allowance,
}
ELSEWHERE = {
    Verdict.MALFORMED,  # C1: formats.wire says it, before any rule
    Verdict.PROVISIONAL,  # S1–S7: what a site says that can't reach its journal
}


@pytest.mark.parametrize("verdict", REACHED)
def test_every_verdict_is_reached(verdict: Verdict) -> None:
    assert REACHED[verdict]() is verdict


def test_no_verdict_is_forgotten() -> None:
    assert REACHED.keys() | ELSEWHERE == set(Verdict)


# --- the order of rules ----------------------------------------------------------------------------------------------

Send = Callable[[], Answer]


class _Broken:
    """A call that breaks every rule named, and no other, in a story of its own."""

    def __init__(self, *broken: str) -> None:
        self.story = Story()
        batch = self.story.batch(valid_until=NOON // QUARTER_SECONDS + 2)
        self.card = self.story.card(batch, 0)
        self.call = report_call("phone", [GOOD])
        for rule in broken:
            getattr(self, f"_{rule}")()

    def answer(self) -> Answer:
        return self.story.judge(self.call, self.card).answer

    def _no_code(self) -> None:  # 2
        self.call = replace(self.call, code=None)

    def _erased(self) -> None:  # 3
        self.story.report("phone", [day_key("before")], self.story.card(1, 50))
        self.story.erase(TODAY)

    def _other_report(self) -> None:  # 3
        self.story.report("phone", [day_key("before")], self.story.card(1, 50))

    def _too_many(self) -> None:  # 4
        keys = tuple(_many(31)) if self.call.keys == (GOOD,) else self.call.keys * 31
        self.call = replace(self.call, keys=keys)

    def _no_key(self) -> None:  # 5, 6
        self.call = replace(self.call, keys=(OLD, SHORT))

    def _overlap(self) -> None:  # 7
        self.call = replace(self.call, keys=OVERLAPPING)

    def _forged(self) -> None:  # 8
        self.card = replace(self.card, genuine=False, claim=None)

    def _cut_off(self) -> None:  # 8
        self.story.revoke(Target(batch=1))

    def _expired(self) -> None:  # 8
        self.story.wait(2 * QUARTER_SECONDS)

    def _spent(self) -> None:  # 9
        self.story.report("somebody", [day_key("theirs")], self.story.card(1, 0))

    def _continued(self) -> None:  # 9
        before = report_call("before", [day_key("theirs")])
        self.story.send(before, self.story.card(1, 51))
        self.call = with_continue_id_of(self.call, before)


ORDER = {
    "no_code": Verdict.UNSUPPORTED,  # C4
    "erased": Verdict.TOO_OLD,  # C5
    "other_report": Verdict.MISMATCH,  # C6
    "too_many": Verdict.REPORT_REFUSED,  # C8
    "no_key": Verdict.NO_KEY_LEFT,  # C10
    "overlap": Verdict.REPORT_REFUSED,  # C11
    "forged": Verdict.CODE_UNKNOWN,  # C12
    "cut_off": Verdict.CODE_CUT_OFF,  # C12
    "expired": Verdict.CODE_EXPIRED,  # C12
    "spent": Verdict.CODE_SPENT,  # C13
    "continued": Verdict.MISMATCH,  # C14
}
"""Each rule that a call can break, in the order in which they are looked at."""
IMPOSSIBLE = {
    ("no_key", "overlap"),  # an overlap is among the keys that are left
    ("erased", "other_report"),  # one tracking ID, one report
}


def _pairs() -> list[tuple[str, str]]:
    rules = list(ORDER)
    return [(a, b) for i, a in enumerate(rules) for b in rules[i + 1 :] if (a, b) not in IMPOSSIBLE]


@pytest.mark.parametrize("rule", ORDER)
def test_a_broken_rule_alone(rule: str) -> None:
    assert _Broken(rule).answer().verdict is ORDER[rule]


def test_nothing_broken() -> None:
    assert _Broken().answer().verdict is Verdict.TAKEN


@pytest.mark.parametrize(("first", "second"), _pairs())
def test_of_two_broken_rules_the_earlier_answers(first: str, second: str) -> None:
    # What changes the story goes first, in an order that works: a code must be good while it is being spent.
    changes = [
        rule
        for rule in ("other_report", "spent", "continued", "erased", "cut_off", "expired")
        if rule in (first, second)
    ]
    call_changes = [rule for rule in (second, first) if rule not in changes]
    assert _Broken(*changes, *call_changes).answer().verdict is ORDER[first]


def test_every_adjacent_pair_is_proven() -> None:
    assert set(pairwise(ORDER)) - IMPOSSIBLE <= set(_pairs())


def test_too_many_keys_come_before_what_is_said_of_each() -> None:  # C8 before C9, C10
    call = report_call("phone", [OLD] * 31)
    story = Story()
    assert story.send(call, story.card(story.batch(), 0)) == Answer(Verdict.REPORT_REFUSED)


@given(
    kind=st.sampled_from([0, 12, 22, 26]),
    batch=st.integers(0, 3),
    serial=st.integers(0, 2047),
    genuine=st.sampled_from([True, False, None]),
)
def test_without_a_key_the_answer_is_the_same_for_every_code(
    kind: int, batch: int, serial: int, genuine: bool | None
) -> None:  # C10
    story = Story()
    story.batch()
    story.revoke(Target(batch=story.batch()))
    code = CodeReading(kind, batch, serial, genuine, None)
    old = story.judge(report_call("phone", [OLD]), code)
    none = story.judge(report_call("phone", []), code)
    assert (old.answer, old.draft) == (Answer(Verdict.NO_KEY_LEFT, (KeyVerdict.TOO_OLD,)), None)
    assert (none.answer, none.draft) == (Answer(Verdict.NO_KEY_LEFT), None)


# --- number of keys --------------------------------------------------------------------------------------------------


def _many(count: int) -> list[SentKey]:
    start = GOOD.rolling_start_interval_number
    return [key(f"key {i}", start + i, 1) for i in range(count)]


@pytest.mark.parametrize(("count", "verdict"), [(29, "taken"), (30, "taken"), (31, "report_refused")])
def test_at_most_thirty_keys(count: int, verdict: str) -> None:  # C8
    assert _send(Story(), _many(count)) == verdict


def test_the_largest_numbers_do_no_harm() -> None:  # case 15
    huge = 2**32 - 1
    keys = [key("a", huge, 1), key("b", huge, huge), key("c", huge, 144), key("d", 0, 144), key("e", 0, 0), GOOD]
    story = Story()
    answer = story.send(report_call("phone", keys, onset_day=-(2**31) + 1), story.card(story.batch(), 0))
    assert [verdict.value for verdict in answer.keys] == [
        "future",
        "bad_period",
        "future",
        "too_old",
        "bad_period",
        "taken",
    ]


# --- retries, receipts, codes used -----------------------------------------------------------------------------------


def test_the_same_call_reads_the_same_receipt_for_ever() -> None:  # C7
    story = Story()
    batch = story.batch()
    call, card = report_call("phone", [SHORT, GOOD]), story.card(batch, 0)
    receipt = story.send(call, card)
    events = len(story.events)
    assert receipt.verdict is Verdict.TAKEN
    assert story.send(call, card) == receipt
    story.revoke(Target(batch=batch))
    story.wait(15 * DAY_SECONDS)  # the key would be too old by now, the card is cut off
    assert story.send(call, card) == receipt
    assert story.send(call, replace(card, genuine=None, claim=None)) == receipt  # the issuing secret is gone
    story.withdraw("phone")
    assert story.send(call, card) == receipt
    assert len(story.events) == events + 2
    story.erase(TODAY)
    assert story.send(call, card) == Answer(Verdict.TOO_OLD)  # C5


@pytest.mark.parametrize("changed", ["keys", "onset_day", "continue_id", "code"])
def test_another_call_with_the_same_tracking_id_is_told_so(changed: str) -> None:  # C6
    story = Story()
    call, card = report_call("phone", [GOOD]), story.card(story.batch(), 0)
    story.send(call, card)
    if changed == "code":
        assert story.send(call, story.card(1, 1)) == Answer(Verdict.MISMATCH)
        return
    other = {"keys": (GOOD, OLD), "onset_day": 5, "continue_id": secret("another")}[changed]
    assert story.send(replace(call, **{changed: other}), card) == Answer(Verdict.MISMATCH)


def test_a_code_is_good_for_one_report() -> None:  # C13, case 23
    story = Story()
    card = story.card(story.batch(), 0)
    story.report("first", [GOOD], card)
    events = len(story.events)
    assert story.send(report_call("second", [day_key("theirs")]), card) == Answer(Verdict.CODE_SPENT)
    story.withdraw("first")
    assert story.send(report_call("third", [day_key("theirs")]), card) == Answer(Verdict.CODE_SPENT)
    assert len(story.events) == events + 1


def test_a_continue_id_is_used_once() -> None:  # C14
    story = Story()
    batch = story.batch()
    first = report_call("first", [GOOD])
    story.send(first, story.card(batch, 0))
    again = with_continue_id_of(report_call("second", [day_key("theirs")]), first)
    assert story.send(again, story.card(batch, 1)) == Answer(Verdict.MISMATCH)


def test_the_same_keys_from_two_phones_are_both_taken() -> None:  # a receipt never tells whether a key is known
    story = Story()
    batch = story.batch()
    first = story.send(report_call("first", [GOOD, day_key("two", 2)]), story.card(batch, 0))
    second = story.send(report_call("second", [GOOD, day_key("three", 3)]), story.card(batch, 1))
    assert first == second


def test_a_refusal_stores_nothing() -> None:
    for broken in ORDER:
        case = _Broken(broken)
        assert case.story.judge(case.call, case.card).draft is None


# --- without a code --------------------------------------------------------------------------------------------------


def test_a_report_without_a_code_where_the_policy_takes_it() -> None:  # C4
    story = Story(Policy(self_reports=True))
    call = report_call("phone", [GOOD], code=None)
    judgement = story.judge(call)
    assert judgement.answer.verdict is Verdict.TAKEN
    assert judgement.draft is not None and judgement.draft.content is not None
    content = judgement.draft.content
    assert (content.batch, content.serial, content.provider) == (0, 0, 0)
    assert content.sent == sent_digest(call, 0, 0, 0)
    assert content.keys["record"]["report_type"].tolist() == [3]
    assert [claim[0] for claim in judgement.draft.claims] == [1, 7]


def test_an_empty_code_is_a_code_that_does_not_parse() -> None:  # C4
    assert Story(Policy(self_reports=True)).send(report_call("phone", [GOOD], code="")).verdict is Verdict.CODE_UNKNOWN


def test_a_likely_batch_makes_likely_reports() -> None:  # K7
    story = Story()
    judgement = story.judge(report_call("phone", [GOOD]), story.card(story.batch(report_type=2), 0))
    assert judgement.draft is not None and judgement.draft.content is not None
    assert isinstance(judgement.draft.body, Reported) and judgement.draft.body.report_type == 2
    assert judgement.draft.content.keys["record"]["report_type"].tolist() == [2]


# --- what a key becomes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("publish", "onset"), [(False, NO_ONSET), (True, 2)])
def test_the_onset_is_published_only_where_the_policy_says_so(publish: bool, onset: int) -> None:  # K8, case 35
    story = Story(Policy(publish_onset=publish))
    call = report_call("phone", [GOOD], onset_day=TODAY - 3)
    judgement = story.judge(call, story.card(story.batch(), 0))
    assert judgement.draft is not None and judgement.draft.content is not None
    records = judgement.draft.content.keys["record"]
    assert records["days_since_onset"].tolist() == [onset]
    assert records["transmission_risk_level"].tolist() == [0]  # K9


def test_one_hold_back_a_part() -> None:  # K10, cases 9, 10 and 12
    story = Story()
    midnight = TODAY * INTERVALS_PER_DAY
    today, too_long = key("today", midnight, 144), key("too long", midnight - 144, 145)
    until_18 = key("until 18:00", midnight, 108)
    call = report_call("phone", [today, day_key("one", 3), OLD, day_key("two", 2), until_18, too_long])
    judgement = story.judge(call, story.card(story.batch(), 0), holds=[3, 1, 4, *[9] * 27])
    assert judgement.draft is not None and isinstance(judgement.draft.body, Reported)
    assert judgement.draft.body.verdicts == "ttottp"
    assert judgement.draft.body.hold == (4, 3, 0, 3, 1, 0)
    story.append(judgement.draft)
    midnight_tonight = (TODAY + 1) * DAY_SECONDS
    assert story.ledger.keys[KeyKind.GAEN]["release_at"].tolist() == [
        midnight_tonight + 2 * 3600 + 4 * QUARTER_SECONDS,
        NOON + 3 * QUARTER_SECONDS,
        NOON + 3 * QUARTER_SECONDS,
        TODAY * DAY_SECONDS + 20 * 3600 + QUARTER_SECONDS,
    ]


@given(st.lists(st.integers(-300, 70), min_size=1, max_size=30, unique=True), st.data())
def test_no_key_is_released_before_its_end_and_two_hours(offsets: list[int], data: st.DataObject) -> None:  # K10
    story = Story(now=Instant(NOON + data.draw(st.integers(0, DAY_SECONDS))))
    first = story.now // 600
    keys = [key(f"{offset}", first + offset, 1) for offset in offsets]
    holds = data.draw(st.lists(st.integers(0, 4), min_size=30, max_size=30))
    judgement = story.judge(report_call("phone", keys), story.card(story.batch(), 0), holds)
    if judgement.draft is None:
        return
    story.append(judgement.draft)
    ledger = story.ledger
    starts = ledger.keys[KeyKind.GAEN]["record"]["rolling_start_interval_number"].astype(np.int64)
    unheld = np.maximum((starts + 1) * 600 + 7200, floor_quarter(story.now))
    held = (ledger.keys[KeyKind.GAEN]["release_at"] - unheld) // QUARTER_SECONDS
    assert ((ledger.keys[KeyKind.GAEN]["release_at"] - unheld) % QUARTER_SECONDS == 0).all()
    assert held.tolist() == [holds[np.unique(unheld).tolist().index(instant)] for instant in unheld.tolist()]


# --- track and withdraw ----------------------------------------------------------------------------------------------


def test_a_withdrawal_is_recorded_once() -> None:  # T3, T6, case 41
    story = Story()
    sequence = story.report("phone", [GOOD], story.card(story.batch(), 0))
    judgement = story.judge(WithdrawCall(secret("phone")))
    assert judgement.draft is not None and judgement.draft.body == Withdrawn(sequence)
    assert judgement.draft.claims == (withdrawal_claim(report_id(tracking_id("phone"))),)
    assert story.withdraw("phone") is Verdict.WITHDRAWN
    events = len(story.events)
    assert story.withdraw("phone") is Verdict.WITHDRAWN
    assert story.track("phone") is Verdict.WITHDRAWN
    assert len(story.events) == events


def test_a_withdrawal_after_an_objection_is_recorded() -> None:  # T4, T6, case 41
    story = Story()
    objection = story.rollback(story.report("phone", [GOOD], story.card(story.batch(), 0)))
    assert story.track("phone") is Verdict.CUT_OFF
    events = len(story.events)
    assert story.withdraw("phone") is Verdict.WITHDRAWN
    assert len(story.events) == events + 1
    story.reinstate(objection)
    assert story.track("phone") is Verdict.WITHDRAWN


def test_an_unknown_report_cannot_be_withdrawn() -> None:  # T1
    story = Story()
    events = len(story.events)
    assert (story.withdraw("phone"), story.track("phone")) == (Verdict.UNKNOWN, Verdict.UNKNOWN)
    assert len(story.events) == events
    story.report("phone", [GOOD], story.card(story.batch(), 0))  # it comes out of another site's spool
    assert story.withdraw("phone") is Verdict.WITHDRAWN


def test_an_erased_report_is_too_old_whatever_else_it_was() -> None:  # T2
    story = Story()
    batch = story.batch()
    names = ("withdrawn", "cut off", "taken")
    sequences = [story.report(name, [day_key(name)], story.card(batch, i)) for i, name in enumerate(names)]
    story.withdraw("withdrawn")
    story.rollback(sequences[1])
    story.erase(TODAY)
    for name in names:
        assert (story.track(name), story.withdraw(name)) == (Verdict.TOO_OLD, Verdict.TOO_OLD)


def test_a_report_that_stands_is_taken() -> None:  # T5
    story = Story()
    story.report("phone", [GOOD], story.card(story.batch(), 0))
    assert story.track("phone") is Verdict.TAKEN


def test_decoys_and_unknown_acts() -> None:  # C2, C3
    story = Story()
    for call, verdict in ((DecoyCall(), Verdict.NOTED), (UnsupportedCall(), Verdict.UNSUPPORTED)):
        judgement = story.judge(call)
        assert (judgement.answer, judgement.draft) == (Answer(verdict), None)


def test_tracking_takes_nothing_but_the_tracking_id() -> None:
    story = Story()
    story.report("phone", [GOOD], story.card(story.batch(), 0))
    call = TrackCall(tracking_id("phone"))
    assert story.judge(call).draft is None


def test_keys_are_judged_by_the_day_of_receipt_at_every_hour() -> None:
    for seconds in (0, DAY_SECONDS // 2 - 900, DAY_SECONDS // 2):  # noon, 23:45, midnight
        story = Story(now=Instant(NOON + seconds))
        oldest = (day_of(story.now) - 14) * INTERVALS_PER_DAY
        keys = [key("edge", oldest, 144), key("beyond", oldest - 144, 144)]
        answer = story.send(report_call("phone", keys), story.card(story.batch(), 0))
        assert answer.keys == (KeyVerdict.TAKEN, KeyVerdict.TOO_OLD)


# --- what the days of onset and test are for -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "days", [{"onset_day": TODAY - 3}, {"test_day": TODAY - 3}, {"onset_day": TODAY - 3, "test_day": 0}]
)
def test_days_trim_and_are_not_kept(days: dict[str, int]) -> None:  # K11, K8
    story = Story()
    keys = [day_key(f"{n}", n) for n in range(4, 7)]
    call = replace(report_call("phone", keys), **days)
    judgement = story.judge(call, story.card(story.batch(), 0))
    assert [verdict.value for verdict in judgement.answer.keys] == ["taken", "taken", "too_old"]
    assert judgement.draft is not None and judgement.draft.content is not None
    assert set(judgement.draft.content.keys["record"]["days_since_onset"].tolist()) == {NO_ONSET}
    assert story.send(replace(call, keys=tuple(keys[2:])), story.card(1, 0)).verdict is Verdict.NO_KEY_LEFT


def test_an_onset_that_can_not_be_is_not_published_either() -> None:  # K8
    story = Story(Policy(publish_onset=True))
    judgement = story.judge(replace(report_call("phone", [GOOD]), onset_day=TODAY + 2), story.card(story.batch(), 0))
    assert judgement.draft is not None and judgement.draft.content is not None
    assert judgement.draft.content.keys["record"]["days_since_onset"].tolist() == [NO_ONSET]
