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
        assert table.hold(index, NOON + 900 * index, hold, keys) == len(expected)
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


def test_a_key_without_a_hold_back_is_refused() -> None:
    table = KeyTable(KeyKind.GAEN, b"secret")
    with pytest.raises(Invalid):
        table.hold(0, NOON, bytes(3), content_keys({0: 1, 3: 2}))
    assert table.count == 0


def test_a_table_torn_by_want_of_memory_is_of_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    table = KeyTable(KeyKind.GAEN, b"secret")
    table.hold(0, NOON, bytes(3), content_keys({0: 1}))

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
