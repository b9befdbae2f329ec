"""The field, the check symbols, and every single slip of the pen placed among its candidates."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tocsin.codes.reading import read_symbols
from tocsin.codes.symbols import (
    ALPHABET,
    DATA_SYMBOLS,
    SYMBOLS,
    Slip,
    Swap,
    Symbols,
    WrongSymbol,
    divide,
    is_well_spelt,
    multiply,
    possible_slips,
    with_check_symbols,
    without_slip,
)

data = st.binary(min_size=DATA_SYMBOLS, max_size=DATA_SYMBOLS).map(lambda raw: bytes(byte % 32 for byte in raw))
any_symbols = st.binary(min_size=SYMBOLS, max_size=SYMBOLS).map(lambda raw: Symbols(bytes(byte % 32 for byte in raw)))


def replaced(symbols: Symbols, position: int, value: int) -> Symbols:
    return Symbols(symbols[: position - 1] + bytes([value]) + symbols[position:])


def swapped(symbols: Symbols, position: int) -> Symbols:
    left, right = symbols[position - 1 : position + 1]
    return Symbols(symbols[: position - 1] + bytes([right, left]) + symbols[position + 1 :])


def several_codes() -> list[Symbols]:
    return [with_check_symbols(bytes((17 * seed + 7 * i * i) % 32 for i in range(DATA_SYMBOLS))) for seed in range(8)]


def test_alphabet_is_crockfords(card_vectors: dict[str, Any]) -> None:
    assert card_vectors["alphabet"] == ALPHABET
    assert len(set(ALPHABET)) == 32
    assert not set("ILOU") & set(ALPHABET)


def test_multiplication_is_that_of_the_polynomials() -> None:
    def schoolbook(left: int, right: int) -> int:
        total = 0
        for bit in range(5):
            if right >> bit & 1:
                total ^= left << bit
        for bit in range(8, 4, -1):
            if total >> bit & 1:
                total ^= 0b100101 << (bit - 5)
        return total

    assert all(multiply(a, b) == schoolbook(a, b) for a in range(32) for b in range(32))
    assert all(divide(multiply(a, b), b) == a for a in range(32) for b in range(1, 32))


def test_check_symbols_of_the_published_vector(card_vectors: dict[str, Any]) -> None:
    vector = card_vectors["check_symbols"]
    assert vector["code"] == "C123-4567-89AB-CDEF-GH94"
    values = bytes(ALPHABET.index(symbol) for symbol in vector["data"])
    assert with_check_symbols(values) == read_symbols(vector["code"])


@given(data)
def test_check_symbols_make_well_spelt_codes_without_slips(values: bytes) -> None:
    symbols = with_check_symbols(values)
    assert symbols[:DATA_SYMBOLS] == values
    assert is_well_spelt(symbols)
    assert possible_slips(symbols) == ()


def test_each_single_wrong_symbol_is_placed() -> None:
    """20 positions, 31 wrong values, several codes: the true place and symbol, and nothing else."""
    for code in several_codes():
        for position in range(1, SYMBOLS + 1):
            for value in set(range(32)) - {code[position - 1]}:
                wrong = replaced(code, position, value)
                assert not is_well_spelt(wrong)
                assert possible_slips(wrong) == (WrongSymbol(position, ALPHABET[code[position - 1]]),)


@given(data)
def test_each_adjacent_swap_is_seen_and_named(values: bytes) -> None:
    code = with_check_symbols(values)
    for position, (left, right) in enumerate(pairwise(code), start=1):
        if left != right:
            wrong = swapped(code, position)
            assert not is_well_spelt(wrong)
            assert Swap(position) in possible_slips(wrong)


@given(data, st.data())
def test_no_two_wrong_symbols_go_unseen(values: bytes, draw: st.DataObject) -> None:
    code = with_check_symbols(values)
    positions = draw.draw(st.lists(st.integers(1, SYMBOLS), min_size=2, max_size=2, unique=True))
    wrong = code
    for position in positions:
        change = draw.draw(st.integers(1, 31))
        wrong = replaced(wrong, position, wrong[position - 1] ^ change)
    assert not is_well_spelt(wrong)


@given(any_symbols)
def test_slips_are_exactly_those_that_trying_them_all_finds(symbols: Symbols) -> None:
    assert possible_slips(symbols) == tuple(slips_by_trying(symbols))


@given(data, st.integers(1, SYMBOLS - 1))
def test_slips_of_swaps_are_exactly_those_that_trying_them_all_finds(values: bytes, position: int) -> None:
    wrong = swapped(with_check_symbols(values), position)
    assert possible_slips(wrong) == tuple(slips_by_trying(wrong))


def slips_by_trying(symbols: Symbols) -> list[Slip]:
    if is_well_spelt(symbols):
        return []
    slips: list[Slip] = [WrongSymbol(i, symbol) for i in range(1, SYMBOLS + 1) for symbol in ALPHABET]
    slips += [Swap(i) for i in range(1, SYMBOLS)]
    return [slip for slip in slips if is_well_spelt(without_slip(symbols, slip))]
