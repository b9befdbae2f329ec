"""Rows K1–K8 of docs/rules.md, at the edge, one before and one after; cases 8, 11, 15–17."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import NOON, day_key, key
from tocsin.model.calls import KeyVerdict, SentKey
from tocsin.model.keys import NO_ONSET
from tocsin.model.policy import Policy
from tocsin.model.times import DAY_SECONDS, INTERVALS_PER_DAY, Instant, day_of
from tocsin.rules.key_checks import days_since_onset, first_contagious_day, hold_backs, key_verdict, overlap, plausible

TODAY = day_of(NOON)
MIDNIGHT = TODAY * INTERVALS_PER_DAY
START = day_key("any").rolling_start_interval_number


def _verdict(sent: SentKey, received_at: int = NOON, useful_days: int = 14) -> str:
    return key_verdict(sent, Instant(received_at), Policy(useful_days=useful_days)).value


@pytest.mark.parametrize(
    ("length", "verdict"),
    [(0, "bad_length"), (15, "bad_length"), (16, "taken"), (17, "bad_length"), (32, "bad_length")],
)
def test_length(length: int, verdict: str) -> None:  # K1, case 8
    assert _verdict(SentKey(bytes(length), START, 144)) == verdict


@pytest.mark.parametrize(
    ("period", "verdict"),
    [
        (0, "bad_period"),
        (1, "taken"),
        (2, "taken"),
        (143, "taken"),
        (144, "taken"),
        (145, "bad_period"),
        (2**32 - 1, "bad_period"),
    ],
)
def test_period(period: int, verdict: str) -> None:  # K2, case 8
    assert _verdict(key("a", START, period)) == verdict


@pytest.mark.parametrize("useful_days", [1, 7, 14])
@pytest.mark.parametrize(("beyond", "verdict"), [(-1, "too_old"), (0, "taken"), (1, "taken")])
def test_the_edge_of_the_window(useful_days: int, beyond: int, verdict: str) -> None:  # K3, case 17
    oldest = MIDNIGHT - useful_days * INTERVALS_PER_DAY
    for period in (1, 2, 144):
        start = oldest + beyond - (period - 1)
        assert _verdict(key("a", start, period), useful_days=useful_days) == verdict


@pytest.mark.parametrize("seconds", [0, 12 * 3600, DAY_SECONDS - 900])
@pytest.mark.parametrize(("days_ago", "verdict"), [(13, "taken"), (14, "taken"), (15, "too_old")])
def test_keys_of_whole_days(days_ago: int, verdict: str, seconds: int) -> None:  # K3
    assert _verdict(day_key("a", days_ago), TODAY * DAY_SECONDS + seconds) == verdict


@given(st.integers(-16 * 144, 3), st.integers(1, 144), st.integers(0, DAY_SECONDS - 1))
def test_the_window_against_gaens_own(offset: int, period: int, second: int) -> None:  # K3, K4
    """Its limits (google/exposure-notifications-server) are end ≥ I(now − 360 h) and start ≤ I(now).

    What is not too old here is not too old there; what is not of the future there is not of the future here.
    """
    now = TODAY * DAY_SECONDS + second
    start = now // 600 + offset
    verdict = _verdict(key("a", start, period), now - now % 900)
    if verdict != "too_old":
        assert start + period >= (now - 360 * 3600) // 600
    if start <= now // 600:
        assert verdict != "future"


@pytest.mark.parametrize("seconds", [0, 12 * 3600, DAY_SECONDS - 900])
def test_the_window_is_of_whole_days(seconds: int) -> None:  # K3, case 11
    received_at = TODAY * DAY_SECONDS + seconds
    oldest = MIDNIGHT - 14 * INTERVALS_PER_DAY
    assert _verdict(key("a", oldest, 1), received_at) == "taken"
    assert _verdict(key("a", oldest - 1, 1), received_at) == "too_old"


@pytest.mark.parametrize(("minute", "last_interval"), [(0, 1), (15, 2), (30, 4), (45, 5)])
def test_a_key_must_have_begun_when_the_quarter_hour_ends(minute: int, last_interval: int) -> None:  # K4, case 15
    received_at, hour = NOON + minute * 60, NOON // 600
    # 12:00–12:15 has the intervals of 12:00 and 12:10; 12:15–12:30 that of 12:20 too, and no other; and so on
    assert _verdict(key("a", hour + last_interval - 1, 144), received_at) == "taken"
    assert _verdict(key("a", hour + last_interval, 144), received_at) == "taken"
    assert _verdict(key("a", hour + last_interval + 1, 144), received_at) == "future"


@pytest.mark.parametrize("start", [MIDNIGHT + 144, MIDNIGHT + 365 * 144, 2**31, 2**32 - 1])
def test_future_keys(start: int) -> None:  # K4, case 15
    assert _verdict(key("a", start, 144)) == "future"


def test_the_first_rule_that_is_broken_names_the_position() -> None:  # K1–K4
    far = 2**32 - 1
    assert _verdict(SentKey(b"", far, 0)) == "bad_length"
    assert _verdict(key("a", far, 0)) == "bad_period"
    assert _verdict(key("a", 0, 145)) == "bad_period"
    assert _verdict(key("a", 0, 144)) == "too_old"


def test_a_start_need_not_be_at_midnight() -> None:
    assert _verdict(key("a", START + 77, 144)) == "taken"


# --- keys together -------------------------------------------------------------------------------------------------


def _overlap(*spans: tuple[int, int]) -> bool:
    answers = {
        overlap([key(str(i), START + start, period) for i, (start, period) in enumerate(order)])
        for order in itertools.permutations(spans)
    }
    assert len(answers) == 1  # the order of keys tells nothing
    return answers.pop()


@pytest.mark.parametrize(("count", "refused"), [(1, False), (2, False), (3, False), (4, True)])
def test_at_most_three_keys_of_one_start(count: int, refused: bool) -> None:  # K5
    assert _overlap(*[(0, 144 - i) for i in range(count)]) is refused
    assert _overlap(*[(0, 144)] * count) is refused


def test_what_a_phone_sends_on_the_day_of_its_report() -> None:  # K6, case 16
    assert not _overlap((0, 100), (0, 144))
    assert not _overlap((0, 100), (100, 144))
    assert not _overlap((0, 100), (0, 144), (144, 144))


@pytest.mark.parametrize(("start", "refused"), [(143, True), (144, False), (145, False)])
def test_a_new_start_against_the_greatest_end_so_far(start: int, refused: bool) -> None:  # K6
    assert _overlap((0, 144), (start, 10)) is refused
    assert _overlap((0, 100), (0, 144), (start, 10)) is refused
    assert _overlap((0, 144), (start, 1), (400, 144)) is refused


def test_a_long_key_is_not_forgotten_behind_a_short_one() -> None:  # K6
    assert _overlap((0, 144), (10, 1), (50, 1))


def test_equal_bytes_do_not_matter() -> None:  # only intervals overlap
    assert not overlap([key("same", START, 144), key("same", START + 144, 144), key("same", START, 100)])


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 4)), max_size=6))
def test_overlap_as_it_is_said(spans: list[tuple[int, int]]) -> None:  # K5, K6: against all pairs of intervals
    starts = [start for start, _ in spans]
    pairs = itertools.combinations(spans, 2)
    shared = any(a[0] != b[0] and max(a[0], b[0]) < min(a[0] + a[1], b[0] + b[1]) for a, b in pairs)
    expected = shared or any(starts.count(start) > 3 for start in starts)
    assert overlap([key(str(i), START + start, period) for i, (start, period) in enumerate(spans)]) is expected


def test_nothing_overflows() -> None:  # case 15
    far = 2**32 - 1
    assert not overlap([key("a", far, 144), key("b", 0, 144)])
    assert overlap([key("a", far, 144), key("b", far - 1, 144)])


# --- onset and hold-back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "onset"), [(-15, NO_ONSET), (-14, -14), (-13, -13), (0, 0), (13, 13), (14, 14), (15, NO_ONSET)]
)
def test_days_since_onset(days: int, onset: int) -> None:  # K8
    assert days_since_onset(key("a", MIDNIGHT, 144), TODAY - days) == onset


def test_the_onset_counts_from_the_day_of_the_start() -> None:  # K8
    assert days_since_onset(key("a", MIDNIGHT - 1, 144), TODAY - 1) == 0
    assert days_since_onset(key("a", MIDNIGHT - 1, 144), None) == NO_ONSET
    assert days_since_onset(key("a", 2**32 - 1, 144), -(2**31)) == NO_ONSET


# --- the first contagious day ----------------------------------------------------------------------------------------

DAYS = st.integers(-2, 2)


@given(onset=DAYS, test=DAYS, before_onset=st.integers(0, 3), before_test=st.integers(0, 3))
def test_the_onset_goes_before_the_test(onset: int, test: int, before_onset: int, before_test: int) -> None:  # K11
    policy = Policy(contagious_days_before_onset=before_onset, contagious_days_before_test=before_test)
    onset, test = TODAY - 5 + onset, TODAY - 5 + test
    assert first_contagious_day(onset, test, NOON, policy) == onset - before_onset
    assert first_contagious_day(onset, None, NOON, policy) == onset - before_onset
    assert first_contagious_day(None, test, NOON, policy) == test - before_test
    assert first_contagious_day(None, None, NOON, policy) is None


@pytest.mark.parametrize(("days_ago", "counts"), [(29, False), (28, True), (0, True), (-1, True), (-2, False)])
def test_a_day_that_can_not_be_is_as_if_it_were_not_sent(days_ago: int, counts: bool) -> None:  # K11, K8
    """GAEN's 28 days back (its publish, `onset`), and tomorrow, for where the phone is it may be that already."""
    day = TODAY - days_ago
    assert plausible(day, NOON) == (day if counts else None)
    assert first_contagious_day(day, None, NOON, Policy()) == (day - 2 if counts else None)
    assert first_contagious_day(day, TODAY, NOON, Policy()) == (day - 2 if counts else TODAY - 2)
    assert first_contagious_day(None, day, NOON, Policy()) == (day - 2 if counts else None)


@given(st.integers(1 - 2**31, 2**31 - 1), st.integers(1 - 2**31, 2**31 - 1))
def test_no_day_is_too_far_for_the_sum(onset: int, test: int) -> None:  # K11
    since = first_contagious_day(onset, test, NOON, Policy())
    assert since is None or TODAY - 30 <= since <= TODAY - 1


@pytest.mark.parametrize(("off", "verdict"), [(-1, "too_old"), (0, "taken"), (1, "taken")])
def test_the_edge_of_the_first_contagious_day(off: int, verdict: str) -> None:  # K11
    """The day of a key is that of its last interval: a key that reaches into the first day is of it."""
    since = TODAY - 4
    assert key_verdict(day_key("any", 4 - off), NOON, Policy(), since).value == verdict
    reaching = key("any", since * INTERVALS_PER_DAY - 100, 100 + off)
    assert key_verdict(reaching, NOON, Policy(), since).value == ("taken" if off == 1 else "too_old")


def test_the_window_of_useful_days_holds_beside_it() -> None:  # K3, K11
    assert key_verdict(day_key("any", 15), NOON, Policy(), TODAY - 20).value == "too_old"


def test_hold_backs_follow_the_order_of_instants() -> None:  # K10
    late, soon, past = key("a", MIDNIGHT, 144), key("b", MIDNIGHT, 100), key("c", MIDNIGHT - 144, 12)
    assert hold_backs([late, past, soon, late], NOON, [1, 2, 3]) == [3, 1, 2, 3]
    assert hold_backs([soon], NOON, [4, 0]) == [4]


@pytest.mark.parametrize(("end", "part"), [(-13, 0), (-12, 0), (-11, 1)])
def test_a_part_is_of_one_release_instant(end: int, part: int) -> None:  # end + 2 h before, at and after receipt
    past, edge = key("past", MIDNIGHT - 144, 10), key("edge", NOON // 600 + end - 1, 1)
    assert hold_backs([past, edge], NOON, [7, 9]) == [7, (7, 9)[part]]


def test_all_verdicts_of_a_key_are_reached() -> None:
    reached = {
        _verdict(SentKey(b"", START, 1)),
        _verdict(key("a", START, 0)),
        _verdict(key("a", 0, 1)),
        _verdict(key("a", 2**31, 1)),
        _verdict(key("a", START, 1)),
    }
    assert reached == {verdict.value for verdict in KeyVerdict}
