"""Applying deltas: the page's vectors, and the law on every window of random histories."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.bucket_simulator import BucketSimulator, row
from tests.formats.keyset_vectors import VECTORS, keys_of
from tocsin.client.apply import apply_delta
from tocsin.formats.keyset import KeysetDelta, decode_keyset, encode_delta
from tocsin.formats.set_digest import canonical, set_digest
from tocsin.model.keys import RECORDS, KeysByKind
from tocsin.model.times import DAY_SECONDS


def raw(keys: KeysByKind) -> list[bytes]:
    return [table.tobytes() for table in keys.values()]


@pytest.mark.parametrize("case", VECTORS["applications"], ids=lambda case: case["name"])
def test_application_is_that_of_the_page(case: dict[str, Any]) -> None:
    delta = decode_keyset(bytes.fromhex(case["delta"]))
    assert isinstance(delta, KeysetDelta)
    applied = apply_delta(keys_of(case["records"]), delta)
    assert raw(applied) == raw(keys_of(case["result"]))
    assert {kind: table.dtype for kind, table in applied.items()} == RECORDS
    assert set_digest(delta.region, applied) == delta.set_digest
    assert raw(apply_delta(applied, delta)) == raw(applied)


@given(
    st.lists(
        st.tuples(
            st.lists(
                st.tuples(st.integers(0, 5), st.integers(1, 2), st.sampled_from([3, 13, 14])), unique_by=lambda k: k[0]
            ),
            st.sampled_from([900, DAY_SECONDS]),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_delta_applies_from_any_version_of_its_window(history: list[tuple[list[tuple[int, int, int]], int]]) -> None:
    """All windows of a history, from each version inside, in whatever order the set is held; dump + deltas = dump."""
    bucket = BucketSimulator()
    for keys, later_by in history:
        bucket.publish([row(number, age_days=age, report_type=kind) for number, kind, age in keys], later_by=later_by)
    for to_version in range(bucket.version + 1):
        wanted = {kind: canonical(table) for kind, table in bucket.keys(to_version).items()}
        for from_version in range(to_version + 1):
            delta = decode_keyset(encode_delta(bucket.delta(from_version, to_version)))
            assert isinstance(delta, KeysetDelta)
            assert set_digest(delta.region, wanted) == delta.set_digest
            for inside in range(from_version, to_version + 1):
                held = {kind: table[::-1] for kind, table in bucket.keys(inside).items()}
                assert raw(apply_delta(held, delta)) == raw(wanted)
