"""Signatures: real ones verify, by us and by programs that nobody here wrote; all else is refused."""

import base64
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests.formats.gaen.material import LABELS, VECTORS, manifest, public_keys
from tocsin.formats.gaen.reader import FileSignature, NamedKey, decode_export, decode_signature_list, read_zip
from tocsin.formats.gaen.signature import is_signed_by, parse_public_key, verify_export
from tocsin.formats.gaen.writer import ExportHeader, encode_export, encode_signature_list, zip_export
from tocsin.model.errors import Invalid
from tocsin.model.keys import RECORD
from tocsin.model.policy import SignatureInfo

OLD, NEW = SignatureInfo("310", "v1"), SignatureInfo("310", "v2")
PRIVATE = {info: ec.derive_private_key(scalar, ec.SECP256R1()) for info, scalar in ((OLD, 7), (NEW, 8))}
PUBLIC = {info: key.public_key() for info, key in PRIVATE.items()}
EMPTY = np.zeros(0, RECORD)


def pem(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded


def signed(*infos: SignatureInfo) -> tuple[bytes, bytes]:
    """An empty export, and its signatures with the keys of `infos`."""
    export_bin = encode_export(ExportHeader(1, 2, "xx", infos), EMPTY, EMPTY)
    signatures = [PRIVATE[info].sign(export_bin, ec.ECDSA(hashes.SHA256())) for info in infos]
    return export_bin, encode_signature_list(infos, signatures, 1, 1)


def test_case_2_real_signatures_over_the_raw_members(shared: Path) -> None:
    keys = public_keys(shared)
    verified = 0
    for name, entry in manifest(shared).items():
        for label in (entry.get("found") or {}).get("verified_with", ()):
            export_bin, export_sig = read_zip((shared / "data" / name).read_bytes())
            (signature,) = (entry.signature for entry in decode_signature_list(export_sig))
            assert is_signed_by(keys[LABELS[label]], export_bin, signature), name
            changed = export_bin[:-1] + bytes([export_bin[-1] ^ 1])
            assert not is_signed_by(keys[LABELS[label]], changed, signature), name
            verified += 1
    assert verified == 29


def test_case_1_a_real_file_that_verifies_and_says_another_algorithm(shared: Path) -> None:
    export_bin, export_sig = read_zip((shared / "data/gaen/google-android-sample-110-keys.zip").read_bytes())
    signatures = decode_signature_list(export_sig)
    with pytest.raises(Invalid, match="algorithm"):
        verify_export(export_bin, signatures, {signatures[0].info.key: public_keys(shared)["google-sample-public"]})


@pytest.mark.parametrize("vector", VECTORS["real_files"], ids=lambda vector: vector["key_id"])
def test_real_files_carried_over(vector: dict[str, Any]) -> None:
    export_bin, export_sig = read_zip(base64.b64decode(vector["zip"]))
    public_key = parse_public_key(
        f"-----BEGIN PUBLIC KEY-----\n{vector['public_key']}\n-----END PUBLIC KEY-----\n".encode()
    )
    held = {SignatureInfo(vector["key_id"], vector["key_version"]): public_key}
    assert verify_export(export_bin, decode_signature_list(export_sig), held) == tuple(held)
    assert decode_export(export_bin).keys["rolling_period"].tolist() == vector["rolling_periods"]


def test_case_2_ours_verify_with_other_programs(tmp_path: Path) -> None:
    export_bin, export_sig = read_zip(zip_export(*signed(OLD)))
    (entry,) = decode_signature_list(export_sig)
    PUBLIC[OLD].verify(entry.signature, export_bin, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        PUBLIC[OLD].verify(entry.signature, export_bin[16:], ec.ECDSA(hashes.SHA256()))
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the program openssl")
    for name, data in (("bin", export_bin), ("sig", entry.signature), ("pem", pem(PUBLIC[OLD]))):
        (tmp_path / name).write_bytes(data)
    command = [openssl, "dgst", "-sha256", "-verify", "pem", "-signature", "sig", "bin"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout == b"Verified OK\n"


def test_case_3_in_an_overlap_either_key_suffices() -> None:
    export_bin, export_sig = signed(NEW, OLD)
    signatures = decode_signature_list(export_sig)
    assert verify_export(export_bin, signatures, {OLD: PUBLIC[OLD]}) == (OLD,)
    assert verify_export(export_bin, signatures, {NEW: PUBLIC[NEW]}) == (NEW,)
    assert verify_export(export_bin, signatures, PUBLIC) == (NEW, OLD)


def test_case_3_a_reader_says_which_key_it_missed() -> None:
    export_bin, export_sig = signed(NEW)
    with pytest.raises(Invalid, match="its keys are: 310 v2"):
        verify_export(export_bin, decode_signature_list(export_sig), {OLD: PUBLIC[OLD]})
    with pytest.raises(Invalid, match="none at all"):
        verify_export(export_bin, (), PUBLIC)


def test_a_name_that_no_key_has_is_not_shown() -> None:
    entry = FileSignature(NamedKey(SignatureInfo("\x1b[2J", "v1")), b"")
    with pytest.raises(Invalid, match="one without a proper name"):
        verify_export(b"", (entry,), PUBLIC)


def test_every_named_key_must_have_signed() -> None:
    export_bin, export_sig = signed(NEW, OLD)
    new, old = decode_signature_list(export_sig)
    swapped = FileSignature(old.info, new.signature)
    with pytest.raises(Invalid, match="signature is wrong"):
        verify_export(export_bin, (new, swapped), PUBLIC)


@pytest.mark.parametrize("algorithm", [None, "ecdsa-with-SHA256", "1.2.840.10045.4.3.4"])
def test_case_1_another_algorithm_is_refused(algorithm: str | None) -> None:
    export_bin, export_sig = signed(OLD)
    (entry,) = decode_signature_list(export_sig)
    changed = FileSignature(NamedKey(OLD, algorithm), entry.signature)
    with pytest.raises(Invalid, match="algorithm"):
        verify_export(export_bin, (changed,), PUBLIC)


@pytest.mark.parametrize("form", [b"", bytes(64), b"\x30", b"\x30\x06\x02\x01\x00\x02\x01\x00"])
def test_what_is_no_der_signature_is_a_wrong_one(form: bytes) -> None:
    export_bin, _ = signed(OLD)
    with pytest.raises(Invalid, match="signature is wrong"):
        verify_export(export_bin, (FileSignature(NamedKey(OLD, "1.2.840.10045.4.3.2"), form),), PUBLIC)


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"", "not a public key in PEM"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a public key in PEM"),
        (pem(ec.derive_private_key(7, ec.SECP384R1()).public_key()), "not a public key on the curve"),
        (pem(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()), "not a public key on the curve"),
    ],
    ids=["empty", "damaged", "P-384", "Ed25519"],
)
def test_other_keys_are_refused(data: bytes, refusal: str) -> None:
    with pytest.raises(Invalid, match=refusal):
        parse_public_key(data)
