"""Columns of keys against the same numbers worked out key by key, as ``docs/formats/keys.md`` has them."""

import struct
from itertools import pairwise

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from tocsin.model.keys import (
    RECORD,
    Records,
    ascend_strictly,
    day_order,
    day_runs,
    has_twice,
    key_days,
    key_ends,
    key_order,
    release_instants,
    rows_of,
    sorted_by_key,
    unheld_release,
)

halves = st.sampled_from([bytes(8), b"\0" * 7 + b"\1", b"\1" + b"\0" * 7, b"\x7f" * 8, b"\x80" * 8, b"\xff" * 8])
key_data = st.one_of(st.tuples(halves, halves).map(b"".join), st.binary(min_size=16, max_size=16))
starts = st.one_of(st.integers(0, 2**32 - 1), st.integers(20_000 * 144 - 200, 20_000 * 144 + 200))
keys = st.lists(st.tuples(key_data, starts, st.integers(1, 144), st.integers(0, 255)), max_size=40)
Key = tuple[bytes, int, int, int]


def records_of(table: list[Key]) -> Records:
    """The 24-byte records of the page, by struct."""
    rows = [struct.pack(">16sIBBbB", data, start, period, 1, -128, 0) for data, start, period, _ in table]
    return np.frombuffer(b"".join(rows), RECORD)


@given(keys, st.integers(0, 2**32 - 1))
@example([(bytes(16), 2**32 - 1, 144, 255)], 0)
@example([(bytes(16), 20_000 * 144, 144, 0), (bytes(16), 20_000 * 144, 145, 0)], 20_000 * 86_400)
def test_days_ends_and_release_instants(table: list[Key], received_at: int) -> None:
    """A whole day's key is of its own day; one interval more, and it is of the next. No number runs over."""
    records = records_of(table)
    days = [(start + period - 1) // 144 for _, start, period, _ in table]
    ends = [(start + period) * 600 for _, start, period, _ in table]
    free = [max(received_at, end + 7200) for end in ends]
    holds = [hold for _, _, _, hold in table]
    assert key_days(records).tolist() == days
    assert key_ends(records).tolist() == ends
    assert key_days(records).dtype == key_ends(records).dtype == np.int64
    assert [unheld_release(received_at, end) for end in ends] == free
    released = release_instants(key_ends(records), received_at, np.array(holds, "u1"))
    assert released.tolist() == [instant + hold * 900 for instant, hold in zip(free, holds, strict=True)]
    assert released.dtype == np.int64


@given(keys)
@example([(b"\1" * 8 + b"\2" * 8, 1, 1, 0), (b"\1" * 16, 2, 1, 0)])
def test_keys_are_sorted_by_all_their_bytes(table: list[Key]) -> None:
    """Two keys that share their first half too: what a forger may choose."""
    found = [bytes(data) for data in sorted_by_key(records_of(table))["key_data"]]
    assert found == sorted(data for data, _, _, _ in table)


@given(keys, st.data())
def test_rows_are_taken_whole_by_number_and_by_flag(table: list[Key], data: st.DataObject) -> None:
    records = records_of(table)
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=len(table), max_size=len(table))), np.bool_)
    wanted = [row for row, flag in enumerate(flags) if flag]
    for rows in (flags, np.array(wanted, np.intp)):
        taken = rows_of(records, rows)
        assert taken.dtype == RECORD and taken.tobytes() == b"".join(records[row].tobytes() for row in wanted)


@given(keys)
@example([(b"\1" * 16, 1, 1, 0), (b"\1" * 16, 2, 1, 0)])
@example([(b"\xff" * 15 + b"\xfe", 1, 1, 0), (b"\xff" * 16, 1, 1, 0)])
@example([(b"\xff" * 7 + b"\xfe" + bytes(8), 1, 1, 0), (b"\xff" * 8 + bytes(8), 1, 1, 0)])
def test_order_and_repetition_are_seen_by_all_their_bytes(table: list[Key]) -> None:
    records = records_of(table)
    data = [key[0] for key in table]
    assert ascend_strictly(records) == all(a < b for a, b in pairwise(data))
    ordered = sorted_by_key(records)
    assert has_twice(records) == has_twice(ordered) == (len(set(data)) < len(data))
    if not has_twice(ordered):
        assert sorted_by_key(ordered) is ordered
    assert key_order(records).tolist() == sorted(range(len(data)), key=data.__getitem__), (
        "rows of one key stay in order"
    )


@given(st.lists(st.one_of(st.integers(0, 3), st.integers(0, 2**32 - 1)), max_size=30))
@example([0, 2**16 - 1, 0])
@example([2**16, 0, 2**16 + 1, 0])
def test_days_are_ordered_and_told_run_by_run(days: list[int]) -> None:
    """Also where a forged start lies tens of thousands of days ahead."""
    column = np.array(days, np.int64)
    order = day_order(column)
    assert order.tolist() == sorted(range(len(days)), key=days.__getitem__), "rows of one day stay in their order"
    runs = [(day, column[order][run].tolist()) for day, run in day_runs(column[order])]
    assert runs == [(day, [day] * days.count(day)) for day in sorted(set(days))]
