"""Applying a delta: the set at any version of its window becomes the set at its end (``docs/formats/keyset.md``)."""

import numpy as np

from tocsin.formats.keyset import KeysetDelta
from tocsin.formats.set_digest import canonical
from tocsin.model.keys import RECORD, Records, key_days, key_halves, key_order, rows_of


def apply_delta(records: Records, delta: KeysetDelta) -> Records:
    """The set at `delta.to_version`, canonical, from `records`: the set at any version in the delta's window.

    Days before `first_day` drop out, removals go, additions come or replace. Sorts: O(n log n).

    >>> from tocsin.formats.keyset import REMOVAL
    >>> delta = KeysetDelta("de", 1, 2, 900, 0, bytes(32), np.zeros(1, RECORD), np.empty(0, REMOVAL))
    >>> len(apply_delta(np.empty(0, RECORD), delta))
    1
    """
    removed = np.zeros(len(delta.removals), RECORD)
    removed["key_data"] = delta.removals["key_data"]
    live = rows_of(records, key_days(records) >= delta.first_day)
    named = np.concatenate([removed, delta.additions, live], dtype=RECORD)
    # One stable sort decides: of equal keys the first stands. A removal beats all, an addition the old record.
    order = key_order(named)
    halves = key_halves(named)[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (halves[1:] != halves[:-1]).any(axis=1)
    standing = order[first]
    return canonical(rows_of(named, standing[standing >= len(removed)]))
