"""The set digest: the page's vectors, and that the order in which a set came tells nothing."""

from typing import Any

import numpy as np
import pytest

from tests.formats.keyset_vectors import VECTORS, keys_of, records
from tocsin.formats.set_digest import canonical, set_digest
from tocsin.model.errors import Invalid
from tocsin.model.keys import RECORD, by_kind, key_days


@pytest.mark.parametrize("case", VECTORS["set_digests"], ids=lambda case: case["region"])
def test_digest_is_that_of_the_page(case: dict[str, Any]) -> None:
    held = keys_of(case["records"])
    assert set_digest(case["region"], held).hex() == case["set_digest"]
    assert set_digest(case["region"], {kind: table[::-1] for kind, table in held.items()}).hex() == case["set_digest"]


@pytest.mark.parametrize("case", VECTORS["bad_sets"], ids=lambda case: case["refusal"])
def test_what_is_no_set_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refusal:
        set_digest(case["region"], keys_of(case["records"]))
    assert str(refusal.value) == case["refusal"]


@pytest.mark.parametrize("twice", [0, 1, 2])
def test_a_key_that_occurs_twice_is_found_wherever_it_stands(twice: int) -> None:
    held = records([(f"{number:032x}", 20_000 * 144, 144, 1, -128, 0) for number in (1, 2, 3, twice + 1)])
    with pytest.raises(Invalid, match="twice"):
        canonical(held)


@pytest.mark.parametrize("field", [name for name in RECORD.names or () if name != "key_data"])
def test_every_attribute_counts(field: str) -> None:
    held = records(VECTORS["set_digests"][2]["records"])
    changed = held.copy()
    changed[field][0] += 1
    assert set_digest("utopia", by_kind(changed)) != set_digest("utopia", by_kind(held))


def test_keys_that_share_their_first_half_are_ordered_by_the_second() -> None:
    held = np.zeros(300, RECORD)
    held["key_data"] = [bytes(8) + number.to_bytes(8, "big") for number in range(300)]
    held["rolling_start_interval_number"], held["rolling_period"] = 144, 144
    shuffled = held[np.random.default_rng(1).permutation(300)]
    assert canonical(shuffled).tobytes() == held.tobytes()


def test_a_table_in_the_machines_byte_order_is_the_same_set() -> None:
    held = records(VECTORS["set_digests"][2]["records"])
    turned = held.astype(held.dtype.newbyteorder("<"))
    assert set_digest("de-by", by_kind(turned)).hex() == VECTORS["set_digests"][2]["set_digest"]
    assert canonical(turned).dtype == RECORD


def test_days_come_before_keys() -> None:
    held = canonical(records(VECTORS["set_digests"][2]["records"]))
    days = key_days(held).tolist()
    assert days == sorted(days) and len(set(days)) > 1
