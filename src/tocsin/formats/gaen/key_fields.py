"""Diagnosis keys as columns to protobuf bytes: what the library would write, many thousand keys at a time.

Each key becomes one row of a matrix wide enough for the longest encoding, beside a matrix that says which bytes count;
picking those, row by row, *is* the serialisation.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tocsin.model.errors import Invalid
from tocsin.model.keys import NO_ONSET, Records

Present = NDArray[np.uint8]
"""One number a key: bit f − 1 is set where field f of ``TemporaryExposureKey`` is on the wire."""

ALWAYS: Final = 0b01_1111
"""Fields 1 to 5, which are always written here, also at their defaults."""
ONSET: Final = 0b10_0000
"""Field 6, `days_since_onset_of_symptoms`: left out where there is no onset."""

_ROWS: Final = 1 << 14
"""Keys encoded at a time: keeps the matrices in the processor's cache."""
_LENGTH_DELIMITED: Final = 2
_Column = tuple[NDArray[np.uint8], NDArray[np.bool_]]
"""Bytes of each row, or one row for all, and in which rows they count."""


def present_fields(records: Records) -> Present:
    """The fields that an export of ours writes: 1 to 5, and 6 where there is an onset."""
    return np.where(records["days_since_onset"] == NO_ONSET, ALWAYS, ALWAYS | ONSET).astype(np.uint8)


def encode_keys(field: int, records: NDArray[Any], present: Present) -> bytes:
    """`records` as the repeated message `field` of an export, in their order.

    `records` has the fields of `tocsin.model.keys.RECORD`; its `key_data` may be of another width, below 128 bytes.
    Raises `Invalid` if a start does not fit the format's signed 32 bits.

    >>> from tocsin.model.keys import RECORD
    >>> one = np.array([(bytes(range(16)), 2_649_024, 144, 1, -1, 0)], RECORD)
    >>> encode_keys(7, one, present_fields(one)).hex()
    '3a200a10000102030405060708090a0b0c0d0e0f100018c0d7a10120900128013001'
    """
    if len(records) and int(records["rolling_start_interval_number"].max()) >= 1 << 31:
        raise Invalid("a key's start does not fit the format")
    return b"".join(
        _encode_rows(field, records[i : i + _ROWS], present[i : i + _ROWS]) for i in range(0, len(records), _ROWS)
    )


def _encode_rows(field: int, records: NDArray[Any], present: Present) -> bytes:
    """As `encode_keys`, in one go."""
    rows, key_bytes = len(records), records.dtype["key_data"].itemsize
    data = np.ascontiguousarray(records["key_data"]).view(np.uint8).reshape(rows, key_bytes)
    onset = records["days_since_onset"].astype(np.int64)
    scalars = (
        records["transmission_risk_level"],
        records["rolling_start_interval_number"],
        records["rolling_period"],
        records["report_type"],
        (onset << 1) ^ (onset >> 63),  # zigzag: sint32
    )
    everywhere = np.ones(rows, np.bool_)
    on_wire = [(present >> number & 1).astype(np.bool_) for number in range(1 + len(scalars))]
    key = [(_constant(1 << 3 | _LENGTH_DELIMITED, key_bytes), on_wire[0]), (data, on_wire[0])]
    for number, (values, counts) in enumerate(zip(scalars, on_wire[1:], strict=True), 2):
        key += [(_constant(number << 3), counts), *_varints(values, counts)]
    lengths = np.zeros(rows, np.int64)
    for cells, counts in key:
        lengths += cells.shape[1] * counts
    tag = _constant(field << 3 | _LENGTH_DELIMITED)
    return _picked(rows, [(tag, everywhere), *_varints(lengths, everywhere), *key])


def _picked(rows: int, columns: Sequence[_Column]) -> bytes:
    """The bytes of `columns` that count, row by row."""
    width = sum(cells.shape[1] for cells, _ in columns)
    matrix, mask = np.empty((rows, width), np.uint8), np.empty((rows, width), np.bool_)
    at = 0
    for cells, counts in columns:
        end = at + cells.shape[1]
        matrix[:, at:end], mask[:, at:end] = cells, counts[:, np.newaxis]
        at = end
    return matrix.tobytes() if mask.all() else matrix[mask].tobytes()


def _constant(*data: int) -> NDArray[np.uint8]:
    """The same bytes in every row."""
    return np.array([data], np.uint8)


def _varints(values: NDArray[Any], counts: NDArray[np.bool_]) -> list[_Column]:
    """Non-negative `values` as base-128 varints, in the rows that count: as many columns as the largest needs."""
    rest: NDArray[Any] = values.astype(np.uint32)
    columns = list[_Column]()
    while not columns or rest.any():
        more = rest >> 7
        cells = (rest & 0x7F | (more > 0).astype(np.uint32) << 7).astype(np.uint8)
        columns.append((cells[:, np.newaxis], counts & (rest > 0) if columns else counts))  # zero takes one byte
        rest = more
    return columns
