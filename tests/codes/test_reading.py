"""One alphabet and one reading routine (cases 21 and 22 of the requirements)."""

import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.codes.reading import DASHES, MAX_TEXT, SPACES, read_symbols, spell
from tocsin.codes.symbols import ALPHABET, SYMBOLS, Symbols
from tocsin.model.errors import Invalid

symbols = st.lists(st.integers(0, 31), min_size=SYMBOLS, max_size=SYMBOLS).map(lambda values: Symbols(bytes(values)))

# Every character that may stand for a symbol, written out: not derived from the code under test.
ACCEPTED = {symbol: symbol + symbol.lower() for symbol in ALPHABET}
ACCEPTED["0"] = "0Oo"
ACCEPTED["1"] = "1IiLl"
CODE = "C010-1010-1010-1010-1ZM7"


def full_width(text: str) -> str:
    return "".join(chr(ord(character) + 0xFF21 - ord("A")) for character in text)


@given(symbols)
def test_read_is_the_inverse_of_spell(values: Symbols) -> None:
    assert read_symbols(spell(values)) == values


@given(symbols, st.data())
def test_every_accepted_spelling_is_equal(values: Symbols, draw: st.DataObject) -> None:
    separators = st.text(st.sampled_from(sorted(SPACES | DASHES)), max_size=3)
    text = draw.draw(separators)
    for value in values:
        characters = ACCEPTED[ALPHABET[value]]
        text += draw.draw(st.sampled_from(characters + full_width(characters))) + draw.draw(separators)
    assert read_symbols(text) == values


def test_spellings_of_the_vectors_are_equal(card_vectors: dict[str, Any]) -> None:
    expected = read_symbols(card_vectors["spellings"]["code"])
    for case, text in card_vectors["spellings"]["texts"].items():
        assert read_symbols(text) == expected, case


def test_no_other_character_is_read() -> None:
    """All of Unicode, surrogates too: what is not listed above or a separator is `Invalid`."""
    letters = "".join(ACCEPTED.values())
    accepted = set(letters) | set(full_width(letters))
    rest = "0" * (SYMBOLS - 1)
    read = set()
    for point in range(sys.maxunicode + 1):
        try:
            read_symbols(chr(point) + rest)
        except Invalid:
            continue
        read.add(chr(point))
    assert read == accepted


def test_separators_are_unicodes_spaces_and_dashes() -> None:
    """Against the table that Python keeps of Unicode 3.2, and its own; later Unicode may have dashes that we do not.

    The soft hyphen was a dash then, and is an invisible character since.
    """
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        assert (character in SPACES) == (character.isspace() and not 0x1C <= point <= 0x1F)
        if unicodedata.ucd_3_2_0.category(character) == "Pd" and character != "\u00ad":
            assert character in DASHES
        if character in DASHES - {"\u2212"}:
            assert unicodedata.category(character) in ("Pd", "Cn")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (CODE.replace("1", "\u0131", 1), "Symbol 3 is not one that codes use"),
        (CODE.replace("1", "\u0130", 1), "Symbol 3 is not one that codes use"),
        (CODE.replace("0", "\u0660", 1), "Symbol 2 is a digit of another script"),
        (CODE.replace("0", "\u06f0", 1), "Symbol 2 is a digit of another script"),
        (CODE[:4] + "\u200b" + CODE[4:], "invisible character before symbol 5"),
        ("\ufeff" + CODE, "invisible character before symbol 1"),
        (CODE + "\0", "invisible character before symbol 21"),
        (CODE.replace("0", "\ud800", 1), "Symbol 2 is not one that codes use"),
        (CODE.replace("Z", "u"), "Symbol 18 is the letter U"),
        ("", "these are 0"),
        (CODE[:-1], "these are 19"),
        (CODE + "0", "these are 21"),
        (CODE + " " * MAX_TEXT, "too long"),
    ],
)
def test_refusals_say_where_and_what(text: str, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        read_symbols(text)


@given(st.text(st.characters(exclude_categories=()), max_size=2 * MAX_TEXT))
def test_any_text_is_read_or_invalid_and_never_repeated(text: str) -> None:
    try:
        read_symbols(text)
    except Invalid as problem:
        assert str(problem).isascii()
        assert not any(run in str(problem) for run in text.split() if len(run) > 4)


class Untouchable(str):
    """Text that must not be looked at: its length is all that may be asked."""

    def __iter__(self) -> Any:
        raise AssertionError("the text was read")


def test_ten_megabytes_are_refused_by_their_length() -> None:
    with pytest.raises(Invalid, match="too long"):
        read_symbols(Untouchable("0" * 10_000_000))
