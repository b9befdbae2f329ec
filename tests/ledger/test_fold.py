"""The fold: the same whatever the pieces; it has the last word by sequence; a journal that is none is refused."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.builders import NOON, Story, chain, day_key, key, report_call, tracking_id
from tests.ledger.alike import state
from tests.ledger.test_continued import continuation
from tests.publication.press import PROMPT, public, step
from tocsin.ledger.fold import _APPLY, fold, mark, rows_of_moves, take_back
from tocsin.ledger.key_table import NEVER
from tocsin.ledger.predicates import covered_reports
from tocsin.ledger.queries import Standing, live_rows, standing
from tocsin.ledger.state import Ledger
from tocsin.model.base64url import encode
from tocsin.model.claims import report_id, tracking_claim
from tocsin.model.errors import Invalid
from tocsin.model.events import (
    KINDS,
    BatchActivated,
    Body,
    Declined,
    Draft,
    Erased,
    Event,
    Move,
    PhoneCodesIssued,
    ProviderRestored,
    ProviderSuspended,
    Published,
    QuarantineLifted,
    Reinstated,
    Reported,
    Revoked,
    RolledBack,
    Target,
    Withdrawn,
)
from tocsin.model.keys import KeyKind
from tocsin.model.times import DAY_SECONDS, EMBARGO_SECONDS, QUARTER_SECONDS, Day, day_of, day_start


@given(cuts=st.lists(st.integers(0, 30), max_size=6))
def test_in_pieces_and_at_once(told: Story, cuts: list[int]) -> None:
    whole, pieces = Ledger(), Ledger()
    fold(whole, told.events)
    for start, end in pairwise([0, *sorted(cuts), len(told.events)]):
        fold(pieces, told.events[start : max(start, end)])
    assert state(whole) == state(pieces) == state(told.ledger)


@pytest.fixture(scope="module")
def surge() -> list[Event]:
    """A run of reports of both kinds of keys, some of them shared, behind a revocation and a day that is erased."""
    story = Story(replace(PROMPT, dp3t_keys=True))
    story.batch()
    story.batch()
    story.erase(day_of(NOON) - 20)
    for serial in range(12):
        dp3t, own = serial % 4 == 3, f"{serial // 3}"
        keys = chain(own, 3) if dp3t else [day_key(own, 1), day_key(f"{serial}", 2), day_key(own, 3)]
        story.report(f"phone {serial}", keys[: 1 + serial % 3], story.card(1 + serial % 2, serial))
    before, run = story.events[:-12], story.events[-12:]
    who = Revoked(target=Target(batch=2), since=0, who="Ada", why="a test")
    revoked = Event(len(before) + 1, NOON, who, bytes(32))
    return [*before, revoked, *(replace(event, sequence=event.sequence + 1) for event in run)]


@given(
    readable=st.lists(st.sampled_from(["opened", "erased", "sealed", "late"]), min_size=12, max_size=12),
    cuts=st.sets(st.integers(1, 12)),
)
def test_a_run_of_reports_is_each_of_them(surge: list[Event], readable: list[str], cuts: set[int]) -> None:
    """Whether their content is at hand or not, and whichever of them are folded together."""
    before, reports = surge[:-12], surge[-12:]
    events = {
        "opened": lambda event: event,
        "erased": lambda event: replace(event, content=None),
        "sealed": lambda event: replace(event, content=None, sealed=True),
        "late": lambda event: replace(event, body=replace(event.body, received_at=NOON - 20 * DAY_SECONDS)),
    }
    run = [events[how](event) for how, event in zip(readable, reports, strict=True)]
    whole, each, pieces = Ledger(), Ledger(), Ledger()
    fold(whole, [*before, *run])
    for event in (*before, *run):
        fold(each, [event])
    fold(pieces, before)
    for start, end in pairwise([0, *sorted(cuts), 12]):
        fold(pieces, run[start:end])
        assert pieces.reports.count == end and pieces.keys[KeyKind.GAEN]["head"].size == pieces.keys[KeyKind.GAEN].count
    assert state(whole) == state(each) == state(pieces)
    assert whole.reports["objections"].tolist() == [
        int(how == "opened" and place % 2 == 1) for place, how in enumerate(readable)
    ]


def test_every_kind_of_event_is_folded() -> None:
    """An event kind that the journal knows and the fold does not would stop every server."""
    assert {*_APPLY, Reported} == set(KINDS.values())


def test_an_event_that_does_not_follow_is_refused(told: Story) -> None:
    ledger = Ledger()
    fold(ledger, told.events)
    before = state(ledger)
    for sequence in (0, 1, ledger.sequence, ledger.sequence + 2):
        with pytest.raises(Invalid, match="does not follow"):
            fold(ledger, [replace(told.events[-1], sequence=sequence)])
    assert state(ledger) == before


def test_an_unknown_kind_is_refused() -> None:
    class Merged(Body, frozen=True):
        kind = "merged"

    with pytest.raises(Invalid, match="does not know"):
        fold(Ledger(), [Event(1, NOON, Merged(), bytes(32))])


def published(version: int, entering: Sequence[Move] = (), leaving: Sequence[Move] = ()) -> Published:
    return Published(
        version=version,
        at=NOON,
        due=NOON,
        up_to=1,
        first_day=day_of(NOON),
        useful_days=14,
        entering=tuple(entering),
        leaving=tuple(leaving),
        padding=(),
        set_digest=encode(bytes(32)),
        term=1,
        files=(),
        made=(),
    )


def phone_codes(**changes: Any) -> PhoneCodesIssued:
    """Two codes more in the batch of the story, which has three."""
    body = PhoneCodesIssued(
        batch=2**18,
        provider=1,
        issuing_period=1,
        first_serial=3,
        valid_from=0,
        valid_until=1,
        report_type=1,
        attempts=(0, 0),
        hashes=(encode(bytes(16)), encode(b"1" * 16)),
        who="Ada",
        why="a test",
    )
    return replace(body, **changes)


@pytest.mark.parametrize(
    "body",
    [
        BatchActivated(batch=9, who="Ada", why="a test"),
        ProviderSuspended(provider=9, who="Ada", why="a test"),
        ProviderRestored(provider=9, who="Ada", why="a test"),
        Withdrawn(report=1),
        Withdrawn(report=99),
        RolledBack(reports=(1,), who="Ada", why="a test"),
        Reinstated(objection=1, who="Ada", why="a test"),
        QuarantineLifted(quarantine=1, who="Ada", why="a test"),
        published(4, entering=[Move(1, 1, 1)]),
        published(4, leaving=[Move(99, 1, 1)]),
        published(3),
        published(5),
        published(0),
        phone_codes(first_serial=2),
        phone_codes(first_serial=4),
        phone_codes(batch=2**18 + 1),
        phone_codes(attempts=(0,)),
        phone_codes(hashes=("AA", "AA")),
    ],
    ids=lambda body: f"{type(body).__name__} {body}"[:40],
)
def test_what_the_journal_should_not_hold_is_refused(told: Story, body: Body) -> None:
    """A batch, report or objection that is not there; a version that does not follow the last."""
    ledger = Ledger()
    fold(ledger, told.events)
    with pytest.raises(Invalid):
        fold(ledger, [Event(len(told.events) + 1, NOON, body, bytes(32))])
    assert ledger.sequence == len(told.events)


@pytest.mark.parametrize(
    "out_of_range", [{"mask": 2**64}, {"report_type": 256}, {"report_type": -1}, {"report": 2**63}]
)
def test_a_number_that_no_column_takes_is_refused(told: Story, out_of_range: dict[str, int]) -> None:
    """Bytes that a later version or somebody else wrote: refused like any other, and no fault."""
    report = int(told.ledger.reports["sequence"][0])
    move = replace(Move(report, 1, 1), **out_of_range)
    ledger = Ledger()
    fold(ledger, told.events)
    with pytest.raises(Invalid):
        fold(ledger, [Event(len(told.events) + 1, NOON, published(4, entering=[move]), bytes(32))])


# --- reports and their keys -------------------------------------------------------------------------------------------


def test_what_a_key_row_says() -> None:
    story = Story(PROMPT)
    story.batch()
    over_midnight = key("b", day_of(NOON) * 144 - 20, 50)
    until_midnight = key("c", day_of(NOON) * 144 + 30, 114)
    judgement = story.judge(
        report_call("a", [key("bad", 1), over_midnight, until_midnight]), story.card(1, 0), holds=[1, 3] + [0] * 28
    )
    assert judgement.draft is not None
    story.append(judgement.draft)
    keys = story.ledger.keys[KeyKind.GAEN]
    assert keys["position"].tolist() == [1, 2], "position 0 was not taken"
    assert keys["day"].tolist() == [day_of(NOON)] * 2, "that of the last interval"
    end = [(day_of(NOON) * 144 + 30) * 600, day_start(day_of(NOON) + 1)]
    assert keys["release_at"].tolist() == [NOON + QUARTER_SECONDS, end[1] + EMBARGO_SECONDS + 3 * QUARTER_SECONDS]
    assert keys["last_row"].tolist() == [NEVER, NEVER]


def test_a_report_after_a_revocation_is_recorded_and_not_live() -> None:
    """By sequence: the rule saw no revocation (a spool that delivers late); the fold has the last word."""
    story = Story(PROMPT)
    story.batch()
    late = story.judge(report_call("late", [day_key("late")]), story.card(1, 5))
    assert late.draft is not None
    objection = story.revoke(Target(batch=1, first=5, last=5))
    story.append(late.draft)
    assert standing(story.ledger, 0) is Standing.CUT_OFF
    step(story)
    assert public(story) == set()
    story.reinstate(objection)
    assert standing(story.ledger, 0) is Standing.TAKEN
    step(story)
    assert len(public(story)) == 1


def test_objections_are_a_set() -> None:
    """Two against one report: it stands again when both are lifted, and lifting one twice lifts no other."""
    story = Story(PROMPT)
    story.batch()
    sequence = story.report("a", [day_key("a")], story.card(1, 0))
    first, second = story.rollback(sequence), story.revoke(Target(batch=1), NOON)
    story.reinstate(first)
    again = Event(len(story.events) + 1, NOON, Reinstated(objection=first, who="Ada", why="a test"), bytes(32))
    ledger = Ledger()
    fold(ledger, [*story.events, again])
    assert standing(ledger, 0) is Standing.CUT_OFF
    story.reinstate(second)
    assert standing(story.ledger, 0) is Standing.TAKEN


# --- erasure ----------------------------------------------------------------------------------------------------------


def without_content(events: Sequence[Event], sealed: bool = False) -> list[Event]:
    """As a journal reads whose day keys are gone."""
    return [
        replace(event, content=None, sealed=sealed) if isinstance(event.body, Reported) else event for event in events
    ]


def test_erasing_changes_nothing_still_public() -> None:
    """Day + 16: what it held has expired, and a journal read anew without its keys leads to the same set."""
    story = Story(PROMPT)
    story.batch()
    story.report("old", [day_key("old", ago) for ago in range(1)], story.card(1, 0))
    step(story)
    erased_events = len(story.events)
    step(story, 16 * 86_400)
    story.report("new", [day_key("new", 1, story.now)], story.card(1, 1))
    step(story)
    erased = day_of(NOON)
    live = Event(len(story.events) + 1, story.now, Erased(erased), bytes(32))
    anew = Ledger()
    fold(anew, [*without_content(story.events[:erased_events]), *story.events[erased_events:], live])
    fold(story.ledger, [live])
    for ledger in (anew, story.ledger):
        rows = live_rows(ledger.keys[KeyKind.GAEN], Day(ledger.versions[-1].first_day))
        assert ledger.keys[KeyKind.GAEN]["record"][rows]["key_data"].tolist() == [day_key("new").key_data]
        assert [standing(ledger, report) for report in (0, 1)] == [Standing.TOO_OLD, Standing.TAKEN]


def test_content_that_is_not_at_hand_is_no_erasure(told: Story) -> None:
    """It is told apart, by day, until the day is erased."""
    ledger = Ledger()
    fold(ledger, without_content(told.events[:-1], sealed=True))
    assert ledger.sealed_days == {day_of(NOON)}
    fold(ledger, told.events[-1:])
    assert ledger.sealed_days == set()
    nulled = Ledger()
    fold(nulled, without_content(told.events[:-1]))
    assert nulled.sealed_days == set()
    assert np.count_nonzero(nulled.reports["erased"]) == nulled.reports.count == 5


def test_a_report_without_its_content_is_of_no_card_and_named_by_no_revocation(told: Story) -> None:
    """Its origin is erased with its keys; only what names it by its sequence still reaches it."""
    ledger = Ledger()
    reported = next(event for event in told.events if isinstance(event.body, Reported))
    fold(ledger, without_content(told.events[: reported.sequence]))
    numbers = ("batch", "serial", "provider", "rows", "objections")
    assert [int(ledger.reports[name][0]) for name in numbers] == [0] * len(numbers)
    for target in (Target(provider=1), Target(batch=1), Target(batch=1, first=0, last=99)):
        assert not covered_reports(ledger, target, 0).any()


def test_no_moves_name_no_rows(told: Story) -> None:
    rows, types = rows_of_moves(told.ledger, told.ledger.keys[KeyKind.GAEN], (), told.events[-1])
    assert len(rows) == len(types) == 0


def test_a_copy_stands_where_the_ledger_stood() -> None:
    """What is folded into one of them later is not seen in the other."""
    story = Story(PROMPT)
    story.batch()
    story.report("a", [day_key("x"), day_key("y", 2)], story.card(1, 0))
    story.report("b", [day_key("x")], story.card(1, 1))
    twin, columns = story.ledger.copy(), ("head", "day", "release_at", "final")
    before = [story.ledger.keys[KeyKind.GAEN][name].tolist() for name in columns]
    story.report("c", [day_key("x"), day_key("z", 2)], story.card(1, 2))
    story.withdraw("a")
    story.revoke(Target(batch=1))
    assert [twin.keys[KeyKind.GAEN][name].tolist() for name in columns] == before
    assert (twin.reports.count, twin.keys[KeyKind.GAEN].count, twin.sequence) == (2, 3, story.ledger.sequence - 3)
    assert (
        twin.keys[KeyKind.GAEN].holders == {0: [0, 2]} and not twin.reports["withdrawn"].any() and not twin.revocations
    )
    fold(twin, story.events[twin.sequence :])
    for name in twin.keys[KeyKind.GAEN].names:
        assert twin.keys[KeyKind.GAEN][name].tobytes() == story.ledger.keys[KeyKind.GAEN][name].tobytes()
    for name in twin.reports.names:
        assert twin.reports[name].tobytes() == story.ledger.reports[name].tobytes()
    assert (twin.report_by_id, twin.letters) == (story.ledger.report_by_id, story.ledger.letters)


def all_of(story: Story) -> tuple[object, ...]:
    """All that a report may have changed."""
    ledger = story.ledger
    columns = [ledger.reports[name].tobytes() for name in ledger.reports.names]
    columns += [keys[name].tobytes() for keys in ledger.keys.values() for name in keys.names]
    return ledger.sequence, ledger.recorded_at, *columns, dict(ledger.report_by_id), list(ledger.letters)


def test_reports_that_were_not_stored_are_taken_back() -> None:
    story = Story(PROMPT)
    story.batch()
    story.report("a", [day_key("x")], story.card(1, 0))
    before, to = all_of(story), mark(story.ledger)
    story.wait()
    story.report("b", [day_key("x"), day_key("y", 2)], story.card(1, 1))
    story.report("c", [day_key("z")], story.card(1, 2))
    assert take_back(story.ledger, to)
    assert all_of(story) == before
    assert take_back(story.ledger, to), "nothing is left to take back"
    assert all_of(story) == before


def decline(story: Story, name: str) -> None:
    own_id = report_id(tracking_id(name))
    story.append(Draft(Declined(encode(own_id), int(story.now), "code_spent"), (tracking_claim(own_id),)))


CALLS: dict[str, Callable[[Story, int], object]] = {
    "report": lambda story, n: story.report(f"new {n}", [day_key("x", n % 3 + 1), day_key(f"y{n}")], story.card(1, n)),
    "continue": lambda story, n: story.append(continuation(story, 5, [day_key(f"z{n}", 2), day_key("x", 3)])),
    "withdraw": lambda story, n: story.withdraw("a"),
    "withdraw a new one": lambda story, n: story.withdraw("new 10"),
    "decline": lambda story, n: decline(story, f"declined {n}"),
    "ask for reports": lambda story, n: story.ledger.reports["sent"],
    "ask for keys": lambda story, n: story.ledger.keys[KeyKind.GAEN].holders,
}


@given(st.lists(st.sampled_from(sorted(CALLS)), max_size=8), st.booleans())
def test_whatever_calls_have_led_to_is_taken_back(happens: list[str], laid_out: bool) -> None:
    """Reports of one key, continuations, withdrawals, what was declined, and whatever was asked in between."""
    story = Story(PROMPT)
    story.batch()
    for serial, name in enumerate(("a", "b", "c")):
        story.report(name, [day_key("x"), day_key(f"own {name}", 2)], story.card(1, serial))
    assert story.ledger.reports.cell("sequence", 0) == 5
    if laid_out:
        state(story.ledger)
    twin = Ledger()
    fold(twin, story.events)
    to = mark(story.ledger)
    for number, name in enumerate(happens, 10):
        CALLS[name](story, number)
    assert take_back(story.ledger, to)
    del story.events[to.sequence :]
    story.report("later", [day_key("x"), day_key("y10"), day_key("own b", 2)], story.card(1, 50))
    fold(twin, story.events[-1:])
    assert state(story.ledger) == state(twin), "and it goes on as if nothing had been"
    assert story.ledger.keys[KeyKind.GAEN].holders == twin.keys[KeyKind.GAEN].holders


def test_what_cannot_be_taken_back_says_so() -> None:
    story = Story(PROMPT)
    story.batch()
    story.report("a", [day_key("x")], story.card(1, 0))
    to = mark(story.ledger)
    story.report("b", [day_key("y")], story.card(1, 1))
    story.provider("two")
    assert not take_back(story.ledger, to)
    assert not take_back(Ledger(), to), "a ledger that was dropped meanwhile"


@pytest.mark.parametrize(
    ("field", "number"), [("received_at", -1), ("received_at", 1 << 63), ("report_type", -1), ("report_type", 256)]
)
def test_a_report_that_no_row_can_hold_is_refused_before_it_waits(told: Story, field: str, number: int) -> None:
    """Not when a column is asked next, by an error that is not ours: the whole table would be lost with it."""
    ledger = Ledger()
    report = next(event for event in told.events if isinstance(event.body, Reported))
    fold(ledger, told.events[: report.sequence - 1])
    with pytest.raises(Invalid):
        fold(ledger, [replace(report, body=replace(report.body, **{field: number}))])
    assert len(ledger.reports["sequence"]) == ledger.reports.count and not ledger.torn
