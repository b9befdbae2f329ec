"""Foreign bytes to an export: everything that phones would stumble over is refused, each for its own reason."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError
from msgspec import Struct

from tocsin.formats.gaen.container import read_members
from tocsin.formats.gaen.key_fields import ONSET, Present
from tocsin.formats.gaen.schema import (
    BIN_MEMBER,
    DEFAULT_PERIOD,
    HEADER,
    KEYS_FIELD,
    MAX_SIGNATURES,
    REVISED_KEYS_FIELD,
    SIG_MEMBER,
    TEKSignatureList,
    TemporaryExposureKeyExport,
)
from tocsin.model.errors import Invalid
from tocsin.model.keys import KEY_BYTES, NO_ONSET, RECORD, Records
from tocsin.model.policy import SignatureInfo

MAX_EXPORT_BYTES: Final = 32 << 20
"""A million keys; the reference server splits at 500,000."""
MAX_SIGNATURES_BYTES: Final = 1 << 16
MAX_RISK: Final = 8
LIMITS: Final = {BIN_MEMBER: MAX_EXPORT_BYTES, SIG_MEMBER: MAX_SIGNATURES_BYTES, "content.sig": MAX_SIGNATURES_BYTES}
"""The members that a zip may hold; ``content.sig`` is the Dutch system's own, and harmless."""

_SIGNATURE_INFO_FIELD: Final = 6
_SHORTEST_KEY: Final = 2 + KEY_BYTES
_NOT_AN_EXPORT: Final = "what follows the header of export.bin is no export"
_KEY_FIELDS: Final = (
    "key_data",
    "transmission_risk_level",
    "rolling_start_interval_number",
    "rolling_period",
    "report_type",
    "days_since_onset_of_symptoms",
)
_Message = Any


class NamedKey(Struct, frozen=True):
    """A signature info as it stands in a file: the public key's name ("" where absent), and what it says besides."""

    key: SignatureInfo
    algorithm: str | None = None
    app_bundle_id: str | None = None
    android_package: str | None = None


class FileSignature(Struct, frozen=True):
    """One entry of ``export.sig``. `signature` ought to be DER; nothing of it is checked yet."""

    info: NamedKey
    signature: bytes
    batch_num: int | None = None
    batch_size: int | None = None


class Export(Struct, frozen=True, eq=False):
    """The content of an ``export.bin``, every key sound: 16 bytes, a period of 1 to 144, a start after 1970.

    `keys` and `revised_keys` in the order of the file, defaults filled in (period 144, type 0, risk 0); an onset that
    is absent or does not fit 8 bits is `NO_ONSET`. What was on the wire stands in `keys_present` and `revised_present`.
    """

    start_timestamp: int
    end_timestamp: int
    region: str
    batch_num: int
    batch_size: int
    signature_infos: tuple[NamedKey, ...]
    keys: Records
    revised_keys: Records
    keys_present: Present
    revised_present: Present


def read_zip(data: bytes) -> tuple[bytes, bytes]:
    """``export.bin`` and ``export.sig`` of a zip, in bounded memory and time whatever it holds. Raises `Invalid`."""
    members = read_members(data, LIMITS)
    if BIN_MEMBER not in members or SIG_MEMBER not in members:
        raise Invalid("the zip lacks export.bin or export.sig")
    return members[BIN_MEMBER], members[SIG_MEMBER]


def decode_export(export_bin: bytes) -> Export:
    """The export in `export_bin`; fields that this version does not know are passed over. Raises `Invalid`."""
    if len(export_bin) > MAX_EXPORT_BYTES:
        raise Invalid("export.bin is larger than it may be")
    if not export_bin.startswith(HEADER):
        raise Invalid("export.bin does not begin with the header of an export: it is another file, even if well signed")
    body = export_bin[len(HEADER) :]
    _check_counts(body)
    message = _parse(TemporaryExposureKeyExport, body, _NOT_AN_EXPORT)
    batch_num, batch_size = _batch(message)
    if message.end_timestamp < message.start_timestamp:
        raise Invalid("the export's window ends before it begins")
    keys, keys_present = _records(message.keys)
    revised_keys, revised_present = _records(message.revised_keys)
    return Export(
        start_timestamp=message.start_timestamp,
        end_timestamp=message.end_timestamp,
        region=_text(message, "region") or "",
        batch_num=batch_num,
        batch_size=batch_size,
        signature_infos=tuple(map(_named_key, message.signature_infos)),
        keys=keys,
        revised_keys=revised_keys,
        keys_present=keys_present,
        revised_present=revised_present,
    )


def decode_signature_list(export_sig: bytes) -> tuple[FileSignature, ...]:
    """The signatures in `export_sig`, in its order. Raises `Invalid`."""
    if len(export_sig) > MAX_SIGNATURES_BYTES:
        raise Invalid("export.sig is larger than it may be")
    signatures = _parse(TEKSignatureList, export_sig, "export.sig is no list of signatures").signatures
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise Invalid(f"export.sig must hold 1 to {MAX_SIGNATURES} signatures")
    return tuple(
        FileSignature(
            info=_named_key(entry.signature_info),
            signature=entry.signature,
            batch_num=_optional(entry, "batch_num"),
            batch_size=_optional(entry, "batch_size"),
        )
        for entry in signatures
    )


def _parse(message_class: Any, data: bytes, otherwise: str) -> _Message:
    try:
        return message_class.FromString(data)
    except DecodeError:
        raise Invalid(otherwise) from None


def _optional(message: _Message, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None


def _text(message: _Message, field: str) -> str | None:
    """A text field, None where absent. Texts are shown to people, so nothing in them may move a cursor."""
    try:
        text = _optional(message, field)
    except UnicodeDecodeError:  # the library's pure-Python variant
        text = b""
    if text is not None and not (
        isinstance(text, str) and text.isprintable()
    ):  # bytes: the library's way of "no UTF-8"
        raise Invalid("a text in the file is not printable UTF-8")
    return text


def _named_key(info: _Message) -> NamedKey:
    return NamedKey(
        SignatureInfo(_text(info, "verification_key_id") or "", _text(info, "verification_key_version") or ""),
        algorithm=_text(info, "signature_algorithm"),
        app_bundle_id=_text(info, "app_bundle_id"),
        android_package=_text(info, "android_package"),
    )


def _batch(message: _Message) -> tuple[int, int]:
    """Batch number and size; 1 of 1 where the file says nothing of it."""
    if not message.HasField("batch_num") and not message.HasField("batch_size"):
        return 1, 1
    if not 1 <= message.batch_num <= message.batch_size:
        raise Invalid("the batch number is not within the batch")
    return message.batch_num, message.batch_size


def _records(keys: Any) -> tuple[Records, Present]:
    """Repeated key messages as columns, and which of their fields were on the wire."""
    count = len(keys)
    if any(len(key.key_data) != KEY_BYTES for key in keys):
        raise Invalid(f"a key in the export is not {KEY_BYTES} bytes long")

    def column(field: str) -> Any:
        return np.fromiter((getattr(key, field) for key in keys), np.int64, count)

    start, period = column("rolling_start_interval_number"), column("rolling_period")
    risk, onset = column("transmission_risk_level"), column("days_since_onset_of_symptoms")
    present = np.zeros(count, np.uint8)
    for bit, field in enumerate(_KEY_FIELDS):
        present |= np.fromiter((key.HasField(field) for key in keys), np.uint8, count) << np.uint8(bit)
    if bool(((period < 1) | (period > DEFAULT_PERIOD)).any()):
        raise Invalid("a key in the export has a rolling period that is not 1 to 144")
    if bool((start < 1).any()):
        raise Invalid("a key in the export has no start")
    if bool(((risk < 0) | (risk > MAX_RISK)).any()):
        raise Invalid(f"a key in the export has a transmission risk that is not 0 to {MAX_RISK}")
    records = np.zeros(count, RECORD)
    records["key_data"] = np.frombuffer(b"".join(key.key_data for key in keys), RECORD["key_data"])
    records["rolling_start_interval_number"] = start
    records["rolling_period"] = period
    records["report_type"] = column("report_type")
    records["transmission_risk_level"] = risk
    has_onset = ((present & ONSET) != 0) & (abs(onset) <= 127)
    records["days_since_onset"] = np.where(has_onset, onset, NO_ONSET)
    return records, present


def _check_counts(body: bytes) -> None:
    """Refuse, before the library makes an object of each, floods of messages too small to be real."""
    infos = 0
    for field, length in _top_fields(body):
        if field in (KEYS_FIELD, REVISED_KEYS_FIELD) and length < _SHORTEST_KEY:
            raise Invalid(f"a key in the export is not {KEY_BYTES} bytes long")
        infos += field == _SIGNATURE_INFO_FIELD
    if infos > MAX_SIGNATURES:
        raise Invalid(f"the export names more than {MAX_SIGNATURES} signing keys")


def _top_fields(body: bytes) -> Iterator[tuple[int, int]]:
    """Number and length of each field of the outermost message; whether the last one is whole, the library tells."""
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        match tag & 7:
            case 0:
                start = at
                _, at = _varint(body, at)
                length = at - start
            case 1:
                length, at = 8, at + 8
            case 2:
                length, at = _varint(body, at)
                at += length
            case 5:
                length, at = 4, at + 4
            case _:
                raise Invalid(_NOT_AN_EXPORT)
        yield tag >> 3, length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The varint at `at`, and where it ends."""
    value = 0
    for shift, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, at + shift + 1
    raise Invalid(_NOT_AN_EXPORT)
