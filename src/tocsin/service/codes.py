"""Codes with the secrets at hand: rules are handed what comes of it, never a secret."""

from tocsin.codes.card import batch_key, card_claim, is_genuine, parse_card
from tocsin.codes.phone import PhoneDigits, make_phone_code, parse_phone_code, phone_claim, phone_code_hash
from tocsin.ledger.state import Ledger
from tocsin.model.calls import Call, ContinueCall, ReportCall
from tocsin.model.code_reading import NO_CODE, CodeKind, CodeReading
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.events import PhoneCodesIssued
from tocsin.rules.phone_issuance import HashOf
from tocsin.service.key_folder import KeyFolder

Heard = tuple[Call, CodeReading]
"""A call, and the reading of its code."""


def reading_of(call: Call, ledger: Ledger, keys: KeyFolder) -> CodeReading:
    """The reading of the call's code, as `read_code`."""
    return read_code(call.code if isinstance(call, ReportCall | ContinueCall) else None, ledger, keys)


def read_code(text: str | None, ledger: Ledger, keys: KeyFolder) -> CodeReading:
    """What `text` is: kind, batch, serial, and whether it is genuine, compared in constant time.

    A batch that was never issued has no secret to check with; the rules say no to it before they look at `genuine`.
    """
    if text is None:
        return NO_CODE
    try:
        return _read_phone_code(parse_phone_code(text), ledger, keys)
    except Invalid:
        return _read_card(text, ledger, keys)


def _read_card(text: str, ledger: Ledger, keys: KeyFolder) -> CodeReading:
    try:
        card = parse_card(text)
    except Invalid:
        return NO_CODE
    batch = ledger.batches.get(card.batch)
    if batch is None:
        return CodeReading(card.kind, card.batch, card.serial)
    secret = keys.issuing_secret(batch.issuing_period)
    if secret is None:
        return CodeReading(card.kind, card.batch, card.serial, genuine=None)
    genuine = is_genuine(card, batch_key(secret, card.kind, card.batch))
    claim = card_claim(secret, card.kind, card.batch, card.serial) if genuine else None
    return CodeReading(card.kind, card.batch, card.serial, genuine, claim)


def _read_phone_code(digits: PhoneDigits, ledger: Ledger, keys: KeyFolder) -> CodeReading:
    """The reading of a text that is a phone code, known or not: the same work for both.

    All depends on the keyed hash alone, so the time that the look-up takes tells nobody who lacks the secret how near
    a guess was.
    """
    reading = CodeReading(CodeKind.PHONE)
    for period in ledger.phone_codes.issuing_periods:
        secret = keys.issuing_secret(period)
        if secret is None:  # nobody can tell its codes any more
            continue
        code = ledger.phone_codes.find(period, phone_code_hash(secret, digits))
        batch, serial = (0, 0) if code is None else (code.batch, code.serial)
        claim = phone_claim(secret, batch, serial)
        if code is not None:
            reading = CodeReading(CodeKind.PHONE, batch, serial, genuine=True, claim=claim, life=code.life)
    return reading


def phone_hashes(keys: KeyFolder, issuing_period: int, request_id: bytes) -> HashOf:
    """The keyed hashes of what an act with this request ID may hand out. Raises `Unavailable` without the secret."""
    making = _making(keys, issuing_period)

    def hash_of(place: int, attempt: int, under_period: int) -> bytes | None:
        secret = keys.issuing_secret(under_period)
        return None if secret is None else phone_code_hash(secret, make_phone_code(making, request_id, place, attempt))

    return hash_of


def issued_phone_codes(keys: KeyFolder, body: PhoneCodesIssued, request_id: bytes) -> list[PhoneDigits]:
    """The codes of an act that was recorded under this request ID, in order of their serials; made anew each time."""
    secret = _making(keys, body.issuing_period)
    return [make_phone_code(secret, request_id, place, attempt) for place, attempt in enumerate(body.attempts)]


def _making(keys: KeyFolder, issuing_period: int) -> bytes:
    secret = keys.issuing_secret(issuing_period)
    if secret is None:
        raise Unavailable(
            f"The issuing secret issuing-{issuing_period} of the key folder is gone: nobody can make its codes."
            " Restore it from its backup."
        )
    return secret
