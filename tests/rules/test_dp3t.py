"""DP-3T day keys: what is asked of them, alone and together, and when they may be known (rows K12–K16; T-K2, T-K3)."""

import hashlib
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.builders import NOON, Story, chain, continue_call, day_key, report_call
from tests.publication.press import PROMPT, step
from tocsin.ledger.predicates import owner
from tocsin.ledger.queries import live_keys, waiting
from tocsin.model.calls import KeyVerdict, SentKey, Verdict
from tocsin.model.events import Reported
from tocsin.model.keys import DP3T_RECORD, KeyKind, dp3t_chain
from tocsin.model.policy import Policy
from tocsin.model.times import DAY_SECONDS, EMBARGO_SECONDS, INTERVALS_PER_DAY, QUARTER_SECONDS, Day, day_of, day_start
from tocsin.rules.judgement import Judgement
from tocsin.rules.key_checks import hold_backs, is_chain, key_verdict

SERVED = Policy(dp3t_keys=True)
TODAY = day_of(NOON)


def judged(keys: list[SentKey], policy: Policy = SERVED, holds: int = 0) -> Judgement:
    story = Story(policy)
    return story.judge(report_call("phone", keys), story.card(story.batch(), 0), holds=[holds] * 30)


def changed(key: SentKey, start: int = 0, period: int = 144) -> SentKey:
    return SentKey(key.key_data, key.rolling_start_interval_number + start, period)


def test_they_are_taken_only_where_the_policy_says_so() -> None:  # K1, K12
    [key] = chain("a", 1)
    assert key_verdict(key, NOON, Policy()) is KeyVerdict.BAD_LENGTH
    assert key_verdict(key, NOON, SERVED) is KeyVerdict.TAKEN
    for length in (0, 15, 17, 31, 33, 64):
        assert key_verdict(replace(key, key_data=bytes(length)), NOON, SERVED) is KeyVerdict.BAD_LENGTH


@pytest.mark.parametrize(("start", "period"), [(1, 144), (-1, 144), (72, 144), (0, 143), (0, 1), (0, 145), (0, 0)])
def test_they_are_of_whole_utc_days(start: int, period: int) -> None:  # K13
    [key] = chain("a", 1)
    assert key_verdict(changed(key, start, period), NOON, SERVED) is KeyVerdict.BAD_PERIOD


@pytest.mark.parametrize(
    ("last_ago", "verdict"), [(15, "too_old"), (14, "taken"), (0, "taken"), (-1, "future"), (-2, "future")]
)
def test_the_window_is_that_of_any_key(last_ago: int, verdict: str) -> None:  # K3, K4
    assert key_verdict(chain("a", 1, last_ago)[0], NOON, SERVED).value == verdict


def test_a_report_is_of_one_kind() -> None:  # K14
    [key] = chain("a", 1, last_ago=2)
    assert judged([key, day_key("gaen", 1)]).answer.verdict is Verdict.REPORT_REFUSED
    assert judged([key, day_key("gaen", 15)]).answer.verdict is Verdict.TAKEN, "what was dropped does not count"


def test_they_are_one_chain_in_whatever_order() -> None:  # K15
    keys = chain("a", 4)
    assert all(is_chain(order) for order in permutations(keys))
    assert keys[1].key_data == hashlib.sha256(keys[0].key_data).digest(), "white paper, 2.1"
    assert is_chain(keys[:1]) and is_chain([])


@pytest.mark.parametrize(
    "keys",
    [
        [chain("a", 1, 3)[0], chain("a", 1, 1)[0]],
        [chain("a", 1, 2)[0], chain("b", 1, 1)[0]],
        [chain("a", 1, 1)[0], chain("a", 1, 1)[0]],
        [chain("a", 1, 1)[0], chain("b", 1, 1)[0]],
        [*chain("a", 2, 1), changed(chain("a", 1, 0)[0], -INTERVALS_PER_DAY)],
        [
            SentKey(key.key_data, other.rolling_start_interval_number, 144)
            for key, other in zip(chain("a", 2), chain("a", 2)[::-1], strict=True)
        ],
    ],
    ids=["a gap", "another chain", "twice", "two of a day", "a later key of an earlier day", "backwards"],
)
def test_what_is_no_chain_is_refused(keys: list[SentKey]) -> None:  # K15
    assert not is_chain(keys)
    assert judged(keys).answer.verdict is Verdict.REPORT_REFUSED


def test_what_is_dropped_at_either_end_leaves_a_chain() -> None:
    judgement = judged(chain("a", 17, last_ago=-1))
    assert judgement.answer.keys == (KeyVerdict.TOO_OLD, *[KeyVerdict.TAKEN] * 15, KeyVerdict.FUTURE)
    assert judgement.draft is not None and judgement.draft.content is not None
    content = judgement.draft.content.keys
    assert content["key_kind"].tolist() == [2] * 15 and content["record"].dtype == DP3T_RECORD
    first = chain("a", 15, last_ago=0)[0]
    expected = first.key_data + first.rolling_start_interval_number.to_bytes(4, "big") + bytes([144, 1, 0x80, 0])
    assert content["record"][0].tobytes() == expected and len(expected) == 40


def test_all_of_a_report_wait_for_the_end_of_its_last_day() -> None:  # K16
    """Today's key is reported at noon: not even that of last week may be known before tomorrow at two (T-K2)."""
    story = Story(SERVED)
    story.report("phone", chain("a", 8, last_ago=0), story.card(story.batch(), 0))
    free = day_start(TODAY + 1) + EMBARGO_SECONDS
    assert story.ledger.keys[KeyKind.DP3T]["release_at"].tolist() == [free] * 8
    for at, eligible in ((free - 1, 0), (free, 8)):
        assert len(waiting(story.ledger, story.ledger.keys[KeyKind.DP3T], at, Day(0)).eligible) == eligible


def test_they_are_one_part_with_one_hold_back() -> None:  # K16
    keys = chain("a", 3, last_ago=0)
    assert hold_backs(keys, NOON, [3, 1, 2]) == [3, 3, 3]
    judgement = judged([*keys, SentKey(b"short", 0, 1)], holds=4)
    assert judgement.draft is not None and isinstance(judgement.draft.body, Reported)
    assert judgement.draft.body.hold == (4, 4, 4, 0)
    story = Story(SERVED)
    story.batch()
    story.append(judgement.draft)
    free = day_start(TODAY + 1) + EMBARGO_SECONDS + 4 * QUARTER_SECONDS
    assert story.ledger.keys[KeyKind.DP3T]["release_at"].tolist() == [free] * 3


def test_a_key_that_somebody_else_reported_is_known_by_its_bytes() -> None:  # O1
    """Public keys reported as one's own: only what lies beyond their end day is new, and opens nothing real (T-K3)."""
    story = Story(SERVED)
    batch = story.batch()
    story.report("victim", chain("a", 3, last_ago=1), story.card(batch, 0))
    stolen = chain("a", 4, last_ago=0)
    story.report("thief", stolen, story.card(batch, 1))
    keys = story.ledger.keys[KeyKind.DP3T]
    assert keys["head"].tolist() == [0, 1, 2, 0, 1, 2, 6]
    assert [owner(story.ledger, keys, head) for head in (0, 1, 2, 6)] == [0, 1, 2, 6]
    assert story.withdraw("victim") is Verdict.WITHDRAWN
    assert [owner(story.ledger, keys, head) for head in (0, 1, 2, 6)] == [None, None, None, 6]  # O3


def continued(first: list[SentKey], later: list[SentKey]) -> Verdict:
    story = Story(SERVED)
    story.report("phone", first, story.card(story.batch(), 0))
    story.wait(DAY_SECONDS)
    return story.send(continue_call("phone", later)).verdict


def test_a_continuation_is_a_chain_of_its_own() -> None:  # K14, K15, N9
    """A phone begins a new chain when it has reported; keys of the old one are open already, or open it."""
    assert continued(chain("a", 3, last_ago=0), chain("b", 2, last_ago=-1)) is Verdict.TAKEN
    assert continued(chain("a", 3, last_ago=0), chain("a", 1, last_ago=-1)) is Verdict.REPORT_REFUSED, "goes on"
    assert continued(chain("a", 1, last_ago=0), chain("a", 2, last_ago=1)) is Verdict.REPORT_REFUSED, "opens it"
    assert continued(chain("a", 3, last_ago=1), chain("a", 1, last_ago=1)) is Verdict.REPORT_REFUSED, "the same"
    assert continued(chain("a", 3, last_ago=1), [day_key("gaen", 0)]) is Verdict.REPORT_REFUSED
    assert continued([day_key("gaen", 1)], chain("a", 1, last_ago=0)) is Verdict.REPORT_REFUSED


CHAINS = st.lists(
    st.tuples(st.integers(1, 6), st.integers(0, 3), st.integers(0, 30), st.sampled_from([0, 4])), min_size=1, max_size=4
)


@given(CHAINS)
@settings(deadline=None)
def test_no_public_key_opens_one_that_may_still_be_in_use(chains: list[tuple[int, int, int, int]]) -> None:  # K16
    """T-K2: in no version is any key from which one of the same phone can be derived that ended within two hours."""
    story = Story(replace(PROMPT, dp3t_keys=True))
    batch, sent = story.batch(), []
    for serial, (days, last_ago, quarters, hold) in enumerate(chains):
        keys = chain(f"phone {serial}", days, last_ago, story.now)
        judgement = story.judge(report_call(f"phone {serial}", keys), story.card(batch, serial), holds=[hold] * 30)
        assert judgement.draft is not None
        story.append(judgement.draft)
        sent.append(keys)
        body = step(story, 900 * (1 + quarters))
        opened = {
            (key, int(record["rolling_start_interval_number"]) + number * INTERVALS_PER_DAY)
            for record in live_keys(story.ledger, Day(body.first_day))[KeyKind.DP3T]
            for number, key in enumerate(dp3t_chain(record["key_data"].tobytes(), 20))
        }
        for key in (key for keys in sent for key in keys):
            end = (key.rolling_start_interval_number + 144) * 600
            if (key.key_data, key.rolling_start_interval_number) in opened:
                assert end + EMBARGO_SECONDS <= body.at
    last = step(story, 3 * DAY_SECONDS)
    live = live_keys(story.ledger, Day(last.first_day))
    assert len(live[KeyKind.DP3T]) == sum(map(len, sent)) and not len(live[KeyKind.GAEN])
