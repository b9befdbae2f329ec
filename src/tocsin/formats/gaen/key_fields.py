"""Diagnosis keys as columns to protobuf bytes: what the library would write, many thousand keys at a time.

Each key becomes one row of a matrix wide enough for its longest encoding, beside a matrix that says which bytes count;
picking those, row by row, *is* the serialisation.
"""

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
_Matrix = NDArray[np.uint8]
_Mask = NDArray[np.bool_]


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
    key_bytes = records.dtype["key_data"].itemsize
    data = np.ascontiguousarray(records["key_data"]).view(np.uint8).reshape(-1, key_bytes)
    lead = _constant(bytes([1 << 3 | _LENGTH_DELIMITED, key_bytes]), len(records))
    onset = records["days_since_onset"].astype(np.int64)
    key = np.concatenate([lead, data], axis=1)
    blocks = [
        (key, _column_mask(present, 1, key.shape[1])),
        _varint_field(2, records["transmission_risk_level"], present),
        _varint_field(3, records["rolling_start_interval_number"], present),
        _varint_field(4, records["rolling_period"], present),
        _varint_field(5, records["report_type"], present),
        _varint_field(6, (onset << 1) ^ (onset >> 63), present),  # zigzag: sint32
    ]
    lengths = np.sum([mask.sum(axis=1) for _, mask in blocks], axis=0)
    tag = _constant(bytes([field << 3 | _LENGTH_DELIMITED]), len(records))
    blocks[:0] = [(tag, np.ones(tag.shape, np.bool_)), _varints(lengths)]
    return _pick(np.concatenate([cells for cells, _ in blocks], axis=1), np.concatenate([m for _, m in blocks], axis=1))


def _pick(cells: _Matrix, mask: _Mask) -> bytes:
    """The bytes of `cells` that count, row by row."""
    anywhere = mask.any(axis=0)
    cells, mask = cells[:, anywhere], mask[:, anywhere]
    return cells.tobytes() if mask.all() else cells[mask].tobytes()


def _constant(data: bytes, rows: int) -> _Matrix:
    """`data` in each of `rows` rows."""
    return np.tile(np.frombuffer(data, np.uint8), (rows, 1))


def _column_mask(present: Present, field: int, width: int) -> _Mask:
    """Whether `field` is on the wire, for each of `width` columns."""
    return np.repeat(((present >> (field - 1)) & 1).astype(np.bool_)[:, np.newaxis], width, axis=1)


def _varint_field(field: int, values: NDArray[Any], present: Present) -> tuple[_Matrix, _Mask]:
    """A scalar field with its tag, where it is present."""
    cells, mask = _varints(values)
    tag = _constant(bytes([field << 3]), len(values))
    on_wire = _column_mask(present, field, 1)
    return np.concatenate([tag, cells], axis=1), np.concatenate([on_wire, mask & on_wire], axis=1)


def _varints(values: NDArray[Any]) -> tuple[_Matrix, _Mask]:
    """Non-negative `values` as base-128 varints: as many columns as the largest needs, and which of them count."""
    width = max(1, -(-int(values.max()).bit_length() // 7))
    rest = values.astype(np.uint32)[:, np.newaxis] >> (7 * np.arange(width, dtype=np.uint32))
    mask = rest != 0
    mask[:, 0] = True  # zero takes one byte
    cells = (rest & 0x7F).astype(np.uint8)
    cells[:, :-1] |= mask[:, 1:].astype(np.uint8) << 7  # more follows
    return cells, mask
