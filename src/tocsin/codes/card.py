"""The card code: what it says (kind, batch, serial), the MAC that proves it, and the claim that makes it single-use.

A card's 90 bits of data are kind 5 ‖ batch 18 ‖ serial 11 ‖ MAC 56, most significant first; two check symbols follow.
No list of codes exists anywhere: whoever holds the issuing secret of a batch's period can tell its codes, nobody else
can. Here nothing is asked of the ledger: whether the batch was issued and how many cards it has is for the rules.
"""

import hmac
import struct
from typing import Final, NewType

from msgspec import Struct

from tocsin.codes.reading import read_symbols, spell
from tocsin.codes.symbols import ALPHABET, DATA_SYMBOLS, SYMBOL_BITS, Symbols, is_well_spelt, with_check_symbols
from tocsin.model.claims import Claim, ClaimClass
from tocsin.model.code_reading import CodeKind
from tocsin.model.errors import Invalid
from tocsin.model.labels import derive, prefix

BatchKey = NewType("BatchKey", bytes)
"""32 bytes: the MAC key of one code batch."""

BATCH_BITS: Final = 18
SERIAL_BITS: Final = 11
MAC_BYTES: Final = 7
MAX_BATCH: Final = 2**BATCH_BITS - 1
"""Batches count from 1; 0 means none."""
MAX_SERIAL: Final = 2**SERIAL_BITS - 1

_MAC_BITS: Final = 8 * MAC_BYTES
_BATCH_KEY_LABELS: Final = {CodeKind.CARD: "batch-key", CodeKind.TRAINING: "training-batch-key"}
"""The kinds of card there are. Training cards have keys of their own, so neither kind can pass for the other."""


class CardCode(Struct, frozen=True):
    """What a well-spelt card says; not yet proved. `kind` is card or training, `batch` 1…2¹⁸−1, `serial` 0…2¹¹−1."""

    kind: CodeKind
    batch: int
    serial: int
    mac: bytes


def is_card_kind(value: int) -> bool:
    """Whether a first symbol of this value begins a card code.

    >>> is_card_kind(CodeKind.TRAINING), is_card_kind(CodeKind.PHONE)
    (True, False)
    """
    return value in _BATCH_KEY_LABELS


def batch_key(issuing_secret: bytes, kind: CodeKind, batch: int) -> BatchKey:
    """The MAC key of a batch, from the issuing secret (32 bytes) of its period. Raises `Invalid` as `make_card`."""
    _require_possible(kind, batch)
    return BatchKey(derive(issuing_secret, _BATCH_KEY_LABELS[kind], struct.pack(">I", batch)))


def card_mac(key: BatchKey, kind: CodeKind, batch: int, serial: int) -> bytes:
    """The 7 bytes that prove a card of this batch key. Raises `Invalid` as `make_card`."""
    return hmac.digest(key, prefix("card-mac") + _identity(kind, batch, serial), "sha256")[:MAC_BYTES]


def is_genuine(card: CardCode, key: BatchKey) -> bool:
    """Whether `card` was made under `key`; the time it takes does not tell how much of the MAC is right."""
    return hmac.compare_digest(card.mac, card_mac(key, card.kind, card.batch, card.serial))


def card_claim(issuing_secret: bytes, kind: CodeKind, batch: int, serial: int) -> Claim:
    """The claim (class 3, 33 bytes) by which a card is used once; without the secret it tells nothing of the card.

    Raises `Invalid` as `make_card`.
    """
    value = hmac.digest(derive(issuing_secret, "claim-card"), _identity(kind, batch, serial), "sha256")
    return Claim(bytes([ClaimClass.CARD]) + value)


def _identity(kind: CodeKind, batch: int, serial: int) -> bytes:
    _require_possible(kind, batch, serial)
    return struct.pack(">BIH", kind, batch, serial)


def _require_possible(kind: CodeKind, batch: int, serial: int = 0) -> None:
    if not is_card_kind(kind):
        raise Invalid("There are no cards of this kind.")
    if not (1 <= batch <= MAX_BATCH and 0 <= serial <= MAX_SERIAL):
        raise Invalid(f"Batches of cards are numbered 1 to {MAX_BATCH}, the cards of a batch 0 to {MAX_SERIAL}.")


def make_card(key: BatchKey, kind: CodeKind, batch: int, serial: int) -> str:
    """The canonical text of a card. Raises `Invalid` for a kind, batch or serial that no card can have.

    >>> key = batch_key(bytes(32), CodeKind.CARD, 7)
    >>> card = parse_card(make_card(key, CodeKind.CARD, 7, 2047))
    >>> card.batch, card.serial, is_genuine(card, key)
    (7, 2047, True)
    """
    return spell(_encode_card(CardCode(kind, batch, serial, card_mac(key, kind, batch, serial))))


def parse_card(text: str) -> CardCode:
    """What the card says, in any accepted spelling. Raises `Invalid`: it does not parse, and no secret was needed.

    >>> card = parse_card("c123 4567 89ab cdef gh94")
    >>> card.kind.name, card.batch, card.serial
    ('CARD', 8729, 83)
    """
    return decode_card(read_symbols(text))


def _encode_card(card: CardCode) -> Symbols:
    number = int(card.kind)
    number = number << BATCH_BITS | card.batch
    number = number << SERIAL_BITS | card.serial
    number = number << _MAC_BITS | int.from_bytes(card.mac, "big")
    shifts = range(SYMBOL_BITS * (DATA_SYMBOLS - 1), -1, -SYMBOL_BITS)
    return with_check_symbols(bytes(number >> shift & 31 for shift in shifts))


def decode_card(symbols: Symbols) -> CardCode:
    """What the symbols say. Raises `Invalid` for check symbols that do not fit, a first symbol but C or T, batch 0."""
    if not is_well_spelt(symbols):
        raise Invalid("The code is misspelt: its last two symbols, which check the others, do not fit.")
    if not is_card_kind(symbols[0]):
        begins = " or ".join(ALPHABET[kind] for kind in _BATCH_KEY_LABELS)
        raise Invalid(f"This is not the code of a card: that begins with {begins}.")
    number = 0
    for symbol in symbols[:DATA_SYMBOLS]:
        number = number << SYMBOL_BITS | symbol
    batch = number >> (SERIAL_BITS + _MAC_BITS) & MAX_BATCH
    if not batch:
        raise Invalid("There is no such code: batches of cards are numbered from 1.")
    mac = (number & (1 << _MAC_BITS) - 1).to_bytes(MAC_BYTES, "big")
    return CardCode(CodeKind(symbols[0]), batch, number >> _MAC_BITS & MAX_SERIAL, mac)
