"""Everything about an export file that a person or a program may want to know, as one value that turns into JSON.

Lenient where a diagnosis needs it: a signature is tried against every key at hand, whatever name it bears, and in the
raw form that phones refuse. What phones would not take is said in `remarks`.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from msgspec import Struct
from numpy.typing import NDArray

from tocsin.formats.gaen.container import seems_zip
from tocsin.formats.gaen.key_fields import Present
from tocsin.formats.gaen.reader import (
    LIMITS,
    Export,
    FileSignature,
    NamedKey,
    decode_export,
    decode_signature_list,
    read_zip,
)
from tocsin.formats.gaen.refusals import ExportInvalid, ExportReason
from tocsin.formats.gaen.schema import ECDSA_SHA256, HEADER, REPORT_TYPE_NAMES
from tocsin.formats.gaen.signature import PublicKey, is_signed_by
from tocsin.model.keys import Records, sorted_by_key
from tocsin.model.times import INTERVALS_PER_DAY

MAX_FILE_BYTES: Final = sum(LIMITS.values()) + 4096
"""The longest file that is looked into: all members stored, and the zip around them."""
_ABSENT: Final = "absent"
_RAW_BYTES: Final = 64


class KeySummary(Struct, frozen=True):
    """What a list of keys holds. Counts are by value as text; ``absent``: not on the wire, so its default counts.

    `first_start_interval`, `last_start_interval`: the least and the greatest start, None without keys.
    """

    count: int
    distinct: int
    sorted_by_key: bool
    first_start_interval: int | None
    last_start_interval: int | None
    starts_at_utc_midnight: int
    rolling_periods: dict[str, int]
    transmission_risk_levels: dict[str, int]
    report_types: dict[str, int]
    days_since_onset: dict[str, int]


class SignatureSummary(Struct, frozen=True):
    """One signature. `form`: ``DER``, ``raw`` (r‖s, 64 bytes) or ``unknown``; `verified_by`: labels of the caller's."""

    named_key: NamedKey
    batch_num: int | None
    batch_size: int | None
    form: str
    bytes: int
    verified_by: tuple[str, ...]


class ExportSummary(Struct, frozen=True):
    """What an export file holds; timestamps in UTC seconds. `signatures` is empty for a bare ``export.bin``."""

    container: str
    export_bin_bytes: int
    export_bin_sha256: str
    region: str
    start_timestamp: int
    end_timestamp: int
    batch_num: int
    batch_size: int
    signature_infos: tuple[NamedKey, ...]
    keys: KeySummary
    revised_keys: KeySummary
    signatures: tuple[SignatureSummary, ...]
    remarks: tuple[str, ...]


def inspect(data: bytes, public_keys: Mapping[str, PublicKey]) -> ExportSummary:
    """The summary of an export: a zip, or a bare ``export.bin``. `public_keys` by labels of the caller's choice.

    Raises `ExportInvalid` for everything that `read_zip`, `decode_export` and `decode_signature_list` refuse.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ExportInvalid(ExportReason.FILE_SIZE)
    signatures: tuple[FileSignature, ...] = ()
    if data.startswith(HEADER):
        container, export_bin = "export.bin", data
    elif seems_zip(data):
        container = "zip"
        export_bin, export_sig = read_zip(data)
        signatures = decode_signature_list(export_sig)
    else:
        raise ExportInvalid(ExportReason.UNKNOWN_FILE)
    export = decode_export(export_bin)
    summaries = tuple(_signature_summary(entry, export_bin, public_keys) for entry in signatures)
    return ExportSummary(
        container=container,
        export_bin_bytes=len(export_bin),
        export_bin_sha256=hashlib.sha256(export_bin).hexdigest(),
        region=export.region,
        start_timestamp=export.start_timestamp,
        end_timestamp=export.end_timestamp,
        batch_num=export.batch_num,
        batch_size=export.batch_size,
        signature_infos=export.signature_infos,
        keys=(keys := _key_summary(export.keys, export.keys_present)),
        revised_keys=(revised_keys := _key_summary(export.revised_keys, export.revised_present)),
        signatures=summaries,
        remarks=(*_key_remarks(keys, revised_keys), *_signature_remarks(export, summaries)),
    )


def _key_summary(records: Records, present: Present) -> KeySummary:
    starts = records["rolling_start_interval_number"]
    ordered = sorted_by_key(records)["key_data"]
    return KeySummary(
        count=len(records),
        distinct=len(records) and 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1])),
        sorted_by_key=bool((ordered == records["key_data"]).all()),
        first_start_interval=int(starts.min()) if len(starts) else None,
        last_start_interval=int(starts.max()) if len(starts) else None,
        starts_at_utc_midnight=int(np.count_nonzero(starts % INTERVALS_PER_DAY == 0)),
        rolling_periods=_counts(records["rolling_period"], present, 4),
        transmission_risk_levels=_counts(records["transmission_risk_level"], present, 2),
        report_types={
            name if name == _ABSENT else REPORT_TYPE_NAMES[int(name)]: count
            for name, count in _counts(records["report_type"], present, 5).items()
        },
        days_since_onset=_counts(records["days_since_onset"], present, 6),
    )


def _counts(values: NDArray[Any], present: Present, field: int) -> dict[str, int]:
    """How often each value occurs, ascending, those on the wire first."""
    on_wire = (present >> (field - 1)) & 1 == 1
    found, counts = np.unique(values[on_wire], return_counts=True)
    table = {str(int(value)): int(count) for value, count in zip(found, counts, strict=True)}
    if absent := int(np.count_nonzero(~on_wire)):
        table[_ABSENT] = absent
    return table


def _signature_summary(
    entry: FileSignature, export_bin: bytes, public_keys: Mapping[str, PublicKey]
) -> SignatureSummary:
    form, der = _form(entry.signature)
    return SignatureSummary(
        named_key=entry.info,
        batch_num=entry.batch_num,
        batch_size=entry.batch_size,
        form=form,
        bytes=len(entry.signature),
        verified_by=tuple(label for label, key in public_keys.items() if is_signed_by(key, export_bin, der)),
    )


def _form(signature: bytes) -> tuple[str, bytes]:
    """The form of a signature, and the same signature in DER."""
    try:
        decode_dss_signature(signature)
    except ValueError:
        if len(signature) != _RAW_BYTES:
            return "unknown", signature
        halves = signature[: _RAW_BYTES // 2], signature[_RAW_BYTES // 2 :]
        return "raw", encode_dss_signature(*(int.from_bytes(half, "big") for half in halves))
    return "DER", signature


def _key_remarks(keys: KeySummary, revised_keys: KeySummary) -> list[str]:
    remarks = []
    if not (keys.sorted_by_key and revised_keys.sorted_by_key):
        remarks.append("keys are not sorted, so their order may tell who reported together")
    if keys.distinct != keys.count or revised_keys.distinct != revised_keys.count:
        remarks.append("a key occurs more than once")
    return remarks


def _signature_remarks(export: Export, signatures: tuple[SignatureSummary, ...]) -> list[str]:
    """What a phone would not take of the signatures, or an operator ought to look at."""
    checks = {
        f"a signature info does not say algorithm {ECDSA_SHA256}: phones take no other": any(
            info.algorithm != ECDSA_SHA256
            for info in (*export.signature_infos, *(entry.named_key for entry in signatures))
        ),
        "a signature is not in DER: phones refuse it": any(entry.form != "DER" for entry in signatures),
        "export.bin and export.sig name different keys": bool(signatures)
        and export.signature_infos != tuple(entry.named_key for entry in signatures),
        "export.bin and export.sig have different batch numbers": any(
            (entry.batch_num, entry.batch_size) != (export.batch_num, export.batch_size) for entry in signatures
        ),
    }
    return [remark for remark, holds in checks.items() if holds]
