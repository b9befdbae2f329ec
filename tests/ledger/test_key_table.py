"""Keys that reports hold: laid out late and together, as if they had been laid out at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.test_key_index import by_dictionary
from tocsin.ledger.key_index import KeyIndex
from tocsin.ledger.key_table import NEVER, KeyTable
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.keys import CONTENT_KEY, ContentKeys, KeyKind, key_days, key_ends, release_instants

NOON = 1_770_034_500


def content_keys(numbers: dict[int, int]) -> ContentKeys:
    """Keys by position, each a small number: a key of some day, of some period."""
    keys = np.zeros(len(numbers), CONTENT_KEY)
    for row, (position, number) in enumerate(sorted(numbers.items())):
        keys[row]["position"] = position
        record = keys[row]["record"]
        record["key_data"] = np.void(number.to_bytes(16, "big"))
        record["rolling_start_interval_number"] = 2_950_000 + 100 * number
        record["rolling_period"] = 1 + number
    return keys


REPORTS = st.lists(
    st.tuples(st.dictionaries(st.integers(0, 5), st.integers(0, 9), max_size=4), st.lists(st.integers(0, 255))),
    max_size=12,
)


@given(REPORTS, st.sets(st.integers(0, 12)))
def test_asked_now_or_later(reports: list[tuple[dict[int, int], list[int]]], asked: set[int]) -> None:
    """Every column is what each report says by itself, whenever the table was asked in between."""
    table = KeyTable(KeyKind.GAEN, b"secret")
    expected: list[tuple[int, int, int, int, int]] = []
    data: list[bytes] = []
    for index, (numbers, drawn) in enumerate(reports):
        hold = bytes([*drawn, *range(6)])
        keys = content_keys(numbers)
        assert table.hold([index], [NOON + 900 * index], [hold], [keys.tobytes()]) == [len(expected)]
        for key in keys:
            [day] = key_days(key["record"].reshape(1))
            quarters = np.array([hold[int(key["position"])]])
            [release] = release_instants(key_ends(key["record"].reshape(1)), NOON + 900 * index, quarters)
            expected.append((index, int(key["position"]), int(day), int(release), NEVER))
            data.append(key["record"]["key_data"].tobytes())
        if index in asked:
            assert len(table["day"]) == table.count == len(expected)
    columns = (table[name].tolist() for name in ("report", "position", "day", "release_at", "last_row"))
    assert list(zip(*columns, strict=True)) == expected
    heads = by_dictionary(data)
    assert table["head"].tolist() == heads
    assert [key.tobytes() for key in table["record"]["key_data"]] == data
    assert table.holders == {
        head: [row for row, other in enumerate(heads) if other == head] for head in heads if heads.count(head) > 1
    }


@given(REPORTS, REPORTS, st.sets(st.integers(0, 12)))
def test_dropped_rows_were_never_held(
    reports: list[tuple[dict[int, int], list[int]]], later: list[tuple[dict[int, int], list[int]]], gone: set[int]
) -> None:
    """Also for what is held afterwards, of keys that went as of those that stayed."""
    table, other = KeyTable(KeyKind.GAEN, b"secret"), KeyTable(KeyKind.GAEN, b"secret")
    firsts = []
    for index, (numbers, _) in enumerate(reports):
        [first] = table.hold([index], [NOON], [bytes(6)], [content_keys(numbers).tobytes()])
        if index not in gone:
            firsts.append((first, *other.hold([index], [NOON], [bytes(6)], [content_keys(numbers).tobytes()])))
    left = table.drop(np.isin(table["report"], list(gone)))
    assert [(int(left[first]), there) for first, there in firsts] == [(there, there) for _, there in firsts]
    for index, (numbers, _) in enumerate(later, len(reports)):
        for each in (table, other):
            each.hold([index], [NOON], [bytes(6)], [content_keys(numbers).tobytes()])
    assert (table.count, table.holders) == (other.count, other.holders)
    for name in table.names:
        assert table[name].tobytes() == other[name].tobytes()


def test_what_is_known_of_a_key_goes_over_to_the_holder_that_stays() -> None:
    """Of one whose last public holder goes nothing is known any more."""
    table = KeyTable(KeyKind.GAEN, b"secret")
    for report in range(3):
        table.hold([report], [NOON], [bytes(6)], [content_keys({0: 1, 1: 2}).tobytes()])
    for head, last in ((0, 4), (1, 1)):  # the first key is public under the third report, the second under the first
        table["public"][head], table["last_row"][head], table["changed"][head] = True, last, 7
    table.stints = {0: [(0, 5), (2, 6)], 1: [(5, 3)]}
    table.drop(table["report"] == 0)
    assert table["head"].tolist() == [0, 1, 0, 1] and table.holders == {0: [0, 2], 1: [1, 3]}
    told = [table[name].tolist()[:2] for name in ("public", "last_row", "changed")]
    assert told == [[True, False], [2, NEVER], [7, 0]]
    assert table.stints == {0: [(0, 6)], 1: [(3, 3)]}


def test_a_key_without_a_hold_back_is_refused() -> None:
    table = KeyTable(KeyKind.GAEN, b"secret")
    with pytest.raises(Invalid):
        table.hold([0], [NOON], [bytes(3)], [content_keys({0: 1, 3: 2}).tobytes()])
    assert table.count == 0


def test_a_table_torn_by_want_of_memory_is_of_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    table = KeyTable(KeyKind.GAEN, b"secret")
    table.hold([0], [NOON], [bytes(3)], [content_keys({0: 1}).tobytes()])

    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(KeyIndex, "first_holders", fail)
        with pytest.raises(MemoryError):
            table["day"]
    assert table.torn
    for ask in (lambda: table["head"], lambda: table.holders):
        with pytest.raises(Unavailable):
            ask()
