"""What is probably wrong with a code that does not parse, in a sentence for a tired person. Works off line.

A hint is not a correction: several slips often fit, and more than half of all double errors look like one wrong symbol.
So every slip that fits is named, nothing is put right, and the sentence says *probably*.
"""

from typing import Final

from msgspec import Struct

from tocsin.codes.card import decode_card, is_card_kind
from tocsin.codes.phone import DIGITS, parse_phone_code
from tocsin.codes.reading import GROUP, read_symbols, read_values
from tocsin.codes.symbols import SYMBOLS, Slip, Swap, WrongSymbol, is_well_spelt, possible_slips, without_slip
from tocsin.model.errors import Invalid

_ORDINALS: Final = {1: "1st", 2: "2nd", 3: "3rd"}


class Hint(Struct, frozen=True):
    """A sentence, and the single slips of which each would explain the code; empty where the sentence says it all."""

    sentence: str
    slips: tuple[Slip, ...] = ()


def hint(text: str) -> Hint | None:
    """What is probably wrong with the code in `text`; None if it is well spelt, which does not make it genuine.

    Digits alone, and nearer to the length of a phone code than to a card's, are taken for one.

    >>> hint("C123-4567-89AB-CDEF-GH94") is None
    True
    >>> print(hint("C123-4587-89AB-CDEF-GH94").sentence)
    The 7th symbol (the 3rd of group 2) is probably wrong: it may be 6. Compare the code with the card.
    """
    try:
        if _is_meant_for_the_phone(read_values(text)):
            parse_phone_code(text)
            return None
        symbols = read_symbols(text)
        if is_well_spelt(symbols):
            decode_card(symbols)
            return None
    except Invalid as problem:
        return Hint(str(problem))
    # A slip that would leave a code of no known kind can't be all that happened.
    slips = tuple(slip for slip in possible_slips(symbols) if is_card_kind(without_slip(symbols, slip)[0]))
    return Hint(f"{_finding(slips)} Compare the code with the card.", slips)


def _is_meant_for_the_phone(values: bytes) -> bool:
    return 0 < len(values) <= (DIGITS + SYMBOLS) // 2 and all(value <= 9 for value in values)


def _finding(slips: tuple[Slip, ...]) -> str:
    match slips:
        case ():
            return "More than one symbol is probably wrong."
        case (WrongSymbol(position, symbol),):
            return f"The {_place(position)} is probably wrong: it may be {symbol}."
        case _:
            pairs = ", or ".join(_pair(slip) for slip in slips if isinstance(slip, Swap))
            return f"Two neighbours have probably changed places: {pairs}."


def _place(position: int) -> str:
    within = (position - 1) % GROUP + 1
    return f"{_ordinal(position)} symbol (the {_ordinal(within)} of group {_group(position)})"


def _pair(swap: Swap) -> str:
    first, last = _group(swap.position), _group(swap.position + 1)
    where = f"group {first}" if first == last else f"groups {first} and {last}"
    return f"the {_ordinal(swap.position)} and {_ordinal(swap.position + 1)} symbols ({where})"


def _group(position: int) -> int:
    return (position - 1) // GROUP + 1


def _ordinal(number: int) -> str:
    """From 1 to 20."""
    return _ORDINALS.get(number, f"{number}th")
