"""Who may hand out codes, and which: providers, and batches of cards (rows I1–I13)."""

from typing import Final

from msgspec import Struct

from tocsin.ledger.predicates import is_cut_off, is_suspended
from tocsin.ledger.state import Ledger
from tocsin.model.claims import batch_claim
from tocsin.model.code_reading import CodeKind
from tocsin.model.errors import Refused
from tocsin.model.events import BatchActivated, BatchIssued, Draft, ProviderAdded
from tocsin.model.keys import ReportType
from tocsin.model.names import folded
from tocsin.model.policy import Policy
from tocsin.model.times import QUARTER_SECONDS, Instant
from tocsin.rules.attribution import Attribution, printable
from tocsin.rules.quotas import card_quotas

MAX_NAME: Final = 80
"""Most characters of a provider's name."""
MAX_CARD_BATCH: Final = 2**18 - 1
"""The last batch number that a card can carry (``docs/formats/card-code.md``)."""


class BatchRequest(Struct, frozen=True):
    """A wish for a stack of cards. `valid_from`, `valid_until` in quarter-hours since 1970; None leaves it to us."""

    provider: int
    count: int
    issuing_period: int
    code_kind: int = CodeKind.CARD
    report_type: int = ReportType.CONFIRMED
    valid_from: int | None = None
    valid_until: int | None = None


def add_provider(ledger: Ledger, name: str, by: Attribution) -> Draft:
    """A provider with the next number, or `Refused`."""
    name = printable(name, MAX_NAME, "name_refused", "Give the provider a name")  # I1
    if any(folded(name) == folded(provider.name) for provider in ledger.providers.values()):  # I2
        raise Refused("name_taken", "A provider of this name is there already: choose another name.")
    number = max(ledger.providers, default=0) + 1
    return Draft(ProviderAdded(provider=number, name=name, **by.signed), (by.claim,))


def issue_batch(ledger: Ledger, request: BatchRequest, policy: Policy, now: Instant, by: Attribution) -> Draft:
    """A dormant batch with the next number, or `Refused`."""
    check_provider(ledger, request.provider)
    if not 1 <= request.count <= policy.maximum_batch_cards:  # I5
        raise Refused("batch_size_refused", f"A batch has 1 to {policy.maximum_batch_cards} cards.")
    if request.code_kind not in (CodeKind.CARD, CodeKind.TRAINING):  # I6
        raise Refused("code_kind_refused", "A batch is of card codes or of training codes.")
    check_report_type(request.report_type)
    valid_from, valid_until = _life(request, policy, now)
    batch = 1 + max((number for number in ledger.batches if number <= MAX_CARD_BATCH), default=0)
    if batch > MAX_CARD_BATCH:  # I9
        raise Refused("batch_numbers_spent", "All batch numbers are given: a new deployment is needed.")
    check_not_cut_off(ledger, request.provider)
    if request.code_kind != CodeKind.TRAINING:
        card_quotas(ledger, policy, now).check(request.provider, request.count, by)
    body = BatchIssued(
        batch=batch,
        provider=request.provider,
        code_kind=request.code_kind,
        count=request.count,
        issuing_period=request.issuing_period,
        valid_from=valid_from,
        valid_until=valid_until,
        report_type=request.report_type,
        **by.signed,
    )
    return Draft(body, (by.claim, batch_claim(batch)))


def check_provider(ledger: Ledger, provider: int) -> None:
    """`Refused` if nothing may be handed out by this provider now; what cuts it off apart (`check_not_cut_off`)."""
    if provider not in ledger.providers:  # I3
        raise Refused("provider_unknown", "There is no such provider: add it first.")
    _refuse_suspended(ledger, provider)


def check_not_cut_off(ledger: Ledger, provider: int) -> None:
    """`Refused` if new codes of this provider would be of no use."""
    if is_cut_off(ledger, provider):  # I4
        raise Refused("provider_cut_off", "This provider is cut off: reinstate it before it gets new codes.")


def check_report_type(report_type: int) -> None:
    """`Refused` if no code stands for such a report."""
    if report_type not in (ReportType.CONFIRMED, ReportType.LIKELY, ReportType.REVOKED):  # I7
        raise Refused("report_type_refused", "Codes stand for confirmed or likely reports.")


def _refuse_suspended(ledger: Ledger, provider: int) -> None:
    if is_suspended(ledger, provider):  # I13
        raise Refused("provider_suspended", "This provider is suspended: restore it before it hands out new cards.")


def _life(request: BatchRequest, policy: Policy, now: Instant) -> tuple[int, int]:
    quarter = now // QUARTER_SECONDS
    valid_from = quarter if request.valid_from is None else request.valid_from
    valid_until = valid_from + policy.card_life_quarters if request.valid_until is None else request.valid_until
    if not 0 <= valid_from < valid_until or valid_until <= quarter:  # I8
        raise Refused("batch_life_refused", "A batch must begin before it ends, and end after now.")
    return valid_from, valid_until


def activate_batch(ledger: Ledger, batch: int, now: Instant, by: Attribution) -> Draft:
    """The provider has the cards of `batch` in hand, or `Refused`."""
    known = ledger.batches.get(batch)
    if known is None:  # I10
        raise Refused("batch_unknown", "There is no such batch.")
    if known.activated:  # I11
        raise Refused("batch_active", "This batch is active already: nothing is left to do.")
    if known.life.has_ended(now):  # I12
        raise Refused("batch_expired", "This batch has expired: issue a new one.")
    _refuse_suspended(ledger, known.provider)
    return Draft(BatchActivated(batch=batch, **by.signed), (by.claim,))
