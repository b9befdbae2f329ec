"""Records as the vectors write them, as arrays."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tocsin.formats.keyset import REMOVAL, Removals
from tocsin.model.keys import RECORD, Records

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "keyset.json").read_text(encoding="ascii")
)


def records(rows: Sequence[Sequence[Any]]) -> Records:
    """[key data, start, period, report type, onset, risk] each."""
    return np.array([(bytes.fromhex(row[0]), *row[1:]) for row in rows], RECORD)


def removals(rows: Sequence[Sequence[Any]]) -> Removals:
    """[day, key data] each."""
    return np.array([(day, bytes.fromhex(key)) for day, key in rows], REMOVAL)
