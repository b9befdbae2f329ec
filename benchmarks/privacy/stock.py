"""The calls of every kind, and the site on which each is answered as its kind says.

A site is founded three hours ago, so that there are cards that have expired. What the server does with a call does not
change what it does with the next one of its kind: kinds that are stored have a body for each call, the others repeat
some bodies, which nobody can tell from new ones.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.site import BATCH_CARDS, POLICY, SETTINGS, StandingClock, cards_of
from tocsin.client.calls import continue_id, decoy_call, make_report, track_call, withdraw_call
from tocsin.codes.card import batch_key, make_card, parse_card
from tocsin.codes.phone import make_phone_code, spell_phone_code
from tocsin.formats.wire import REQUEST_BYTES, decode_answer, encode_call
from tocsin.ledger.state import Ledger
from tocsin.model.calls import SECRET_BYTES, ContinueCall, SentKey, Verdict
from tocsin.model.events import BatchIssued, Draft, Event, PhoneCodesIssued, Target
from tocsin.model.keys import DP3T_KEY_BYTES, KEY_BYTES, dp3t_chain
from tocsin.model.policy import LONGEST_REFILL_SECONDS, Rate
from tocsin.model.times import INTERVALS_PER_DAY, QUARTER_SECONDS, Instant, day_of, floor_quarter
from tocsin.rules.attribution import Attribution, attribution
from tocsin.rules.corrections import Selection, revoke, rollback
from tocsin.rules.issuance import BatchRequest, activate_batch, add_provider, issue_batch
from tocsin.rules.phone_issuance import MAX_PHONE_CODES, HashOf, PhoneCodesRequest, issue_phone_codes
from tocsin.service.codes import issued_phone_codes, phone_hashes
from tocsin.service.collect import MAX_GROUP
from tocsin.service.deployment import Deployment
from tocsin.service.founding import found
from tocsin.service.perform import Arrival, Performer

REPEATED: Final = 1_000
"""Different bodies of a kind that is not stored; fewer if there are fewer calls."""
DECOY: Final = "decoy"
FOUNDED_SECONDS_AGO: Final = 3 * 3600
LIFE_QUARTERS: Final = 8
"""Of phone codes: longer than a run takes."""
OWN_SETTINGS: Final = replace(
    SETTINGS,
    trusted_proxies=1,  # so that a call's address does not depend on its connection
    policy=replace(
        POLICY,
        dp3t_keys=True,
        person_daily_phone_codes="none",
        provider_daily_phone_codes="none",
        guesses_per_source=Rate(1, LONGEST_REFILL_SECONDS),
        guesses_in_all=Rate(LONGEST_REFILL_SECONDS, 1),
    ),
)
GUESSERS: Final = tuple(f"10.100.100.{number}" for number in range(100, 116))
DAYS: Final = 14
"""Keys of a report, unless its kind says otherwise: of each day of the window."""


class Kind(Struct, frozen=True, eq=False):
    """Calls that differ in nothing that shows: their name, the verdict of each, whether it is stored, the bodies.

    Bodies are without the spaces behind them: 4,096 bytes each would be a gigabyte. `sources`: the addresses that they
    come from, whose allowance is to be used up first; none: each comes from one of its own.
    """

    name: str
    verdict: Verdict
    is_stored: bool
    bodies: Sequence[bytes]
    sources: Sequence[str] = ()


class Reporter(Struct, frozen=True):
    """One phone's two secrets."""

    withdrawal: bytes
    continuation: bytes

    @classmethod
    def new(cls) -> "Reporter":
        return cls(os.urandom(SECRET_BYTES), os.urandom(SECRET_BYTES))

    def more(self, keys: Sequence[SentKey]) -> bytes:
        """The body that continues its report by these keys."""
        return encode_call(ContinueCall(self.continuation, continue_id(os.urandom(SECRET_BYTES)), tuple(keys)))

    def report(self, code: str | None, keys: Sequence[SentKey]) -> bytes:
        """The body of its report."""
        return make_report(
            keys,
            code=code,
            onset_day=None,
            withdrawal_secret=self.withdrawal,
            continuation_secret=self.continuation,
        ).body


class Site:
    """A deployment that is being filled with what the kinds need."""

    def __init__(self, top: Path, now: Instant) -> None:
        self.now = now
        self._clock = StandingClock(now - FOUNDED_SECONDS_AGO)
        found(top, OWN_SETTINGS, self._clock)
        self._deployment = Deployment(top, self._clock)
        self._performer: Performer = self._deployment.performer()
        self._act(lambda ledger, now: add_provider(ledger, "St. Elsewhere", _by()))
        end = floor_quarter(now) // QUARTER_SECONDS - 2
        self.expired = self._cards(self._issue(REPEATED, valid_until=end, active=True))
        self._clock.at = now

    def close(self) -> None:
        self._deployment.close()

    def cards(self, count: int) -> Iterator[str]:
        """So many cards that work."""
        return islice(self._cards(self._issue(count)), count)

    def phone_codes(self, count: int) -> Iterator[str]:
        """So many phone codes that work."""
        keys = self._deployment.keys
        for first in range(0, count, MAX_PHONE_CODES):
            request_id = os.urandom(16)
            request = PhoneCodesRequest(1, min(MAX_PHONE_CODES, count - first), 1, life_quarters=LIFE_QUARTERS)
            hash_of = phone_hashes(keys, 1, request_id)
            event = self._act(
                partial(_issue_phone_codes, request, hash_of, attribution("Ada", "a measurement", request_id))
            )
            assert isinstance(event.body, PhoneCodesIssued)
            yield from map(spell_phone_code, issued_phone_codes(keys, event.body, request_id))

    def dormant(self) -> Iterator[str]:
        """Cards of a batch that was not activated."""
        return self._cards(self._issue(1, active=False))

    def cut_off(self) -> Iterator[str]:
        """Cards of a batch that is revoked."""
        [batch] = batches = self._issue(1)
        self._act(lambda ledger, now: revoke(ledger, Target(batch=batch), None, now, _by()))
        return self._cards(batches)

    def roll_back(self, first: int) -> None:
        """Takes back all reports from this sequence on."""
        reports = self._performer.ledger.reports["sequence"]
        listed = tuple(int(sequence) for sequence in reports if sequence >= first)
        self._act(lambda ledger, now: rollback(ledger, Selection(reports=listed), _by()))

    @property
    def next_sequence(self) -> int:
        return self._performer.ledger.sequence + 1

    def store(self, bodies: Sequence[bytes], verdict: Verdict) -> None:
        """Has these calls performed."""
        for first in range(0, len(bodies), MAX_GROUP):
            arrivals = [Arrival(body, floor_quarter(self.now)) for body in bodies[first : first + MAX_GROUP]]
            answers = self._performer.answer(arrivals)
            assert {decode_answer(answer).verdict for answer in answers} == {verdict}

    def keys(self, count: int = DAYS, first_day: int = 1) -> list[SentKey]:
        """So many keys: of as many days before today, or, if these are more than the window has, of parts of days."""
        today, parts = day_of(self.now), -(-count // DAYS)
        period = INTERVALS_PER_DAY // parts
        starts = (
            (today - day) * INTERVALS_PER_DAY + part * period
            for day in range(first_day, first_day + DAYS)
            for part in range(parts)
        )
        return [SentKey(os.urandom(KEY_BYTES), start, period) for start in islice(starts, count)]

    def day_keys(self) -> list[SentKey]:
        """DP-3T keys of all days of the window: one chain."""
        today = day_of(self.now)
        starts = range((today - DAYS) * INTERVALS_PER_DAY, today * INTERVALS_PER_DAY, INTERVALS_PER_DAY)
        chain = dp3t_chain(os.urandom(DP3T_KEY_BYTES), DAYS)
        return [SentKey(key, start, INTERVALS_PER_DAY) for key, start in zip(chain, starts, strict=True)]

    def _issue(self, count: int, valid_until: int | None = None, active: bool = True) -> list[int]:
        """As many batches as this number of cards need."""
        request = BatchRequest(provider=1, count=BATCH_CARDS, issuing_period=1, valid_until=valid_until)
        batches = []
        for _ in range(-(-count // BATCH_CARDS)):
            issued = self._act(lambda ledger, now: issue_batch(ledger, request, POLICY, now, _by())).body
            assert isinstance(issued, BatchIssued)
            batches.append(issued.batch)
            if active:
                self._act(partial(_activate, issued.batch))
        return batches

    def _cards(self, batches: Sequence[int]) -> Iterator[str]:
        return (card for batch in batches for card in cards_of(self._deployment.keys, batch))

    def _act(self, rule: Callable[[Ledger, Instant], Draft]) -> Event:
        return self._performer.act(rule)


def make_stock(top: Path, calls: int, now: Instant) -> list[Kind]:
    """Founds a site in `top` and returns so many calls of each kind, the decoys first."""
    site = Site(top, now)
    try:
        return [*_not_stored(site, min(calls, REPEATED)), *_stored(site, calls)]
    finally:
        site.close()


_AWAY: Final = {
    "mismatch, continue ID": Verdict.PROVISIONAL,
    "continue again": Verdict.UNKNOWN,
    "continue": Verdict.UNKNOWN,
}
"""What is answered otherwise by a server that can't reach its journal, beside what is stored."""


def while_away(kind: Kind) -> Kind:
    """`kind`, as it is answered while the journal is away; what is stored is what is kept."""
    verdict = _AWAY.get(kind.name, Verdict.PROVISIONAL if kind.is_stored else kind.verdict)
    return Kind(kind.name, verdict, verdict is Verdict.PROVISIONAL, kind.bodies, kind.sources)


def _stored(site: Site, calls: int) -> Iterator[Kind]:
    for count in (1, 14, 30):
        bodies = [Reporter.new().report(card, site.keys(count)) for card in site.cards(calls)]
        yield _kind(f"report, {count} key{'s' * (count > 1)}", Verdict.TAKEN, bodies, is_stored=True)
    bodies = [Reporter.new().report(card, site.day_keys()) for card in site.cards(calls)]
    yield _kind("report, DP-3T keys", Verdict.TAKEN, bodies, is_stored=True)
    bodies = [Reporter.new().report(code, site.keys()) for code in site.phone_codes(calls)]
    yield _kind("report, phone code", Verdict.TAKEN, bodies, is_stored=True)
    yield _kind("continue", Verdict.TAKEN, _continuations(site, calls), is_stored=True)
    standing = [withdraw_call(phone.withdrawal) for phone in _standing(site, calls)]
    yield _kind("withdraw", Verdict.WITHDRAWN, standing, is_stored=True)


def _not_stored(site: Site, calls: int) -> Iterator[Kind]:
    yield _kind(DECOY, Verdict.NOTED, [decoy_call()] * calls)
    yield from _refused_by_form(site, calls)
    yield from _refused_by_code(site, calls)
    yield from _about_reports(site, calls)


def _refused_by_form(site: Site, calls: int) -> Iterator[Kind]:
    """What is refused before the code is looked at."""
    cards = list(site.cards(calls))

    def reports(keys: Callable[[], list[SentKey]]) -> list[bytes]:
        return [Reporter.new().report(card, keys()) for card in cards]

    whole = reports(site.keys)
    yield _kind("malformed, cut short", Verdict.MALFORMED, [body.rstrip()[:-1] for body in whole])
    yield _kind("malformed, no JSON", Verdict.MALFORMED, [os.urandom(REQUEST_BYTES) for _ in range(calls)])
    yield _kind("unsupported, no code", Verdict.UNSUPPORTED, [Reporter.new().report(None, site.keys()) for _ in cards])
    yield _kind("unsupported act", Verdict.UNSUPPORTED, [b'{"act":"dance"}'] * calls)
    yield _kind("no_key_left", Verdict.NO_KEY_LEFT, reports(lambda: site.keys(first_day=40)))
    overlapping = partial(_overlapping, site)
    yield _kind("report_refused, overlap", Verdict.REPORT_REFUSED, reports(overlapping))
    broken = partial(_broken_chain, site)
    yield _kind("report_refused, no chain", Verdict.REPORT_REFUSED, reports(broken))
    yield _kind("report_refused, 31 keys", Verdict.REPORT_REFUSED, reports(lambda: site.keys(31)))


def _refused_by_code(site: Site, calls: int) -> Iterator[Kind]:
    """What is refused for its code, or for the IDs beside it."""

    def reports(codes: Iterator[str]) -> list[bytes]:
        return [Reporter.new().report(code, site.keys()) for code in islice(codes, calls)]

    yield _kind("code_unknown, MAC", Verdict.CODE_UNKNOWN, reports(_with_other_macs(site.cards(2 * calls))))
    misspelt = (card[:-1] + ("0" if card[-1] != "0" else "1") for card in site.cards(calls))
    yield _kind("code_unknown, check symbols", Verdict.CODE_UNKNOWN, reports(misspelt))
    yield _kind("code_unknown, dormant", Verdict.CODE_UNKNOWN, reports(site.dormant()))
    yield _kind("code_unknown, phone code", Verdict.CODE_UNKNOWN, reports(_guesses(calls)))
    yield _kind("over_allowance", Verdict.OVER_ALLOWANCE, reports(_guesses(calls)), sources=GUESSERS)
    yield _kind("code_cut_off", Verdict.CODE_CUT_OFF, reports(site.cut_off()))
    yield _kind("code_expired", Verdict.CODE_EXPIRED, reports(site.expired))
    phones, cards = [Reporter.new() for _ in range(calls)], list(site.cards(calls))
    taken = [phone.report(card, site.keys()) for phone, card in zip(phones, cards, strict=True)]
    site.store(taken, Verdict.TAKEN)
    yield _kind("report again", Verdict.TAKEN, taken)
    yield _kind("code_spent", Verdict.CODE_SPENT, reports(iter(cards)))
    others = [phone.report(card, site.keys()) for phone, card in zip(phones, site.cards(calls), strict=True)]
    yield _kind("mismatch, tracking ID", Verdict.MISMATCH, others)
    cards = list(site.cards(calls))
    used = [Reporter(os.urandom(SECRET_BYTES), phone.continuation) for phone in phones]
    again = [phone.report(card, site.keys()) for phone, card in zip(used, cards, strict=True)]
    yield _kind("mismatch, continue ID", Verdict.MISMATCH, again)


def _about_reports(site: Site, calls: int) -> Iterator[Kind]:
    """Track, and withdrawals that change nothing."""
    standing, gone = _standing(site, calls), _standing(site, calls)
    first = site.next_sequence
    back = _standing(site, calls)
    site.roll_back(first)
    site.store([withdraw_call(phone.withdrawal) for phone in gone], Verdict.WITHDRAWN)
    unknown = [os.urandom(SECRET_BYTES) for _ in range(calls)]
    more = _continuations(site, calls)
    site.store(more, Verdict.TAKEN)
    yield _kind("continue again", Verdict.TAKEN, more)
    yield _kind("continue, unknown", Verdict.UNKNOWN, [Reporter.new().more(site.keys(1)) for _ in range(calls)])
    yield _kind("track, taken", Verdict.TAKEN, [track_call(phone.withdrawal) for phone in standing])
    yield _kind("track, withdrawn", Verdict.WITHDRAWN, [track_call(phone.withdrawal) for phone in gone])
    yield _kind("track, cut_off", Verdict.CUT_OFF, [track_call(phone.withdrawal) for phone in back])
    yield _kind("track, unknown", Verdict.UNKNOWN, [track_call(secret) for secret in unknown])
    yield _kind("withdraw again", Verdict.WITHDRAWN, [withdraw_call(phone.withdrawal) for phone in gone])
    yield _kind("withdraw, unknown", Verdict.UNKNOWN, [withdraw_call(secret) for secret in unknown])


def _standing(site: Site, count: int, first_day: int = 1) -> list[Reporter]:
    """Phones whose reports are taken, of all days of the window from this many days ago back."""
    phones, days = [Reporter.new() for _ in range(count)], DAYS + 1 - first_day
    reports = (
        phone.report(card, site.keys(days, first_day)) for phone, card in zip(phones, site.cards(count), strict=True)
    )
    site.store(list(reports), Verdict.TAKEN)
    return phones


def _continuations(site: Site, count: int) -> list[bytes]:
    """Calls that continue reports by the one key that these left out: yesterday's."""
    return [phone.more(site.keys(1)) for phone in _standing(site, count, first_day=2)]


def _overlapping(site: Site) -> list[SentKey]:
    """Keys of which each reaches into the next."""
    keys = site.keys()
    return [SentKey(key.key_data, key.rolling_start_interval_number + 7 * (n % 2), 144) for n, key in enumerate(keys)]


def _broken_chain(site: Site) -> list[SentKey]:
    """DP-3T keys of which the last does not follow."""
    *chain, last = site.day_keys()
    return [*chain, SentKey(os.urandom(DP3T_KEY_BYTES), last.rolling_start_interval_number, last.rolling_period)]


def _with_other_macs(cards: Iterator[str]) -> Iterator[str]:
    """Cards that are well spelt and whose MAC is another card's."""
    for card in cards:
        parsed = parse_card(card)
        yield make_card(batch_key(os.urandom(32), parsed.kind, parsed.batch), parsed.kind, parsed.batch, parsed.serial)


def _kind(
    name: str, verdict: Verdict, bodies: Sequence[bytes], *, is_stored: bool = False, sources: Sequence[str] = ()
) -> Kind:
    return Kind(name, verdict, is_stored, [body.rstrip(b" ") for body in bodies], sources)


def _issue_phone_codes(
    request: PhoneCodesRequest, hash_of: HashOf, by: Attribution, ledger: Ledger, now: Instant
) -> Draft:
    return issue_phone_codes(ledger, request, hash_of, OWN_SETTINGS.policy, now, by)


def _guesses(count: int) -> Iterator[str]:
    """Phone codes that are well spelt and were never issued, but for a chance of one in 100,000,000."""
    return (spell_phone_code(make_phone_code(os.urandom(32), bytes(16), 0, 0)) for _ in range(count))


def _activate(batch: int, ledger: Ledger, now: Instant) -> Draft:
    return activate_batch(ledger, batch, now, _by())


def _by() -> Attribution:
    return attribution("Ada", "a measurement", os.urandom(16))
