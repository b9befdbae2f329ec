"""Names compared as people compare them; row I2, A4 and I14 of docs/rules.md ask it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.model.names import folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada", "ADA"),
        ("Ada", "\uff21\uff44\uff41"),  # full width
        ("Stra\u00dfe", "STRASSE"),
        ("caf\u00e9", "cafe\u0301"),  # composed or not
        ("\ufb01nd", "find"),  # a ligature
        ("Ada", "A\u034fda\ufe0f"),  # marks that are printable, and seen by nobody
        ("Ada", "Ada\u3164"),
        ("\u0390", "\u03aa\u0301"),  # Greek: small is one letter, its capital has no composed form
        ("\u1fb7", "\u0391\u0342\u0399"),
        ("Ada  King", " ada\u00a0king "),
    ],
)
def test_the_same(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Ada", "Ad a"), ("cafe", "caf\u00e9"), ("Ada", "\u0410da"), ("a", "")],  # a letter of another script is another
)
def test_not_the_same(one: str, other: str) -> None:
    assert folded(one) != folded(other)


@given(st.text(), st.sampled_from(["", " ", "\u3000"]))
def test_no_spaces_around_and_none_doubled(text: str, space: str) -> None:
    assert folded(space + text + space) == folded(text) == folded(text).strip()
    assert "  " not in folded(text)
