"""Columns grow without losing a row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import DTypeLike

from tocsin.ledger.columns import Columns
from tocsin.model.errors import Unavailable

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


@given(ascending=st.lists(st.integers(0, 50), unique=True).map(sorted), written=st.integers(0, 9))
def test_a_cell_is_found_without_writing_what_waits(ascending: list[int], written: int) -> None:
    columns = Columns(DTYPES)
    for number in ascending[:written]:
        columns.add([number], [False], [b"abc"])
    assert len(columns["number"]) == len(ascending[:written])
    for number in ascending[written:]:
        columns.add([number], [True], [b"abc"])
    found = {number: row for number in range(51) if (row := columns.find("number", number)) is not None}
    assert found == {number: row for row, number in enumerate(ascending)}
    assert [columns.cell("flag", row) for row in found.values()] == [row >= written for row in range(len(ascending))]
    columns.take_back(len(ascending[:written]))
    assert columns["number"].tolist() == ascending[:written]
    columns.take_back(len(ascending[:written]) // 2)
    columns.extend(1)
    assert columns["number"].tolist() == [*ascending[: len(ascending[:written]) // 2], 0]


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        Columns(DTYPES)["absent"]


ROWS = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.booleans(), st.binary(min_size=3, max_size=3)))


@given(ROWS, st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_rows_added_one_by_one(rows: list[tuple[int, bool, bytes]], asked: set[int], extended: set[int]) -> None:
    """They stand where `add` said, whatever is asked or added in between."""
    columns = Columns(DTYPES)
    expected: list[tuple[int, bool, bytes]] = []
    for number, row in enumerate(rows):
        assert columns.add(*([value] for value in row)) == len(expected)
        expected.append(row)
        if number in extended:
            assert columns.extend(1).start == len(expected)
            expected.append((0, False, bytes(3)))
        assert columns.count == len(expected)
        if number in asked:
            assert len(columns["flag"]) == len(expected)
    assert columns["number"].tolist() == [number for number, _, _ in expected]
    assert columns["flag"].tolist() == [flag for _, flag, _ in expected]
    assert columns["bytes"].tobytes() == b"".join(data for _, _, data in expected)


def test_a_table_torn_by_want_of_memory_is_of_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = Columns(DTYPES)
    columns.add([1], [True], [b"abc"])

    def fail(*_: object) -> slice:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(Columns, "_grow", fail)
        with pytest.raises(MemoryError):
            columns["number"]
    assert columns.torn
    with pytest.raises(Unavailable):
        columns["number"]
    with pytest.raises(Unavailable):
        columns.extend(1)
