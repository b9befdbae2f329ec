"""Keys as columns give the bytes that the protobuf library gives."""

import base64
import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.gaen.material import VECTORS, Row, rows, vector_records
from tocsin.formats.gaen.key_fields import ALWAYS, ONSET, encode_keys, present_fields
from tocsin.formats.gaen.schema import HEADER, TemporaryExposureKeyExport
from tocsin.formats.gaen.writer import ExportHeader, encode_head
from tocsin.model.errors import Invalid
from tocsin.model.keys import RECORD
from tocsin.model.policy import SignatureInfo

FIELDS = (
    ("key_data", "key_data"),
    ("transmission_risk_level", "transmission_risk_level"),
    ("rolling_start_interval_number", "rolling_start_interval_number"),
    ("rolling_period", "rolling_period"),
    ("report_type", "report_type"),
    ("days_since_onset_of_symptoms", "days_since_onset"),
)

any_rows = st.tuples(
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**31 - 1),
    st.integers(0, 255),
    st.integers(0, 5),
    st.integers(-127, 127),
    st.integers(0, 255),
)


def by_library(field: str, records: np.ndarray[Any, Any], present: list[int]) -> bytes:
    """The same keys, written by the protobuf library one by one."""
    message = TemporaryExposureKeyExport()
    for record, bits in zip(records, present, strict=True):
        key = getattr(message, field).add()
        for bit, (name, column) in enumerate(FIELDS):
            if bits >> bit & 1:
                value = record[column]
                setattr(key, name, bytes(value) if name == "key_data" else int(value))
    encoded: bytes = message.SerializeToString()
    return encoded


@given(st.lists(st.tuples(rows | any_rows, st.integers(0, 63)), max_size=12))
def test_every_combination_of_fields_is_what_the_library_writes(drawn: list[tuple[Row, int]]) -> None:
    records, present = np.array([row for row, _ in drawn], RECORD), [bits for _, bits in drawn]
    for number, field in ((7, "keys"), (8, "revised_keys")):
        assert encode_keys(number, records, np.array(present, np.uint8)) == by_library(field, records, present)


@pytest.mark.parametrize("bits", range(64))
def test_each_of_the_64_combinations_of_fields(bits: int) -> None:
    """At the edges of what a varint of each length holds, and at every default."""
    edges = [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455, 268_435_456, 2**31 - 1]
    drawn = [
        (bytes(range(at, at + 16)), start, min(start, 255), at % 6, min(start, 127) * (-1) ** at, min(start, 255))
        for at, start in enumerate(edges)
    ]
    records, present = np.array(drawn, RECORD), [bits] * len(drawn)
    for number, field in ((7, "keys"), (8, "revised_keys")):
        assert encode_keys(number, records, np.array(present, np.uint8)) == by_library(field, records, present)


def test_more_keys_than_are_encoded_at_a_time() -> None:
    records = np.zeros(20_000, RECORD)
    records["key_data"] = np.arange(40_000, dtype=">u8").view("V16")
    records["rolling_start_interval_number"] = np.arange(20_000)
    records["days_since_onset"] = np.arange(20_000) % 256 - 128
    present = present_fields(records)
    assert encode_keys(7, records, present) == by_library("keys", records, present.tolist())


def test_no_keys_are_no_bytes() -> None:
    empty = np.zeros(0, RECORD)
    assert encode_keys(7, empty, present_fields(empty)) == b""


def test_a_start_beyond_31_bits_is_refused() -> None:
    records = np.zeros(1, RECORD)
    records["rolling_start_interval_number"] = 2**31
    with pytest.raises(Invalid, match="start"):
        encode_keys(7, records, present_fields(records))


def test_reference_encoding_of_the_reference_server() -> None:
    """Its keys are of 3 bytes and one lacks its period, so it is put together below `encode_export`."""
    vector = VECTORS["reference_encoding"]
    infos = tuple(SignatureInfo(*info) for info in vector["signature_infos"])
    head = encode_head(ExportHeader(vector["start_timestamp"], vector["end_timestamp"], vector["region"], infos))
    encoded = HEADER + head
    for number, field in ((7, "keys"), (8, "revised_keys")):
        bits = [
            sum((value is not None) << bit for bit, value in enumerate(key[name] for name, _ in FIELDS))
            for key in vector[field]
        ]
        encoded += encode_keys(number, vector_records(vector[field], key_bytes=3), np.array(bits, np.uint8))
    assert encoded.hex() == vector["export_bin"]
    assert hashlib.sha256(encoded).digest() == base64.b64decode(vector["export_bin_sha256_base64"])


def test_our_own_keys_leave_out_nothing_but_an_absent_onset() -> None:
    records = np.zeros(2, RECORD)
    records["days_since_onset"] = [0, -128]
    assert present_fields(records).tolist() == [ALWAYS | ONSET, ALWAYS]
