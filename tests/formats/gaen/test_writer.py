"""Exports as we write them: read by the protobuf library, split without loss, the same bytes each time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.gaen.material import VECTORS, tables, vector_records
from tocsin.formats.gaen.reader import decode_export, decode_signature_list, read_zip
from tocsin.formats.gaen.schema import TEKSignatureList, TemporaryExposureKeyExport
from tocsin.formats.gaen.writer import (
    ExportHeader,
    encode_export,
    encode_signature_list,
    export_parts,
    revisions,
    zip_export,
)
from tocsin.model.keys import RECORD, Records, ReportType
from tocsin.model.policy import SignatureInfo

OID = "1.2.840.10045.4.3.2"
HEADER = ExportHeader(1_588_291_200, 1_588_305_600, "xx", (SignatureInfo("310", "v2"), SignatureInfo("310", "v1")))


def as_bytes(records: Records) -> list[bytes]:
    return [record.tobytes() for record in records]


@pytest.mark.parametrize("vector", VECTORS["exports"], ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    header = ExportHeader(
        vector["start_timestamp"],
        vector["end_timestamp"],
        vector["region"],
        tuple(SignatureInfo(*info) for info in vector["signature_infos"]),
        vector["batch_num"],
        vector["batch_size"],
    )
    keys, revised_keys = (vector_records(vector[field]) for field in ("keys", "revised_keys"))
    assert encode_export(header, keys[::-1], revised_keys[::-1]).hex() == vector["export_bin"]


@given(tables, tables)
def test_the_library_writes_the_same_bytes_and_we_read_the_same_keys(keys: Records, revised_keys: Records) -> None:
    encoded = encode_export(HEADER, keys, revised_keys)
    message = TemporaryExposureKeyExport.FromString(encoded[16:])
    assert message.SerializeToString(deterministic=True) == encoded[16:]
    export = decode_export(encoded)
    assert sorted(as_bytes(export.keys)) == sorted(as_bytes(keys))
    assert sorted(as_bytes(export.revised_keys)) == sorted(as_bytes(revised_keys))
    for column in (export.keys, export.revised_keys):
        data = [bytes(key) for key in column["key_data"]]
        assert data == sorted(data)


def test_case_1_bin_and_sig_name_the_object_identifier() -> None:
    infos = HEADER.signature_infos
    export = TemporaryExposureKeyExport.FromString(encode_export(HEADER, np.zeros(0, RECORD), np.zeros(0, RECORD))[16:])
    signatures = TEKSignatureList.FromString(encode_signature_list(infos, [b"a", b"b"], 2, 3)).signatures
    found = [*export.signature_infos, *(entry.signature_info for entry in signatures)]
    assert [info.signature_algorithm for info in found] == [OID] * 4
    assert [info.verification_key_version for info in found] == ["v2", "v1"] * 2


def test_case_4_no_keys_at_all_is_a_valid_file() -> None:
    empty = np.zeros(0, RECORD)
    (part,) = export_parts(HEADER, empty, empty, 500)
    export = decode_export(encode_export(part.header, part.keys, part.revised_keys))
    assert (len(export.keys), len(export.revised_keys), export.batch_num, export.batch_size) == (0, 0, 1, 1)


@given(tables, tables, st.integers(0, 9))
def test_split_and_never_dropped(keys: Records, revised_keys: Records, records_per_part: int) -> None:
    parts = export_parts(HEADER, keys, revised_keys, records_per_part)
    assert [part.header.batch_num for part in parts] == list(range(1, len(parts) + 1))
    assert {part.header.batch_size for part in parts} == {len(parts)}
    sizes = [len(part.keys) + len(part.revised_keys) for part in parts]
    assert sum(sizes) == len(keys) + len(revised_keys)
    if records_per_part:
        assert max(sizes) <= records_per_part
        assert all(size == records_per_part for size in sizes[:-1])
    else:
        assert len(parts) == 1
    for whole, pieces in (
        (keys, [part.keys for part in parts]),
        (revised_keys, [part.revised_keys for part in parts]),
    ):
        joined = np.concatenate(pieces, dtype=RECORD)
        assert sorted(as_bytes(joined)) == sorted(as_bytes(whole))
        data = [bytes(key) for key in joined["key_data"]]
        assert data == sorted(data)


@given(tables, tables)
def test_removals_are_revoked_as_they_were_published(changed: Records, removed: Records) -> None:
    before = removed.tobytes()
    revised = revisions(changed, removed)
    assert revised[: len(changed)].tobytes() == changed.tobytes()
    revoked = revised[len(changed) :]
    assert (revoked["report_type"] == ReportType.REVOKED).all()
    for name in ("key_data", "rolling_start_interval_number", "rolling_period", "days_since_onset"):
        assert revoked[name].tobytes() == removed[name].tobytes()
    assert removed.tobytes() == before


@pytest.mark.parametrize("vector", VECTORS["signature_lists"], ids=lambda vector: vector["name"])
def test_signature_list_vectors(vector: dict[str, Any]) -> None:
    infos = [SignatureInfo(*info) for info in vector["signature_infos"]]
    signatures = [bytes.fromhex(text) for text in vector["signatures"]]
    batch = (vector["batch_num"], vector["batch_size"])
    encoded = encode_signature_list(infos, signatures, *batch)
    assert encoded.hex() == vector["export_sig"]
    entries = decode_signature_list(encoded)
    assert [(entry.info.key, entry.signature) for entry in entries] == list(zip(infos, signatures, strict=True))
    assert {(entry.batch_num, entry.batch_size) for entry in entries} == {batch}


def test_every_name_has_its_signature() -> None:
    with pytest.raises(ValueError, match="shorter"):
        encode_signature_list(HEADER.signature_infos, [b"one"], 1, 1)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_zip_gives_back_its_members(export_bin: bytes, export_sig: bytes) -> None:
    zipped = zip_export(export_bin, export_sig)
    assert zipped == zip_export(export_bin, export_sig)
    assert read_zip(zipped) == (export_bin, export_sig)
