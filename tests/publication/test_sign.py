"""Signatures, checked by programs that are not ours over the bytes that phones get."""

import hashlib
import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from tests.builders import day_key
from tests.publication.press import (
    GAEN_KEY,
    HEAD_VERIFIER,
    NEW_INFO,
    OLD_INFO,
    OTHER_GAEN_KEY,
    PROMPT,
    SIGNING_KEYS,
    Press,
    gaen_key,
)
from tocsin.formats.gaen.reader import FileSignature, decode_export, decode_signature_list
from tocsin.formats.gaen.signature import verify_export
from tocsin.formats.leaf import parse_head_text
from tocsin.model.errors import Invalid, Unavailable
from tocsin.publication.sign import Release, SigningKeys, sign
from tocsin.transparency.note import verify_note

OID = "1.2.840.10045.4.3.2"
"""ecdsa-with-SHA256."""


def press_with(infos: tuple[object, ...] = (OLD_INFO,), records_per_part: int = 100) -> Press:
    policy = replace(PROMPT, gaen_signature_infos=infos, gaen_records_per_part=records_per_part)
    press = Press(policy)
    batch = press.story.batch()
    for serial in range(2):
        keys = [day_key(f"{serial} {ago}", ago) for ago in range(1, 14)]
        press.story.report(f"phone {serial}", keys, press.story.card(batch, serial))
    return press


def members(release: Release) -> list[tuple[bytes, tuple[FileSignature, ...]]]:
    """``export.bin`` and what ``export.sig`` holds, of every GAEN zip; unpacked by the standard library."""
    opened = []
    for name, data in release.objects.items():
        if data.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                assert archive.namelist() == ["export.bin", "export.sig"]
                export_bin = archive.read("export.bin")
                assert name.endswith(hashlib.sha256(export_bin).hexdigest()), "named by what was signed"
                opened.append((export_bin, decode_signature_list(archive.read("export.sig"))))
    return opened


def test_signatures_are_over_the_raw_member() -> None:
    """Case 2: by a library, over `export.bin` byte for byte, its header included, in DER."""
    files = members(sign(press_with().decide(), SIGNING_KEYS))
    assert len(files) == 2
    for export_bin, [signature] in files:
        assert export_bin.startswith(b"EK Export v1    ")
        GAEN_KEY.public_key().verify(signature.signature, export_bin, ec.ECDSA(hashes.SHA256()))
        with pytest.raises(InvalidSignature):
            GAEN_KEY.public_key().verify(signature.signature, export_bin[16:], ec.ECDSA(hashes.SHA256()))


def test_signatures_by_openssl(tmp_path: Path) -> None:
    """Case 2: by another program, which knows nothing of us."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    pem = GAEN_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "public.pem").write_bytes(pem)
    verify = [openssl, "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "export.bin"]
    for export_bin, [signature] in members(sign(press_with().decide(), SIGNING_KEYS)):
        (tmp_path / "signature").write_bytes(signature.signature)
        for data, verdict in ((export_bin, "Verified OK"), (export_bin + b"\0", "Verification failure")):
            (tmp_path / "export.bin").write_bytes(data)
            ran = subprocess.run(verify, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert ran.stdout.strip() == verdict, ran.stderr


def test_nothing_else_that_is_signed_passes_for_an_export() -> None:
    """Case 7: other files under the same signature are refused for their header; the head has a key of its own."""
    signed = sign(press_with().decide(), SIGNING_KEYS)
    others = [data for data in signed.objects.values() if not data.startswith(b"PK")]
    assert len(others) == 4
    for data in (*others, signed.head, b"settings = 1"):
        with pytest.raises(Invalid, match="header"):
            decode_export(data)
    assert not isinstance(SIGNING_KEYS.head, type(GAEN_KEY))


def test_the_algorithm_is_the_object_identifier() -> None:
    """Case 1: in export.bin and export.sig alike; there is no setting that could say otherwise."""
    for export_bin, signatures in members(sign(press_with((NEW_INFO, OLD_INFO)).decide(), SIGNING_KEYS)):
        infos = decode_export(export_bin).signature_infos
        assert [info.algorithm for info in infos] == [OID, OID]
        assert tuple(signature.info for signature in signatures) == infos
    assert not {field for field in PROMPT.__struct_fields__ if "algorithm" in field}


def test_a_split_export_is_numbered_alike_in_both_members() -> None:
    numbers = []
    for export_bin, [signature] in members(sign(press_with(records_per_part=5).decide(), SIGNING_KEYS)):
        export = decode_export(export_bin)
        assert (signature.batch_num, signature.batch_size) == (export.batch_num, export.batch_size)
        numbers.append((export.batch_num, export.batch_size))
    assert numbers == [(number, 6) for number in range(1, 7)] * 2


def test_two_keys_sign_in_the_overlap() -> None:
    """Case 3: a reader that holds the old key and one that holds the new one both take the file."""
    old, new = GAEN_KEY.public_key(), OTHER_GAEN_KEY.public_key()
    for export_bin, signatures in members(sign(press_with((NEW_INFO, OLD_INFO)).decide(), SIGNING_KEYS)):
        assert verify_export(export_bin, signatures, {OLD_INFO: old}) == (OLD_INFO,)
        assert verify_export(export_bin, signatures, {NEW_INFO: new}) == (NEW_INFO,)
        assert verify_export(export_bin, signatures, {OLD_INFO: old, NEW_INFO: new}) == (NEW_INFO, OLD_INFO)


def test_a_reader_says_which_key_it_missed() -> None:
    """Case 3."""
    for export_bin, signatures in members(sign(press_with((NEW_INFO,)).decide(), SIGNING_KEYS)):
        with pytest.raises(Invalid, match="310 v2"):
            verify_export(export_bin, signatures, {OLD_INFO: GAEN_KEY.public_key()})


def test_a_signing_key_that_is_not_here() -> None:
    keys = SigningKeys(SIGNING_KEYS.head, HEAD_VERIFIER, {OLD_INFO: gaen_key(GAEN_KEY)})
    with pytest.raises(Unavailable, match="key folder"):
        sign(press_with((NEW_INFO, OLD_INFO)).decide(), keys)


def test_a_signature_that_phones_would_refuse_goes_nowhere() -> None:
    """Case 2: each file is verified with the public key alone before it is uploaded."""
    torn = replace(gaen_key(GAEN_KEY), public_key=OTHER_GAEN_KEY.public_key())
    with pytest.raises(Invalid, match="does not verify"):
        sign(press_with().decide(), replace(SIGNING_KEYS, gaen={OLD_INFO: torn}))


def test_a_head_that_phones_would_refuse_goes_nowhere() -> None:
    class Forger:
        def sign(self, message: bytes) -> bytes:
            return bytes(64)

    with pytest.raises(Invalid):
        sign(press_with().decide(), replace(SIGNING_KEYS, head=Forger()))


def test_the_head_holds_the_leaf() -> None:
    built = press_with().decide()
    signed = sign(built, SIGNING_KEYS)
    assert parse_head_text(verify_note(signed.head, [HEAD_VERIFIER]), HEAD_VERIFIER.name) == built.leaf
    assert (signed.version, signed.term) == (1, 1)


def test_every_object_lies_under_its_hash() -> None:
    signed = sign(press_with().decide(), SIGNING_KEYS)
    for name, data in signed.objects.items():
        if not data.startswith(b"PK"):
            assert name.endswith("/" + hashlib.sha256(data).hexdigest())
    assert {name.rpartition("/")[0] for name in signed.objects} == {"v1/utopia/keyset", "v1/utopia/gaen"}


def test_signing_twice_gives_the_same_bytes() -> None:
    """RFC 6979: a repaired release makes the object that may be there already."""
    built = press_with().decide()
    assert sign(built, SIGNING_KEYS).objects == sign(built, SIGNING_KEYS).objects
