"""Hints name everything that a single slip can explain, say *probably*, and correct nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.codes.hint import hint
from tocsin.codes.reading import read_symbols, spell
from tocsin.codes.symbols import ALPHABET, Slip, Swap, Symbols, WrongSymbol

CODE = "C123-4567-89AB-CDEF-GH94"


def test_hints_of_the_vectors(card_vectors: dict[str, Any]) -> None:
    """The slips there were found by trying every one."""
    for vector in card_vectors["hints"]:
        found = hint(vector["text"])
        assert found is not None
        assert [as_vector(slip) for slip in found.slips] == vector["slips"]
        assert "probably" in found.sentence


def as_vector(slip: Slip) -> dict[str, object]:
    match slip:
        case WrongSymbol(position, symbol):
            return {"slip": "wrong", "position": position, "symbol": symbol}
        case Swap(position):
            return {"slip": "swap", "position": position}


def test_a_well_spelt_code_has_no_hint_in_any_spelling() -> None:
    assert hint(CODE) is None
    assert hint(CODE.lower().replace("-", " ").replace("1", "l")) is None
    assert hint("5724-0000-0000") is hint("5 7 2 4 O O O O O O O O") is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (CODE.replace("6", "8", 1), "The 7th symbol (the 3rd of group 2) is probably wrong: it may be 6."),
        (CODE.replace("C1", "T1", 1), "The 1st symbol (the 1st of group 1) is probably wrong: it may be C."),
        (CODE[:-1] + "5", "The 20th symbol (the 4th of group 5) is probably wrong: it may be 4."),
        (
            CODE.replace("C1", "1C", 1),
            "Two neighbours have probably changed places: the 1st and 2nd symbols (group 1).",
        ),
        (
            CODE.replace("23", "32", 1),
            "Two neighbours have probably changed places: the 3rd and 4th symbols (group 1).",
        ),
        (
            CODE.replace("B-C", "C-B", 1),
            "Two neighbours have probably changed places: the 12th and 13th symbols (groups 3 and 4), "
            "or the 16th and 17th symbols (groups 4 and 5).",
        ),
        (CODE.replace("EF", "GG"), "More than one symbol is probably wrong."),
    ],
)
def test_sentences(text: str, sentence: str) -> None:
    found = hint(text)
    assert found is not None
    assert found.sentence == f"{sentence} Compare the code with the card."


def test_all_swaps_that_fit_are_named() -> None:
    symbols = bytearray(read_symbols(CODE))
    symbols[11], symbols[12] = symbols[12], symbols[11]
    found = hint(spell(Symbols(bytes(symbols))))
    assert found is not None
    assert Swap(12) in found.slips
    assert len(found.slips) > 1
    assert "the 12th and 13th symbols (groups 3 and 4)" in found.sentence
    assert found.sentence.count(" symbols ") == len(found.slips)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("C123-4567-89AB-CDEF-GH9", "these are 19"),
        ("C123-4567-89AB-CDEF-GH9U", "the letter U"),
        ("0" * 20, "begins with C or T"),
        ("\u0661" * 20, "another script"),
        ("0" * 10_000, "too long"),
        ("", "these are 0"),
        ("5724-5724-572", "has 12 digits; these are 11"),
        ("1" * 16, "has 12 digits; these are 16"),
        ("1" * 17, "has 20 symbols; these are 17"),
        ("5724-0000-0001", "have the code read out again"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(text: str, part: str) -> None:
    found = hint(text)
    assert found is not None
    assert part in found.sentence
    assert found.slips == ()


@given(st.lists(st.sampled_from(ALPHABET), min_size=20, max_size=20).map("".join))
def test_no_hint_leads_to_what_is_no_card(text: str) -> None:
    found = hint(text)
    assert found is not None
    for slip in found.slips:
        first = slip.symbol if isinstance(slip, WrongSymbol) and slip.position == 1 else text[0]
        first = text[1] if slip == Swap(1) else first
        assert first in "CT"


@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_any_text_has_a_hint_or_is_well_spelt(text: str) -> None:
    found = hint(text)
    assert found is None or found.sentence.isascii()
