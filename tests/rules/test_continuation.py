"""Rows N1–N14 of docs/rules.md, each at its edge; C4, C8, C13, C17, C18 where they meet a continuation."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.builders import NOON, Story, continue_call, day_key, key, report_call
from tests.publication.press import PROMPT, public, public_records, step
from tocsin.ledger.queries import present_type
from tocsin.model.base64url import decode
from tocsin.model.calls import Answer, ContinueCall, KeyVerdict, SentKey, Verdict
from tocsin.model.claims import continuation_claim, continuation_id, continue_claim
from tocsin.model.code_reading import NO_CODE, CodeKind, CodeReading
from tocsin.model.events import Continued, Target
from tocsin.model.policy import Policy
from tocsin.model.sent import sent_digest
from tocsin.model.times import DAY_SECONDS, INTERVALS_PER_DAY, Instant, day_of, day_start

TODAY = day_of(NOON)
CONFIRMED, LIKELY, SELF_REPORTED, NEGATIVE = 1, 2, 3, 5
ON_TRUST = Policy(minimum_reports=1, hold_back_quarters=0, self_reports=True)
FIRST, SECOND, THIRD = day_key("first", 3), day_key("second", 2), day_key("third", 1)


def reported(report_type: int = CONFIRMED, policy: Policy = PROMPT, keys: int = 1) -> Story:
    """Ada's report of some days before yesterday: of batch 1, or on trust. Batch 2 is of the other type, 3 negative."""
    story = Story(policy)
    for batch_type in (LIKELY, CONFIRMED, NEGATIVE) if report_type == LIKELY else (CONFIRMED, LIKELY, NEGATIVE):
        story.batch(report_type=batch_type)
    sent = [FIRST, *(key(f"short {n}", (TODAY - 5) * INTERVALS_PER_DAY + n, 1) for n in range(keys - 1))]
    if report_type == SELF_REPORTED:
        assert story.send(report_call("ada", sent, code=None)).verdict is Verdict.TAKEN
    else:
        story.report("ada", sent, story.card(1, 0))
    return story


def verdict(story: Story, call: ContinueCall, code: CodeReading = NO_CODE) -> Verdict:
    """What is answered; nothing is stored by a refusal."""
    before = len(story.events)
    answer = story.send(call, code)
    assert (len(story.events) == before) is (answer.verdict is not Verdict.TAKEN)
    return answer.verdict


def test_later_keys_are_taken_whole() -> None:  # N14
    story = reported()
    short = SentKey(b"short", SECOND.rolling_start_interval_number, 144)
    call = continue_call("ada", [short, SECOND])
    judgement = story.judge(call, holds=[3] * 30)
    assert judgement.answer == Answer(Verdict.TAKEN, (KeyVerdict.BAD_LENGTH, KeyVerdict.TAKEN))
    assert judgement.draft is not None
    body, content = judgement.draft.body, judgement.draft.content
    opened = continuation_id(report_call("ada", []).continue_id)
    assert isinstance(body, Continued) and content is not None
    assert (decode(body.id), body.received_at, body.report_type, body.report) == (opened, NOON, CONFIRMED, 9)
    assert (body.verdicts, body.hold) == ("lt", (0, 3))
    assert judgement.draft.claims == (continue_claim(call.continue_id), continuation_claim(opened))
    assert (content.batch, content.serial, content.provider) == (1, 0, 1), "as the first report"
    assert content.sent == sent_digest(call, 0, 0, 0)
    assert content.keys["position"].tolist() == [1]


def test_a_chain() -> None:  # N1, N14
    story = reported()
    story.go_on("ada", [SECOND])
    story.go_on("ada", [THIRD], links=1)
    step(story)
    assert len(public(story)) == 3
    assert story.ledger.rows_of_person(0) == [0, 1, 2]
    assert verdict(story, continue_call("ada", links=3)) is Verdict.UNKNOWN


def test_a_secret_that_leads_to_nothing() -> None:  # N1
    story = reported()
    assert verdict(story, continue_call("ben", [SECOND])) is Verdict.UNKNOWN
    assert verdict(story, continue_call("ada", [SECOND], links=1)) is Verdict.UNKNOWN


# --- repeated ---------------------------------------------------------------------------------------------------------


def test_a_repeated_call_is_answered_alike_whatever_has_happened() -> None:  # N4
    story = reported(LIKELY)
    call, card = continue_call("ada", [SECOND], "C…"), story.card(2, 0)
    first = story.send(call, card)
    story.withdraw("ada")
    story.revoke(Target(provider=1), NOON)
    story.wait(5 * DAY_SECONDS)
    assert verdict(story, continue_call("ada", [THIRD], links=1)) is Verdict.WITHDRAWN
    assert story.send(call, card) == first == Answer(Verdict.TAKEN, (KeyVerdict.TAKEN,))


@pytest.mark.parametrize(
    "other",
    [
        continue_call("ada", [THIRD]),
        continue_call("ada", []),
        continue_call("ada", [SECOND], test_day=TODAY),
        replace(continue_call("ada", [SECOND]), continue_id=continue_call("ada", links=7).continue_id),
    ],
    ids=["other keys", "no keys", "the day of a test", "another next ID"],
)
def test_another_call_with_the_same_secret(other: ContinueCall) -> None:  # N3
    story = reported()
    story.go_on("ada", [SECOND])
    assert verdict(story, other) is Verdict.MISMATCH


def test_a_repeated_call_after_erasure() -> None:  # N2
    story = reported()
    story.go_on("ada", [SECOND])
    story.erase(TODAY)
    assert verdict(story, continue_call("ada", [SECOND])) is Verdict.TOO_OLD


# --- does the report stand? -------------------------------------------------------------------------------------------


def test_a_withdrawn_report_is_not_continued() -> None:  # N5
    story = reported()
    story.go_on("ada", [SECOND])
    story.withdraw("ada")
    assert verdict(story, continue_call("ada", [THIRD], links=1)) is Verdict.WITHDRAWN


@pytest.mark.parametrize("allowed_days", [0, 2])
@pytest.mark.parametrize(("late_seconds", "answer"), [(-1, Verdict.TAKEN), (0, Verdict.TOO_OLD), (1, Verdict.TOO_OLD)])
def test_until_when_a_report_can_be_continued(allowed_days: int, late_seconds: int, answer: Verdict) -> None:  # N6
    story = reported(policy=replace(PROMPT, continuation_days=allowed_days))
    story.now = Instant(day_start(TODAY + allowed_days + 1) + late_seconds)
    assert verdict(story, continue_call("ada", [SECOND])) is answer


def test_the_days_count_from_the_first_report() -> None:  # N6
    story = reported()
    for day in (1, 2):
        story.wait(DAY_SECONDS)
        story.go_on("ada", [day_key(f"day {day}", 1, story.now)], links=day - 1)
    story.wait(DAY_SECONDS)
    assert verdict(story, continue_call("ada", [day_key("more", 1, story.now)], links=2)) is Verdict.TOO_OLD


def test_a_report_under_an_objection_is_not_continued() -> None:  # N7
    story = reported()
    objection = story.revoke(Target(batch=1), NOON)
    assert verdict(story, continue_call("ada", [SECOND])) is Verdict.CUT_OFF
    assert verdict(story, continue_call("ada", [SECOND], "C…"), story.card(2, 0)) is Verdict.CUT_OFF
    story.reinstate(objection)
    assert verdict(story, continue_call("ada", [SECOND])) is Verdict.TAKEN


def test_a_revocation_from_now_on_meets_the_continuation_only() -> None:  # O5
    story = reported()
    step(story)
    story.revoke(Target(batch=1))
    assert verdict(story, continue_call("ada", [SECOND])) is Verdict.TAKEN
    step(story)
    assert public(story) == {FIRST.key_data}


# --- keys -------------------------------------------------------------------------------------------------------------


def test_no_key_is_left() -> None:  # N8
    story = reported(LIKELY)
    assert story.send(continue_call("ada", [day_key("old", 15)])) == Answer(Verdict.NO_KEY_LEFT, (KeyVerdict.TOO_OLD,))
    assert verdict(story, continue_call("ada")) is Verdict.NO_KEY_LEFT
    answer = story.send(continue_call("ada", [day_key("old", 15)], "C…"), story.card(2, 0))
    assert answer == Answer(Verdict.TAKEN, (KeyVerdict.TOO_OLD,)), "the code's word is taken without a key"


@pytest.mark.parametrize(("held", "sent", "taken"), [(29, 1, True), (30, 1, False), (28, 2, True), (28, 3, False)])
def test_thirty_keys_a_person(held: int, sent: int, taken: bool) -> None:  # N9, T-K7
    story = reported(keys=held)
    keys = [key(f"more {n}", (TODAY - 4) * INTERVALS_PER_DAY + n, 1) for n in range(sent)]
    assert (verdict(story, continue_call("ada", keys)) is Verdict.TAKEN) is taken


def test_thirty_keys_over_a_chain() -> None:  # N9
    story = reported(keys=10)
    for link in range(2):
        keys = [key(f"{link} {n}", (TODAY - 6 - link) * INTERVALS_PER_DAY + n, 1) for n in range(10)]
        story.go_on("ada", keys, links=link)
    story.rollback(int(story.ledger.reports["sequence"][2]))
    assert verdict(story, continue_call("ada", [SECOND], links=2)) is Verdict.REPORT_REFUSED, "cut off or not"


def test_thirty_one_keys_in_one_call() -> None:  # C8
    keys = [day_key("old", 15)] * 31
    assert verdict(reported(), continue_call("ada", keys)) is Verdict.REPORT_REFUSED
    assert verdict(reported(), continue_call("ada", keys[:30])) is Verdict.NO_KEY_LEFT


@pytest.mark.parametrize(
    ("start", "taken"), [(-144, True), (-143, False), (-1, False), (0, True), (1, False), (143, False), (144, True)]
)
def test_keys_overlap_with_those_that_stand(start: int, taken: bool) -> None:  # N9
    """One that begins with another may overlap with it: a phone that is asked twice on a day sends both."""
    call = continue_call("ada", [key("next", FIRST.rolling_start_interval_number + start)])
    assert (verdict(reported(), call) is Verdict.TAKEN) is taken


# --- what a code changes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("present", "told", "answer"),
    [
        (SELF_REPORTED, LIKELY, Verdict.TAKEN),
        (SELF_REPORTED, CONFIRMED, Verdict.TAKEN),
        (SELF_REPORTED, NEGATIVE, Verdict.TAKEN),
        (LIKELY, CONFIRMED, Verdict.TAKEN),
        (LIKELY, NEGATIVE, Verdict.TAKEN),
        (CONFIRMED, LIKELY, Verdict.REPORT_REFUSED),
        (CONFIRMED, NEGATIVE, Verdict.REPORT_REFUSED),
    ],
)
def test_every_transition(present: int, told: int, answer: Verdict) -> None:  # N11
    story = reported(present, ON_TRUST)
    step(story)
    batch = next(number for number, batch in story.ledger.batches.items() if batch.report_type == told)
    card = story.card(batch, 5)
    assert verdict(story, continue_call("ada", [SECOND], "C…"), card) is answer
    assert (card.claim in story.claims) is (answer is Verdict.TAKEN), "a refusal spends no code"
    step(story)
    if told == NEGATIVE and answer is Verdict.TAKEN:
        assert not public(story) and story.track("ada") is story.withdraw("ada") is Verdict.WITHDRAWN
        return
    expected = told if answer is Verdict.TAKEN else present
    assert set(public_records(story)["report_type"].tolist()) == {expected}


def test_a_code_that_says_nothing_new_is_not_spent() -> None:  # N12, C13
    story = reported(LIKELY)
    likely = story.card(1, 0)
    assert verdict(story, continue_call("ada", [SECOND], "C…"), likely) is Verdict.TAKEN, "her own, which is spent"
    assert verdict(story, continue_call("ada", [], "C…", links=1), story.card(1, 9)) is Verdict.NO_KEY_LEFT
    assert verdict(story, continue_call("ada", [THIRD], "C…", links=1), story.card(1, 9)) is Verdict.TAKEN
    story.report("ben", [day_key("other")], story.card(1, 9))
    assert story.ledger.reports["serial"].tolist() == [0, 0, 0, 9]


def test_from_self_reported_by_way_of_likely() -> None:  # N11
    story = reported(SELF_REPORTED, ON_TRUST)
    story.go_on("ada", code=story.card(2, 0))
    assert present_type(story.ledger, 0) == LIKELY
    story.go_on("ada", code=story.card(1, 0), links=1)
    assert present_type(story.ledger, 0) == CONFIRMED
    story.go_on("ada", [SECOND], links=2)
    assert present_type(story.ledger, 0) == CONFIRMED, "a continuation without a code takes nothing back"
    step(story)
    assert public_records(story)["report_type"].tolist() == [CONFIRMED, CONFIRMED]


def test_after_the_second_code_is_cut_off_another_one_counts() -> None:  # N11, O8
    story = reported(LIKELY)
    story.go_on("ada", code=story.card(2, 0))
    story.revoke(Target(batch=2, first=0, last=0), NOON)
    assert present_type(story.ledger, 0) == LIKELY
    story.go_on("ada", code=story.card(2, 1), links=1)
    assert present_type(story.ledger, 0) == CONFIRMED


def test_the_keys_of_a_negative_test_are_not_stored() -> None:  # N14, O7
    story = reported(LIKELY)
    answer = story.send(continue_call("ada", [SECOND], "C…"), story.card(3, 0))
    assert answer == Answer(Verdict.TAKEN, (KeyVerdict.TAKEN,))
    content, body = story.events[-1].content, story.events[-1].body
    assert content is not None and not len(content.keys)
    assert isinstance(body, Continued) and (body.verdicts, body.hold) == ("t", (0,))
    assert (content.batch, content.serial) == (3, 0)
    assert verdict(story, continue_call("ada", [THIRD], links=1)) is Verdict.WITHDRAWN  # N5


def test_a_negative_code_makes_no_report() -> None:  # C18
    story = reported()
    card = story.card(3, 0)
    assert story.send(report_call("ben", [day_key("other")]), card).verdict is Verdict.REPORT_REFUSED
    assert card.claim not in story.claims and story.ledger.reports.count == 1


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        (lambda story: NO_CODE, Verdict.CODE_UNKNOWN),
        (lambda story: story.card(2, 0, CodeKind.TRAINING), Verdict.CODE_UNKNOWN),
        (lambda story: replace(story.card(2, 0), genuine=None), Verdict.CODE_EXPIRED),
        (lambda story: (story.revoke(Target(batch=2)), story.card(2, 0))[1], Verdict.CODE_CUT_OFF),
        (lambda story: (story.report("ben", [THIRD], story.card(2, 0)), story.card(2, 0))[1], Verdict.CODE_SPENT),
    ],
    ids=["no code", "training", "expired", "cut off", "spent"],
)
def test_what_a_code_is_refused_for(code: Callable[[Story], CodeReading], answer: Verdict) -> None:  # N10, C13
    story = reported(LIKELY)
    reading = code(story)
    assert verdict(story, continue_call("ada", [SECOND], "C…"), reading) is answer
    overlapping = continue_call("ada", [key("x", FIRST.rolling_start_interval_number + 1)], "C…")
    assert verdict(story, overlapping, reading) is Verdict.REPORT_REFUSED, "form and keys come first"


def test_a_next_id_that_was_used() -> None:  # N13
    story = reported(LIKELY)
    story.report("ben", [day_key("other")], story.card(1, 1))
    taken = [report_call("ben", []).continue_id, report_call("ada", []).continue_id]
    for used in taken:
        call = replace(continue_call("ada", [SECOND], "C…"), continue_id=used)
        assert verdict(story, call, story.card(2, 0)) is Verdict.MISMATCH
    story.go_on("ada", [SECOND], story.card(2, 0))


# --- on trust ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "taken"), [(15, True), (16, False)])
def test_most_keys_without_a_code(count: int, taken: bool) -> None:  # C17, N9
    story = Story(ON_TRUST)
    keys = [key(f"{n}", (TODAY - 5) * INTERVALS_PER_DAY + n, 1) for n in range(count)]
    assert (story.send(report_call("ada", keys, code=None)).verdict is Verdict.TAKEN) is taken
    story = reported(SELF_REPORTED, ON_TRUST)
    assert (verdict(story, continue_call("ada", keys[1:])) is Verdict.TAKEN) is taken
    vouched = reported(SELF_REPORTED, ON_TRUST)
    assert verdict(vouched, continue_call("ada", keys, "C…"), vouched.card(1, 0)) is Verdict.TAKEN, "a code vouches"


def test_no_more_on_trust_when_the_policy_takes_none() -> None:  # C4
    story = reported(SELF_REPORTED, ON_TRUST)
    story.policy = PROMPT
    assert verdict(story, continue_call("ada", [SECOND])) is Verdict.UNSUPPORTED
    assert verdict(story, continue_call("ada", [], "C…"), story.card(1, 0)) is Verdict.TAKEN
    assert verdict(story, continue_call("ada", [SECOND], links=1)) is Verdict.TAKEN, "by now somebody vouches"


# --- whatever is sent -------------------------------------------------------------------------------------------------


@given(
    calls=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from([None, 1, 2, 3]), st.integers(0, 3)), max_size=8
    ),
)
def test_whatever_is_sent_is_answered_again_alike(calls: list[tuple[int, int, int | None, int]]) -> None:  # N4
    """And of one secret at most one call is taken."""
    story = reported(LIKELY)
    taken: dict[bytes, tuple[ContinueCall, CodeReading, Answer]] = {}
    for links, days_ago, batch, serial in calls:
        call = continue_call("ada", [day_key(f"{days_ago}", days_ago)], None if batch is None else "C…", links)
        code = NO_CODE if batch is None else story.card(batch, serial)
        answer = story.send(call, code)
        if answer.verdict is Verdict.TAKEN:
            known = taken.setdefault(call.continuation_secret, (call, code, answer))
            assert known == (call, code, answer)
    assert len(taken) == story.ledger.reports.count - 1
    for call, code, answer in taken.values():
        assert story.send(call, code) == answer
