"""Columns grow without losing a row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import DTypeLike

from tocsin.ledger.columns import Columns

DTYPES: dict[str, DTypeLike] = {"number": np.int64, "flag": np.bool_, "bytes": "V3"}


def test_a_new_table_is_empty() -> None:
    columns = Columns(DTYPES)
    assert columns.count == 0 and columns.names == ("number", "flag", "bytes")
    assert [len(columns[name]) for name in columns.names] == [0, 0, 0]


@given(st.lists(st.integers(0, 3000), max_size=8))
def test_rows_stay_where_they_are_and_new_ones_are_zero(sizes: list[int]) -> None:
    columns = Columns(DTYPES)
    written = 0
    for size in sizes:
        rows = columns.extend(size)
        assert (rows.start, rows.stop) == (written, written + size)
        assert not columns["number"][rows].any() and not columns["flag"][rows].any()
        assert columns["bytes"][rows].tobytes() == bytes(3 * size)
        columns["number"][rows] = np.arange(rows.start, rows.stop) + 1
        columns["flag"][rows] = True
        columns["bytes"][rows] = np.void(b"abc")
        written += size
        assert columns.count == len(columns["number"]) == written
    assert (columns["number"] == np.arange(written) + 1).all()
    assert columns["flag"].all() and columns["bytes"].tobytes() == b"abc" * written


def test_a_view_is_written_through() -> None:
    columns = Columns(DTYPES)
    columns.extend(2)
    columns["number"][1] = 7
    assert columns["number"].tolist() == [0, 7]


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        Columns(DTYPES)["absent"]
