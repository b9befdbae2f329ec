"""Byte strings in JSON have one spelling: that of RFC 4648 without padding, as Python's own library writes it."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tocsin.model.base64url import decode, decode_exactly, encode
from tocsin.model.errors import Invalid


@pytest.mark.parametrize("length", range(50))
def test_each_length_is_written_and_read(length: int) -> None:
    data = bytes(251 * i % 256 for i in range(length))
    text = base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
    assert encode(data) == text
    assert decode(text) == data
    assert decode_exactly(text, length) == data
    with pytest.raises(Invalid):
        decode_exactly(text, length + 1)


@given(st.binary(max_size=100))
@example(b"\0\0\x17")
def test_any_bytes_are_written_as_by_the_library(data: bytes) -> None:
    """Whatever letter comes last: padding alone is left out."""
    assert encode(data) == base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")
    assert decode(encode(data)) == data


def test_the_letters_are_those_of_file_names() -> None:
    assert encode(b"\xfb\xef\xff") == "--__"
    assert decode("--__") == b"\xfb\xef\xff"


OTHERS = ["A", "AAAAA", "AA==", "AA=", "=", "++//", "AA AA", "AAAA\n", "AB", "AAB", "é", "\uff21\uff21"]
"""Padding, lengths that no bytes have, foreign symbols and white space, spare bits that are not zero, other scripts."""


@pytest.mark.parametrize("text", OTHERS)
def test_any_other_spelling_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="base64url"):
        decode(text)


@given(st.text())
def test_any_text_is_refused_or_spelt_like_that(text: str) -> None:
    try:
        data = decode(text)
    except Invalid:
        return
    assert encode(data) == text
