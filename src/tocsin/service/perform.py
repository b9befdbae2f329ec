"""Performing: what a rule decided becomes events in the journal. The only place where events are made.

Calls and acts go the same way: into a group, which holds the journal's tip; the ledger is brought up to that tip; the
rule decides; its events are appended, and folded at once, so that the next of the group sees them; and only when the
group is durable does an answer leave. If the group fails nothing of it is stored, and the ledger takes it back.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from msgspec import Struct

from tocsin.formats.wire import decode_call, encode_answer
from tocsin.journal.content import NONCE_BYTES, encode_content, seal
from tocsin.journal.encoding import NewEvent
from tocsin.journal.port import Group, Journal
from tocsin.ledger.state import Ledger
from tocsin.model import base64url
from tocsin.model.calls import Answer, Call, ContinueCall, ReportCall, Verdict
from tocsin.model.code_reading import CodeReading
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.events import Draft, Event, HasKeys
from tocsin.model.keys import MAX_KEYS
from tocsin.model.policy import Policy
from tocsin.model.ports import Clock
from tocsin.model.times import Instant, day_of
from tocsin.rules import intake
from tocsin.rules.allowance import Allowance
from tocsin.rules.expected import expected_claims
from tocsin.service.allowances import Allowances, SourceAllowance
from tocsin.service.codes import read_code
from tocsin.service.follow import Follower
from tocsin.service.key_folder import KeyFolder
from tocsin.service.sources import UNKNOWN_SOURCE, Source, Sources
from tocsin.service.telemetry import Telemetry

Rule = Callable[[Ledger, Instant], Draft]
"""A rule with its request and policy bound: what it decides about this ledger at this moment."""


class Arrival(Struct, frozen=True):
    """A call as it came: its 4,096 bytes, the quarter-hour of the last of them, and the source as a keyed hash."""

    body: bytes
    received_at: Instant
    source: Source = UNKNOWN_SOURCE


class Performer:
    """One process's way into the journal. One thread at a time may use it."""

    def __init__(self, journal: Journal, keys: KeyFolder, clock: Clock, policy: Policy) -> None:
        self._journal = journal
        self._keys = keys
        self._clock = clock
        self._policy = policy
        self._follower = Follower(keys)
        self._closed: str | None = None
        self.sources = Sources()
        self.telemetry = Telemetry()
        self._allowances = Allowances(policy)

    @property
    def ledger(self) -> Ledger:
        """The ledger as far as this process has come."""
        return self._follower.ledger

    def follower(self) -> Follower:
        """A follower of its own that has come as far as this process has."""
        return self._follower.copy()

    def catch_up(self) -> None:
        """Reads what other processes have appended."""
        self._follower.catch_up(self._journal.read)

    def forget_sources(self) -> None:
        """Forgets what is no longer needed of those who called. Raises `Unavailable` if the clock is not trusted."""
        now = self._clock.now()
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
        if self._closed is not None:
            raise Unavailable(self._closed)
        began = perf_counter()  # a stopwatch, not the time of day
        latest = max(arrival.received_at for arrival in arrivals)
        allowances: list[SourceAllowance] = []
        try:
            with self._group(latest) as (group, now):
                self._refuse_missing_secrets(arrivals)
                self._allowances.forget(now)
                allowances = [self._allowances.of(arrival.source, now) for arrival in arrivals]
                heard = [self._heard(arrival) for arrival in arrivals]
                group.expect(claim for one in heard if one for claim in expected_claims(*one))
                answers = [self._answer(group, *each) for each in zip(arrivals, heard, allowances, strict=True)]
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

    def _refuse_missing_secrets(self, arrivals: Sequence[Arrival]) -> None:
        """Raises `Unavailable` for the whole group if a secret is away that only some of its calls would need.

        Asked before any call is looked at: else a report would fail where a decoy beside it is answered.
        """
        for day in {day_of(arrival.received_at) for arrival in arrivals}:
            if self._keys.day_key(day) is None:
                raise Unavailable("there is no key for today: run `tocsin serve`, which makes them ahead")
        for period in self.ledger.secret_ends:
            self._keys.issuing_secret(period)

    def _heard(self, arrival: Arrival) -> tuple[Call, CodeReading] | None:
        """The call, and the reading of its code; None if it is no call."""
        try:
            call = decode_call(arrival.body)
        except Invalid:
            return None
        code = call.code if isinstance(call, ReportCall | ContinueCall) else None
        return call, read_code(code, self.ledger, self._keys)

    def _answer(
        self, group: Group, arrival: Arrival, heard: tuple[Call, CodeReading] | None, allowance: Allowance
    ) -> Answer:
        if heard is None:
            return Answer(Verdict.MALFORMED)  # C1
        call, code = heard
        judgement = intake.judge(
            self.ledger,
            call,
            code,
            group.claimed,
            self._policy,
            arrival.received_at,
            (secrets.randbelow(self._policy.hold_back_quarters + 1) for _ in range(MAX_KEYS)),
            allowance,
        )
        if judgement.draft is not None:
            self._append(group, judgement.draft, arrival.received_at)
        return judgement.answer

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
        day_key = self._keys.day_key(day)
        if day_key is None:
            raise Unavailable("there is no key for today: run `tocsin serve`, which makes them ahead")
        own_id = base64url.decode(draft.body.id)
        nonce = secrets.token_bytes(NONCE_BYTES)
        return seal(day_key, day, draft.body.kind, own_id, encode_content(draft.content), nonce)
