"""The phone code: twelve digits that are read out, made for one request and known to the server by a keyed hash only.

Eleven digits come from a pseudo-random function of the issuing secret, the act's request ID, the code's place in that
act and an attempt; the twelfth is Damm's check digit. Nothing is in it: which batch it is of, and until when it is of
use, is found by its hash. That no two live codes are equal is for the rules. Bytes: ``docs/formats/phone-code.md``.
"""

import hmac
import struct
from typing import Final, NewType

from tocsin.codes.reading import read_values
from tocsin.model.claims import Claim, ClaimClass
from tocsin.model.code_reading import CodeKind
from tocsin.model.errors import Invalid
from tocsin.model.labels import derive

PhoneDigits = NewType("PhoneDigits", str)
"""Twelve ASCII digits, of which the last is the check digit of the others."""

DIGITS: Final = 12
GROUP: Final = 4
"""Digits in a group, as they are read out."""
HASH_BYTES: Final = 16
MAX_PLACE: Final = 2**16 - 1
MAX_ATTEMPT: Final = 2**8 - 1

_SPACE: Final = 10 ** (DIGITS - 1)
_PRF_BYTES: Final = 16  # 2¹²⁸ is so much more than 10¹¹ that no remainder is likelier than another by 2⁻⁹¹
_DAMM: Final = (
    "0317598642",
    "7092154863",
    "4206871359",
    "1750983426",
    "6123045978",
    "3674209581",
    "5869720134",
    "8945362017",
    "9438617205",
    "2581436790",
)
"""H. M. Damm, Total anti-symmetrische Quasigruppen, 2004: row by what went before, column by the next digit."""


def check_digit(digits: str) -> str:
    """Damm's check digit of some ASCII digits; ``0`` for digits that end in their own.

    >>> check_digit("572"), check_digit("5724")
    ('4', '0')
    """
    interim = 0
    for digit in digits:
        interim = int(_DAMM[interim][int(digit)])
    return str(interim)


def make_phone_code(issuing_secret: bytes, request_id: bytes, place: int, attempt: int) -> PhoneDigits:
    """The code at `place` of the act with this request ID (16 bytes), at the given attempt; both count from 0.

    Raises `Invalid` for a place above 65,535 or an attempt above 255.

    >>> make_phone_code(bytes(32), bytes(16), place=0, attempt=0)
    '319438809474'
    """
    if not (len(request_id) == 16 and 0 <= place <= MAX_PLACE and 0 <= attempt <= MAX_ATTEMPT):
        raise Invalid("no phone code has this request, place or attempt")
    drawn = hmac.digest(derive(issuing_secret, "phone-code"), request_id + struct.pack(">HB", place, attempt), "sha256")
    digits = f"{int.from_bytes(drawn[:_PRF_BYTES], 'big') % _SPACE:0{DIGITS - 1}}"
    return PhoneDigits(digits + check_digit(digits))


def parse_phone_code(text: str) -> PhoneDigits:
    """The twelve digits that `text` spells; every accepted spelling of a code gives the same.

    Spellings are those of cards: spaces and dashes are left out, full-width digits, O for 0, I and L for 1 are taken.
    Raises `Invalid`, with a sentence for a person: it does not parse, and no secret was needed.

    >>> parse_phone_code("3I94 388O 9474")
    '319438809474'
    """
    values = read_values(text)
    if any(value > 9 for value in values):
        raise Invalid("A phone code has digits only.")
    if len(values) != DIGITS:
        raise Invalid(f"A phone code has {DIGITS} digits; these are {len(values)}.")
    digits = "".join(map(str, values))
    if check_digit(digits) != "0":
        raise Invalid("One digit is probably wrong, or two have changed places: have the code read out again.")
    return PhoneDigits(digits)


def spell_phone_code(digits: PhoneDigits) -> str:
    """The canonical text: three groups of four with hyphens between them.

    >>> spell_phone_code(PhoneDigits("319438809474"))
    '3194-3880-9474'
    """
    return "-".join(digits[start : start + GROUP] for start in range(0, DIGITS, GROUP))


def phone_code_hash(issuing_secret: bytes, digits: PhoneDigits) -> bytes:
    """The 16 bytes by which the journal knows a code; without the secret, trying all codes tells nothing."""
    return hmac.digest(derive(issuing_secret, "phone-hash"), digits.encode("ascii"), "sha256")[:HASH_BYTES]


def phone_claim(issuing_secret: bytes, batch: int, serial: int) -> Claim:
    """The claim (class 4, 33 bytes) by which a phone code is used once."""
    identity = struct.pack(">BIH", CodeKind.PHONE, batch, serial)
    value = hmac.digest(derive(issuing_secret, "claim-phone"), identity, "sha256")
    return Claim(bytes([ClaimClass.PHONE]) + value)
