"""A clock that is set, at midnight and at noon, to the second: while a server runs, and across a restart (case 13).

Each story: all goes well; the clock is set by so much, at the edge (small steps: also a second before and after);
everything is tried; it
is set right again; everything is tried; time goes on until the last stamp has come. Nothing here asks the code what it
did: what was acknowledged, which stamps there are and what a phone holds is looked up from outside.
"""

import shutil
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec import Struct

from tests.service.machine import Machine
from tests.sites import PROMPT, FixedClock, Site, by, cards_of, drawn
from tocsin.client.calls import make_report
from tocsin.client.state import SyncState
from tocsin.client.sync import SyncReason, SyncRefused, sync
from tocsin.client.trust import parse_trust
from tocsin.formats.wire import decode_answer
from tocsin.journal.encoding import StoredEvent, decode_body
from tocsin.journal.verify import verify
from tocsin.model.calls import KeyVerdict, SentKey, Verdict
from tocsin.model.errors import Unavailable
from tocsin.model.events import BatchIssued, Published, Reported, Target
from tocsin.model.keys import KeyKind, key_ends
from tocsin.model.times import (
    DAY_SECONDS,
    EMBARGO_SECONDS,
    INTERVAL_SECONDS,
    INTERVALS_PER_DAY,
    QUARTER_SECONDS,
    Instant,
    day_of,
    day_start,
    floor_quarter,
)
from tocsin.rules import corrections, issuance
from tocsin.rules.issuance import BatchRequest
from tocsin.service.clock import SystemClock
from tocsin.service.deployment import Deployment
from tocsin.service.perform import Arrival, Performer
from tocsin.service.serve import PublisherLoop

HOUR = 3600
GAEN_STEP = 4 * HOUR
MIDNIGHT, NOON = day_start(20_501), day_start(20_500) + 12 * HOUR
PAST_31_BITS = 2**31 - 2**31 % QUARTER_SECONDS + QUARTER_SECONDS
"""The first quarter-hour that a signed number of 32 bits can't count: 2038-01-19 03:15 UTC."""
STEPS = [1, 300, 301, 900, HOUR, DAY_SECONDS, 365 * DAY_SECONDS]
EXPIRING = 2
"""The code batch whose life ends at the edge."""


class Sent(Struct, frozen=True):
    """A report that was acknowledged: its call, the answer, its keys that were taken."""

    body: bytes
    answer: bytes
    keys: tuple[SentKey, ...]


class Town:
    """A deployment on a machine whose clock is set; a phone that syncs; what people were told."""

    def __init__(self, top: Path, machine: Machine) -> None:
        self.top = top
        self.machine = machine
        self.error = 0
        """By how much the clock is ahead of the true time."""
        self.sent: list[Sent] = []
        self.told: list[str | None] = []
        self.phone: SyncState | None = None
        self.refusals: set[str] = set()
        self.start()

    def start(self) -> None:
        """A new process."""
        self.deployment = Deployment(self.top, SystemClock())
        self.performer = self.deployment.performer()
        self.publisher = self.deployment.publisher()
        self.loop = PublisherLoop(
            self.publisher,
            self.deployment.day_keeper(self.publisher.follower),
            self.deployment.eraser(self.publisher.follower),
            self.deployment.held_clock,
            QUARTER_SECONDS,
            self.told.append,
        )

    def stop(self) -> None:
        self.deployment.close()

    @property
    def true_now(self) -> int:
        return int(self.machine.wall) - self.error

    def set_clock(self, by: int, *, restart: bool) -> None:
        self.machine.wall += by
        self.error += by
        if restart:
            self.stop()
            self.start()

    def stored(self) -> list[StoredEvent]:
        return self.deployment.journal.read(0)

    # --- what people try ---------------------------------------------------------------------------------------------

    def report(self, name: str, batch: int, serial: int) -> Verdict | None:
        """The verdict on keys of 14 days ago, of yesterday, and of today, which is still in use; None for a 503."""
        today = day_of(self.true_now)
        days = (today - 14, today - 1, today)
        keys = tuple(SentKey(drawn(f"{name} {day}", 16), day * INTERVALS_PER_DAY, INTERVALS_PER_DAY) for day in days)
        code = cards_of(self.deployment, batch, serial + 1)[serial]
        w, c = drawn(f"{name} w"), drawn(f"{name} c")
        body = make_report(keys, code=code, onset_day=None, withdrawal_secret=w, continuation_secret=c).body
        answer = self.call(body)
        if answer is None:
            return None
        told = decode_answer(answer)
        if told.verdict is Verdict.TAKEN:
            verdicts = zip(keys, told.keys, strict=True)
            taken = tuple(key for key, verdict in verdicts if verdict is KeyVerdict.TAKEN)
            self.sent.append(Sent(body, answer, taken))
        return told.verdict

    def call(self, body: bytes) -> bytes | None:
        try:
            [answer] = self.performer.answer([Arrival(body, floor_quarter(self.deployment.clock.now()))])
        except Unavailable:
            return None
        return answer

    def act(self, work: Callable[[], object]) -> bool:
        try:
            work()
        except Unavailable:
            return False
        return True

    def try_all(self, phase: int) -> set[bool]:
        """Whether each of all that people do was recorded; a report with a code whose life ends is judged here."""
        clock = floor_quarter(int(self.machine.wall))

        def revoke() -> None:
            target = Target(batch=1, first=90 + phase, last=90 + phase)
            self.performer.act(
                lambda ledger, now: corrections.revoke(ledger, target, Instant(now - HOUR), now, by(f"r {phase}"))
            )

        before = self.deployment.journal.tip().sequence
        done = {
            self.report(f"phone {phase}", 1, phase) is not None,
            self.act(lambda: _issue(self.performer, BatchRequest(1, 10, 1), str(phase))),
            self.act(revoke),
        }
        verdict = self.report(f"last {phase}", EXPIRING, phase)
        if verdict is not None:
            edge = self.performer.ledger.batches[EXPIRING].life.valid_until * QUARTER_SECONDS
            assert verdict is (Verdict.TAKEN if clock < edge else Verdict.CODE_EXPIRED), "judged by received_at"
        self.round()
        assert done == {True} or self.deployment.journal.tip().sequence == before
        return done | {verdict is not None}

    def round(self) -> None:
        """What the publisher's thread does when it wakes; then a phone, whose clock is right, syncs."""
        self.loop.round()
        trust = parse_trust(self.deployment.folders.trust.read_bytes())
        bucket = self.deployment.folders.bucket
        try:
            self.phone = sync(
                self.phone, trust, self.true_now, lambda name, most: (bucket / name).read_bytes()[: most + 1]
            )
        except SyncRefused as refused:
            self.refusals.add(refused.code)
        else:
            early = key_ends(self.phone.keys[KeyKind.GAEN]) + EMBARGO_SECONDS > self.true_now + 300
            assert not early.any(), "a phone was given a key that may be in use"


def _issue(performer: Performer, request: BatchRequest, name: str) -> None:
    """A batch that is issued and activated at once."""
    issued = performer.act(lambda ledger, now: issuance.issue_batch(ledger, request, PROMPT, now, by(f"i {name}"))).body
    assert isinstance(issued, BatchIssued)
    performer.act(lambda ledger, now: issuance.activate_batch(ledger, issued.batch, now, by(f"a {name}")))


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """For each edge a deployment that has run for three hours until shortly before it."""
    made = {}
    for edge in (NOON, MIDNIGHT, PAST_31_BITS):
        clock = FixedClock(edge - 3 * HOUR)
        site = Site(tmp_path_factory.mktemp("site") / str(edge), clock)
        request = BatchRequest(provider=1, count=10, issuing_period=1, valid_until=edge // QUARTER_SECONDS)
        _issue(site.performer, request, "expiring")
        publisher = site.deployment.publisher()
        while clock.at < edge - QUARTER_SECONDS:
            clock.wait(QUARTER_SECONDS)
            publisher.publish()
        site.deployment.close()
        made[edge] = site.top
    return made


@pytest.mark.parametrize("restart", [False, True], ids=["serving", "restarted"])
@pytest.mark.parametrize("step", [sign * step for step in STEPS for sign in (-1, 1)])
@pytest.mark.parametrize("edge", [NOON, MIDNIGHT], ids=["noon", "midnight"])
def test_a_clock_that_is_set_and_set_right(
    templates: dict[int, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    edge: int,
    step: int,
    restart: bool,
) -> None:
    for offset in (-1, 0, 1) if abs(step) <= 301 else (0,):
        machine = Machine(edge - 600)
        with monkeypatch.context() as patched:
            machine.put_in(patched)
            town = Town(shutil.copytree(templates[edge], tmp_path / str(offset)), machine)
            _story(town, edge + offset, step, restart=restart)
            town.stop()


@pytest.mark.parametrize("step", [-300, 1])
def test_the_year_2038(templates: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    machine = Machine(PAST_31_BITS - 600)
    machine.put_in(monkeypatch)
    town = Town(shutil.copytree(templates[PAST_31_BITS], tmp_path / "site"), machine)
    _story(town, PAST_31_BITS, step, restart=False)
    town.stop()


def _story(town: Town, at: int, step: int, *, restart: bool) -> None:
    assert town.try_all(0) == {True}
    town.machine.wait(at - town.machine.wall)
    tip = town.deployment.journal.tip()
    town.set_clock(step, restart=restart)
    believed = -300 <= at + step - tip.recorded_at <= 3 * DAY_SECONDS and (restart or abs(step) <= 300)
    assert town.try_all(1) == {believed}
    if not believed:
        assert town.deployment.journal.tip().sequence == tip.sequence
        assert town.told[-1] is not None, "the operator is told"
    town.machine.wait(60)
    tip = town.deployment.journal.tip()
    town.set_clock(-step, restart=restart)
    assert town.try_all(2) == {town.true_now + 300 >= tip.recorded_at}
    end = max(tip.recorded_at, at) + 3 * HOUR
    while town.true_now < end:
        town.machine.wait(min(end - town.true_now, max(QUARTER_SECONDS, (end - town.true_now) // 20)))
        town.round()
    assert town.try_all(3) == {True}, "everything goes on"
    _check(town)


def _check(town: Town) -> None:
    verify(town.deployment.journal)
    stored = town.stored()
    assert all(one.recorded_at <= other.recorded_at for one, other in pairwise(stored))
    for event in stored:
        body = decode_body(event.kind, event.body)
        if isinstance(body, Reported):
            assert event.content is not None and struct.unpack(">I", event.content[:4])[0] == day_of(body.received_at)
            assert event.recorded_at >= body.received_at
    versions = [body for event in stored if isinstance(body := decode_body(event.kind, event.body), Published)]
    assert [body.version for body in versions] == list(range(1, len(versions) + 1))
    assert all(one.at < other.at and one.first_day <= other.first_day for one, other in pairwise(versions))
    gaen = [body.at // GAEN_STEP for body in versions if any(file.profile == "gaen" for file in body.files)]
    assert len(gaen) == len(set(gaen)), "two GAEN dumps in one of its steps"
    for sent in town.sent:
        assert town.call(sent.body) == sent.answer, "an acknowledged report is lost, or its receipt another"
    assert town.refusals <= {SyncReason.CLOCK_WRONG}
    newest = versions[-1]
    assert town.phone is not None and town.phone.version == newest.version and newest.at <= town.true_now
    due = {
        key.key_data
        for sent in town.sent
        for key in sent.keys
        if (end := key.rolling_start_interval_number + key.rolling_period) * INTERVAL_SECONDS + EMBARGO_SECONDS
        <= newest.at
        and (end - 1) // INTERVALS_PER_DAY >= newest.first_day
    }
    held = {record["key_data"].tobytes() for record in town.phone.keys[KeyKind.GAEN]}
    last = {key.key_data for sent in town.sent[-2:] for key in sent.keys}  # came after the newest version
    assert due - last <= held <= due


def test_the_last_resort_is_a_copy_from_before_the_stamp(
    templates: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `docs/operating/hard-days.md` says of it: what came since is lost, and phones follow again after a while."""
    machine = Machine(NOON - 600)
    machine.put_in(monkeypatch)
    town = Town(shutil.copytree(templates[NOON], tmp_path / "site"), machine)
    assert town.report("kept", 1, 0) is Verdict.TAKEN
    town.stop()
    copy = shutil.copytree(town.deployment.folders.journal.parent, tmp_path / "copy")
    town.start()
    assert town.report("lost", 1, 1) is Verdict.TAKEN
    for _ in range(3):
        machine.wait(QUARTER_SECONDS)
        town.round()
    assert town.phone is not None
    seen = town.phone.version
    town.set_clock(2 * DAY_SECONDS, restart=True)
    town.round()
    assert town.publisher.ledger.version == seen + 1 and town.refusals == {SyncReason.CLOCK_WRONG}
    town.set_clock(-2 * DAY_SECONDS, restart=False)
    town.stop()
    shutil.rmtree(town.deployment.folders.journal.parent)
    shutil.copytree(copy, town.deployment.folders.journal.parent)
    shutil.rmtree(town.deployment.folders.bucket)
    town.deployment.folders.bucket.mkdir()
    town.start()
    town.refusals.clear()
    assert town.report("another", 1, 1) is Verdict.TAKEN, "a card that was used since is good again"
    while town.publisher.ledger.version <= seen + 1:
        machine.wait(QUARTER_SECONDS)
        town.round()
    assert town.refusals <= {SyncReason.OLDER_VERSION, SyncReason.FORKED}
    assert town.phone.version == town.publisher.ledger.version
    names = ("kept", "another")
    yesterday = day_of(NOON) - 1
    held = {record["key_data"].tobytes() for record in town.phone.keys[KeyKind.GAEN]}
    assert held == {drawn(f"{name} {day}", 16) for name in names for day in (yesterday, yesterday - 13)}
    town.stop()
