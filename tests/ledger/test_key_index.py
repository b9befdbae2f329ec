"""The index of keys says what a dictionary would say, however the keys come and however they collide."""

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.ledger import key_index
from tocsin.ledger.key_index import KeyIndex
from tocsin.model.keys import KEY_BYTES, RECORD, Records


def records(keys: list[bytes]) -> Records:
    rows = np.zeros(len(keys), RECORD)
    rows["key_data"] = np.frombuffer(b"".join(keys), "V16")
    return rows


def by_dictionary(keys: list[bytes]) -> list[int]:
    first: dict[bytes, int] = {}
    return [first.setdefault(key, row) for row, key in enumerate(keys)]


FEW_KEYS = st.lists(st.integers(0, 40).map(lambda number: number.to_bytes(16, "big")), max_size=120)
"""So few different ones that most are held twice."""


@given(FEW_KEYS, st.lists(st.integers(0, 120), max_size=6), st.binary(max_size=32))
def test_as_a_dictionary_in_any_pieces(keys: list[bytes], cuts: list[int], secret: bytes) -> None:
    index, table = KeyIndex(KEY_BYTES, secret), records(keys)
    found: list[int] = []
    for end in [*sorted(min(cut, len(keys)) for cut in cuts), len(keys)]:
        found += index.first_holders(table[:end], len(found)).tolist()
    assert found == by_dictionary(keys)


def test_it_grows_and_forgets_nobody() -> None:
    """Some 30 times its first size, in runs longer than what is looked at together; then every key once more."""
    distinct = key_index._AT_ONCE * 2 + 17
    numbers = np.arange(distinct, dtype=np.uint64)
    once = np.zeros(distinct, RECORD)
    once["key_data"] = np.stack([numbers * np.uint64(0x9E3779B97F4A7C15), numbers], axis=1).view("V16").ravel()
    twice = np.concatenate([once, once[::-1]], dtype=RECORD)
    index = KeyIndex(KEY_BYTES, b"secret")
    assert index.first_holders(once, 0).tolist() == list(range(distinct))
    assert index.first_holders(twice, distinct).tolist() == list(range(distinct))[::-1]


@pytest.mark.parametrize("at_a_time", [1, 2, 7])
def test_half_of_the_slots_stay_free_however_few_come_at_a_time(
    at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a search would never end in a table that is full. Every other key was there before."""
    monkeypatch.setattr(key_index, "FIRST_BITS", 3)
    index, keys = KeyIndex(KEY_BYTES, b"secret"), [(row // 2).to_bytes(16, "big") for row in range(140)]
    table = records(keys)
    found: list[int] = []
    for end in range(at_a_time, len(keys) + 1, at_a_time):
        found += index.first_holders(table[:end], len(found)).tolist()
        assert 2 * len(set(found)) <= len(index._slots)
    assert found == by_dictionary(keys)


def test_keys_that_meet_in_one_slot() -> None:
    """Chosen by one who knows the secret: all of them at one slot, at the very end of the table."""
    index = KeyIndex(KEY_BYTES, b"known")
    candidates = [number.to_bytes(16, "little") for number in range(1 << 16)]
    slots = index._hash(key_index._words(records(candidates)))
    last = len(index._slots) - 1
    meeting = [candidates[row] for row in np.nonzero(slots == last)[0]]
    assert len(meeting) >= 8
    keys = [*meeting, *meeting[::-1]]
    assert index.first_holders(records(keys), 0).tolist() == by_dictionary(keys)


def test_another_secret_another_place() -> None:
    keys = key_index._words(records([number.to_bytes(16, "big") for number in range(64)]))
    assert KeyIndex(KEY_BYTES, b"one")._hash(keys).tolist() != KeyIndex(KEY_BYTES, b"two")._hash(keys).tolist()


@pytest.mark.parametrize("first", range(0, 121, 8))
@pytest.mark.parametrize("secret", [b"one", b"two"])
def test_what_is_forgotten_was_never_there(first: int, secret: bytes) -> None:
    """In a table so full that keys stand in runs, and some that stay stand behind some that go."""
    keys = [sha256(bytes([number % 100])).digest()[:16] for number in range(120)]  # numbers in a row hardly ever meet
    index, table = KeyIndex(KEY_BYTES, secret), records(keys)
    index._slots, index._bits = np.zeros(256, np.int32), 8
    index.first_holders(table, 0)
    assert len(index._slots) == 256
    index.forget(table, first)
    left = keys[:first]
    assert index._taken == np.count_nonzero(index._slots) == len(set(left))
    found = index.first_holders(records(left + keys), len(left)).tolist()
    assert found == by_dictionary(left + keys)[len(left) :]
