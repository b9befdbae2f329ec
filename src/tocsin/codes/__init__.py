"""One-time codes: made, parsed, checked, hinted at. Pure; the bytes are ``docs/formats/card-code.md`` and
``phone-code.md``.

Promises: one alphabet and one reading routine for every place that takes a code; all accepted spellings are equal; a
card that was not issued is refused without a look-up, in constant time; a hint names what is probably wrong and
never corrects it. Read in this order: `symbols` (alphabet, check symbols), `reading` (text to symbols), `card` (what a
card says, and its MAC), `phone` (digits, and their keyed hash), `hint`.

How the service reads a code:

    card = parse_card(text)                                     # Invalid: it does not parse
    key = batch_key(issuing_secret, card.kind, card.batch)
    genuine = is_genuine(card, key)
    claim = card_claim(issuing_secret, card.kind, card.batch, card.serial)

    digits = parse_phone_code(text)                             # Invalid: it does not parse
    known = phone_code_hash(issuing_secret, digits)             # what the ledger remembers it by
"""
