"""Performing: what a rule decided becomes events in the journal. The only place where events are made.

Calls and acts go the same way: into a group, which holds the journal's tip; the ledger is brought up to that tip; the
rule decides; its events are appended, and folded at once, so that the next of the group sees them; and only when the
group is durable does an answer leave. If the group fails nothing of it is stored, and the ledger takes it back. While
the journal is out of reach calls go into a group of the spool instead (`service.keep` decides).
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from time import perf_counter
from typing import Final

from msgspec import Struct

from tocsin.formats.wire import decode_call, encode_answer
from tocsin.journal.content import NONCE_BYTES, encode_content, seal
from tocsin.journal.encoding import NewEvent
from tocsin.journal.port import Group, Journal, Tip
from tocsin.ledger.state import Ledger
from tocsin.model import base64url
from tocsin.model.calls import Answer, Verdict
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.events import Draft, Event, HasKeys
from tocsin.model.keys import MAX_KEYS
from tocsin.model.policy import Policy
from tocsin.model.ports import Clock
from tocsin.model.times import KEPT_DAYS, Instant, day_of
from tocsin.rules import intake
from tocsin.rules.allowance import Allowance
from tocsin.rules.expected import expected_claims
from tocsin.rules.spooled import judge_delivered, judge_provisionally
from tocsin.service.allowances import Allowances, SourceAllowance
from tocsin.service.codes import Heard, reading_of
from tocsin.service.follow import Follower
from tocsin.service.key_folder import KeyFolder
from tocsin.service.sources import UNKNOWN_SOURCE, Source, Sources
from tocsin.service.spool import Kept, open_call, seal_call
from tocsin.service.telemetry import Telemetry
from tocsin.stores.spool import Record, Spool, SpoolGroup

_NO_DAY_KEY: Final = (
    "there is no key for today, or another one than the journal names: `tocsin serve` makes them ahead, on the machine"
    " that makes them"
)
Rule = Callable[[Ledger, Instant], Draft]
"""A rule with its request and policy bound: what it decides about this ledger at this moment."""


class Arrival(Struct, frozen=True):
    """A call as it came: its 4,096 bytes, the quarter-hour of the last of them, and the source as a keyed hash."""

    body: bytes
    received_at: Instant
    source: Source = UNKNOWN_SOURCE


_Waiting = tuple[Arrival, Heard | None, Allowance]
_Way = tuple[Callable[[Sequence[_Waiting]], list[Answer]], Instant]
"""How the calls of a group are answered, and the present instant."""


class Performer:
    """One process's way into the journal. One thread at a time may use it."""

    def __init__(
        self, journal: Journal, keys: KeyFolder, clock: Clock, policy: Policy, follower: Follower | None = None
    ) -> None:
        """`follower`: this performer's own from now on."""
        self._journal = journal
        self._keys = keys
        self._clock = clock
        self._policy = policy
        self._follower = follower or Follower(keys)
        self._closed: str | None = None
        self.sources = Sources()
        self.telemetry = Telemetry()
        self._allowances = Allowances(policy)

    @property
    def ledger(self) -> Ledger:
        """The ledger as far as this process has come."""
        return self._follower.ledger

    @property
    def tip(self) -> Tip:
        """Where the journal ended when this process last read it."""
        return self._follower.tip

    @property
    def follower(self) -> Follower:
        """What follows the journal for this performer; for work in the same thread."""
        return self._follower

    @property
    def has_room(self) -> bool:
        """A journal always has."""
        return True

    def catch_up(self) -> None:
        """Reads what other processes have appended."""
        self._follower.catch_up(self._journal.read)

    def forget_sources(self) -> None:
        """Forgets what is no longer needed of those who called. Raises `Unavailable` if the clock is not trusted."""
        self.forget(self._clock.now())

    def forget(self, now: Instant) -> None:
        """As `forget_sources`, by a clock that was asked already."""
        self.sources.forget(now)
        self._allowances.forget(now)

    def take_no_more(self, why: str) -> None:
        """Every call from now on is answered as if the journal were away. May be called from any thread."""
        self._closed = why

    def answer(self, arrivals: Sequence[Arrival]) -> list[bytes]:
        """The 1,024-byte answers to these calls, one each, in order. All they rest on is durable when this returns.

        Every call waits for the same sync, whatever it is: refusals and decoys differ in nothing that waits. Raises
        `Unavailable` if the journal is away; then none of them is stored or has cost an allowance, and each may be
        repeated.
        """
        return self._answered(arrivals, self._in_journal(_latest(arrivals)))

    def keep(self, arrivals: Sequence[Arrival], spool: Spool, now: Instant) -> list[bytes]:
        """As `answer`, while the journal is out of reach: judged by the ledger as it stands, kept in `spool`.

        All of them wait for one sync of the spool. The journal is not asked for anything. `now`: the present instant,
        by a clock that is held against `tip`.
        """
        return self._answered(arrivals, self._in_spool(spool, max(now, _latest(arrivals))))

    def deliver(self, records: Sequence[Record]) -> int:
        """Appends what these calls of a spool lead to at the tip, durable when it returns. Returns how many are lost.

        Lost is what was sealed by a day key that is destroyed. Delivered again, they lead to nothing. Raises as
        `answer`, and `Invalid` for one that was changed; then none of them is stored, and all may be delivered again.
        """
        if self._closed is not None:
            raise Unavailable(self._closed)
        with self._group(max(record.received_at for record in records)) as (group, now):
            calls = [self._opened(record, now) for record in records]
            group.expect(claim for heard in calls if heard for claim in expected_claims(*heard))
            for record, heard in zip(records, calls, strict=True):
                if heard is not None:
                    self._deliver(group, record, heard)
        return calls.count(None)

    def _answered(self, arrivals: Sequence[Arrival], way: AbstractContextManager[_Way]) -> list[bytes]:
        if self._closed is not None:
            raise Unavailable(self._closed)
        began = perf_counter()  # a stopwatch, not the time of day
        latest = _latest(arrivals)
        allowances: list[SourceAllowance] = []
        try:
            with way as (answer, now):
                self._refuse_missing_secrets(arrivals)
                self._allowances.forget(now)
                allowances = [self._allowances.of(arrival.source, now) for arrival in arrivals]
                heard = [self._heard(arrival) for arrival in arrivals]
                answers = answer([*zip(arrivals, heard, allowances, strict=True)])
        except Exception as error:
            if isinstance(error, Unavailable) or len(arrivals) > 1:  # a call that breaks us by itself is no free guess
                for allowance in allowances:
                    allowance.give_back()
            self._allowances.forget(latest)
            raise
        self.telemetry.group_durable([answer.verdict for answer in answers], perf_counter() - began, now)
        return [encode_answer(answer) for answer in answers]

    def act(self, rule: Rule) -> Event:
        """Appends what `rule` decides, against the journal's very tip, and returns the event, durable.

        The moment that the rule is told lies in the event's own quarter-hour, `recorded_at`. Raises what the rule
        raises (`Refused`), `ClaimTaken` if it was done before, `Unavailable`.
        """
        with self._group() as (group, now):
            return self._append(group, rule(self.ledger, now), now)

    def rehearse(self, rule: Rule) -> Draft:
        """What `rule` would append now: a dry run. Nothing is written."""
        now = self._clock.now()
        self.catch_up()
        self._follower.refuse_lost_keys(now)
        return rule(self.ledger, max(now, Instant(self.ledger.recorded_at)))

    @contextmanager
    def _group(self, not_before: Instant | None = None) -> Iterator[tuple[Group, Instant]]:
        """A group with the ledger at its tip, and a moment of the quarter-hour in which its events are recorded.

        What it appended is taken back from the ledger if the group is not stored.
        """
        self.catch_up()  # the long part of it without holding the tip
        before = self._follower.place()
        now = self._clock.now()
        if not_before is not None:  # a clock set back a little: recorded is never before received
            now = max(now, not_before)
        try:
            with self._journal.group(now) as group:
                self._follower.catch_up(group.read)
                self._follower.refuse_lost_keys(now)
                before = self._follower.place()
                yield group, max(now, Instant(group.tip.recorded_at))
        except BaseException:
            self._follower.take_back(before)
            raise

    @contextmanager
    def _in_journal(self, not_before: Instant) -> Iterator[_Way]:
        with self._group(not_before) as (group, now):
            yield partial(self._answer, group), now

    @contextmanager
    def _in_spool(self, spool: Spool, now: Instant) -> Iterator[_Way]:
        if not self.ledger.sequence:
            raise Unavailable("the journal is out of reach, and was not read yet")
        self._follower.refuse_lost_keys(now)
        with spool.group() as group:
            yield partial(self._keep, group), now

    def _refuse_missing_secrets(self, arrivals: Sequence[Arrival]) -> None:
        """Raises `Unavailable` for the whole group if a secret is away that only some of its calls would need.

        Asked before any call is looked at: else a report would fail where a decoy beside it is answered.
        """
        for day in {day_of(arrival.received_at) for arrival in arrivals}:
            if self._follower.day_key(day) is None:
                raise Unavailable(_NO_DAY_KEY)
        for period in self.ledger.secret_ends:
            self._keys.issuing_secret(period)

    def _heard(self, arrival: Arrival) -> Heard | None:
        """The call, and the reading of its code; None if it is no call."""
        try:
            call = decode_call(arrival.body)
        except Invalid:
            return None
        return call, reading_of(call, self.ledger, self._keys)

    def _answer(self, group: Group, waiting: Sequence[_Waiting]) -> list[Answer]:
        group.expect(claim for _, heard, _ in waiting if heard for claim in expected_claims(*heard))
        return [self._answer_one(group, *each) for each in waiting]

    def _answer_one(self, group: Group, arrival: Arrival, heard: Heard | None, allowance: Allowance) -> Answer:
        if heard is None:
            return Answer(Verdict.MALFORMED)  # C1
        judgement = intake.judge(
            self.ledger, *heard, group.claimed, self._policy, arrival.received_at, self._holds(), allowance
        )
        if judgement.draft is not None:
            self._append(group, judgement.draft, arrival.received_at)
        return judgement.answer

    def _keep(self, group: SpoolGroup, waiting: Sequence[_Waiting]) -> list[Answer]:
        kept = Kept(group, self.ledger, self._keys)
        return [self._keep_one(group, kept, *each) for each in waiting]

    def _keep_one(
        self, group: SpoolGroup, kept: Kept, arrival: Arrival, heard: Heard | None, allowance: Allowance
    ) -> Answer:
        if heard is None:
            return Answer(Verdict.MALFORMED)  # C1
        told = judge_provisionally(
            self.ledger, *heard, kept, self._policy, arrival.received_at, self._holds(), allowance
        )
        if told.claims:
            sealed = seal_call(self._keys, arrival.body, arrival.received_at, told.claims)
            group.add(arrival.received_at, told.claims, sealed)
        return told.answer

    def _opened(self, record: Record, now: Instant) -> Heard | None:
        """The call that a record keeps; None if its day key is destroyed. Raises `Invalid` if it was changed."""
        body = open_call(self._keys, record)
        if body is not None:
            call = decode_call(body)
            return call, reading_of(call, self.ledger, self._keys)
        day = day_of(record.received_at)
        if day_of(now) < day + KEPT_DAYS:  # too young to have been destroyed
            raise Unavailable(f"the day key {day} is missing from the key folder: restore it from its backup")
        return None

    def _deliver(self, group: Group, record: Record, heard: Heard) -> None:
        at = record.received_at
        draft = judge_delivered(self.ledger, *heard, group.claimed, self._policy, at, self._holds())
        if draft is not None:
            self._append(group, draft, at)

    def _holds(self) -> Iterator[int]:
        """Hold-backs, drawn as they are asked for."""
        return (secrets.randbelow(self._policy.hold_back_quarters + 1) for _ in range(MAX_KEYS))

    def _append(self, group: Group, draft: Draft, received_at: Instant) -> Event:
        stored = group.append(NewEvent(draft.body, self._sealed(draft, received_at), draft.claims))
        event = Event(stored.sequence, stored.recorded_at, draft.body, stored.digest, draft.content)
        self._follower.fold([event])
        return event

    def _sealed(self, draft: Draft, received_at: Instant) -> bytes | None:
        if draft.content is None:
            return None
        if not isinstance(draft.body, HasKeys):
            raise Invalid("only what apps report has content")
        day = day_of(received_at)
        day_key = self._follower.day_key(day)
        if day_key is None:
            raise Unavailable(_NO_DAY_KEY)
        own_id = base64url.decode(draft.body.id)
        nonce = secrets.token_bytes(NONCE_BYTES)
        return seal(day_key, day, draft.body.kind, own_id, encode_content(draft.content), nonce)


def _latest(arrivals: Sequence[Arrival]) -> Instant:
    return max(arrival.received_at for arrival in arrivals)
