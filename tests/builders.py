"""A journal in memory, for tests of rules and of what is folded: a small story is told, event by event."""

import hashlib
import itertools
from collections.abc import Sequence

from msgspec.structs import replace

from tocsin.ledger.fold import fold
from tocsin.ledger.state import Ledger
from tocsin.model.base64url import decode, encode
from tocsin.model.calls import (
    Answer,
    Call,
    ContinueCall,
    ContinueId,
    ReportCall,
    SentKey,
    TrackCall,
    TrackingId,
    Verdict,
    WithdrawCall,
)
from tocsin.model.claims import Claim
from tocsin.model.code_reading import NO_CODE, CodeKind, CodeReading
from tocsin.model.events import Draft, Erased, Event, Founded, PhoneCodesIssued, Target
from tocsin.model.keys import MAX_KEYS, MAX_PERIOD, dp3t_chain
from tocsin.model.labels import labelled_hash
from tocsin.model.policy import Policy
from tocsin.model.times import INTERVALS_PER_DAY, QUARTER_SECONDS, Instant, day_of, day_start, floor_quarter
from tocsin.rules import corrections, issuance
from tocsin.rules.allowance import UNLIMITED, Allowance
from tocsin.rules.attribution import Attribution, attribution
from tocsin.rules.corrections import Selection
from tocsin.rules.intake import judge
from tocsin.rules.issuance import BatchRequest
from tocsin.rules.judgement import Judgement
from tocsin.rules.phone_issuance import HashOf, PhoneCodesRequest, issue_phone_codes

NOON = Instant(day_start(20_000) + 12 * 3600)
"""Where stories begin: 2024-10-04 12:00 UTC."""


def secret(name: str) -> bytes:
    """32 bytes that look drawn, the same for the same `name`."""
    return hashlib.sha256(name.encode()).digest()


def tracking_id(name: str) -> TrackingId:
    """The tracking ID of the phone that drew ``secret(name)`` for withdrawing."""
    return TrackingId(labelled_hash("tracking", secret(name)))


def key(name: str, start: int, period: int = MAX_PERIOD) -> SentKey:
    """A key whose 16 bytes follow from `name`."""
    return SentKey(secret(name)[:16], start, period)


def day_key(name: str, days_ago: int = 1, at: Instant = NOON) -> SentKey:
    """The key of a whole UTC day, so many days before `at`."""
    return key(name, (day_of(at) - days_ago) * INTERVALS_PER_DAY)


def hashes_of(request_id: bytes, codes: int = 10**11) -> HashOf:
    """Hashes such as the service finds them, of so many codes as there are."""

    def hash_of(place: int, attempt: int, issuing_period: int) -> bytes:
        code = int.from_bytes(secret(f"{request_id.hex()} {place} {attempt}")[:16], "big") % codes
        return secret(f"{issuing_period} {code}")[:16]

    return hash_of


def chain(name: str, days: int, last_ago: int = 1, at: Instant = NOON) -> list[SentKey]:
    """DP-3T day keys of `days` days, the last one so many days before `at`; the chain `name` begins 20 days before."""
    first = day_of(at) - last_ago - days + 1
    keys = dp3t_chain(secret(name), first + days - (day_of(NOON) - 20))[-days:]
    return [SentKey(key, (first + number) * INTERVALS_PER_DAY, MAX_PERIOD) for number, key in enumerate(keys)]


class ClaimTaken(Exception):
    """The journal of the story holds this claim already: what an engine would say."""


class Story:
    """Events as they come, their claims, and the ledger they amount to. `now` moves by `wait` only."""

    def __init__(self, policy: Policy | None = None, now: Instant = NOON) -> None:
        self.policy = policy or Policy()
        self.now = now
        self.ledger = Ledger()
        self.events: list[Event] = []
        self.claims: dict[Claim, int] = {}
        self._numbers = itertools.count(1)
        self.append(Draft(Founded("utopia", encode(secret("deployment")))))

    # --- the journal -------------------------------------------------------------------------------------------------

    def append(self, draft: Draft) -> int:
        """Numbers and folds `draft`; returns its sequence."""
        if not self.claims.keys().isdisjoint(draft.claims):
            raise ClaimTaken
        sequence = len(self.events) + 1
        self.claims.update(dict.fromkeys(draft.claims, sequence))
        event = Event(sequence, floor_quarter(self.now), draft.body, secret(f"event {sequence}"), draft.content)
        self.events.append(event)
        fold(self.ledger, [event])
        return sequence

    def wait(self, seconds: int = QUARTER_SECONDS) -> None:
        """Time passes."""
        self.now = Instant(self.now + seconds)

    def erase(self, day: int) -> int:
        """The day key of `day` is destroyed."""
        return self.append(Draft(Erased(day)))

    # --- people ------------------------------------------------------------------------------------------------------

    def by(self, who: str = "Ada", why: str = "a test") -> Attribution:
        """An attribution with a request ID of its own."""
        return attribution(who, why, next(self._numbers).to_bytes(16, "big"))

    def provider(self, name: str | None = None) -> int:
        """A provider's number."""
        draft = issuance.add_provider(self.ledger, name or f"Provider {next(self._numbers)}", self.by())
        self.append(draft)
        return len(self.ledger.providers)

    def batch(self, provider: int | None = None, count: int = 100, **wishes: int) -> int:
        """The number of an active batch."""
        number = self.dormant_batch(provider, count, **wishes)
        self.append(issuance.activate_batch(self.ledger, number, self.now, self.by()))
        return number

    def dormant_batch(self, provider: int | None = None, count: int = 100, **wishes: int) -> int:
        """The number of a batch that nobody has activated; `wishes` are further fields of `BatchRequest`."""
        owner = provider or (self.provider() if not self.ledger.providers else 1)
        request = BatchRequest(provider=owner, count=count, issuing_period=1, **wishes)
        self.append(issuance.issue_batch(self.ledger, request, self.policy, self.now, self.by()))
        return max(self.ledger.batches)

    def phone_codes(self, provider: int | None = None, count: int = 1, **wishes: int) -> PhoneCodesIssued:
        """Phone codes that were issued; `wishes` are further fields of `PhoneCodesRequest`."""
        owner = provider or (self.provider() if not self.ledger.providers else 1)
        request = PhoneCodesRequest(**{"provider": owner, "count": count, "issuing_period": 1, **wishes})
        by = self.by()
        draft = issue_phone_codes(self.ledger, request, hashes_of(by.request_id), self.policy, self.now, by)
        self.append(draft)
        assert isinstance(draft.body, PhoneCodesIssued)
        return draft.body

    def revoke(self, target: Target, since_at: Instant | None = None) -> int:
        """The sequence of the objection."""
        return self.append(corrections.revoke(self.ledger, target, since_at, self.now, self.by()))

    def rollback(self, *reports: int) -> int:
        """The sequence of the objection against these reports."""
        return self.append(corrections.rollback(self.ledger, Selection(reports=reports), self.by()))

    def reinstate(self, objection: int) -> int:
        """The sequence of the reinstatement."""
        return self.append(corrections.reinstate(self.ledger, objection, self.by()))

    # --- phones ------------------------------------------------------------------------------------------------------

    def card(self, batch: int, serial: int, kind: int = CodeKind.CARD) -> CodeReading:
        """What the service would read off a genuine card."""
        claim = b"\x03" + secret(f"card {kind} {batch} {serial}")
        return CodeReading(kind, batch, serial, genuine=True, claim=claim)

    def phone(self, issued: PhoneCodesIssued, place: int = 0) -> CodeReading:
        """What the service would read off the phone code at this place of what was issued."""
        code = self.ledger.phone_codes.find(issued.issuing_period, decode(issued.hashes[place]))
        if code is None:
            return CodeReading(CodeKind.PHONE)
        claim = b"\x04" + secret(f"phone code {code.batch} {code.serial}")
        return CodeReading(CodeKind.PHONE, code.batch, code.serial, genuine=True, claim=claim, life=code.life)

    def judge(
        self,
        call: Call,
        code: CodeReading = NO_CODE,
        holds: Sequence[int] = (0,) * MAX_KEYS,
        allowance: Allowance = UNLIMITED,
    ) -> Judgement:
        """What the rules say to a call now; nothing is appended."""
        received_at = floor_quarter(self.now)
        return judge(self.ledger, call, code, self.claims.get, self.policy, received_at, holds, allowance)

    def send(self, call: Call, code: CodeReading = NO_CODE) -> Answer:
        """The answer to a call; what it leads to is appended."""
        judgement = self.judge(call, code)
        if judgement.draft is not None:
            self.append(judgement.draft)
        return judgement.answer

    def report(self, name: str, keys: Sequence[SentKey], code: CodeReading) -> int:
        """The sequence of a report that is taken, sent by the phone `name`."""
        answer = self.send(report_call(name, keys), code)
        assert answer.verdict is Verdict.TAKEN, answer
        return len(self.events)

    def go_on(self, name: str, keys: Sequence[SentKey] = (), code: CodeReading | None = None, links: int = 0) -> int:
        """The sequence of what the phone `name` reports after its report and `links` continuations, which is taken."""
        call = continue_call(name, keys, None if code is None else "C…", links)
        answer = self.send(call, NO_CODE if code is None else code)
        assert answer.verdict is Verdict.TAKEN, answer
        return len(self.events)

    def track(self, name: str) -> Verdict:
        """What the phone `name` is told of its report."""
        return self.send(TrackCall(tracking_id(name))).verdict

    def withdraw(self, name: str) -> Verdict:
        """The phone `name` takes its report back."""
        return self.send(WithdrawCall(secret(name))).verdict


def report_call(
    name: str, keys: Sequence[SentKey], code: str | None = "C…", onset_day: int | None = None
) -> ReportCall:
    """The report of the phone `name`. Its code's text does not matter here: a reading of it goes along."""
    continue_id = ContinueId(labelled_hash("continue", secret(f"{name}, continued")))
    return ReportCall(tracking_id(name), continue_id, tuple(keys), code, onset_day)


def continue_call(
    name: str, keys: Sequence[SentKey] = (), code: str | None = None, links: int = 0, **days: int
) -> ContinueCall:
    """What the phone `name` sends after its report and `links` continuations; `days`: ``onset_day``, ``test_day``."""
    following = ContinueId(labelled_hash("continue", _continuation_secret(name, links + 1)))
    return ContinueCall(_continuation_secret(name, links), following, tuple(keys), code, **days)


def _continuation_secret(name: str, links: int) -> bytes:
    return secret(f"{name}, continued" + f", {links}" * bool(links))


def with_continue_id_of(call: ReportCall, other: ReportCall) -> ReportCall:
    """`call` as a phone would send it that does not draw its continuation secret anew."""
    return replace(call, continue_id=other.continue_id)
