"""The summary of a file agrees with what an independent reader found in it."""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.gaen.material import LABELS, VECTORS, Row, manifest, public_keys, rows
from tocsin.formats.gaen.inspect import ExportSummary, inspect
from tocsin.formats.gaen.key_fields import ALWAYS, encode_keys, present_fields
from tocsin.formats.gaen.reader import NamedKey
from tocsin.formats.gaen.schema import HEADER, TEKSignatureList
from tocsin.formats.gaen.signature import parse_public_key
from tocsin.formats.gaen.writer import ExportHeader, encode_head, encode_signature_list, zip_export
from tocsin.model.errors import Invalid
from tocsin.model.keys import NO_ONSET, RECORD
from tocsin.model.policy import SignatureInfo

REFUSED = {
    "gaen/cwa-ios-config-signed-not-an-export.zip",
    "gaen/immuni-android-wrong-filename.zip",
    "gaen/nl-header-test-53-byte-key.zip",
}
ABSENT = {"null": "absent", "None": "absent"}


def counts(found: dict[str, int]) -> dict[str, int]:
    """The manifest's counts, in the summary's words."""
    return {ABSENT.get(value, value): count for value, count in found.items()}


def info(found: dict[str, str]) -> NamedKey:
    key = SignatureInfo(found.get("key_id", ""), found.get("key_version", ""))
    return NamedKey(key, found.get("algorithm"), found.get("app_bundle_id"), found.get("android_package"))


def check_keys(summary: ExportSummary, found: dict[str, Any]) -> None:
    keys = summary.keys
    assert (keys.count, summary.revised_keys.count) == (found["keys"], found["revised"])
    if not keys.count:
        return
    assert (keys.distinct, keys.sorted_by_key) == (found["distinct"], found["sorted"])
    assert keys.first_start_interval == found["startmin"]
    assert keys.last_start_interval == found["startmax"]
    assert keys.starts_at_utc_midnight == found["aligned144"]
    assert len(keys.rolling_periods) == found["nperiods"]
    assert counts(found["periods"]).items() <= keys.rolling_periods.items()
    assert keys.transmission_risk_levels == counts(found["risk"])
    assert keys.report_types == counts(found["type"])
    assert keys.days_since_onset == counts(found["dsos"])


def check_signatures(summary: ExportSummary, found: dict[str, Any]) -> None:
    assert list(summary.signature_infos) == [info(named) for named in found["sig_infos"]]
    assert len(summary.signatures) == len(found.get("sigs", ()))
    for signature, entry in zip(summary.signatures, found.get("sigs", ()), strict=True):
        assert signature.named_key == info(entry["info"])
        assert (signature.batch_num, signature.batch_size) == (entry["num"], entry["size"])
        assert signature.bytes == entry["sig"]
        assert signature.form == ("raw" if entry["sig"] == 64 else "DER")
        assert list(signature.verified_by) == [LABELS[label] for label in found["verified_with"]]


def test_every_real_file_has_the_figures_of_the_manifest(shared: Path) -> None:
    held = public_keys(shared)
    read = 0
    for name, entry in manifest(shared).items():
        found = entry.get("found")
        if found is None or name in REFUSED or not name.startswith(("gaen/", "cwa-tree/")):
            continue
        summary = inspect((shared / "data" / name).read_bytes(), held)
        assert (summary.region, summary.batch_num, summary.batch_size) == (found["region"], found["num"], found["size"])
        assert (summary.start_timestamp, summary.end_timestamp) == (found["start"], found["end"])
        check_keys(summary, found)
        check_signatures(summary, found)
        read += 1
    assert read == 34


def test_what_must_be_refused_is_refused(shared: Path) -> None:
    for name in REFUSED:
        with pytest.raises(Invalid):
            inspect((shared / "data" / name).read_bytes(), {})


def test_surprises_are_remarked_on(shared: Path) -> None:
    folder = shared / "data" / "gaen"
    remarks = {
        name: " / ".join(inspect((folder / name).read_bytes(), {}).remarks)
        for name in (
            "cwa-android-keys-2020-05-31.zip",
            "google-android-sample-110-keys.zip",
            "immuni-android-empty.zip",
            "nl-android-no-content-sig.zip",
            "nl-eks-150-keys.zip",
        )
    }
    assert remarks["nl-eks-150-keys.zip"] == ""
    assert "not sorted" in remarks["cwa-android-keys-2020-05-31.zip"]
    assert "name different keys" in remarks["google-android-sample-110-keys.zip"]
    assert "phones take no other" in remarks["immuni-android-empty.zip"]
    assert "not in DER" in remarks["immuni-android-empty.zip"]
    assert "more than once" in remarks["nl-android-no-content-sig.zip"]
    assert "different batch numbers" in remarks["nl-android-no-content-sig.zip"]


def test_revised_keys_by_their_names() -> None:
    vector = next(vector for vector in VECTORS["exports"] if vector["revised_keys"])
    summary = inspect(bytes.fromhex(vector["export_bin"]), {})
    assert summary.container == "export.bin"
    assert summary.revised_keys.report_types == {"CONFIRMED_TEST": 1, "REVOKED": 1}
    assert summary.revised_keys.days_since_onset == {"0": 1, "absent": 1}
    assert summary.keys.days_since_onset == {"-14": 1, "14": 1, "absent": 1}
    assert summary.signatures == ()


def test_a_summary_is_json() -> None:
    summary = inspect(bytes.fromhex(VECTORS["exports"][2]["export_bin"]), {})
    assert msgspec.json.decode(msgspec.json.encode(summary), type=ExportSummary) == summary


def test_what_is_neither_zip_nor_export() -> None:
    with pytest.raises(Invalid, match="neither"):
        inspect(b"hello", {})


@pytest.mark.parametrize("vector", VECTORS["real_files"], ids=lambda vector: vector["key_id"])
def test_real_files_carried_over(vector: dict[str, Any]) -> None:
    """Google's own two samples. The second one's signature says another algorithm, and it is known by its key only."""
    public_key = parse_public_key(
        f"-----BEGIN PUBLIC KEY-----\n{vector['public_key']}\n-----END PUBLIC KEY-----\n".encode()
    )
    summary = inspect(base64.b64decode(vector["zip"]), {"another": OTHER.public_key(), "theirs": public_key})
    (signature,) = summary.signatures
    assert summary.container == "zip"
    assert (signature.form, signature.verified_by) == ("DER", ("theirs",))
    assert signature.named_key.key == SignatureInfo(vector["key_id"], vector["key_version"])
    assert signature.named_key == summary.signature_infos[0]


# --- files made here -------------------------------------------------------------------------------------------------

OURS, OTHER = (ec.derive_private_key(scalar, ec.SECP256R1()) for scalar in (7, 8))
INFO = SignatureInfo("310", "v1")
EXPORT_HEADER = ExportHeader(1_588_291_200, 1_588_305_600, "xx", (INFO,), 2, 3)
KEY: Row = (b"k" * 16, 2_649_024, 144, 1, 0, 0)
LATER: Row = (b"l" * 16, 2_649_168, 144, 1, NO_ONSET, 0)


def export_of(keys: Sequence[Row], revised_keys: Sequence[Row] = ()) -> bytes:
    """An export whose keys stand as they are given: the writer would sort them."""
    parts = [HEADER, encode_head(EXPORT_HEADER)]
    for field, table in ((7, keys), (8, revised_keys)):
        records = np.array(list(table), RECORD)
        parts.append(encode_keys(field, records, present_fields(records)))
    return b"".join(parts)


def der(export_bin: bytes) -> bytes:
    return OURS.sign(export_bin, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def raw(export_bin: bytes) -> bytes:
    """r and s, 32 bytes each, as some libraries sign."""
    return b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(der(export_bin)))


def inspect_signed(
    signature: bytes, info: SignatureInfo = INFO, batch: tuple[int, int] = (2, 3), keys: Sequence[Row] = (KEY,)
) -> ExportSummary:
    export_sig = encode_signature_list([info], [signature], *batch)
    held = {"another": OTHER.public_key(), "ours": OURS.public_key()}
    return inspect(zip_export(export_of(keys), export_sig), held)


def test_a_sound_file_of_ours() -> None:
    export_bin = export_of([KEY])
    summary = inspect_signed(der(export_bin))
    assert (summary.export_bin_bytes, summary.export_bin_sha256) == (
        len(export_bin),
        hashlib.sha256(export_bin).hexdigest(),
    )
    assert (summary.region, summary.batch_num, summary.batch_size) == ("xx", 2, 3)
    assert (summary.start_timestamp, summary.end_timestamp) == (1_588_291_200, 1_588_305_600)
    (signature,) = summary.signatures
    assert (signature.batch_num, signature.batch_size) == (2, 3)
    assert (signature.form, signature.bytes) == ("DER", len(der(export_bin)))
    assert signature.verified_by == ("ours",)
    assert signature.named_key == summary.signature_infos[0] == NamedKey(INFO, "1.2.840.10045.4.3.2")
    assert summary.remarks == ()


def test_a_raw_signature_is_tried_all_the_same() -> None:
    summary = inspect_signed(raw(export_of([KEY])))
    (signature,) = summary.signatures
    assert (signature.form, signature.bytes, signature.verified_by) == ("raw", 64, ("ours",))
    assert summary.remarks == ("a signature is not in DER: phones refuse it",)


def test_what_is_no_signature_is_shown_as_unknown() -> None:
    (signature,) = inspect_signed(raw(export_of([KEY]))[:-1]).signatures
    assert (signature.form, signature.bytes, signature.verified_by) == ("unknown", 63, ())


@pytest.mark.parametrize("batch", [(1, 3), (2, 2)])
def test_batch_numbers_that_differ(batch: tuple[int, int]) -> None:
    summary = inspect_signed(der(export_of([KEY])), batch=batch)
    assert summary.remarks == ("export.bin and export.sig have different batch numbers",)


def test_keys_that_differ() -> None:
    summary = inspect_signed(der(export_of([KEY])), info=SignatureInfo("310", "v2"))
    assert summary.remarks == ("export.bin and export.sig name different keys",)


def test_another_algorithm_in_the_signature_only() -> None:
    export_bin = export_of([KEY])
    entries = TEKSignatureList.FromString(encode_signature_list([INFO], [der(export_bin)], 2, 3))
    entries.signatures[0].signature_info.signature_algorithm = "ECDSA"
    summary = inspect(zip_export(export_bin, entries.SerializeToString()), {})
    assert "phones take no other" in summary.remarks[0]


UNSORTED = "keys are not sorted, so their order may tell who reported together"
TWICE = "a key occurs more than once"


@pytest.mark.parametrize(
    ("keys", "revised_keys", "remarks"),
    [
        ([KEY, LATER], [KEY, LATER], ()),
        ([LATER, KEY], [], (UNSORTED,)),
        ([], [LATER, KEY], (UNSORTED,)),
        ([KEY, KEY], [], (TWICE,)),
        ([], [KEY, KEY], (TWICE,)),
        ([KEY, LATER, KEY], [KEY], (UNSORTED, TWICE)),
    ],
)
def test_keys_out_of_order_or_twice(keys: list[Row], revised_keys: list[Row], remarks: tuple[str, ...]) -> None:
    """A bare export.bin has no signatures, and nothing is said of them."""
    assert inspect(export_of(keys, revised_keys), {}).remarks == remarks


def counted(values: Sequence[int | str]) -> dict[str, int]:
    return {str(value): count for value, count in Counter(values).items()}


@given(st.lists(rows | st.sampled_from([KEY, LATER]), min_size=1, max_size=12))
def test_figures_are_those_counted_one_by_one(keys: list[Row]) -> None:
    data, starts, periods, types, onsets, risks = zip(*keys, strict=True)
    summary = inspect(export_of(keys), {}).keys
    names = {1: "CONFIRMED_TEST", 2: "CONFIRMED_CLINICAL_DIAGNOSIS", 3: "SELF_REPORT", 5: "REVOKED"}
    assert (summary.count, summary.distinct) == (len(keys), len(set(data)))
    assert summary.sorted_by_key == (list(data) == sorted(data))
    assert (summary.first_start_interval, summary.last_start_interval) == (min(starts), max(starts))
    assert summary.starts_at_utc_midnight == sum(start % 144 == 0 for start in starts)
    assert summary.rolling_periods == counted(periods)
    assert summary.transmission_risk_levels == counted(risks)
    assert summary.report_types == counted([names[number] for number in types])
    assert summary.days_since_onset == counted(["absent" if onset == NO_ONSET else onset for onset in onsets])


@pytest.mark.parametrize(
    ("field", "column"), [(2, "transmission_risk_levels"), (4, "rolling_periods"), (5, "report_types")]
)
def test_a_field_that_is_not_on_the_wire_is_counted_as_absent(field: int, column: str) -> None:
    """Its default would look like a value that was sent."""
    records = np.array([KEY, LATER], RECORD)
    present = np.array([ALWAYS, ALWAYS & ~(1 << field - 1)], np.uint8)
    summary = inspect(HEADER + encode_head(EXPORT_HEADER) + encode_keys(7, records, present), {}).keys
    found = {name: getattr(summary, name) for name in ("transmission_risk_levels", "rolling_periods", "report_types")}
    assert {name for name, table in found.items() if "absent" in table} == {column}
    assert found[column]["absent"] == 1


def test_no_keys_have_no_first_and_no_last() -> None:
    summary = inspect(export_of([]), {}).keys
    assert (summary.count, summary.first_start_interval, summary.last_start_interval) == (0, None, None)
    assert summary.sorted_by_key
