"""Foreign bytes to an export: everything that phones would stumble over is refused, each for its own reason.

The library makes an object of each key, of ten times its bytes; so a file is read piece by piece, each of whole fields.
That gives what the whole would: to the format, messages one behind the other are one message.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError
from msgspec import Struct

from tocsin.formats.gaen.container import read_members
from tocsin.formats.gaen.key_fields import ONSET, Present
from tocsin.formats.gaen.refusals import (
    MAX_KEYS,
    MAX_OTHER_FIELDS,
    MAX_SIGNATURES,
    MAX_TEXT,
    ExportInvalid,
    ExportReason,
)
from tocsin.formats.gaen.schema import (
    BIN_MEMBER,
    DEFAULT_PERIOD,
    HEADER,
    INFOS_FIELD,
    KEYS_FIELD,
    REVISED_KEYS_FIELD,
    SIG_MEMBER,
    WIRE_TYPES,
    TEKSignatureList,
    TemporaryExposureKeyExport,
)
from tocsin.model.keys import KEY_BYTES, NO_ONSET, RECORD, Records
from tocsin.model.policy import SignatureInfo

MAX_EXPORT_BYTES: Final = 32 << 20
"""A million keys; the reference server splits at 500,000."""
MAX_SIGNATURES_BYTES: Final = 1 << 16
MAX_RISK: Final = 8
LIMITS: Final = {BIN_MEMBER: MAX_EXPORT_BYTES, SIG_MEMBER: MAX_SIGNATURES_BYTES, "content.sig": MAX_SIGNATURES_BYTES}
"""The members that a zip may hold; ``content.sig`` is the Dutch system's own, and harmless."""

_PIECE_BYTES: Final = 1 << 18
"""Read at a time, or one field if that is longer."""
_SHORTEST_KEY: Final = 2 + KEY_BYTES
_LAST_INSTANT: Final = 253_402_300_799
"""The end of the year 9999, in UTC seconds."""
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
    """``export.bin`` and ``export.sig`` of a zip, in bounded memory and time whatever it holds.

    Raises `ExportInvalid`.
    """
    members = read_members(data, LIMITS)
    if BIN_MEMBER not in members or SIG_MEMBER not in members:
        raise ExportInvalid(ExportReason.MEMBER_MISSING)
    return members[BIN_MEMBER], members[SIG_MEMBER]


def decode_export(export_bin: bytes) -> Export:
    """The export in `export_bin`; fields that this version does not know are passed over. Raises `ExportInvalid`."""
    if len(export_bin) > MAX_EXPORT_BYTES:
        raise ExportInvalid(ExportReason.EXPORT_SIZE)
    if not export_bin.startswith(HEADER):
        raise ExportInvalid(ExportReason.NO_HEADER)
    head = TemporaryExposureKeyExport()
    keys, revised_keys = [_records(())], [_records(())]
    for piece in _pieces(export_bin):
        message = _parse(TemporaryExposureKeyExport, piece, ExportReason.NO_EXPORT)
        keys.append(_records(message.keys))
        revised_keys.append(_records(message.revised_keys))
        for field in ("keys", "revised_keys"):
            message.ClearField(field)
        head.MergeFrom(message)
    return _export(head, _joined(keys), _joined(revised_keys))


def _export(head: _Message, keys: tuple[Records, Present], revised_keys: tuple[Records, Present]) -> Export:
    batch_num, batch_size = _batch(head)
    if not head.start_timestamp <= head.end_timestamp <= _LAST_INSTANT:
        raise ExportInvalid(ExportReason.WINDOW)
    return Export(
        start_timestamp=head.start_timestamp,
        end_timestamp=head.end_timestamp,
        region=_text(head, "region") or "",
        batch_num=batch_num,
        batch_size=batch_size,
        signature_infos=tuple(map(_named_key, head.signature_infos)),
        keys=keys[0],
        revised_keys=revised_keys[0],
        keys_present=keys[1],
        revised_present=revised_keys[1],
    )


def decode_signature_list(export_sig: bytes) -> tuple[FileSignature, ...]:
    """The signatures in `export_sig`, in its order. Raises `ExportInvalid`."""
    if len(export_sig) > MAX_SIGNATURES_BYTES:
        raise ExportInvalid(ExportReason.SIGNATURES_SIZE)
    signatures = _parse(TEKSignatureList, export_sig, ExportReason.NO_SIGNATURES).signatures
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise ExportInvalid(ExportReason.SIGNATURE_COUNT)
    return tuple(
        FileSignature(
            info=_named_key(entry.signature_info),
            signature=entry.signature,
            batch_num=_optional(entry, "batch_num"),
            batch_size=_optional(entry, "batch_size"),
        )
        for entry in signatures
    )


def _parse(message_class: Any, data: bytes, otherwise: ExportReason) -> _Message:
    try:
        return message_class.FromString(data)
    except DecodeError:
        raise ExportInvalid(otherwise) from None


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
        raise ExportInvalid(ExportReason.TEXT)
    if text is not None and len(text) > MAX_TEXT:
        raise ExportInvalid(ExportReason.TEXT_LENGTH)
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
        raise ExportInvalid(ExportReason.BATCH)
    return message.batch_num, message.batch_size


def _records(keys: Any) -> tuple[Records, Present]:
    """Repeated key messages as columns, and which of their fields were on the wire."""
    count = len(keys)
    if any(len(key.key_data) != KEY_BYTES for key in keys):
        raise ExportInvalid(ExportReason.KEY_LENGTH)

    def column(field: str) -> Any:
        return np.fromiter((getattr(key, field) for key in keys), np.int64, count)

    start, period = column("rolling_start_interval_number"), column("rolling_period")
    risk, onset = column("transmission_risk_level"), column("days_since_onset_of_symptoms")
    present = np.zeros(count, np.uint8)
    for bit, field in enumerate(_KEY_FIELDS):
        present |= np.fromiter((key.HasField(field) for key in keys), np.uint8, count) << np.uint8(bit)
    if bool(((period < 1) | (period > DEFAULT_PERIOD)).any()):
        raise ExportInvalid(ExportReason.KEY_PERIOD)
    if bool((start < 1).any()):
        raise ExportInvalid(ExportReason.KEY_START)
    if bool(((risk < 0) | (risk > MAX_RISK)).any()):
        raise ExportInvalid(ExportReason.KEY_RISK)
    records = np.zeros(count, RECORD)
    records["key_data"] = np.frombuffer(b"".join(key.key_data for key in keys), RECORD["key_data"])
    records["rolling_start_interval_number"] = start
    records["rolling_period"] = period
    records["report_type"] = column("report_type")
    records["transmission_risk_level"] = risk
    has_onset = ((present & ONSET) != 0) & (abs(onset) <= 127)
    records["days_since_onset"] = np.where(has_onset, onset, NO_ONSET)
    return records, present


def _joined(tables: list[tuple[Records, Present]]) -> tuple[Records, Present]:
    records, present = zip(*tables, strict=True)
    return np.concatenate(records, dtype=RECORD), np.concatenate(present)  # numpy alone would turn the byte order


def _pieces(export_bin: bytes) -> Iterator[bytes]:
    """What follows the header, in pieces of whole fields; floods of fields too small to be real are refused."""
    counts = dict.fromkeys((KEYS_FIELD, REVISED_KEYS_FIELD, INFOS_FIELD), 0)
    others = 0
    start = len(HEADER)
    for number, wire_type, length, end in _top_fields(export_bin, start):
        if WIRE_TYPES.get(number, wire_type) != wire_type:
            raise ExportInvalid(ExportReason.FIELD_TYPE)
        if number in counts:
            counts[number] += 1
        else:
            others += 1
        if number in (KEYS_FIELD, REVISED_KEYS_FIELD) and length < _SHORTEST_KEY:
            raise ExportInvalid(ExportReason.KEY_LENGTH)
        if counts[INFOS_FIELD] > MAX_SIGNATURES:
            raise ExportInvalid(ExportReason.INFO_COUNT)
        if counts[KEYS_FIELD] + counts[REVISED_KEYS_FIELD] > MAX_KEYS:
            raise ExportInvalid(ExportReason.KEY_COUNT)
        if others > MAX_OTHER_FIELDS:
            raise ExportInvalid(ExportReason.FIELD_COUNT)
        if end - start >= _PIECE_BYTES or end == len(export_bin):
            yield export_bin[start:end]
            start = end


def _top_fields(data: bytes, at: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, length and end of each field of the outermost message, which begins at `at`."""
    while at < len(data):
        tag, at = _varint(data, at)
        wire_type = tag & 7
        match wire_type:
            case 0:
                start = at
                _, at = _varint(data, at)
                length = at - start
            case 1:
                length, at = 8, at + 8
            case 2:
                length, at = _varint(data, at)
                at += length
            case 5:
                length, at = 4, at + 4
            case _:
                raise ExportInvalid(ExportReason.NO_EXPORT)
        if at > len(data):
            raise ExportInvalid(ExportReason.CUT_SHORT)
        yield tag >> 3, wire_type, length, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The varint at `at`, and where it ends."""
    value = 0
    for shift, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, at + shift + 1
    raise ExportInvalid(ExportReason.CUT_SHORT if at + 10 > len(data) else ExportReason.NO_EXPORT)
