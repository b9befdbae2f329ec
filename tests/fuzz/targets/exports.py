"""GAEN export files, whoever made them: the zip, what is in it, the keys that sign."""

from collections.abc import Iterator
from io import BytesIO
from itertools import chain
from zipfile import ZipFile

import numpy as np
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fuzz.target import Target, foreign_files, refused, vector_bytes
from tocsin.formats.gaen.container import read_members, seems_zip
from tocsin.formats.gaen.inspect import inspect
from tocsin.formats.gaen.key_fields import encode_keys
from tocsin.formats.gaen.reader import LIMITS, decode_export, decode_signature_list, read_zip
from tocsin.formats.gaen.schema import HEADER, KEYS_FIELD, TemporaryExposureKeyExport
from tocsin.formats.gaen.signature import parse_public_key, shown_keys, verify_export
from tocsin.formats.gaen.writer import zip_export
from tocsin.model.keys import KEY_BYTES, NO_ONSET

_PUBLIC_KEYS = {str(at): parse_public_key(pem) for at, pem in enumerate(foreign_files("keys/*.pem"))}
_MOST_BYTES = 32_768


def _read_zip(data: bytes) -> None:
    members = read_members(data, LIMITS)
    assert seems_zip(data)
    with ZipFile(BytesIO(data)) as archive:  # two readers agree
        assert {name: archive.read(name) for name in archive.namelist()} == members
    export_bin, export_sig = read_zip(data)
    assert (export_bin, export_sig) == (members["export.bin"], members["export.sig"])
    inspect(data, _PUBLIC_KEYS)


def _read_export(data: bytes) -> None:
    export_bin = data if data.startswith(HEADER) else HEADER + data
    export = decode_export(export_bin)
    message = TemporaryExposureKeyExport.FromString(export_bin[len(HEADER) :])  # whole, where ours reads piece by piece
    assert [key.key_data for key in message.keys] == [bytes(key) for key in export.keys["key_data"]]
    assert len(message.revised_keys) == len(export.revised_keys)
    assert (message.start_timestamp, message.end_timestamp) == (export.start_timestamp, export.end_timestamp)
    for records, present in ((export.keys, export.keys_present), (export.revised_keys, export.revised_present)):
        assert all(len(bytes(key)) == KEY_BYTES for key in records["key_data"])
        assert ((records["rolling_period"] >= 1) & (records["rolling_period"] <= 144)).all()
        assert (records["rolling_start_interval_number"] >= 1).all()
        shown = records["days_since_onset"] != NO_ONSET
        written = encode_keys(KEYS_FIELD, records[shown], present[shown])
        again = TemporaryExposureKeyExport.FromString(written).keys
        assert [key.rolling_start_interval_number for key in again] == [
            start if on_wire else 0
            for start, on_wire in zip(
                records[shown]["rolling_start_interval_number"].tolist(),
                (present[shown] & 4 != 0).tolist(),
                strict=True,
            )
        ]
        assert np.array_equal([key.key_data for key in again], [bytes(key) for key in records[shown]["key_data"]])
    inspect(export_bin, {})


def _read_signatures(data: bytes) -> None:
    signatures = decode_signature_list(data)
    assert 1 <= len(signatures) <= 10
    assert shown_keys(signatures).isprintable()
    export_bin = HEADER + TemporaryExposureKeyExport().SerializeToString()
    inspect(zip_export(export_bin, data), _PUBLIC_KEYS)
    keys = {entry.info.key: key for entry in signatures for key in _PUBLIC_KEYS.values()}
    refused(verify_export, export_bin, signatures, keys)


def _read_public_key(data: bytes) -> None:
    key = parse_public_key(data)
    assert parse_public_key(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)) == key


def _zip_seeds() -> Iterator[bytes]:
    vectors = (data for data in vector_bytes("gaen") if data.startswith(b"PK"))
    return chain(vectors, foreign_files("zip-hostile/*/*.zip"), foreign_files("gaen/*.zip"))


def _export_seeds() -> Iterator[bytes]:
    yield from (data for data in vector_bytes("gaen") if data.startswith(HEADER))
    yield from foreign_files("gaen/*.bin")
    for zipped in _zip_seeds():
        if not refused(read_zip, zipped):
            yield read_zip(zipped)[0][:_MOST_BYTES]


def _signature_seeds() -> Iterator[bytes]:
    yield from (data for data in vector_bytes("gaen") if data.startswith(b"\x0a"))
    yield from (read_zip(zipped)[1] for zipped in _zip_seeds() if not refused(read_zip, zipped))


TARGETS = (
    Target(
        "gaen_zip",
        (
            "tocsin.formats.gaen.container.read_members",
            "tocsin.formats.gaen.container.seems_zip",
            "tocsin.formats.gaen.reader.read_zip",
        ),
        _read_zip,
        _zip_seeds,
        words=(b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"export.bin", b"export.sig"),
        most_bytes=_MOST_BYTES,
    ),
    Target(
        "gaen_export",
        ("tocsin.formats.gaen.reader.decode_export", "tocsin.formats.gaen.inspect.inspect"),
        _read_export,
        _export_seeds,
        words=(HEADER, b"\x3a\x1c\x0a\x10", b"\x42\x1c\x0a\x10", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        most_bytes=_MOST_BYTES,
    ),
    Target(
        "gaen_signatures",
        (
            "tocsin.formats.gaen.reader.decode_signature_list",
            "tocsin.formats.gaen.signature.verify_export",
        ),
        _read_signatures,
        _signature_seeds,
        words=(b"1.2.840.10045.4.3.2", b"\x0a\x2a\x0a\x1e"),
    ),
    Target(
        "public_key",
        ("tocsin.formats.gaen.signature.parse_public_key",),
        _read_public_key,
        lambda: foreign_files("keys/*.pem"),
        words=(b"-----BEGIN PUBLIC KEY-----", b"-----END PUBLIC KEY-----", b"-----BEGIN CERTIFICATE-----"),
    ),
)
