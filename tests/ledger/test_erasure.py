"""A ledger that forgets a day, and one that is read anew without the day's content, answer alike (X3, X4)."""

from collections.abc import Sequence

import hypothesis.strategies as st
import numpy as np
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace
from numpy.typing import NDArray

from tests.builders import NOON, Story, chain, continue_call, day_key, key, report_call, tracking_id
from tests.publication.press import PROMPT, step
from tocsin.ledger import queries
from tocsin.ledger.fold import fold
from tocsin.ledger.predicates import owned_rows, standing_reports
from tocsin.ledger.queries import Standing
from tocsin.ledger.state import Ledger
from tocsin.model.calls import SentKey, TrackCall, Verdict
from tocsin.model.code_reading import NO_CODE
from tocsin.model.errors import Refused
from tocsin.model.events import Draft, Erased, Event, HasKeys, MadeFile, RolledBack, Target
from tocsin.model.keys import KeyKind, ReportType
from tocsin.model.policy import Policy
from tocsin.model.times import DAY_SECONDS, INTERVALS_PER_DAY, KEPT_DAYS, Day, Instant, day_of, day_start
from tocsin.publication.build import build
from tocsin.publication.plan import last_at, plan
from tocsin.rules import corrections
from tocsin.rules.corrections import Selection
from tocsin.rules.intake import judge
from tocsin.rules.preview import effect
from tocsin.rules.quarantine import lift, quarantine, surges
from tocsin.rules.retention import due_days, erasure

POLICY = Policy(
    minimum_reports=1, hold_back_quarters=0, dp3t_keys=True, continuation_days=14, surge_reports=2, surge_factor=1
)
KEY_NAMES = st.sampled_from(["a", "b", "c"])
DAYS_AGO = st.sampled_from([0, 1, 1, 2, 5, 13])
LIKELY_BATCH = 3


def erased_in(events: Sequence[Event]) -> set[int]:
    """The days that these events erase."""
    return {event.body.day for event in events if isinstance(event.body, Erased)}


def anew(events: Sequence[Event]) -> Ledger:
    """A ledger as read from a journal in which the content of erased days is none."""
    days, ledger = erased_in(events), Ledger()
    for event in events:
        if isinstance(event.body, HasKeys) and day_of(event.body.received_at) in days:
            event = replace(event, content=None)
        fold(ledger, [event])
    return ledger


def rows_told(ledger: Ledger, kind: KeyKind, rows: NDArray[np.intp]) -> list[tuple[int, int, bytes]]:
    """Rows of keys by what they are: the report's sequence, the position, the record."""
    keys = ledger.keys[kind]
    sequences = ledger.reports["sequence"][keys["report"][rows]].tolist()
    records = [record.tobytes() for record in keys["record"][rows]]
    return list(zip(sequences, keys["position"][rows].tolist(), records, strict=True))


def answers(ledger: Ledger, now: Instant, phones: Sequence[str]) -> dict[str, object]:
    """Everything that is asked of a ledger."""
    oldest = queries.first_day(ledger, now, POLICY.useful_days)
    everyone = np.ones(ledger.reports.count, np.bool_)
    told: dict[str, object] = {name: ledger.reports[name].tobytes() for name in ledger.reports.names}
    told["types"] = queries.present_types(ledger).tolist()
    told["people"] = queries.count_people(ledger, everyone)
    told["standing reports"] = standing_reports(ledger).tolist()
    told["of phones"] = [queries.standing(ledger, row) for row in ledger.report_by_id.values()]
    told["present type"] = [queries.present_type(ledger, row) for row in ledger.report_by_id.values()]
    told["spent"] = [queries.spent_cards(ledger, batch) for batch in ledger.batches]
    told["whole"] = not ledger.versions or queries.is_whole(ledger)
    told["objections"] = queries.standing_objections(ledger)
    told["days"] = ledger.erased_days, ledger.sealed_days, due_days(ledger, now, now)
    told["continuations"] = ledger.continuations
    told["surges"] = surges(ledger, POLICY, now)
    for kind, keys in ledger.keys.items():
        told[f"{kind} rows"] = [keys[name].tobytes() for name in ("record", "report", "position", "day", "release_at")]
        told[f"{kind} live"] = rows_told(ledger, kind, queries.live_rows(keys, oldest))
        owned = owned_rows(ledger, keys) & (keys["day"] >= oldest)
        told[f"{kind} owned"] = rows_told(ledger, kind, np.nonzero(owned)[0])
        waiting = queries.waiting(ledger, keys, now, oldest)
        for name in ("eligible", "held", "kept", "returning"):
            told[f"{kind} {name}"] = rows_told(ledger, kind, getattr(waiting, name))
        told[f"{kind} waiting"] = waiting.reports, waiting.oldest_release_at
        for version in range(max(ledger.version - 5, 0), ledger.version):
            change = queries.changes(keys, version, Day(ledger.versions[-1].first_day))
            columns = (change.additions, change.first_entered, change.removals)
            told[f"{kind} since {version}"] = [column.tobytes() for column in columns]
    told["verdicts"] = [
        judge(ledger, call, NO_CODE, lambda claim: None, POLICY, now, [0] * 30).answer
        for phone in phones
        for call in (TrackCall(tracking_id(phone)), report_call(phone, []))
    ]
    draft = plan(ledger, POLICY, last_at(ledger) + 900, 1, ())
    told["plan"] = None if draft is None else draft.body
    return told


class Histories(RuleBasedStateMachine):
    @initialize()
    def found(self) -> None:
        self.story = Story(POLICY)
        self.story.batch(self.story.provider("one"))
        self.story.batch(self.story.provider("two"))
        self.story.batch(2, report_type=ReportType.LIKELY)
        self.serial = 0
        self.links: dict[str, int] = {}
        self.reports: list[tuple[str, int]] = []
        self.objections: list[int] = []
        self.files: tuple[MadeFile, ...] = ()

    @rule(
        batch=st.sampled_from([1, 2, LIKELY_BATCH, LIKELY_BATCH]),
        keys=st.dictionaries(KEY_NAMES, DAYS_AGO, min_size=1, max_size=2),
        dp3t=st.booleans(),
    )
    def report(self, batch: int, keys: dict[str, int], dp3t: bool) -> None:
        name = f"phone {len(self.links)}"
        sent = chain(name, 2, at=self.story.now) if dp3t else self.sent(keys)
        self.serial += 1
        judgement = self.story.judge(report_call(name, sent), self.story.card(batch, self.serial % 7))
        if judgement.draft is not None and self.story.claims.keys().isdisjoint(judgement.draft.claims):
            self.reports.append((name, self.story.append(judgement.draft)))
            self.links[name] = 0

    @precondition(lambda self: self.links)
    @rule(data=st.data(), key_name=st.sampled_from([None, "a", "b"]), days_ago=DAYS_AGO, batch=st.sampled_from([0, 1]))
    def go_on(self, data: st.DataObject, key_name: str | None, days_ago: int, batch: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.links)))
        sent = [] if key_name is None else self.sent({key_name: days_ago})
        call = continue_call(name, sent, "C…" if batch else None, self.links[name])
        self.serial += 1
        code = self.story.card(batch, self.serial % 7) if batch else NO_CODE
        judgement = self.story.judge(call, code)
        if judgement.draft is not None and self.story.claims.keys().isdisjoint(judgement.draft.claims):
            self.links[name] += 1
            self.reports.append((name, self.story.append(judgement.draft)))

    @precondition(lambda self: self.links)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        self.story.withdraw(data.draw(st.sampled_from(sorted(self.links))))

    @precondition(lambda self: self.reports)
    @rule(
        named=st.sampled_from([Target(batch=1), Target(batch=1, first=0, last=3), Target(provider=2)]),
        days_back=st.sampled_from([None, 0, 10]),
    )
    def revoke(self, named: Target, days_back: int | None) -> None:
        since = None if days_back is None else Instant(self.story.now - days_back * DAY_SECONDS)
        self.objections.append(self.story.revoke(named, since))

    @precondition(lambda self: self.reports)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sampled_from(self.reports))[1]
        try:
            self.objections.append(self.story.rollback(chosen))
        except Refused as refusal:
            assert refusal.code == "nothing_selected"

    @precondition(lambda self: self.objections)
    @rule()
    def reinstate(self) -> None:
        self.story.reinstate(self.objections.pop())

    @rule(named=st.sampled_from([Target(provider=0), Target(provider=2), Target(batch=1)]))
    def keep_back(self, named: Target) -> None:
        ledger = self.story.ledger
        standing = [number for number, one in ledger.quarantines.items() if one.standing and one.target == named]
        by = self.story.by()
        self.story.append(lift(ledger, standing[0], by) if standing else quarantine(ledger, named, by))

    @rule(days=st.sampled_from([0, 0, 1, 2, 6]))
    def publish(self, days: int) -> None:
        body = step(self.story, 900 + days * DAY_SECONDS, self.files)
        self.files = build(self.story.ledger).made if queries.is_whole(self.story.ledger) else ()
        assert body.version == self.story.ledger.version

    @rule(days=st.sampled_from([KEPT_DAYS - 2, KEPT_DAYS]))
    def grow_old(self, days: int) -> None:
        """The version that must be out before anything of that time is erased."""
        self.publish(days)
        self.erase(20)

    @precondition(lambda self: self.story.ledger.versions)
    @rule(most=st.sampled_from([1, 3, 20]))
    def erase(self, most: int) -> None:
        before = [queries.present_type(self.story.ledger, row) for row in self.story.ledger.report_by_id.values()]
        left = self.left()
        for _ in range(most):
            body = erasure(self.story.ledger, last_at(self.story.ledger), self.story.now)
            if body is not None:
                self.story.append(Draft(body))
        after = [queries.present_type(self.story.ledger, row) for row in self.story.ledger.report_by_id.values()]
        still = self.left()
        kept = [place for place, (was, stays) in enumerate(zip(left, still, strict=True)) if was and stays]
        assert [before[place] for place in kept] == [after[place] for place in kept], "a published type has changed"

    def left(self) -> list[bool]:
        """Whether something of each phone's is left."""
        ledger = self.story.ledger
        return [queries.standing(ledger, row) is not Standing.TOO_OLD for row in ledger.report_by_id.values()]

    def sent(self, keys: dict[str, int]) -> list[SentKey]:
        today, starts = day_of(self.story.now), dict[int, str]()
        for name, days_ago in keys.items():
            starts.setdefault((today - days_ago) * INTERVALS_PER_DAY, name)
        return [key(name, start) for start, name in sorted(starts.items())]

    @invariant()
    def answers_alike(self) -> None:
        if not hasattr(self, "story"):
            return
        ours, theirs = self.story.ledger, anew(self.story.events)
        phones = list(self.links)
        mine, other = answers(ours, self.story.now, phones), answers(theirs, self.story.now, phones)
        assert [name for name in mine if mine[name] != other[name]] == []
        for target in (Target(batch=1), Target(provider=2)):
            acts = [corrections.revoke(led, target, None, self.story.now, self.story.by()) for led in (ours, theirs)]
            told = [effect(led, act, POLICY, self.story.now) for led, act in zip((ours, theirs), acts, strict=True)]
            assert told[0] == told[1]
            chosen = [self.selected(led, target) for led in (ours, theirs)]
            assert chosen[0] == chosen[1]
        if ours.versions and queries.is_whole(ours):
            assert build(ours).leaf == build(theirs).leaf

    def selected(self, ledger: Ledger, target: Target) -> tuple[int, ...]:
        try:
            body = corrections.rollback(ledger, Selection(target=target), self.story.by()).body
        except Refused as refusal:
            assert refusal.code == "nothing_selected"
            return ()
        assert isinstance(body, RolledBack)
        return body.reports


TestHistories = Histories.TestCase
TestHistories.settings = settings(settings(), max_examples=25, stateful_step_count=25)


# --- what outlives the content ----------------------------------------------------------------------------------------


def upgraded(*, continued: bool) -> tuple[Story, int]:
    """A likely report whose upgrade to confirmed was cut off, and its sequence; a key came two days later, or not."""
    story = Story(PROMPT)
    story.batch(report_type=ReportType.LIKELY)
    story.batch()
    story.report("ada", [day_key("first")], story.card(1, 0))
    upgrade = story.go_on("ada", code=story.card(2, 0))
    story.revoke(Target(batch=2), NOON)
    if continued:
        story.wait(2 * DAY_SECONDS)
        story.go_on("ada", [day_key("second", 0, story.now)], links=1)
    return story, upgrade


def erase_first_day(story: Story) -> Erased:
    """The erasure of the day on which the story begins, at its time."""
    step(story, KEPT_DAYS * DAY_SECONDS)
    body = erasure(story.ledger, last_at(story.ledger), story.now)
    assert body is not None and body.day == day_of(NOON)
    story.append(Draft(body))
    return body


def test_a_cut_off_upgrade_stays_cut_off_when_it_is_erased() -> None:  # X3
    story, upgrade = upgraded(continued=True)
    assert erase_first_day(story).objected == (upgrade,)
    for ledger in (story.ledger, anew(story.events)):
        assert queries.present_type(ledger, 0) == ReportType.LIKELY
        assert not ledger.reports["batch"][:2].any() and ledger.keys[KeyKind.GAEN].count == 1
        assert queries.standing(ledger, 0) is Standing.TAKEN


def test_whose_reports_are_all_erased_is_named_by_no_event() -> None:  # X3
    """That a report stood under a revocation tells of which cards it may be."""
    story, _ = upgraded(continued=False)
    assert erase_first_day(story).objected == ()


def test_a_revocation_that_is_lifted_later_frees_nothing_that_is_erased() -> None:  # X3
    story, _ = upgraded(continued=True)
    erase_first_day(story)
    story.reinstate(next(iter(story.ledger.objections)))
    for ledger in (story.ledger, anew(story.events)):
        assert queries.present_type(ledger, 0) == ReportType.LIKELY


def test_a_rollback_still_reaches_what_is_erased() -> None:  # X4
    story, _ = upgraded(continued=True)
    rollback = story.rollback(int(story.ledger.reports["sequence"][0]))
    erase_first_day(story)
    for lifted, standing in ((False, Standing.CUT_OFF), (True, Standing.TAKEN)):
        if lifted:
            story.reinstate(rollback)
        assert [queries.standing(ledger, 0) for ledger in (story.ledger, anew(story.events))] == [standing] * 2


def test_what_arrives_of_an_erased_day_has_no_content() -> None:  # X4
    """A spool that was away for weeks; a ledger read anew can't open it either."""
    story = Story(PROMPT)
    story.batch()
    judgement = story.judge(report_call("late", [day_key("late")]), story.card(1, 0))
    assert judgement.draft is not None
    story.report("ada", [day_key("first")], story.card(1, 1))
    erase_first_day(story)
    story.append(judgement.draft)
    assert story.ledger.reports["erased"].all() and story.ledger.keys[KeyKind.GAEN].count == 0
    assert queries.spent_cards(story.ledger, 1) == 0 and not story.ledger.sealed_days
    assert story.track("late") is Verdict.TOO_OLD


# --- when a day is due ------------------------------------------------------------------------------------------------


def test_a_day_is_due_once_a_version_of_its_time_is_out() -> None:  # X1
    ledger = Story().ledger
    day, due = day_of(NOON), day_start(day_of(NOON) + KEPT_DAYS)
    for released_at, now, days in [
        (due - 1, due + 900, []),
        (due, due, [day]),
        (due, Instant(due - 1), []),  # the clock was ahead when the version was decided
        (due + 2 * DAY_SECONDS, due + 2 * DAY_SECONDS, [day, day + 1, day + 2]),
    ]:
        assert due_days(ledger, Instant(released_at), Instant(now)) == days


def test_each_day_is_erased_once_and_in_order() -> None:  # X2
    story = Story()
    story.wait((KEPT_DAYS + 1) * DAY_SECONDS)
    for day in (0, 1):
        body = erasure(story.ledger, story.now, story.now)
        assert body == Erased(day_of(NOON) + day)
        story.append(Draft(body))
    assert erasure(story.ledger, story.now, story.now) is None
