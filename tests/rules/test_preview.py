"""A dry run is the act: its figures against what the act, appended and published, then does."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import NOON, Story, day_key, hashes_of
from tocsin.ledger.queries import first_day, live_rows
from tocsin.ledger.state import Ledger
from tocsin.model.calls import Verdict
from tocsin.model.errors import Refused
from tocsin.model.events import Draft, Target
from tocsin.model.keys import KeyKind, ReportType
from tocsin.model.policy import Policy
from tocsin.publication.plan import plan
from tocsin.rules import corrections, issuance, suspension
from tocsin.rules.corrections import Selection
from tocsin.rules.issuance import BatchRequest
from tocsin.rules.phone_issuance import PhoneCodesRequest, issue_phone_codes
from tocsin.rules.preview import Effect, effect

NAMES = "pqrs"
NOTHING_ELSE = {"keys_changing": 0, "keys_kept_back": 0, "keys_let_go": 0}
NOTHING = Effect(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
AT_ONCE = Policy(minimum_reports=1)
"""With hold-backs of 0 and keys of past days, the next version holds all that is wanted."""


def _publish(story: Story) -> set[bytes]:
    """The keys of the next version."""
    story.wait()
    draft = plan(story.ledger, story.policy, story.now, term=1, made=())
    assert draft is not None
    story.append(draft)
    rows = live_rows(story.ledger.keys[KeyKind.GAEN], first_day(story.ledger, story.now, story.policy.useful_days))
    return {record["key_data"].tobytes() for record in story.ledger.keys[KeyKind.GAEN]["record"][rows]}


def _effect(story: Story, draft: Draft) -> Effect:
    return effect(story.ledger, draft, story.policy, story.now)


def _rollback(story: Story, *reports: int) -> Draft:
    return corrections.rollback(story.ledger, Selection(reports=reports), story.by())


def _state(ledger: Ledger) -> dict[str, Any]:
    state = dict(vars(ledger))
    state["reports"] = {name: ledger.reports[name].tobytes() for name in ledger.reports.names}
    state["keys"] = [keys[name].tobytes() for keys in ledger.keys.values() for name in keys.names]
    return copy.deepcopy(state)


def test_figures_of_a_rollback() -> None:
    story = Story(AT_ONCE)
    batch = story.batch()
    a = story.report("a", [day_key("p", 1), day_key("q", 2)], story.card(batch, 0))
    b = story.report("b", [day_key("p", 1), day_key("r", 3)], story.card(batch, 1))
    assert _effect(story, _rollback(story, a, b)) == Effect(2, 0, 2, 0, 0, 0, 0, 0, 0, 0)  # nothing is public yet
    assert len(_publish(story)) == 3
    assert _effect(story, _rollback(story, b)) == Effect(
        1, 1, 1, 0, keys_leaving=1, keys_passing=0, keys_returning=0, **NOTHING_ELSE
    )
    draft = _rollback(story, a)
    assert _effect(story, draft) == Effect(1, 1, 1, 0, keys_leaving=2, keys_passing=1, keys_returning=0, **NOTHING_ELSE)
    story.append(draft)
    assert _effect(story, _rollback(story, a)).keys_leaving == 0  # still public, but not by this act
    assert len(_publish(story)) == 2
    assert _effect(story, _rollback(story, a)) == Effect(1, 0, 0, 0, 0, 0, 0, 0, 0, 0)  # under an objection already
    back = corrections.reinstate(story.ledger, len(story.events) - 1, story.by())
    assert _effect(story, back) == Effect(1, 0, 0, 1, keys_leaving=1, keys_passing=1, keys_returning=1, **NOTHING_ELSE)


def test_expired_keys_do_not_count() -> None:
    story = Story(AT_ONCE)
    sequence = story.report("a", [day_key("p", 14), day_key("q", 13)], story.card(story.batch(), 0))
    _publish(story)
    story.wait(86_400)
    assert _effect(story, _rollback(story, sequence)).keys_leaving == 1


def test_acts_that_touch_no_report() -> None:
    story = Story(AT_ONCE)
    batch = story.batch()
    story.report("a", [day_key("p")], story.card(batch, 0))
    story.phone_codes()
    before = _state(story.ledger)
    drafts = [
        issuance.add_provider(story.ledger, "another", story.by()),
        issuance.issue_batch(story.ledger, BatchRequest(1, 5, 1), story.policy, NOON, story.by()),
        issue_phone_codes(
            story.ledger, PhoneCodesRequest(1, 5, 1), hashes_of(bytes(16)), story.policy, NOON, story.by()
        ),
        suspension.suspend_provider(story.ledger, 1, story.by()),
        corrections.pause(story.ledger, story.by()),
        corrections.revoke(story.ledger, Target(batch=batch), None, NOON, story.by()),  # from now on
    ]
    assert [_effect(story, draft) for draft in drafts] == [NOTHING] * len(drafts)
    assert _state(story.ledger) == before


def test_a_dry_run_beside_an_objection_to_the_same_cards_leaves_no_trace() -> None:
    """One more revocation of a provider would stand in the list of the first one's."""
    story = Story(AT_ONCE)
    story.report("a", [day_key("p")], story.card(story.batch(), 0))
    story.revoke(Target(provider=1))
    before = _state(story.ledger)
    draft = _draft(story, "revoke", 0)
    assert draft is not None and _effect(story, draft).reports == 1
    assert _state(story.ledger) == before


@st.composite
def histories(draw: st.DrawFn) -> Story:
    """A story with reports of few keys, withdrawals, objections and reinstatements, then a version of it all."""
    story = Story(AT_ONCE)
    for _ in (1, 2):
        story.batch(story.provider())
    for serial in range(draw(st.integers(1, 6))):
        names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
        keys = [day_key(name, 1 + NAMES.index(name)) for name in names]
        story.report(f"phone {serial}", keys, story.card(draw(st.sampled_from([1, 2])), serial))
        for act in draw(st.lists(st.sampled_from(["withdraw", "rollback", "reinstate", "publish"]), max_size=2)):
            _act(story, act, draw)
    _publish(story)
    return story


def _act(story: Story, act: str, draw: st.DrawFn) -> None:
    number = draw(st.integers(0, story.ledger.reports.count - 1))
    if act == "withdraw":
        assert story.withdraw(f"phone {number}") is Verdict.WITHDRAWN
    elif act == "publish":
        _publish(story)
    else:
        draft = _draft(story, act, number)
        if draft is not None:
            story.append(draft)


def _draft(story: Story, act: str, number: int) -> Draft | None:
    ledger = story.ledger
    try:
        if act == "revoke":
            return corrections.revoke(ledger, Target(provider=1 + number % 2), NOON, story.now, story.by())
        if act == "rollback":
            return _rollback(story, *ledger.reports["sequence"][: number + 1].tolist())
        standing = [sequence for sequence, objection in ledger.objections.items() if objection.standing]
        return corrections.reinstate(ledger, standing[number % len(standing)], story.by()) if standing else None
    except Refused:  # all of them are withdrawn
        return None


@given(histories(), st.sampled_from(["revoke", "rollback", "reinstate"]), st.integers(0, 5))
def test_a_dry_run_is_the_act(story: Story, act: str, number: int) -> None:
    draft = _draft(story, act, number % story.ledger.reports.count)
    if draft is None:
        return
    before_keys, before = _publish(story), _state(story.ledger)
    objections = story.ledger.reports["objections"].tolist()
    told = _effect(story, draft)
    assert _state(story.ledger) == before  # a dry run leaves no trace
    names = [f"phone {i}" for i in range(story.ledger.reports.count)]
    tracked = [story.track(name) for name in names]
    story.append(draft)
    after_keys = _publish(story)
    moved = [a != b for a, b in zip(objections, story.ledger.reports["objections"].tolist(), strict=True)]
    assert told.reports == sum(moved)
    assert told.reports_cut_off == _turned(story, names, tracked, Verdict.TAKEN, Verdict.CUT_OFF)
    assert told.reports_restored == _turned(story, names, tracked, Verdict.CUT_OFF, Verdict.TAKEN)
    assert told.keys_leaving - told.keys_passing == len(before_keys - after_keys)
    assert told.keys_returning == len(after_keys - before_keys)


def _turned(story: Story, names: list[str], before: list[Verdict], was: Verdict, now: Verdict) -> int:
    return sum(told is was and story.track(name) is now for name, told in zip(names, before, strict=True))


def test_a_report_and_what_continues_it_are_one() -> None:
    story = Story(AT_ONCE)
    story.batch()
    first = story.report("ada", [day_key("p", 2)], story.card(1, 0))
    second = story.go_on("ada", [day_key("q", 1)])
    _publish(story)
    whole = _effect(story, corrections.rollback(story.ledger, Selection(reports=(first,)), story.by()))
    assert (whole.reports, whole.public_reports, whole.reports_cut_off, whole.keys_leaving) == (1, 1, 1, 2)
    part = _effect(story, corrections.rollback(story.ledger, Selection(reports=(second,)), story.by()))
    assert (part.reports, part.public_reports, part.reports_cut_off, part.keys_leaving) == (1, 1, 1, 1)


def test_a_second_code_that_is_cut_off_changes_keys_that_stay() -> None:
    story = Story(AT_ONCE)
    story.batch(report_type=ReportType.LIKELY)
    story.batch(story.provider())
    story.report("ada", [day_key("p", 2), day_key("q", 3)], story.card(1, 0))
    story.report("ben", [day_key("r", 2)], story.card(1, 1))
    story.go_on("ada", [day_key("s", 1)], story.card(2, 0))
    _publish(story)
    told = _effect(story, corrections.revoke(story.ledger, Target(provider=2), NOON, story.now, story.by()))
    assert (told.keys_leaving, told.keys_changing) == (1, 2)
    objection = story.revoke(Target(provider=2), NOON)
    _publish(story)
    back = _effect(story, corrections.reinstate(story.ledger, objection, story.by()))
    assert (back.keys_returning, back.keys_changing) == (1, 2)
