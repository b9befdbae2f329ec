"""Phone codes: which a provider is given to read out (rows I3–I9, I13–I15 and I19).

The rule sees no secret and no code: it is handed the keyed hashes of what might be handed out, and takes for each place
the first attempt whose hash no remembered code has.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from tocsin.ledger.predicates import NO_SERIAL, standing_revocations
from tocsin.ledger.state import Batch, Ledger
from tocsin.model.base64url import encode
from tocsin.model.claims import Claim, batch_claim
from tocsin.model.errors import Refused, Unavailable
from tocsin.model.events import Draft, PhoneCodesIssued
from tocsin.model.keys import ReportType
from tocsin.model.policy import MOST_PHONE_CODE_QUARTERS, Policy
from tocsin.model.times import QUARTER_SECONDS, QUARTERS_PER_DAY, Instant
from tocsin.rules.attribution import Attribution
from tocsin.rules.issuance import MAX_CARD_BATCH, check_not_cut_off, check_provider, check_report_type
from tocsin.rules.quotas import phone_code_quotas

HashOf = Callable[[int, int, int], bytes | None]
"""Place in the act, attempt, issuing period → that candidate's 16-byte hash under the secret of that period; None if
the secret is gone."""

MAX_PHONE_CODES: Final = 1_000
"""Most codes of one act: each is read out within its life."""
MAX_ATTEMPTS: Final = 255
MAX_PHONE_BATCH: Final = 2**32 - 1
MAX_SERIALS: Final = 2**16
"""Codes in one batch: a serial has 16 bits in a report's content (``docs/formats/events.md``)."""


class PhoneCodesRequest(Struct, frozen=True):
    """A wish for phone codes. `life_quarters`: for so long at least they are of use; None leaves it to the policy."""

    provider: int
    count: int
    issuing_period: int
    report_type: int = ReportType.CONFIRMED
    life_quarters: int | None = None


def issue_phone_codes(
    ledger: Ledger, request: PhoneCodesRequest, hash_of: HashOf, policy: Policy, now: Instant, by: Attribution
) -> Draft:
    """Codes that are of use at once, with the next serials of the provider's batch of today, or `Refused`."""
    check_provider(ledger, request.provider)
    if not 1 <= request.count <= MAX_PHONE_CODES:  # I5
        raise Refused("batch_size_refused", f"Phone codes are issued 1 to {MAX_PHONE_CODES:,} at a time.")
    check_report_type(request.report_type)
    quarter = now // QUARTER_SECONDS
    valid_until = quarter + 1 + _life_quarters(request, policy)  # a part of a quarter-hour more, and never less
    batch, first_serial = _place(ledger, request, quarter)
    check_not_cut_off(ledger, request.provider)
    phone_code_quotas(ledger, policy, now).check(request.provider, request.count, by)
    attempts, hashes = _free(ledger, request, hash_of)
    body = PhoneCodesIssued(
        batch=batch,
        provider=request.provider,
        issuing_period=request.issuing_period,
        first_serial=first_serial,
        valid_from=quarter,
        valid_until=valid_until,
        report_type=request.report_type,
        attempts=tuple(attempts),
        hashes=tuple(map(encode, hashes)),
        **by.signed,
    )
    claims: tuple[Claim, ...] = (by.claim,) if first_serial else (by.claim, batch_claim(batch))
    return Draft(body, claims)


def _life_quarters(request: PhoneCodesRequest, policy: Policy) -> int:
    life = policy.phone_code_life_quarters if request.life_quarters is None else request.life_quarters
    if not 1 <= life <= MOST_PHONE_CODE_QUARTERS:  # I8
        raise Refused("batch_life_refused", f"Phone codes are valid for 1 to {MOST_PHONE_CODE_QUARTERS} quarter-hours.")
    return life


def _place(ledger: Ledger, request: PhoneCodesRequest, quarter: int) -> tuple[int, int]:
    """The batch and serial of the first code: today's batch of the provider goes on as long as it has room."""
    newest = ledger.phone_batches.get((request.provider, request.report_type, request.issuing_period))
    if newest is not None and _goes_on(ledger, ledger.batches[newest], request.count, quarter):
        return newest, ledger.batches[newest].count
    batch = 1 + max(ledger.phone_batches.values(), default=MAX_CARD_BATCH)
    if batch > MAX_PHONE_BATCH:  # I9
        raise Refused("batch_numbers_spent", "All batch numbers are given: a new deployment is needed.")
    return batch, 0


def _goes_on(ledger: Ledger, batch: Batch, count: int, quarter: int) -> bool:
    """Whether `count` more codes may join `batch`: of today, with serials left, and not cut off itself."""
    return (
        batch.life.valid_from // QUARTERS_PER_DAY == quarter // QUARTERS_PER_DAY
        and batch.count + count <= MAX_SERIALS
        and not standing_revocations(ledger, batch.batch, NO_SERIAL, batch.provider, ledger.sequence + 1)
    )


def _free(ledger: Ledger, request: PhoneCodesRequest, hash_of: HashOf) -> tuple[list[int], list[bytes]]:
    """Attempt and hash of each code: the first attempt that is no remembered code of any period, nor of this act."""
    own, periods = request.issuing_period, {request.issuing_period, *ledger.phone_codes.issuing_periods}
    attempts: list[int] = []
    hashes: dict[bytes, None] = {}

    def is_known(place: int, attempt: int, period: int) -> bool:
        known = hash_of(place, attempt, period)
        return known is not None and (known in hashes or ledger.phone_codes.find(period, known) is not None)

    for place in range(request.count):
        free = (
            attempt for attempt in range(MAX_ATTEMPTS) if not any(is_known(place, attempt, each) for each in periods)
        )
        attempt = next(free, None)
        if attempt is None:  # I19
            raise Refused(
                "phone_codes_full",
                "So many phone codes are in use that no free one was found: issue fewer at a time, or wait until some"
                " have ended.",
            )
        made = hash_of(place, attempt, own)
        if made is None:
            raise Unavailable("The issuing secret of these phone codes is gone.")
        attempts.append(attempt)
        hashes[made] = None
    return attempts, list(hashes)
