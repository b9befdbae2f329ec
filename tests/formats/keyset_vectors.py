"""Records as the vectors write them, as arrays."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tocsin.formats.keyset import REMOVAL, REMOVALS, Removals, RemovalsByKind, removals_by_kind
from tocsin.model.keys import DP3T_RECORD, RECORD, KeyKind, KeysByKind, Records, by_kind

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "keyset.json").read_text(encoding="ascii")
)


def records(rows: Sequence[Sequence[Any]]) -> Records:
    """[key data, start, period, report type, onset, risk] each."""
    return np.array([(bytes.fromhex(row[0]), *row[1:]) for row in rows], RECORD)


def keys_of(rows: Sequence[Sequence[Any]]) -> KeysByKind:
    """Records of both kinds, in their order; the length of a key tells its kind."""
    dp3t = [(bytes.fromhex(row[0]), *row[1:]) for row in rows if len(row[0]) == 64]
    return by_kind(records([row for row in rows if len(row[0]) == 32]), np.array(dp3t, DP3T_RECORD))


def removals(rows: Sequence[Sequence[Any]]) -> Removals:
    """[day, key data] each."""
    return np.array([(day, bytes.fromhex(key)) for day, key in rows], REMOVAL)


def removals_of(rows: Sequence[Sequence[Any]]) -> RemovalsByKind:
    """Removals of both kinds, likewise."""
    dp3t = [(day, bytes.fromhex(key)) for day, key in rows if len(key) == 64]
    gaen = removals([row for row in rows if len(row[1]) == 32])
    return removals_by_kind(gaen, np.array(dp3t, REMOVALS[KeyKind.DP3T]))
