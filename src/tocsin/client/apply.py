"""Applying a delta: the set at any version of its window becomes the set at its end (``docs/formats/keyset.md``)."""

import numpy as np

from tocsin.formats.keyset import KeysetDelta, Removals
from tocsin.formats.set_digest import canonical
from tocsin.model.keys import KeysByKind, Records, key_days, key_order, key_words, rows_of


def apply_delta(keys: KeysByKind, delta: KeysetDelta) -> KeysByKind:
    """The set at `delta.to_version`, canonical, from `keys`: the set at any version in the delta's window.

    Days before `first_day` drop out, removals go, additions come or replace. Sorts: O(n log n).

    >>> from tocsin.formats.keyset import removals_by_kind
    >>> from tocsin.model.keys import RECORD, KeyKind, by_kind
    >>> delta = KeysetDelta("de", 1, 2, 900, 0, bytes(32), by_kind(np.zeros(1, RECORD)), removals_by_kind())
    >>> len(apply_delta(by_kind(), delta)[KeyKind.GAEN])
    1
    """
    return {
        kind: _applied(records, delta.additions[kind], delta.removals[kind], delta.first_day)
        for kind, records in keys.items()
    }


def _applied(records: Records, additions: Records, removals: Removals, first_day: int) -> Records:
    """What becomes of the keys of one kind."""
    removed = np.zeros(len(removals), records.dtype)
    removed["key_data"] = removals["key_data"]
    live = rows_of(records, key_days(records) >= first_day)
    named = np.concatenate([removed, additions, live], dtype=records.dtype)
    # One stable sort decides: of equal keys the first stands. A removal beats all, an addition the old record.
    order = key_order(named)
    words = key_words(named)[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (words[1:] != words[:-1]).any(axis=1)
    standing = order[first]
    return canonical(rows_of(named, standing[standing >= len(removed)]))
