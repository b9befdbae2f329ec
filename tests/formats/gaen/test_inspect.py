"""The summary of a file agrees with what an independent reader found in it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.formats.gaen.material import LABELS, VECTORS, manifest, public_keys
from tocsin.formats.gaen.inspect import ExportSummary, inspect
from tocsin.formats.gaen.reader import NamedKey
from tocsin.model.errors import Invalid
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
