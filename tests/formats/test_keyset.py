"""The keyset file: the page's vectors, and that its bytes have one form only."""

import hashlib
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.keyset_vectors import VECTORS, keys_of, removals_of
from tocsin.formats.keyset import (
    REMOVAL,
    KeysetDelta,
    KeysetDump,
    decode_keyset,
    encode_delta,
    encode_dump,
    removals_by_kind,
)
from tocsin.model.errors import Invalid
from tocsin.model.keys import RECORD, KeyKind, by_kind

AT, FIRST_DAY = 20_000 * 86_400, 19_986


def encode(file: KeysetDump | KeysetDelta) -> bytes:
    return encode_delta(file) if isinstance(file, KeysetDelta) else encode_dump(file)


def from_case(case: dict[str, Any], backwards: int = 1) -> KeysetDump | KeysetDelta:
    added = {kind: table[::backwards] for kind, table in keys_of(case["additions"]).items()}
    removed = {kind: table[::backwards] for kind, table in removals_of(case["removals"]).items()}
    facts = (case["at"], case["first_day"], bytes.fromhex(case["set_digest"]))
    if case["kind"] == "dump":
        return KeysetDump(case["region"], case["to"], *facts, added)
    return KeysetDelta(case["region"], case["from"], case["to"], *facts, added, removed)


@pytest.mark.parametrize("case", VECTORS["files"], ids=lambda case: case["name"])
def test_good_files_read_and_write(case: dict[str, Any]) -> None:
    """Cases 4 and 5: an empty set is a valid file; the order of keys as they came tells nothing."""
    data = bytes.fromhex(case["file"])
    assert encode(from_case(case)) == data
    assert encode(from_case(case, backwards=-1)) == data
    decoded, expected = decode_keyset(data), from_case(case)
    assert type(decoded) is type(expected)
    for field in expected.__struct_fields__:
        value, wanted = getattr(decoded, field), getattr(expected, field)
        if isinstance(wanted, dict):
            assert [table.tolist() for table in value.values()] == [table.tolist() for table in wanted.values()]
            assert [table.dtype for table in value.values()] == [table.dtype for table in wanted.values()]
        else:
            assert value == wanted


@pytest.mark.parametrize("case", VECTORS["bad_files"], ids=lambda case: case["name"])
def test_bad_files_are_refused_for_their_reason(case: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refusal:
        decode_keyset(bytes.fromhex(case["file"]))
    assert str(refusal.value) == case["refusal"]


@pytest.mark.parametrize(
    ("row", "gone"),
    [
        (("00" * 16, 19_990 * 144, 144, 4, -128, 0), []),
        (("00" * 16, 19_990 * 144, 144, 1, 15, 0), []),
        (("00" * 16, 19_985 * 144, 144, 1, -128, 0), []),
        (("00" * 16, 19_990 * 144, 144, 1, -128, 0), [(19_990, "00" * 16)]),
    ],
    ids=["report type", "onset", "too old", "added and removed"],
)
def test_what_would_be_refused_is_not_written(row: tuple[Any, ...], gone: list[tuple[int, str]]) -> None:
    with pytest.raises(Invalid):
        encode_delta(KeysetDelta("utopia", 1, 2, AT, FIRST_DAY, bytes(32), keys_of([row]), removals_of(gone)))


ALIKE = [f"{high:016x}{low:016x}" for high in (1, 2**63 - 1, 2**63, 2**64 - 1) for low in (0, 1, 2**64 - 2, 2**64 - 1)]
"""Keys that share a half, or differ in the last bit of one: what a forger may choose. Ascending."""


def test_keys_alike_are_told_apart_by_all_their_bytes() -> None:
    rows = [(key, 19_990 * 144, 144, 1, -128, 0) for key in ALIKE[::2]]
    gone = [(19_990, key) for key in ALIKE[1::2]]
    data = encode_delta(KeysetDelta("utopia", 1, 2, AT, FIRST_DAY, bytes(32), keys_of(rows), removals_of(gone)))
    decoded = decode_keyset(data)
    assert isinstance(decoded, KeysetDelta)
    assert [bytes(key).hex() for key in decoded.additions[KeyKind.GAEN]["key_data"]] == ALIKE[::2]
    assert [bytes(key).hex() for key in decoded.removals[KeyKind.GAEN]["key_data"]] == ALIKE[1::2]


@pytest.mark.parametrize("at", range(3))
def test_two_keys_that_are_not_ascending_are_found_wherever_they_stand(at: int) -> None:
    """The file is right but for its order, so nothing else refuses it."""
    keys = ["01" * 16, "02" * 16, "03" * 16, "04" * 16]
    rows = [(key, 19_990 * 144, 144, 1, -128, 0) for key in keys]
    body = encode_dump(KeysetDump("utopia", 1, AT, FIRST_DAY, bytes(32), keys_of(rows)))[:-32]
    keys[at], keys[at + 1] = keys[at + 1], keys[at]
    body = body.replace(bytes.fromhex("".join(sorted(keys))), bytes.fromhex("".join(keys)))
    with pytest.raises(Invalid, match="not ascending"):
        decode_keyset(body + hashlib.sha256(body).digest())


@pytest.mark.parametrize("twice", ["01" * 16, "02" * 16, "03" * 16])
def test_a_key_under_two_days_is_found_wherever_it_stands(twice: str) -> None:
    rows = [(key, 19_990 * 144, 144, 1, -128, 0) for key in ("01" * 16, "02" * 16, "03" * 16)]
    with pytest.raises(Invalid, match="named twice"):
        encode_delta(
            KeysetDelta("utopia", 1, 2, AT, FIRST_DAY, bytes(32), keys_of(rows), removals_of([(19_991, twice)]))
        )


def test_first_day_itself_is_in() -> None:
    """Case 17: the edge is in; the day before is refused (above)."""
    row = ("00" * 16, FIRST_DAY * 144 + 143, 1, 1, -128, 0)
    data = encode_dump(KeysetDump("utopia", 1, AT, FIRST_DAY, bytes(32), keys_of([row])))
    assert isinstance(dump := decode_keyset(data), KeysetDump) and len(dump.keys[KeyKind.GAEN]) == 1


def test_counts_that_lie_cost_no_memory() -> None:
    case = next(case for case in VECTORS["bad_files"] if case["name"] == "all keys of the world announced")
    data = bytes.fromhex(case["file"])
    tracemalloc.start()
    try:
        with pytest.raises(Invalid):
            decode_keyset(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


KEY_ROWS = st.lists(
    st.tuples(
        st.binary(min_size=16, max_size=16),
        st.integers(FIRST_DAY * 144, (FIRST_DAY + 16) * 144),
        st.integers(1, 144),
        st.sampled_from([1, 2, 3]),
        st.sampled_from([-128, -14, 0, 14]),
        st.integers(0, 255),
    ),
    max_size=12,
    unique_by=lambda row: row[0],
)


@given(rows=KEY_ROWS, split=st.integers(0, 12), versions=st.tuples(st.integers(0, 2**63), st.integers(0, 2**63)))
def test_decoding_inverts_encoding(rows: list[tuple[Any, ...]], split: int, versions: tuple[int, int]) -> None:
    added = np.array(rows[split:], RECORD)
    removed = np.array([(FIRST_DAY + number % 3, row[0]) for number, row in enumerate(rows[:split])], REMOVAL)
    before, after = sorted(versions)
    delta = KeysetDelta("utopia", before, after, AT, FIRST_DAY, bytes(32), by_kind(added), removals_by_kind(removed))
    data = encode_delta(delta)
    decoded = decode_keyset(data)
    assert isinstance(decoded, KeysetDelta)
    assert sorted(decoded.additions[KeyKind.GAEN].tolist()) == sorted(added.tolist())
    assert sorted(decoded.removals[KeyKind.GAEN].tolist()) == sorted(removed.tolist())
    assert encode_delta(decoded) == data


@given(
    st.sampled_from([bytes.fromhex(case["file"]) for case in VECTORS["files"]]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
    st.integers(0, 40),
)
def test_any_bytes_have_one_form_or_are_refused(data: bytes, writes: list[tuple[int, int]], cut: int) -> None:
    """What decodes, checksum made right, encodes to the very same bytes: there is no second spelling of a set."""
    body = bytearray(data[: len(data) - 32 - cut])
    for place, value in writes:
        body[place % len(body)] = value
    damaged = bytes(body) + hashlib.sha256(body).digest()
    try:
        decoded = decode_keyset(damaged)
    except Invalid:
        return
    assert encode(decoded) == damaged


@given(st.binary(max_size=200))
def test_foreign_bytes_are_invalid(data: bytes) -> None:
    with pytest.raises(Invalid):
        decode_keyset(data)
