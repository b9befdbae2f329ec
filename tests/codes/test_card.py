"""Cards: what was issued is genuine, and nothing else is (item 4 of the main job)."""

import hmac
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.codes.card import (
    MAX_BATCH,
    MAX_SERIAL,
    BatchKey,
    CardCode,
    batch_key,
    card_claim,
    card_mac,
    decode_card,
    is_genuine,
    make_card,
    parse_card,
)
from tocsin.codes.reading import read_symbols, spell
from tocsin.codes.symbols import ALPHABET, DATA_SYMBOLS, Symbols, with_check_symbols
from tocsin.model.claims import Claim
from tocsin.model.code_reading import CodeKind
from tocsin.model.errors import Invalid

SECRET = bytes(range(32))
ISSUED = (7, 4711, MAX_BATCH)
REFUSALS = {
    "length": r"A code has 20 symbols|too long",
    "character": r"Symbol \d+ is|invisible character",
    "check": "misspelt",
    "kind": "not the code of a card",
    "batch": "numbered from 1",
}

kinds = st.sampled_from([CodeKind.CARD, CodeKind.TRAINING])
batches = st.integers(1, MAX_BATCH)
serials = st.integers(0, MAX_SERIAL)


def card_of(kind: CodeKind, batch: int, serial: int) -> str:
    return make_card(batch_key(SECRET, kind, batch), kind, batch, serial)


def accepted(text: str) -> bool:
    """Whether a service that has one issuing secret would take the code for genuine."""
    try:
        card = parse_card(text)
    except Invalid:
        return False
    return is_genuine(card, batch_key(SECRET, card.kind, card.batch))


def data_symbols(number: int) -> bytes:
    """90 bits as 18 symbols, most significant first."""
    return bytes(number >> 5 * (DATA_SYMBOLS - 1 - i) & 31 for i in range(DATA_SYMBOLS))


def data_number(symbols: Symbols) -> int:
    return sum(symbol << 5 * (DATA_SYMBOLS - 1 - i) for i, symbol in enumerate(symbols[:DATA_SYMBOLS]))


@given(kinds, batches, serials)
def test_what_is_made_is_parsed_and_genuine(kind: CodeKind, batch: int, serial: int) -> None:
    text = card_of(kind, batch, serial)
    card = parse_card(text)
    assert (card.kind, card.batch, card.serial) == (kind, batch, serial)
    assert accepted(text)
    assert text[0] == ("C" if kind is CodeKind.CARD else "T")


def test_cards_of_the_vectors(card_vectors: dict[str, Any]) -> None:
    for vector in card_vectors["cards"]:
        secret, kind = bytes.fromhex(vector["issuing_secret"]), CodeKind(vector["kind"])
        key = batch_key(secret, kind, vector["batch"])
        card = parse_card(vector["code"])
        assert key.hex() == vector["batch_key"]
        assert make_card(key, kind, vector["batch"], vector["serial"]) == vector["code"]
        assert card == CardCode(kind, vector["batch"], vector["serial"], bytes.fromhex(vector["mac"]))
        assert is_genuine(card, key)
        assert card_claim(secret, card.kind, card.batch, card.serial).hex() == vector["claim"]


def test_refusals_of_the_vectors(card_vectors: dict[str, Any]) -> None:
    assert {row["refusal"] for row in card_vectors["refused"]} == set(REFUSALS)
    for row in card_vectors["refused"]:
        with pytest.raises(Invalid, match=REFUSALS[row["refusal"]]):
            parse_card(row["text"])


def test_each_symbol_that_issuing_can_produce_is_read_at_each_place() -> None:
    """Case 21: small and capital letters, through the one routine, for every symbol at every place after the first."""
    chance = random.Random(21)
    texts = [card_of(CodeKind.CARD, chance.randint(1, MAX_BATCH), chance.randint(0, MAX_SERIAL)) for _ in range(1_000)]
    seen = {(place, symbol) for text in texts for place, symbol in enumerate(text.replace("-", ""))}
    assert {(place, symbol) for place in range(1, 20) for symbol in ALPHABET} <= seen
    assert all(accepted(text) and accepted(text.lower()) for text in texts)


@given(kinds, batches, serials, st.text(st.characters(exclude_categories=()), max_size=2), st.integers(0, 24))
def test_foreign_characters_are_refused_and_never_a_crash(
    kind: CodeKind, batch: int, serial: int, foreign: str, place: int
) -> None:
    """Case 22."""
    text = card_of(kind, batch, serial)
    spoilt = text[:place] + foreign + text[place:]
    try:
        assert read_symbols(spoilt) == read_symbols(text)
    except Invalid:
        assert not accepted(spoilt)


def forgeries(count: int) -> Iterator[Symbols]:
    """Random well-spelt cards: half of them of batches that were issued, so that only the MAC can refuse them."""
    chance = random.Random(3)
    for i in range(count):
        kind = CodeKind.TRAINING if i % 16 == 0 else CodeKind.CARD
        batch = ISSUED[i % len(ISSUED)] if i % 2 else chance.randint(1, MAX_BATCH)
        head = (kind << 18 | batch) << 11 | chance.randrange(2**11)
        yield with_check_symbols(data_symbols(head << 56 | chance.getrandbits(56)))


def genuine_among(forged: Iterator[Symbols]) -> int:
    keys: dict[tuple[int, int], BatchKey] = {}
    genuine = 0
    for symbols in forged:
        card = decode_card(symbols)
        key = keys.get((card.kind, card.batch)) or batch_key(SECRET, card.kind, card.batch)
        if card.batch in ISSUED:
            keys[card.kind, card.batch] = key
        genuine += is_genuine(card, key)
    return genuine


def test_no_random_code_with_right_check_symbols_is_accepted() -> None:
    assert genuine_among(forgeries(50_000)) == 0
    real = read_symbols(card_of(CodeKind.CARD, ISSUED[0], 3))
    assert genuine_among(iter([real])) == 1  # the count does count


@pytest.mark.slow
def test_no_random_code_of_a_million_with_right_check_symbols_is_accepted() -> None:
    assert genuine_among(forgeries(1_000_000)) == 0


def test_no_random_number_is_accepted() -> None:
    """Nothing is made plausible here: the first symbol is random too."""
    chance = random.Random(4)
    texts = (spell(with_check_symbols(data_symbols(chance.getrandbits(90)))) for _ in range(20_000))
    assert not any(accepted(text) for text in texts)


def test_each_bit_of_a_thousand_codes_flipped_is_refused() -> None:
    """Kind, batch, serial and MAC, check symbols made right again: the MAC fits none of them, or the kind is none."""
    for serial in range(1000):
        kind = CodeKind.TRAINING if serial % 2 else CodeKind.CARD
        text = card_of(kind, ISSUED[serial % len(ISSUED)], serial)
        number = data_number(read_symbols(text))
        assert accepted(spell(with_check_symbols(data_symbols(number))))
        for bit in range(90):
            assert not accepted(spell(with_check_symbols(data_symbols(number ^ 1 << bit))))


def test_a_flipped_bit_of_a_check_symbol_is_refused() -> None:
    symbols = read_symbols(card_of(CodeKind.CARD, 7, 0))
    for place in (18, 19):
        for bit in range(5):
            flipped = symbols[:place] + bytes([symbols[place] ^ 1 << bit]) + symbols[place + 1 :]
            assert not accepted(spell(Symbols(flipped)))


def test_a_training_card_is_no_card_under_any_first_symbol() -> None:
    training = parse_card(card_of(CodeKind.TRAINING, 7, 5))
    posing = CardCode(CodeKind.CARD, training.batch, training.serial, training.mac)
    assert not is_genuine(posing, batch_key(SECRET, CodeKind.CARD, 7))
    assert not is_genuine(training, batch_key(SECRET, CodeKind.CARD, 7))
    assert batch_key(SECRET, CodeKind.CARD, 7) != batch_key(SECRET, CodeKind.TRAINING, 7)


def test_a_card_of_another_period_or_batch_is_refused() -> None:
    card = parse_card(card_of(CodeKind.CARD, 7, 5))
    assert not is_genuine(card, batch_key(bytes(32), CodeKind.CARD, 7))
    assert not is_genuine(card, batch_key(SECRET, CodeKind.CARD, 8))


def test_the_mac_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare_digest(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return left == right

    monkeypatch.setattr(hmac, "compare_digest", compare_digest)
    card = parse_card(card_of(CodeKind.CARD, 7, 5))
    key = batch_key(SECRET, CodeKind.CARD, 7)
    assert is_genuine(card, key)
    assert compared == [(card.mac, card_mac(key, CodeKind.CARD, 7, 5))]


def test_claims_tell_cards_and_periods_apart() -> None:
    claims: set[Claim] = set()
    for secret in (SECRET, bytes(32)):
        for kind in (CodeKind.CARD, CodeKind.TRAINING):
            claims |= {card_claim(secret, kind, batch, serial) for batch in (1, 2) for serial in (0, 1)}
    assert len(claims) == 16
    assert all(len(claim) == 33 and claim[0] == 3 for claim in claims)


@pytest.mark.parametrize(
    ("kind", "batch", "serial"),
    [
        (CodeKind.PHONE, 1, 0),
        (CodeKind.NONE, 1, 0),
        (CodeKind.CARD, 0, 0),
        (CodeKind.CARD, MAX_BATCH + 1, 0),
        (CodeKind.CARD, 1, -1),
        (CodeKind.CARD, 1, MAX_SERIAL + 1),
        (CodeKind.CARD, 2**40, 2**20),
    ],
)
def test_impossible_cards_are_not_made(kind: CodeKind, batch: int, serial: int) -> None:
    with pytest.raises(Invalid):
        make_card(BatchKey(bytes(32)), kind, batch, serial)
    with pytest.raises(Invalid):
        card_claim(SECRET, kind, batch, serial)


@pytest.mark.parametrize(("kind", "batch"), [(CodeKind.PHONE, 1), (CodeKind.CARD, 0), (CodeKind.CARD, 2**32)])
def test_impossible_batches_have_no_key(kind: CodeKind, batch: int) -> None:
    with pytest.raises(Invalid):
        batch_key(SECRET, kind, batch)
