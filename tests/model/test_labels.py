"""Labels: the page's table is the code's, and the derivation is RFC 5869's."""

import hashlib
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from tocsin.model.labels import LABELS, derive, labelled_hash, prefix

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "labels.md"


def test_the_page_has_a_row_for_each_label_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(LABELS)


def test_a_prefix_begins_with_its_length_so_that_no_label_begins_another() -> None:
    assert prefix("event") == bytes.fromhex("0f") + b"tocsin/v1/event"
    for label in LABELS:
        assert prefix(label) == bytes([10 + len(label)]) + b"tocsin/v1/" + label.encode("ascii")


def test_an_unlisted_label_is_a_bug() -> None:
    with pytest.raises(KeyError):
        prefix("no-such-label")


@given(st.sampled_from(sorted(LABELS)), st.binary(max_size=100))
def test_labelled_hash_is_sha256_behind_the_prefix(label: str, data: bytes) -> None:
    assert labelled_hash(label, data) == hashlib.sha256(prefix(label) + data).digest()


@given(st.sampled_from(sorted(LABELS)), st.binary(min_size=32, max_size=32), st.binary(max_size=20))
def test_derive_is_hkdf_without_salt(label: str, secret: bytes, context: bytes) -> None:
    other = HKDF(algorithm=SHA256(), length=32, salt=None, info=prefix(label) + context)
    assert derive(secret, label, context) == other.derive(secret)
    assert derive(secret, label) == derive(secret, label, b"")
