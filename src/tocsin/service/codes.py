"""Reading a code with the secrets at hand: rules are handed the outcome, never a secret."""

from tocsin.codes.card import batch_key, card_claim, is_genuine, parse_card
from tocsin.ledger.state import Ledger
from tocsin.model.code_reading import NO_CODE, CodeReading
from tocsin.model.errors import Invalid
from tocsin.service.key_folder import KeyFolder


def read_code(text: str | None, ledger: Ledger, keys: KeyFolder) -> CodeReading:
    """What `text` is: kind, batch, serial, and whether its MAC is right, compared in constant time.

    A batch that was never issued has no secret to check with; the rules say no to it before they look at `genuine`.
    """
    if text is None:
        return NO_CODE
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
