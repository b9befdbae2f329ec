"""Text to symbols and back: the one routine by which every place that takes a code reads it.

Taken: capital and small ASCII letters, ASCII digits, their full-width forms, O for 0, I and L for 1; spaces and dashes
are left out. Nothing else: no locale and no Unicode case mapping has a say (a Turkish dotless i is no I). The
separators are listed here and not looked up, so that every Unicode version reads alike.
"""

import unicodedata
from typing import Final

from tocsin.codes.symbols import ALPHABET, SYMBOLS, Symbols
from tocsin.model.errors import Invalid

MAX_TEXT: Final = 100
"""Code points; more is refused unread. Twenty symbols, and four separators between any two, stay below it."""
GROUP: Final = 4
"""Symbols in a printed group."""

_FULL_WIDTH: Final = 0xFEE0  # U+FF01 … U+FF5E are ASCII's U+0021 … U+007E, this much higher
_LOOK_ALIKES: Final = {"O": "0", "I": "1", "L": "1"}


def _code_points(*spans: tuple[int, int]) -> frozenset[str]:
    return frozenset(chr(point) for first, last in spans for point in range(first, last + 1))


SPACES: Final = _code_points(
    *[(0x09, 0x0D), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)],
    *[(0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)],
)
"""Unicode's property White_Space."""
DASHES: Final = _code_points(
    *[(0x2D, 0x2D), (0x058A, 0x058A), (0x05BE, 0x05BE), (0x1400, 0x1400), (0x1806, 0x1806), (0x2010, 0x2015)],
    *[(0x2212, 0x2212), (0x2E17, 0x2E17), (0x2E1A, 0x2E1A), (0x2E3A, 0x2E3B), (0x2E40, 0x2E40), (0x2E5D, 0x2E5D)],
    *[(0x301C, 0x301C), (0x3030, 0x3030), (0x30A0, 0x30A0), (0xFE31, 0xFE32), (0xFE58, 0xFE58), (0xFE63, 0xFE63)],
    *[(0xFF0D, 0xFF0D), (0x10EAD, 0x10EAD)],
)
"""Unicode's category Pd as of version 15, and the minus sign."""


def _symbol_values() -> dict[str, int]:
    """Each accepted character, to the value of its symbol."""
    values = {symbol: value for value, symbol in enumerate(ALPHABET)}
    values |= {look_alike: values[meant] for look_alike, meant in _LOOK_ALIKES.items()}
    values |= {symbol.lower(): value for symbol, value in values.items()}
    return values | {chr(ord(symbol) + _FULL_WIDTH): value for symbol, value in values.items()}


_VALUES: Final = _symbol_values()
_SEPARATORS: Final = SPACES | DASHES


def read_symbols(text: str) -> Symbols:
    """The twenty symbols that `text` spells; every accepted spelling of a code gives the same.

    Raises `Invalid`, with a sentence that tells a person what to look at, for a character that codes do not use, too
    few or too many symbols, and more than `MAX_TEXT` characters. The check symbols are not looked at.

    >>> spell(read_symbols("c123 4567 89ab cdef ghg4"))
    'C123-4567-89AB-CDEF-GHG4'
    >>> read_symbols("C123-4567")
    Traceback (most recent call last):
    tocsin.model.errors.Invalid: A code has 20 symbols; these are 8.
    """
    values = read_values(text)
    if len(values) != SYMBOLS:
        raise Invalid(f"A code has {SYMBOLS} symbols; these are {len(values)}.")
    return Symbols(values)


def read_values(text: str) -> bytes:
    """The values of the symbols that `text` spells, however many, one a byte: for codes of any kind.

    Raises `Invalid` as `read_symbols`, the number of symbols apart.

    >>> read_values("12 3O").hex()
    '01020300'
    """
    if len(text) > MAX_TEXT:
        raise Invalid("This is too long for a code.")
    values = bytearray()
    for character in text:
        if (value := _VALUES.get(character)) is not None:
            values.append(value)
        elif character not in _SEPARATORS:
            raise Invalid(_why_not_a_symbol(character, len(values) + 1))
    return bytes(values)


def _why_not_a_symbol(character: str, position: int) -> str:
    """A sentence for a person. It says where, and what kind of thing it is, and does not repeat it."""
    if character in "Uu":
        return f"Symbol {position} is the letter U, which is in no code: it may be a V."
    category = unicodedata.category(character)
    if category in ("Cc", "Cf"):
        return f"There is an invisible character before symbol {position}: type the code in by hand."
    if category == "Nd":
        return f"Symbol {position} is a digit of another script: use the digits 0 to 9 and the letters A to Z."
    return f"Symbol {position} is not one that codes use: only the digits 0 to 9 and the letters A to Z are."


def spell(symbols: Symbols) -> str:
    """The canonical text: capitals, five groups of four, hyphens between them."""
    text = "".join(ALPHABET[value] for value in symbols)
    return "-".join(text[start : start + GROUP] for start in range(0, SYMBOLS, GROUP))
