"""Laws of publication over random histories: every version is kept here, and what the ledger says is compared with it.

The ledger keeps three version numbers a key and no old version; this test keeps all versions and does the sums anew.
"""

import hypothesis.strategies as st
import numpy as np
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace
from numpy.typing import NDArray

from tests.builders import Story, chain, continue_call, key, report_call
from tocsin.client.apply import apply_delta
from tocsin.formats.keyset import REMOVALS, KeysetDelta, decode_keyset, encode_delta, removals_by_kind
from tocsin.formats.set_digest import canonical, set_digest
from tocsin.ledger.fold import fold
from tocsin.ledger.predicates import kept_back
from tocsin.ledger.queries import changes, live_rows
from tocsin.ledger.state import Ledger
from tocsin.model.base64url import decode
from tocsin.model.calls import SentKey, Verdict
from tocsin.model.events import Continued, HasKeys, Published, Target
from tocsin.model.keys import RECORDS, KeyKind, Records, ReportType, by_kind, key_days, key_ends, unheld_release
from tocsin.model.policy import Policy
from tocsin.model.times import EMBARGO_SECONDS, INTERVALS_PER_DAY, Day, Instant, day_of
from tocsin.publication.plan import plan
from tocsin.rules import corrections
from tocsin.rules.quarantine import SELF_REPORTS, lift, quarantine

POLICY = Policy(minimum_reports=2, longest_wait_seconds=900, useful_days=3, dp3t_keys=True)
KEY_NAMES = st.sampled_from(["a", "b", "c"])
"""Few keys, so that several reports hold the same one; intervals are drawn apart from them."""
DAYS_AGO = st.sampled_from([0, 1, 1, 2, 3])


class Version:
    """One version as phones hold it."""

    def __init__(self, number: int, at: int, first_day: Day, records: Records) -> None:
        self.number = number
        self.at = at
        self.first_day = first_day
        self.records = canonical(records)
        self.by_key = {record["key_data"].tobytes(): record.tobytes() for record in records}
        self.days = dict(zip(self.by_key, key_days(records).tolist(), strict=True))


class Histories(RuleBasedStateMachine):
    kind = KeyKind.GAEN

    def sent(self, keys: dict[str, int], period: int) -> list[SentKey]:
        """A key a day, so that they do not overlap."""
        today, starts = day_of(self.story.now), dict[int, str]()
        for name, days_ago in keys.items():
            starts.setdefault((today - days_ago) * INTERVALS_PER_DAY, name)
        return [key(name, start, period) for start, name in sorted(starts.items())]

    def secret_until(self, records: Records) -> NDArray[np.int64]:
        """Until when each of one report's keys must not be known."""
        return key_ends(records)

    @initialize()
    def found(self) -> None:
        self.story = Story(POLICY)
        self.story.batch(self.story.provider("one"))
        self.story.batch(self.story.provider("two"))
        self.story.batch(2, report_type=ReportType.LIKELY)
        self.story.batch(2, report_type=ReportType.REVOKED)
        self.serials = [0, 0, 0, 0, 0]
        self.links: dict[str, int] = {}
        self.reports: list[tuple[str, int]] = []
        self.objections: list[int] = []
        self.policy = POLICY
        self.versions = [Version(0, self.story.ledger.founded_at, Day(0), np.empty(0, RECORDS[self.kind]))]
        self.dead: set[bytes] = set()
        self._once_public: set[int] = set()

    @rule(
        batch=st.sampled_from([1, 2, 3, 3]),
        keys=st.dictionaries(KEY_NAMES, DAYS_AGO, min_size=1, max_size=2),
        period=st.sampled_from([144, 144, 100]),
        hold=st.sampled_from([0, 0, 2]),
    )
    def report(self, batch: int, keys: dict[str, int], period: int, hold: int) -> None:
        story = self.story
        name = f"phone {len(self.reports)}"
        sent = self.sent(keys, period)
        self.serials[batch] += 1
        judgement = story.judge(report_call(name, sent), story.card(batch, self.serials[batch]), holds=[hold] * 30)
        if judgement.draft is None:
            assert judgement.answer.verdict in (Verdict.NO_KEY_LEFT, Verdict.CODE_CUT_OFF)
            return
        self.reports.append((name, story.append(judgement.draft)))

    @precondition(lambda self: self.reports)
    @rule(
        data=st.data(),
        key_name=st.sampled_from([None, "a", "b", "c"]),
        days_ago=DAYS_AGO,
        batch=st.sampled_from([None, None, 1, 2, 4]),
    )
    def go_on(self, data: st.DataObject, key_name: str | None, days_ago: int, batch: int | None) -> None:
        """A later key, or a second code: likely, confirmed or negative."""
        story = self.story
        name, sequence = data.draw(st.sampled_from(self.first_reports))
        sent = [] if key_name is None else self.sent({key_name: days_ago}, 144)
        call = continue_call(name, sent, None if batch is None else "C…", self.links.get(name, 0))
        if batch is None:
            judgement = story.judge(call)
        else:
            self.serials[batch] += 1
            judgement = story.judge(call, story.card(batch, self.serials[batch]))
        if judgement.draft is None:
            return
        body = judgement.draft.body
        assert isinstance(body, Continued) and body.report == sequence
        if body.report_type == ReportType.REVOKED:
            self.dead |= self._public_under(story.ledger, sequence)
        self.links[name] = self.links.get(name, 0) + 1
        self.reports.append((name, story.append(judgement.draft)))

    @precondition(lambda self: self.reports)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        name, sequence = data.draw(st.sampled_from(self.first_reports))
        ledger = self.story.ledger
        owned = self._public_under(ledger, sequence)
        self.story.withdraw(name)
        self.dead |= owned

    @precondition(lambda self: self.reports)
    @rule(batch=st.sampled_from([1, 2, 3]), back=st.sampled_from([None, 0, 1800, 86_400]), data=st.data())
    def revoke_serials(self, batch: int, back: int | None, data: st.DataObject) -> None:
        first = data.draw(st.integers(0, self.serials[batch] + 1))
        since = None if back is None else Instant(self.story.now - back)
        self.objections.append(self.story.revoke(Target(batch=batch, first=first, last=first + 1), since))

    @precondition(lambda self: self.reports and not self.objections)
    @rule(provider=st.sampled_from([1, 2]), back=st.sampled_from([None, 1800]))
    def revoke_provider(self, provider: int, back: int | None) -> None:
        since = None if back is None else Instant(self.story.now - back)
        self.objections.append(self.story.revoke(Target(provider=provider), since))

    @precondition(lambda self: self.reports)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sets(st.sampled_from([sequence for _, sequence in self.reports]), min_size=1, max_size=2))
        withdrawn = self.story.ledger.reports["withdrawn"]
        if not withdrawn.all() and any(not withdrawn[self._index(sequence)] for sequence in chosen):
            self.objections.append(self.story.rollback(*chosen))

    @precondition(lambda self: self.objections)
    @rule(data=st.data())
    def reinstate(self, data: st.DataObject) -> None:
        objection = data.draw(st.sampled_from(self.objections))
        self.objections.remove(objection)
        self.story.reinstate(objection)

    @rule()
    def publish_next(self) -> None:
        self.publish(1)

    @precondition(lambda self: self.reports)
    @rule()
    def pause_or_resume(self) -> None:
        ledger, by = self.story.ledger, self.story.by()
        self.story.append(corrections.resume(ledger, by) if ledger.paused else corrections.pause(ledger, by))

    @precondition(lambda self: self.reports)
    @rule(kept=st.sampled_from([Target(provider=1), Target(provider=2), Target(batch=1), SELF_REPORTS]))
    def quarantine_or_lift(self, kept: Target) -> None:
        ledger, by = self.story.ledger, self.story.by()
        standing = {known.target: number for number, known in ledger.quarantines.items() if known.standing}
        self.story.append(lift(ledger, standing[kept], by) if kept in standing else quarantine(ledger, kept, by))

    @rule(steps=st.sampled_from([1, 1, 2, 8, 48, 96]))
    def publish(self, steps: int) -> None:
        story = self.story
        story.wait(900 * steps)
        draft = plan(story.ledger, self.policy, story.now, 1, ())
        assert draft is not None and plan(story.ledger, POLICY, story.ledger.founded_at, 1, ()) is None
        body = draft.body
        assert isinstance(body, Published)
        before = self.versions[-1]
        waited = self._longest_wait_over(body.at)
        story.append(draft)
        version = Version(body.version, body.at, Day(body.first_day), self._live(story.ledger))
        self._judge(before, version, body, waited)
        self.versions.append(version)
        for since in range(len(self.versions)):
            self._judge_delta(since)

    @property
    def first_reports(self) -> list[tuple[str, int]]:
        """Those of `reports` that are the first of their phone."""
        return list({name: (name, sequence) for name, sequence in reversed(self.reports)}.values())

    # --- what is compared --------------------------------------------------------------------------------------------

    def _judge(self, before: Version, version: Version, body: Published, waited: bool) -> None:
        ledger = self.story.ledger
        assert decode(body.set_digest) == set_digest(ledger.region, by_kind(version.records))
        assert (key_ends(version.records) + EMBARGO_SECONDS <= body.at).all(), "public before its end + 2 h"
        assert (key_days(version.records) >= body.first_day).all()
        assert not self.dead & version.by_key.keys(), "a withdrawn key came back"
        assert version.by_key.keys() <= self._held_by_standing_reports(), "public, and nobody stands for it"
        self._judge_types(version)
        fresh = {move.report for move in body.entering} - self._once_public
        if fresh:
            assert not ledger.paused
            people = {int(ledger.reports["root"][self._index(sequence)]) for sequence in fresh}
            assert len(people) >= POLICY.minimum_reports or waited
            assert not any(kept_back(ledger)[self._index(sequence)] for sequence in fresh), "it is in quarantine"
        if ledger.paused:
            assert version.by_key.keys() <= before.by_key.keys(), "something was added during a pause"
        self._once_public |= {move.report for move in body.entering}

    def _judge_types(self, version: Version) -> None:
        """Each public key has the strongest type in force of the person under whom it is public (O8, P5)."""
        reports, keys = self.story.ledger.reports, self.story.ledger.keys[self.kind]
        strongest_first = (ReportType.CONFIRMED, ReportType.LIKELY, ReportType.SELF_REPORTED)
        for row in live_rows(keys, version.first_day).tolist():
            root = int(reports["root"][keys["report"][row]])
            person = [index for index in range(reports.count) if reports["root"][index] == root]
            in_force = {int(reports["report_type"][index]) for index in person if not reports["objections"][index]}
            expected = next(kind for kind in strongest_first if kind in in_force)
            assert keys["record"]["report_type"][row] == expected

    def _judge_delta(self, since: int) -> None:
        """The delta law over [since, now] against all the versions in between."""
        last, window = self.versions[-1], self.versions[since:]
        told = changes(self.story.ledger.keys[self.kind], since, last.first_day)
        additions = {
            key_data: record
            for key_data, record in last.by_key.items()
            if any(version.by_key.get(key_data) != record for version in window)
        }
        assert {record["key_data"].tobytes(): record.tobytes() for record in told.additions} == additions
        removals = {
            key_data
            for version in window
            for key_data, day in version.days.items()
            if day >= last.first_day and key_data not in last.by_key
        }
        assert {record["key_data"].tobytes() for record in told.removals} == removals
        first_seen = {
            key_data: next(version.number for version in self.versions if key_data in version.by_key)
            for key_data in additions
        }
        assert first_seen == {
            record["key_data"].tobytes(): first
            for record, first in zip(told.additions, told.first_entered.tolist(), strict=True)
        }
        removed = np.empty(len(told.removals), REMOVALS[self.kind])
        removed["day"], removed["key_data"] = key_days(told.removals), told.removals["key_data"]
        region, digest = self.story.ledger.region, set_digest(self.story.ledger.region, by_kind(last.records))
        delta = decode_keyset(
            encode_delta(
                KeysetDelta(
                    region,
                    since,
                    last.number,
                    last.at,
                    last.first_day,
                    digest,
                    by_kind(told.additions),
                    removals_by_kind(removed),
                )
            )
        )
        assert isinstance(delta, KeysetDelta)
        for version in window:
            assert apply_delta(by_kind(version.records), delta)[self.kind].tobytes() == last.records.tobytes()

    def _live(self, ledger: Ledger) -> Records:
        return ledger.keys[self.kind]["record"][live_rows(ledger.keys[self.kind], Day(ledger.versions[-1].first_day))]

    def _index(self, sequence: int) -> int:
        return int(np.searchsorted(self.story.ledger.reports["sequence"], sequence))

    def _public_under(self, ledger: Ledger, sequence: int) -> set[bytes]:
        """The keys that are public under this first report and what continues it in the newest version."""
        if not ledger.versions:
            return set()
        rows = live_rows(ledger.keys[self.kind], Day(ledger.versions[-1].first_day))
        mine = rows[ledger.reports["root"][ledger.keys[self.kind]["report"][rows]] == self._index(sequence)]
        return set(ledger.keys[self.kind]["record"]["key_data"][mine].tolist())

    def _held_by_standing_reports(self) -> set[bytes]:
        ledger = self.story.ledger
        reports, keys = ledger.reports, ledger.keys[self.kind]
        standing = (reports["objections"] == 0) & ~reports["withdrawn"]
        return set(keys["record"]["key_data"][standing[keys["report"]]].tolist())

    def _longest_wait_over(self, at: int) -> bool:
        """Whether some never-public key has waited for the longest wait, by the sums of this test."""
        ledger = self.story.ledger
        for event in self.story.events:
            if event.content is None or event.sequence in self._once_public or not isinstance(event.body, HasKeys):
                continue
            if kept_back(ledger)[self._index(event.sequence)]:
                continue
            ends = self.secret_until(event.content.keys["record"])
            for row, end in zip(event.content.keys, ends.tolist(), strict=True):
                released = unheld_release(event.body.received_at, end) + 900 * event.body.hold[row["position"]]
                if released + POLICY.longest_wait_seconds <= at:
                    return True
        return ledger.paused

    @invariant()
    def folds_alike_in_pieces_and_at_once(self) -> None:
        if not hasattr(self, "story"):
            return
        whole = Ledger()
        fold(whole, self.story.events)
        ours = self.story.ledger
        for name in ours.reports.names:
            assert ours.reports[name].tobytes() == whole.reports[name].tobytes()
        for kind, keys in ours.keys.items():
            for name in keys.names:
                assert keys[name].tobytes() == whole.keys[kind][name].tobytes()
        assert (whole.sequence, whole.paused) == (ours.sequence, ours.paused)
        assert whole.continuations == ours.continuations
        assert [keys.stints for keys in whole.keys.values()] == [keys.stints for keys in ours.keys.values()]
        assert [version.set_digest for version in whole.versions] == [v.set_digest for v in ours.versions]


TestHistories = Histories.TestCase
TestHistories.settings = settings(settings(), stateful_step_count=30)


class Dp3tHistories(Histories):
    """The same laws for day keys: reports of one chain, of which several may hold the same days."""

    kind = KeyKind.DP3T

    def sent(self, keys: dict[str, int], period: int) -> list[SentKey]:
        oldest, newest = max(keys.values()), min(keys.values())
        return chain(min(keys), oldest - newest + 1, newest, self.story.now)

    def secret_until(self, records: Records) -> NDArray[np.int64]:
        return np.full(len(records), key_ends(records).max(initial=0))


TestDp3tHistories = Dp3tHistories.TestCase
TestDp3tHistories.settings = settings(settings(), stateful_step_count=30)


def history() -> Histories:
    """A history to be told by hand, for what chance seldom finds. Serials count from 1 in each batch."""
    told = Histories()
    told.found()
    return told


def reported(told: Histories, days_ago: int, period: int = 144, batch: int = 1) -> int:
    """The sequence of one more report of key "a"."""
    told.report(batch=batch, keys={"a": days_ago}, period=period, hold=0)
    return told.reports[-1][1]


def test_a_key_goes_over_to_a_holder_of_the_same_record() -> None:
    told = history()
    first = reported(told, 1)
    told.publish(2)
    reported(told, 1, batch=2)
    told.publish(2)
    told.story.rollback(first)
    told.publish(1)
    assert len(told.versions[-1].by_key) == 1
    assert not len(changes(told.story.ledger.keys[KeyKind.GAEN], 2, Day(told.versions[-1].first_day)).additions), (
        "nothing changed for phones"
    )


def test_a_key_goes_over_to_a_holder_of_another_day_which_expires_first() -> None:
    told = history()
    first = reported(told, 1)
    told.publish(2)
    reported(told, 3, batch=2)
    told.publish(2)
    told.story.rollback(first)
    told.publish(1)
    told.publish(96)  # the older day is gone; a phone that has not synced still holds the key under the younger one
    assert told.versions[-1].by_key == {}
    told.publish(96)
    told.publish(96)


def test_a_key_goes_there_and_back_between_holders_of_different_intervals() -> None:
    told = history()
    first = reported(told, 2)
    told.publish(2)
    reported(told, 1, period=100, batch=2)
    told.publish(2)
    objection = told.story.rollback(first)
    told.publish(2)
    told.story.reinstate(objection)
    told.publish(1)
    told.story.rollback(first)
    told.publish(96)
    assert len(told.versions[-1].by_key) == 1


def test_a_withdrawal_by_the_second_holder_outlives_the_objection_to_the_first() -> None:
    told = history()
    first = reported(told, 1)
    objection = told.story.rollback(first)
    reported(told, 1, batch=2)
    told.publish(2)
    assert len(told.versions[-1].by_key) == 1
    told.dead |= told.versions[-1].by_key.keys()
    told.story.withdraw(told.reports[-1][0])
    told.publish(1)
    told.story.reinstate(objection)
    told.publish(8)
    assert told.versions[-1].by_key == {}


def test_a_withdrawal_under_an_objection_is_final_also_for_the_next_holder() -> None:
    told = history()
    first = reported(told, 1)
    told.publish(2)
    told.dead |= told.versions[-1].by_key.keys()
    objection = told.story.rollback(first)
    reported(told, 1, batch=2)
    told.story.withdraw(told.reports[0][0])
    told.publish(8)
    told.story.reinstate(objection)
    told.publish(8)
    assert told.versions[-1].by_key == {}


def test_a_holder_that_has_withdrawn_does_not_make_way_for_a_third() -> None:
    told = history()
    first = reported(told, 1)
    reported(told, 1, batch=2)
    told.story.withdraw(told.reports[-1][0])
    reported(told, 1, batch=1)
    told.publish(2)
    assert len(told.versions[-1].by_key) == 1, "the first still owns it"
    told.story.rollback(first)
    told.publish(8)
    assert told.versions[-1].by_key == {}


def test_a_holder_that_has_withdrawn_does_not_make_way_even_when_it_is_cut_off() -> None:
    told = history()
    first = reported(told, 1)
    reported(told, 1, batch=2)
    told.story.withdraw(told.reports[-1][0])
    reported(told, 1, batch=1)
    told.story.withdraw(told.reports[-1][0])
    reported(told, 1, batch=1)
    told.story.rollback(first)
    told.story.revoke(Target(batch=1, first=2, last=2), Instant(told.story.now - 1800))
    told.story.revoke(Target(provider=2), Instant(told.story.now - 1800))
    told.publish(8)
    assert told.versions[-1].by_key == {}


def test_a_useful_life_that_is_made_longer_brings_no_expired_key_back() -> None:
    told = history()
    reported(told, 3)
    told.publish(2)
    assert len(told.versions[-1].by_key) == 1
    told.publish(96)
    assert told.versions[-1].by_key == {}
    told.policy = replace(POLICY, useful_days=14)
    told.publish(1)  # the delta law is looked at here: phones have dropped that day
    assert told.versions[-1].by_key == {}
