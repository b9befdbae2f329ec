"""The 32 symbols of Crockford's base32 as the field GF(32), and two Reed-Solomon check symbols over them.

Twenty symbols s₁ … s₂₀ are well spelt iff Σ sᵢ·2^(j·(20-i)) = 0 in the field, for j = 0 and 1. The two sums are the
*syndromes*. One wrong symbol leaves both non-zero, and their quotient is its place; two neighbours swapped leave the
first one zero.
Positions count from 1, as people do. Source: ``docs/formats/card-code.md``.
"""

from typing import Final, NewType

from msgspec import Struct

Symbols = NewType("Symbols", bytes)
"""Twenty values from 0 to 31, one a byte."""

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""The value of a symbol is its index (Crockford, Base 32): no I, L, O, U."""
SYMBOL_BITS: Final = 5
SYMBOLS: Final = 20
DATA_SYMBOLS: Final = 18

_FIELD_POLYNOMIAL: Final = 0b100101  # x⁵ + x² + 1, primitive: the powers of x are all 31 non-zero elements
_FIELD_ORDER: Final = 31


def _doubled(element: int) -> int:
    shifted = element << 1
    return shifted ^ _FIELD_POLYNOMIAL if shifted >> SYMBOL_BITS else shifted


def _powers_of_two() -> tuple[int, ...]:
    powers = [1]
    while len(powers) < _FIELD_ORDER:
        powers.append(_doubled(powers[-1]))
    return tuple(powers)


_POWERS: Final = _powers_of_two()
_LOGARITHMS: Final = {power: exponent for exponent, power in enumerate(_POWERS)}
_DOUBLED: Final = tuple(_doubled(element) for element in range(32))
_THREE: Final = 3  # 2 + 1: the difference of two neighbouring weights is the lesser one, times this


def multiply(left: int, right: int) -> int:
    """The product of two elements of GF(32).

    >>> multiply(2, 16)
    5
    """
    if not left or not right:
        return 0
    return _POWERS[(_LOGARITHMS[left] + _LOGARITHMS[right]) % _FIELD_ORDER]


def divide(dividend: int, divisor: int) -> int:
    """The quotient of two elements of GF(32); `divisor` is not zero.

    >>> divide(5, 16)
    2
    """
    return multiply(dividend, _POWERS[-_LOGARITHMS[divisor] % _FIELD_ORDER])


def _syndromes(symbols: bytes) -> tuple[int, int]:
    plain = weighted = 0
    for symbol in symbols:
        plain ^= symbol
        weighted = _DOUBLED[weighted] ^ symbol
    return plain, weighted


def with_check_symbols(data: bytes) -> Symbols:
    """The 18 values of `data`, and the two check symbols that make them well spelt.

    >>> with_check_symbols(bytes([12, *range(1, 18)]))[-2:].hex()
    '0904'
    """
    plain, weighted = _syndromes(data + b"\0\0")
    first = divide(plain ^ weighted, _THREE)
    return Symbols(data + bytes([first, plain ^ first]))


def is_well_spelt(symbols: Symbols) -> bool:
    """Whether the check symbols fit."""
    return _syndromes(symbols) == (0, 0)


class WrongSymbol(Struct, frozen=True):
    """The symbol at `position` is wrong and should be `symbol`, a letter or digit of `ALPHABET`."""

    position: int
    symbol: str


class Swap(Struct, frozen=True):
    """The symbols at `position` and `position` + 1 have changed places."""

    position: int


Slip = WrongSymbol | Swap
"""One slip of the pen."""


def possible_slips(symbols: Symbols) -> tuple[Slip, ...]:
    """Every single slip that would explain why `symbols` are not well spelt, by position; none if they are.

    A true single slip is always among them. A wrong symbol is the only one then; a swap may be one of several; two
    slips together often look like one that they are not, so this is a hint and never a correction.
    """
    plain, weighted = _syndromes(symbols)
    if plain:
        return _possible_wrong_symbol(symbols, plain, weighted)
    if weighted:
        return _possible_swaps(symbols, weighted)
    return ()


def _possible_wrong_symbol(symbols: Symbols, plain: int, weighted: int) -> tuple[Slip, ...]:
    if not weighted:
        return ()
    position = SYMBOLS - _LOGARITHMS[divide(weighted, plain)]
    if position < 1:
        return ()
    return (WrongSymbol(position, ALPHABET[symbols[position - 1] ^ plain]),)


def _possible_swaps(symbols: Symbols, weighted: int) -> tuple[Slip, ...]:
    def weight_of_swap(position: int) -> int:
        difference = symbols[position - 1] ^ symbols[position]
        return multiply(multiply(difference, _THREE), _POWERS[SYMBOLS - 1 - position])

    return tuple(Swap(position) for position in range(1, SYMBOLS) if weight_of_swap(position) == weighted)


def without_slip(symbols: Symbols, slip: Slip) -> Symbols:
    """What `symbols` were, if `slip` is what happened."""
    values = bytearray(symbols)
    match slip:
        case WrongSymbol(position, symbol):
            values[position - 1] = ALPHABET.index(symbol)
        case Swap(position):
            values[position - 1], values[position] = values[position], values[position - 1]
    return Symbols(bytes(values))
