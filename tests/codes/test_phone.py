"""Phone codes: made, spelt, read and known by a hash, as the vectors say; the check digit as Damm published it."""

import hashlib
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.codes.phone import (
    MAX_ATTEMPT,
    MAX_PLACE,
    PhoneDigits,
    check_digit,
    make_phone_code,
    parse_phone_code,
    phone_claim,
    phone_code_hash,
    spell_phone_code,
)
from tocsin.model.errors import Invalid

SECRET, REQUEST = bytes(32), bytes(16)
codes = st.builds(make_phone_code, st.just(SECRET), st.binary(min_size=16, max_size=16), st.just(0), st.just(0))


def test_codes_are_those_of_the_vectors(phone_vectors: dict[str, Any]) -> None:
    for row in phone_vectors["codes"]:
        secret = bytes.fromhex(row["issuing_secret"])
        digits = make_phone_code(secret, bytes.fromhex(row["request_id"]), row["place"], row["attempt"])
        assert spell_phone_code(digits) == row["code"]
        assert phone_code_hash(secret, digits).hex() == row["hash"]


def test_claims_are_those_of_the_vectors(phone_vectors: dict[str, Any]) -> None:
    for row in phone_vectors["claims"]:
        assert phone_claim(bytes.fromhex(row["issuing_secret"]), row["batch"], row["serial"]).hex() == row["claim"]


def test_every_accepted_spelling_of_the_vectors_is_equal(phone_vectors: dict[str, Any]) -> None:
    """Cases 21 and 22: one reading routine, the one of cards."""
    expected = phone_vectors["spellings"]["code"].replace("-", "")
    for case, text in phone_vectors["spellings"]["texts"].items():
        assert parse_phone_code(text) == expected, case


def test_what_is_refused(phone_vectors: dict[str, Any]) -> None:
    said = {"length": "digits; these are|too long", "digit": "digits only", "character": "ymbol", "check": "probably"}
    for row in phone_vectors["refused"]:
        with pytest.raises(Invalid, match=said[row["refusal"]]):
            parse_phone_code(row["text"])


@given(codes)
def test_parsing_is_the_inverse_of_spelling(digits: PhoneDigits) -> None:
    assert parse_phone_code(spell_phone_code(digits)) == digits
    assert len(digits) == 12 and digits.isascii() and digits.isdecimal()


# --- the check digit ---


@pytest.mark.parametrize(("digits", "check"), [("572", "4"), ("0", "0"), ("11294", "6")])
def test_known_answers(digits: str, check: str) -> None:
    """572 → 4 and 11294 → 6 are the examples by which Damm's algorithm is commonly explained."""
    assert check_digit(digits) == check
    assert check_digit(digits + check) == "0"


def test_the_table_is_totally_anti_symmetric() -> None:
    """What Damm asks of it: a Latin square with (c * x) * y = (c * y) * x, or x * y = y * x, only for x = y."""
    digits = "0123456789"
    # From an interim digit c, as any prefix leaves it; the 10 prefixes below leave each of them.
    prefixes = {check_digit(first): first for first in digits}
    assert sorted(prefixes) == list(digits)
    for prefix in prefixes.values():
        assert sorted(check_digit(prefix + digit) for digit in digits) == list(digits)
        for x, y in product(digits, repeat=2):
            assert (check_digit(prefix + x + y) == check_digit(prefix + y + x)) is (x == y)
    for digit in digits:
        assert sorted(check_digit(prefix + digit) for prefix in prefixes.values()) == list(digits)


@given(codes, st.data())
def test_every_wrong_digit_and_every_swap_of_neighbours_is_seen(digits: PhoneDigits, draw: st.DataObject) -> None:
    place = draw.draw(st.integers(0, 10))
    wrong = draw.draw(st.sampled_from(sorted(set("0123456789") - {digits[place]})))
    misread = digits[:place] + wrong + digits[place + 1 :]
    swapped = digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :]
    for text in {misread, swapped} - {digits}:
        with pytest.raises(Invalid, match="probably"):
            parse_phone_code(text)


# --- the pseudo-random function ---


def test_secret_request_place_and_attempt_each_make_another_code() -> None:
    """And the same four always the same one: an answer that was lost can be given again."""
    made = {
        make_phone_code(SECRET, REQUEST, 0, 0),
        make_phone_code(b"\1" * 32, REQUEST, 0, 0),
        make_phone_code(SECRET, b"\1" * 16, 0, 0),
        make_phone_code(SECRET, REQUEST, 1, 0),
        make_phone_code(SECRET, REQUEST, 0, 1),
    }
    assert len(made) == 5 and make_phone_code(SECRET, REQUEST, 0, 0) in made


@pytest.mark.parametrize(("place", "attempt"), [(-1, 0), (MAX_PLACE + 1, 0), (0, -1), (0, MAX_ATTEMPT + 1)])
def test_what_no_code_can_have(place: int, attempt: int) -> None:
    with pytest.raises(Invalid):
        make_phone_code(SECRET, REQUEST, place, attempt)


def test_every_digit_is_as_likely_as_the_others() -> None:
    """2,000 codes by one secret, which is fixed: a digit that is left out or preferred would show."""
    made = [make_phone_code(SECRET, REQUEST, place, 0) for place in range(2_000)]
    for position in range(12):
        counts = [sum(digits[position] == digit for digits in made) for digit in "0123456789"]
        assert all(130 < count < 270 for count in counts), position  # 200 ± 5 standard deviations
    assert len(set(made)) == 2_000


def test_a_hash_is_keyed() -> None:
    """Threats T-C8: 10¹¹ codes are tried in a minute, so without the secret nothing may tell a code from its hash."""
    digits = make_phone_code(SECRET, REQUEST, 0, 0)
    assert phone_code_hash(SECRET, digits) != phone_code_hash(b"\1" * 32, digits)
    assert phone_code_hash(SECRET, digits) != hashlib.sha256(digits.encode()).digest()[:16]
