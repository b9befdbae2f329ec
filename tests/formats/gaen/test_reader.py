"""Exports of others are read with the figures that an independent reader found; what is unsound is refused."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.gaen.material import VECTORS, manifest
from tocsin.formats.gaen.key_fields import encode_keys
from tocsin.formats.gaen.reader import (
    MAX_EXPORT_BYTES,
    Export,
    NamedKey,
    decode_export,
    decode_signature_list,
    read_zip,
)
from tocsin.formats.gaen.refusals import ExportInvalid
from tocsin.formats.gaen.schema import HEADER, TEKSignatureList, TemporaryExposureKeyExport
from tocsin.model.errors import Invalid
from tocsin.model.keys import NO_ONSET
from tocsin.model.policy import SignatureInfo


def read(path: Path) -> tuple[bytes, Export]:
    export_bin, export_sig = read_zip(path.read_bytes())
    decode_signature_list(export_sig)
    return export_bin, decode_export(export_bin)


@pytest.mark.parametrize("vector", VECTORS["refused_exports"], ids=lambda vector: vector["name"])
def test_case_8_refused_for_its_own_reason(vector: dict[str, str]) -> None:
    with pytest.raises(ExportInvalid) as refusal:
        decode_export(bytes.fromhex(vector["export_bin"]))
    assert refusal.value.reason == vector["refusal"]


@pytest.mark.parametrize("vector", VECTORS["exports"], ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    export = decode_export(bytes.fromhex(vector["export_bin"]))
    assert (export.batch_num, export.batch_size) == (vector["batch_num"], vector["batch_size"])
    assert [
        [info.key.verification_key_id, info.key.verification_key_version] for info in export.signature_infos
    ] == vector["signature_infos"]
    for records, keys in ((export.keys, vector["keys"]), (export.revised_keys, vector["revised_keys"])):
        assert [bytes(key).hex() for key in records["key_data"]] == [key["key_data"] for key in keys]
        assert records["rolling_period"].tolist() == [key["rolling_period"] for key in keys]
        assert records["days_since_onset"].tolist() == [
            NO_ONSET if key["days_since_onset_of_symptoms"] is None else key["days_since_onset_of_symptoms"]
            for key in keys
        ]


def test_case_7_a_signed_file_that_is_no_export(shared: Path) -> None:
    export_bin, _ = read_zip((shared / "data/gaen/cwa-ios-config-signed-not-an-export.zip").read_bytes())
    with pytest.raises(Invalid, match="does not begin with the header"):
        decode_export(export_bin)


def test_case_8_a_real_key_of_53_bytes(shared: Path) -> None:
    export_bin, _ = read_zip((shared / "data/gaen/nl-header-test-53-byte-key.zip").read_bytes())
    with pytest.raises(Invalid, match="not 16 bytes"):
        decode_export(export_bin)


def test_wrong_member_names(shared: Path) -> None:
    with pytest.raises(Invalid, match="name that no export has"):
        read_zip((shared / "data/gaen/immuni-android-wrong-filename.zip").read_bytes())


def test_hours_unite_to_the_day(shared: Path) -> None:
    folder = shared / "data/cwa-tree/2020-05-12"
    _, day = read(folder / "day.zip")
    hours = [read(folder / f"hour-{hour:02}.zip")[1] for hour in range(24)]
    united = np.concatenate([hour.keys for hour in hours], dtype=day.keys.dtype)
    assert len(united) == len(day.keys) == 23_901
    assert {record.tobytes() for record in united} == {record.tobytes() for record in day.keys}
    windows = [(hour.start_timestamp, hour.end_timestamp) for hour in hours]
    assert all(before[1] == after[0] for before, after in pairwise(windows))
    assert (windows[0][0], windows[-1][1]) == (day.start_timestamp, day.end_timestamp)


def test_what_was_read_encodes_to_the_same_bytes(shared: Path) -> None:
    """Every sound file of the manifest: keys are its last fields, and each is written as its own server wrote it."""
    count = 0
    for name in manifest(shared):
        path = shared / "data" / name
        if not name.startswith(("gaen/", "cwa-tree/")) or path.suffix not in (".zip", ".bin"):
            continue
        try:
            export_bin = path.read_bytes() if path.suffix == ".bin" else read_zip(path.read_bytes())[0]
            export = decode_export(export_bin)
        except Invalid:
            continue
        keys = encode_keys(7, export.keys, export.keys_present)
        assert export_bin.endswith(keys + encode_keys(8, export.revised_keys, export.revised_present)), name
        count += 1
    assert count == 34


def test_defaults_where_a_field_is_not_on_the_wire() -> None:
    key = bytes.fromhex("0a10" + "07" * 16 + "18c0d7a101")
    export = decode_export(HEADER + b"\x3a" + bytes([len(key)]) + key)
    (record,) = export.keys
    assert record.tolist() == (b"\x07" * 16, 2_649_024, 144, 0, NO_ONSET, 0)
    assert export.keys_present.tolist() == [0b101]
    assert (export.region, export.batch_num, export.batch_size, export.signature_infos) == ("", 1, 1, ())


@pytest.mark.parametrize(
    ("zigzag", "onset"), [("00", 0), ("01", -1), ("fe01", 127), ("fd01", -127), ("ff01", NO_ONSET), ("8002", NO_ONSET)]
)
def test_onsets_that_fit_are_kept(zigzag: str, onset: int) -> None:
    key = bytes.fromhex("0a10" + "07" * 16 + "18c0d7a101" + "30" + zigzag)
    (record,) = decode_export(HEADER + b"\x3a" + bytes([len(key)]) + key).keys
    assert record["days_since_onset"] == onset


def test_unknown_fields_are_passed_over() -> None:
    sound = bytes.fromhex(VECTORS["exports"][1]["export_bin"])
    export = decode_export(sound + bytes.fromhex("a80601" + "b2060361626b" + "bd0600000000" + "c1060000000000000000"))
    assert len(export.keys) == 1


@pytest.mark.parametrize("flood", [b"\x3a\x00", b"\x42\x00", b"\x32\x00"], ids=["keys", "revised keys", "infos"])
def test_a_flood_of_empty_messages_is_refused_before_it_is_unfolded(
    flood: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TemporaryExposureKeyExport, "FromString", None)  # each message there costs 50 times its bytes
    with pytest.raises(Invalid):
        decode_export(HEADER + flood * 1000)


def test_too_large_a_file_is_not_looked_into() -> None:
    with pytest.raises(Invalid, match="larger than it may be"):
        decode_export(HEADER + bytes(MAX_EXPORT_BYTES))


@given(st.binary(max_size=200))
def test_any_bytes_after_the_header_give_an_export_or_invalid(data: bytes) -> None:
    try:
        export = decode_export(HEADER + data)
    except Invalid:
        return
    assert len(export.keys) + len(export.revised_keys) <= len(data)


@given(st.data())
def test_a_changed_byte_gives_an_export_or_invalid(data: st.DataObject) -> None:
    vector = data.draw(st.sampled_from([vector["export_bin"] for vector in VECTORS["exports"]]))
    changed = bytearray.fromhex(vector)
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        export = decode_export(bytes(changed))
    except Invalid:
        return
    for records in (export.keys, export.revised_keys):
        assert (records["rolling_period"] >= 1).all()
        assert (records["rolling_period"] <= 144).all()
        assert (records["rolling_start_interval_number"] >= 1).all()


@given(st.binary(max_size=100))
def test_any_bytes_give_signatures_or_invalid(data: bytes) -> None:
    try:
        entries = decode_signature_list(data)
    except Invalid:
        return
    assert 1 <= len(entries) <= 10


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"", "1 to 10 signatures"),
        (b"\x0a\x00" * 11, "1 to 10 signatures"),
        (b"\x0a\x05", "no list of signatures"),
        (b"\x0a\x05\x0a\x03\x22\x01\xff", "not printable UTF-8"),
        (bytes(1 << 16) + b"\0", "larger than it may be"),
    ],
)
def test_refused_signature_lists(data: bytes, refusal: str) -> None:
    with pytest.raises(Invalid, match=refusal):
        decode_signature_list(data)


def test_names_are_what_stands_in_the_file_and_nothing_where_nothing_stands() -> None:
    entries = TEKSignatureList()
    named = entries.signatures.add(signature=b"s").signature_info
    named.verification_key_id, named.verification_key_version = "310", "v1"
    named.app_bundle_id, named.android_package = "org.example.app", "org.example.android"
    entries.signatures.add(signature=b"t")
    full, bare = decode_signature_list(entries.SerializeToString())
    assert full.info == NamedKey(SignatureInfo("310", "v1"), None, "org.example.app", "org.example.android")
    assert bare.info == NamedKey(SignatureInfo("", ""))


def test_ten_signatures_and_64_kib_are_read() -> None:
    ten = TEKSignatureList()
    for number in range(10):
        ten.signatures.add(signature=bytes([number]))
    data = ten.SerializeToString()
    room = (1 << 16) - len(data) - 4
    filled = (
        data + bytes([0x7A, room & 0x7F | 0x80, room >> 7 & 0x7F | 0x80, room >> 14]) + bytes(room)
    )  # a field that nobody knows
    assert len(filled) == 1 << 16
    assert [entry.signature for entry in decode_signature_list(filled)] == [bytes([number]) for number in range(10)]


@pytest.mark.parametrize("batch", [{"batch_num": 1}, {"batch_size": 1}, {"batch_num": 2, "batch_size": 1}])
def test_half_a_batch_is_none(batch: dict[str, int]) -> None:
    with pytest.raises(ExportInvalid) as refusal:
        decode_export(HEADER + TemporaryExposureKeyExport(**batch).SerializeToString())
    assert refusal.value.reason == "batch"


A_KEY = bytes.fromhex("0a10" + "07" * 16 + "18c0d7a101")
KEY, REVISED_KEY = (bytes([field << 3 | 2, len(A_KEY)]) + A_KEY for field in (7, 8))
INFO, OTHER = b"\x32\0", b"\x78\0"
FLOODS = {
    "ten infos": (INFO * 10, None),
    "eleven infos": (INFO * 11, "info_count"),
    "three keys": (KEY * 2 + REVISED_KEY, None),
    "four keys": (KEY * 4, "key_count"),
    "four revised keys": (REVISED_KEY * 4, "key_count"),
    "four of both": (KEY * 2 + REVISED_KEY * 2, "key_count"),
    "five others": (OTHER * 5, None),
    "six others": (OTHER * 6, "field_count"),
    "as many of each": (INFO * 10 + KEY * 3 + OTHER * 5, None),
}


@pytest.mark.parametrize("name", FLOODS)
def test_each_flood_has_its_own_limit_and_reaches_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With small limits: the true ones would take a second each."""
    monkeypatch.setattr("tocsin.formats.gaen.reader.MAX_KEYS", 3)
    monkeypatch.setattr("tocsin.formats.gaen.reader.MAX_OTHER_FIELDS", 5)
    data, reason = FLOODS[name]
    try:
        decode_export(HEADER + data)
    except ExportInvalid as refusal:
        assert refusal.reason == reason
    else:
        assert reason is None


@pytest.mark.parametrize(("length", "good"), [(256, True), (257, False)])
def test_a_text_has_256_characters_at_most(length: int, good: bool) -> None:
    data = HEADER + TemporaryExposureKeyExport(region="ü" * length).SerializeToString()
    if good:
        assert decode_export(data).region == "ü" * length
        return
    with pytest.raises(ExportInvalid) as refusal:
        decode_export(data)
    assert refusal.value.reason == "text_length"


def test_a_window_ends_in_the_year_9999_at_the_latest() -> None:
    last = 253_402_300_799
    window = TemporaryExposureKeyExport(start_timestamp=last, end_timestamp=last)
    assert decode_export(HEADER + window.SerializeToString()).end_timestamp == last
    window.end_timestamp += 1
    with pytest.raises(ExportInvalid):
        decode_export(HEADER + window.SerializeToString())


def test_published_vectors(shared: Path) -> None:
    """Two exports taken apart by others: one of 2 keys, one of 140."""
    for vector in json.loads((shared / "data/gaen/vectors.json").read_text(encoding="utf-8"))["exports"]:
        export_bin, export_sig = read_zip(bytes.fromhex(vector["zip_hex"]))
        assert (export_bin.hex(), export_sig.hex()) == (vector["export_bin_hex"], vector["export_sig_hex"])
        assert [entry.signature.hex() for entry in decode_signature_list(export_sig)] == [vector["signature_der_hex"]]
        keys = decode_export(export_bin).keys
        assert len(keys) == vector["n_keys"]
        for record, key in zip(keys, vector["keys"], strict=True):
            assert bytes(record["key_data"]).hex() == key["key_data"]
            assert record["rolling_start_interval_number"] == key["rolling_start_interval_number"]
            assert record["transmission_risk_level"] == key["transmission_risk_level"]
            assert record["rolling_period"] == (key["rolling_period_on_wire"] or 144)
