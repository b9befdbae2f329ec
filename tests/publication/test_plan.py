"""Rows P1–P6 of docs/rules.md, at the edge, one before and one after. (P7 is `service.publish`'s.)"""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.builders import NOON, Story, day_key, key, report_call, secret
from tests.publication.press import PROMPT, made, moved, public, public_records, step
from tocsin.formats.set_digest import set_digest
from tocsin.ledger.queries import changes
from tocsin.model.base64url import decode
from tocsin.model.calls import SentKey, Verdict
from tocsin.model.claims import version_claim
from tocsin.model.events import Published, Target
from tocsin.model.keys import NO_ONSET, RECORD, KeyKind, ReportType, by_kind
from tocsin.model.policy import Policy
from tocsin.model.times import (
    DAY_SECONDS,
    EMBARGO_SECONDS,
    INTERVAL_SECONDS,
    QUARTER_SECONDS,
    Day,
    Instant,
    day_of,
    day_start,
    floor_quarter,
)
from tocsin.publication.plan import plan
from tocsin.rules import corrections

HOUR = 3600
FOUR_HOURS = 4 * HOUR


def story_of(policy: Policy = PROMPT, now: Instant = NOON) -> Story:
    """A story with one batch of cards."""
    story = Story(policy, now)
    story.batch()
    return story


def keys_of(name: str, count: int, now: Instant = NOON) -> list[SentKey]:
    """The keys of whole days, from yesterday back."""
    return [day_key(f"{name} {ago}", ago, now) for ago in range(1, count + 1)]


def report(story: Story, name: str, serial: int, keys: list[SentKey], hold: int = 0) -> int:
    """A report that is taken; every part of it is held back for `hold` quarter-hours."""
    judgement = story.judge(report_call(name, keys), story.card(1, serial), holds=[hold] * 30)
    assert judgement.answer.verdict is Verdict.TAKEN and judgement.draft is not None
    return story.append(judgement.draft)


def names(story: Story, *of: str) -> set[str]:
    """Which of these keys are public."""
    return {name for name in of if secret(name)[:16] in public(story)}


# --- P1: when ---------------------------------------------------------------------------------------------------------


def test_a_step_has_one_version_and_an_empty_one_counts() -> None:  # P1
    """Case 4: nothing to say is a version too; its set is the empty one, and its digest says so."""
    story = story_of()
    assert plan(story.ledger, PROMPT, story.now, 1, ()) is None, "the quarter-hour of the founding has version 0"
    assert plan(story.ledger, PROMPT, story.now + 899, 1, ()) is None
    body = step(story)
    assert (body.version, body.at, body.due, body.entering, body.leaving) == (1, NOON + 900, NOON + 1800, (), ())
    assert decode(body.set_digest) == set_digest("utopia", by_kind())
    assert plan(story.ledger, PROMPT, story.now + 899, 1, ()) is None
    assert step(story).version == 2


def test_what_a_version_claims_and_repeats() -> None:
    story = story_of()
    story.wait()
    draft = plan(story.ledger, replace(PROMPT, useful_days=10), story.now + 77, 5, ())
    assert draft is not None and isinstance(draft.body, Published) and draft.content is None
    assert draft.claims == (version_claim(1),)
    body = draft.body
    assert (body.up_to, body.term, body.padding) == (story.ledger.sequence, 5, ())
    assert (body.useful_days, body.first_day) == (10, day_of(NOON) - 10)


def test_a_publisher_that_was_away_makes_one_version_for_now() -> None:  # P1
    story = story_of()
    step(story)
    body = step(story, 30 * HOUR + 77)
    assert (body.version, body.at) == (2, floor_quarter(NOON + 900 + 30 * HOUR + 77))


def test_a_clock_that_is_behind_decides_nothing() -> None:  # P1
    story = story_of()
    step(story, HOUR)
    assert plan(story.ledger, PROMPT, story.now - 900, 1, ()) is None


@pytest.mark.parametrize("step_seconds", [1800, HOUR, FOUR_HOURS])
def test_longer_steps(step_seconds: int) -> None:  # P1
    policy = replace(PROMPT, step_seconds=step_seconds)
    story = story_of(policy, Instant(NOON + 900))
    first = day_start(day_of(NOON)) + (NOON % DAY_SECONDS // step_seconds + 1) * step_seconds
    assert plan(story.ledger, policy, first - 1, 1, ()) is None, "the step of the founding"
    body = step(story, first - story.now)
    assert (body.at, body.due) == (first, first + step_seconds)
    assert plan(story.ledger, policy, first + step_seconds - 1, 1, ()) is None


def test_around_midnight_numbers_never_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 13: at 23:59:59 and 00:00:01, in another zone, in the night in which its summer time ends."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        midnight = day_start(20_023)  # 2024-10-28; at 01:00 UTC of the day before, clocks in Berlin went back
        story = story_of(now=Instant(midnight - DAY_SECONDS - HOUR))
        bodies = [step(story, HOUR - 1), step(story, 2)]
        bodies += [step(story, 1800) for _ in range(6)]
        bodies += [step(story, midnight - 1 - story.now), step(story, 2)]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [body.version for body in bodies] == list(range(1, 11))
    assert all(earlier.at < later.at for earlier, later in pairwise(bodies))
    assert [(body.at, body.first_day) for body in bodies[-2:]] == [
        (midnight - 900, 20_022 - 14),
        (midnight, 20_023 - 14),
    ]


def test_a_report_is_found_by_its_sequence() -> None:
    """Case 14: received at 23:59:58, numbered at 00:00:03, when the version of midnight was decided already."""
    midnight = day_start(day_of(NOON) + 1)
    story = story_of(now=Instant(midnight - 2))
    judgement = story.judge(report_call("late", keys_of("late", 2)), story.card(1, 0), holds=[0] * 30)
    assert judgement.draft is not None
    step(story, 4)
    sequence = story.append(judgement.draft)
    assert judgement.draft.body.received_at == midnight - 900  # type: ignore[attr-defined]
    assert moved(step(story).entering) == {sequence: {0, 1}}


# --- P2: additions ----------------------------------------------------------------------------------------------------


def test_the_minimum_counts_reports_not_keys() -> None:  # P2
    """Case 35: 13 keys of one and 1 key of another person are two reports, however many keys."""
    story = story_of(Policy(minimum_reports=3))
    report(story, "a", 0, keys_of("a", 13))
    report(story, "b", 1, keys_of("b", 1))
    assert step(story).entering == ()
    report(story, "c", 2, keys_of("c", 1))
    assert [len(positions) for positions in moved(step(story).entering).values()] == [13, 1, 1]


@pytest.mark.parametrize(("reports", "out"), [(2, False), (3, True), (4, True)])
def test_the_edge_of_the_minimum(reports: int, out: bool) -> None:  # P2
    story = story_of(Policy(minimum_reports=3))
    for serial in range(reports):
        report(story, f"phone {serial}", serial, keys_of(f"phone {serial}", 1))
    assert bool(step(story).entering) is out


@pytest.mark.parametrize(("late", "out"), [(-900, False), (0, True), (900, True)])
def test_the_edge_of_the_embargo(late: int, out: bool) -> None:  # P2
    """A quarter-hour before the end of today's key and two hours, at it, and a quarter-hour after."""
    story = story_of()
    report(story, "a", 0, [day_key("today", 0)])
    tonight = day_start(day_of(NOON) + 1) + EMBARGO_SECONDS
    assert bool(step(story, tonight + late - story.now).entering) is out


@pytest.mark.parametrize("hold", [0, 2])
def test_the_longest_wait_runs_from_the_oldest_release_instant(hold: int) -> None:  # P2
    """Case 39: two reports of 13 keys with the default minimum go out after the longest wait."""
    story = story_of(Policy())
    report(story, "a", 0, keys_of("a", 13), hold)
    story.wait(HOUR)
    report(story, "b", 1, keys_of("b", 13))
    released = NOON + hold * QUARTER_SECONDS
    assert step(story, released + FOUR_HOURS - 900 - story.now).entering == ()
    body = step(story, 900)
    assert body.at == released + FOUR_HOURS
    assert len(public(story)) == 26


@pytest.mark.parametrize("late", [-900, 0, 900])
def test_the_edge_of_the_longest_wait(late: int) -> None:  # P2
    story = story_of(Policy())
    report(story, "a", 0, keys_of("a", 1))
    assert bool(step(story, FOUR_HOURS + late).entering) is (late >= 0)


def test_no_wait_at_all() -> None:  # P2
    story = story_of(Policy(longest_wait_seconds=0))
    report(story, "a", 0, keys_of("a", 1))
    assert step(story).entering


def test_only_reports_with_an_eligible_part_count() -> None:  # P2
    """One is held back, one is withdrawn, one is under an objection, one has only a key that is still in use."""
    story = story_of(Policy(minimum_reports=2))
    report(story, "a", 0, keys_of("a", 1))
    report(story, "held", 1, keys_of("held", 1), hold=4)
    report(story, "gone", 2, keys_of("gone", 1))
    story.withdraw("gone")
    story.rollback(report(story, "cut off", 3, keys_of("cut off", 1)))
    report(story, "today", 4, [day_key("today", 0)])
    for _ in range(3):
        assert step(story).entering == ()
    assert step(story).entering, "the one that was held back came to its release instant"
    assert names(story, "a 1", "held 1", "gone 1", "cut off 1", "today") == {"a 1", "held 1"}


def test_a_key_that_expired_while_it_waited_counts_no_more() -> None:  # P2, P6
    midnight = day_start(day_of(NOON) + 1)
    story = story_of(Policy(minimum_reports=2, longest_wait_seconds=DAY_SECONDS), Instant(midnight - HOUR))
    report(story, "old", 0, [day_key("old", 14)])
    assert step(story).entering == ()
    story.wait(HOUR)
    report(story, "new", 1, [day_key("new", 1)])
    assert step(story).entering == ()
    assert public(story) == set()


def test_a_key_ends_before_it_is_public() -> None:  # P2
    """Case 17: ending at the edge − 1, the edge and the edge + 1 interval. The edge is in."""
    at = NOON + HOUR  # a multiple of both ten minutes and a quarter-hour
    edge = (at - EMBARGO_SECONDS) // INTERVAL_SECONDS
    story = story_of()
    sent = [key(name, edge + offset - 50, 50) for name, offset in (("before", -1), ("edge", 0), ("after", 1))]
    for serial, one in enumerate(sent):
        report(story, f"phone {serial}", serial, [one])
    assert step(story, at - story.now).at == at
    assert names(story, "before", "edge", "after") == {"before", "edge"}
    step(story)
    assert names(story, "after") == {"after"}


def test_todays_key_waits_and_the_past_ones_do_not() -> None:  # P2
    """Cases 9 and 10: reported at noon with 13 past keys; today's ends at midnight, and two hours later it is out."""
    story = story_of()
    sequence = report(story, "a", 0, [day_key("today", 0), *keys_of("a", 13)])
    assert moved(step(story).entering) == {sequence: set(range(1, 14))}
    tonight = day_start(day_of(NOON) + 1) + EMBARGO_SECONDS
    assert step(story, tonight - 900 - story.now).entering == ()
    assert moved(step(story, 900).entering) == {sequence: {0}}


def test_a_keys_own_end_decides() -> None:  # P2
    """Case 11: recorded yesterday and valid until tonight; recorded today and expired last week."""
    story = story_of(now=Instant(NOON - DAY_SECONDS))
    tonight = day_key("tonight", 0, Instant(NOON - DAY_SECONDS))
    report(story, "yesterday", 0, [replace(tonight, rolling_start_interval_number=NOON // INTERVAL_SECONDS - 144)])
    story.wait(DAY_SECONDS - HOUR)
    report(story, "today", 1, [day_key("last week", 7)])
    step(story)
    assert names(story, "tonight", "last week") == {"last week"}
    step(story, NOON + EMBARGO_SECONDS - story.now)
    assert names(story, "tonight", "last week") == {"tonight", "last week"}


def test_one_key_in_use_and_one_of_yesterday() -> None:  # P2
    """Case 12: one ends in six hours and waits for that and the margin, the other is in the next publication."""
    story = story_of()
    in_six_hours = (NOON + 6 * HOUR) // INTERVAL_SECONDS
    report(story, "a", 0, [key("in use", in_six_hours - 100, 100), day_key("yesterday", 1)])
    step(story)
    assert names(story, "in use", "yesterday") == {"yesterday"}
    step(story, 8 * HOUR - 900 - 900)
    assert names(story, "in use") == set()
    step(story, 900)
    assert names(story, "in use") == {"in use"}


@pytest.mark.parametrize("hold", [0, 1, 4])
def test_hold_back(hold: int) -> None:  # P2
    story = story_of()
    report(story, "a", 0, keys_of("a", 2), hold)
    entered = [bool(step(story).entering) for _ in range(5)]
    assert entered.index(True) == max(hold - 1, 0)


def test_during_a_pause_nothing_is_added_and_waiting_goes_on() -> None:  # P2
    story = story_of(Policy(minimum_reports=2))
    story.append(corrections.pause(story.ledger, story.by()))
    report(story, "a", 0, keys_of("a", 1))
    bodies = [step(story, HOUR) for _ in range(5)]
    assert [body.version for body in bodies] == [1, 2, 3, 4, 5], "quiet, waiting and paused look alike"
    assert all(body.entering == () for body in bodies)
    story.append(corrections.resume(story.ledger, story.by()))
    assert step(story).entering, "it has waited for five hours"


# --- P3, P4, P5: corrections ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paused", [False, True])
def test_removals_wait_for_nothing(paused: bool) -> None:  # P3
    story = story_of(Policy(minimum_reports=3))
    first, second = (report(story, name, serial, keys_of(name, 2)) for serial, name in enumerate("ab"))
    third = report(story, "c", 2, keys_of("c", 2))
    step(story)
    if paused:
        story.append(corrections.pause(story.ledger, story.by()))
    story.withdraw("a")
    story.rollback(second)
    body = step(story)
    assert (moved(body.leaving), body.entering) == ({first: {0, 1}, second: {0, 1}}, ())
    story.revoke(Target(batch=1), NOON)
    assert moved(step(story).leaving) == {third: {0, 1}}
    assert step(story).leaving == (), "once"


def test_reinstated_keys_that_were_public_come_back_at_once() -> None:  # P4
    """They ignore the minimum, the wait and their hold-back: there is nothing left to hide."""
    story = story_of(Policy(minimum_reports=1))
    first = report(story, "a", 0, keys_of("a", 2), hold=4)
    step(story, HOUR)
    objection = story.rollback(first)
    step(story)
    story.policy = Policy(minimum_reports=9)
    story.reinstate(objection)
    assert moved(step(story).entering) == {first: {0, 1}}


def test_reinstated_keys_wait_for_resume() -> None:  # P4
    story = story_of()
    first = report(story, "a", 0, keys_of("a", 2))
    step(story)
    objection = story.rollback(first)
    step(story)
    story.append(corrections.pause(story.ledger, story.by()))
    story.reinstate(objection)
    assert step(story).entering == ()
    story.append(corrections.resume(story.ledger, story.by()))
    assert moved(step(story).entering) == {first: {0, 1}}


def test_reinstated_keys_that_were_never_public_are_additions() -> None:  # P4, P2
    """They keep their release instant and count for the minimum, beside those of the same report that were public."""
    story = story_of(Policy(minimum_reports=1))
    midnight = day_start(day_of(NOON) + 1)
    first = report(story, "a", 0, [day_key("today", 0), day_key("past", 1)])
    step(story)
    objection = story.rollback(first)
    step(story)
    story.policy = Policy(minimum_reports=2)
    story.reinstate(objection)
    step(story, midnight + EMBARGO_SECONDS - story.now)
    assert names(story, "today", "past") == {"past"}
    report(story, "b", 1, [day_key("b", 1)])
    assert moved(step(story).entering)[first] == {0}
    assert names(story, "today", "past") == {"today", "past"}


def test_a_key_goes_over_to_its_next_holder() -> None:  # P2, P3
    """It leaves with the first report; the second waits for its own minimum, and gives it back after reinstatement."""
    story = story_of(Policy(minimum_reports=1))
    first = report(story, "a", 0, [day_key("shared", 1)])
    step(story)
    second = report(story, "b", 1, [day_key("shared", 1)])
    assert step(story).entering == (), "nobody is told who owns a key, and nothing changes"
    objection = story.rollback(first)
    body = step(story)
    assert (moved(body.leaving), moved(body.entering)) == ({first: {0}}, {second: {0}})
    assert names(story, "shared") == {"shared"}
    story.reinstate(objection)
    body = step(story)
    assert (moved(body.leaving), moved(body.entering)) == ({second: {0}}, {first: {0}})


@pytest.mark.parametrize("paused", [False, True])
def test_a_record_that_changes_is_published_anew(paused: bool) -> None:  # P5
    """No event changes a report's type yet, so the ledger is told by hand."""
    story = story_of(Policy(minimum_reports=9, longest_wait_seconds=0))
    first = report(story, "a", 0, keys_of("a", 2))
    step(story)
    if paused:
        story.append(corrections.pause(story.ledger, story.by()))
    story.ledger.reports["report_type"][0] = ReportType.LIKELY
    body = step(story)
    assert (moved(body.entering), body.leaving) == ({first: {0, 1}}, ())
    assert set(public_records(story)["report_type"].tolist()) == {ReportType.LIKELY}
    assert step(story).entering == ()


# --- P6: expiry -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hold", [0, 4])
def test_a_key_is_kept_for_fourteen_whole_days_after_its_end(hold: int) -> None:  # P6
    """Case 18: 14 days − 1 minute and + 1 minute after its end, also when it was held back first."""
    story = story_of()
    end = day_start(day_of(NOON) + 1)
    report(story, "a", 0, [day_key("today", 0)], hold)
    step(story, end + EMBARGO_SECONDS + HOUR - story.now)
    assert names(story, "today") == {"today"}
    step(story, end + 14 * DAY_SECONDS - 60 - story.now)
    assert names(story, "today") == {"today"}
    body = step(story, 120)
    assert (body.at, body.leaving) == (end + 14 * DAY_SECONDS, ()), "by one number, not by lists"
    assert names(story, "today") == set()
    assert decode(body.set_digest) == set_digest("utopia", by_kind())


def test_all_keys_of_a_day_expire_together() -> None:  # P6
    """A key's day is that of its last interval, wherever it began."""
    yesterday = (day_of(NOON) - 1) * 144
    story = story_of()
    over_midnight = key("over midnight", yesterday - 40, 100)
    for serial, one in enumerate([key("early", yesterday, 1), over_midnight, key("late", yesterday + 143, 1)]):
        report(story, f"phone {serial}", serial, [one])
    step(story)
    last = day_start(day_of(NOON) - 1 + 15) - 900
    step(story, last - story.now)
    assert names(story, "early", "over midnight", "late") == {"early", "over midnight", "late"}
    step(story)
    assert public(story) == set()


def test_a_correction_of_what_expired_says_nothing() -> None:  # P3, P6
    story = story_of()
    first = report(story, "a", 0, keys_of("a", 1))
    step(story)
    story.rollback(first)
    body = step(story, 15 * DAY_SECONDS)
    assert (body.entering, body.leaving) == ((), ())


# --- files ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([1, 1, 1, 2, 3, 15, 16, 17, 90, 96, 97, 300]), min_size=1, max_size=40))
def test_which_files_a_version_makes(gaps: list[int]) -> None:
    """A keyset dump, and GAEN files, at the first version of each four hours; a delta always.

    The delta begins with the newest dump or with what was in force a day before, whichever is older. The sums are done
    anew here, over all versions.
    """
    story = story_of()
    ats = {0: story.ledger.founded_at}
    dump = gaen = 0
    for version, gap in enumerate(gaps, 1):
        body = step(story, gap * QUARTER_SECONDS)
        first_of_span = version == 1 or ats[version - 1] // FOUR_HOURS < body.at // FOUR_HOURS
        files = made(body)
        assert (("keyset", "dump") in files) is first_of_span
        assert (("gaen", "dump") in files) is first_of_span
        assert ("gaen", "delta") not in files, "an empty window makes no file"
        if first_of_span:
            dump = gaen = version
        day_before = max((v for v, at in ats.items() if at <= body.at - DAY_SECONDS), default=0)
        assert files["keyset", "delta"].from_version == min(dump, day_before)
        ats[version] = body.at
    assert gaen == dump


def test_gaen_has_its_own_step() -> None:
    policy = replace(PROMPT, gaen_step_seconds=6 * HOUR, dump_step_seconds=HOUR, gaen_records_per_part=7)
    story = story_of(policy)  # noon: a span of six hours begins
    report(story, "a", 0, keys_of("a", 1))
    bodies = [step(story, HOUR) for _ in range(13)]
    with_dump = [body.version for body in bodies if ("gaen", "dump") in made(body)]
    with_delta = [(body.version, made(body)["gaen", "delta"]) for body in bodies if ("gaen", "delta") in made(body)]
    assert with_dump == [1, 6, 12]
    assert [(version, spec.from_version, spec.records_per_part) for version, spec in with_delta] == [(1, 0, 7)]
    assert with_delta[0][1].signature_infos == policy.gaen_signature_infos
    assert all(("keyset", "dump") in made(body) for body in bodies)


def test_what_entered_between_two_gaen_steps_is_in_the_later_file() -> None:
    story = story_of()
    step(story)  # 12:15, version 1
    report(story, "a", 0, keys_of("a", 1))
    assert ("gaen", "delta") not in made(step(story))
    assert made(step(story, FOUR_HOURS))["gaen", "delta"].from_version == 1
    assert ("gaen", "delta") not in made(step(story, FOUR_HOURS)), "nothing since"


def test_what_expires_makes_no_gaen_file() -> None:
    story = story_of()
    report(story, "a", 0, keys_of("a", 1))
    step(story)
    body = step(story, 15 * DAY_SECONDS)
    assert ("gaen", "dump") in made(body) and ("gaen", "delta") not in made(body)
    told = changes(story.ledger.keys[KeyKind.GAEN], 1, Day(body.first_day))
    assert (len(told.additions), len(told.removals)) == (0, 0)


def test_what_came_and_went_between_two_gaen_steps_is_a_removal() -> None:
    story = story_of()
    step(story)
    report(story, "a", 0, keys_of("a", 1))
    step(story)
    story.withdraw("a")
    step(story)
    assert ("gaen", "delta") in made(step(story, FOUR_HOURS))


def test_the_published_attributes_make_no_pattern() -> None:
    """Case 35: with the default policy the onset is left out and the risk is the same for all."""
    story = story_of()
    judgement = story.judge(
        report_call("a", keys_of("a", 9), onset_day=day_of(NOON) - 7), story.card(1, 0), holds=[0] * 30
    )
    assert judgement.draft is not None
    story.append(judgement.draft)
    step(story)
    records = public_records(story)
    assert records.dtype == RECORD and len(records) == 9
    assert set(records["days_since_onset"].tolist()) == {NO_ONSET}
    assert set(records["transmission_risk_level"].tolist()) == {0}
