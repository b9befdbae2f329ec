"""Records to ``export.bin``, signatures to ``export.sig``, and both to the zip that phones fetch."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from tocsin.formats.gaen.container import write_members
from tocsin.formats.gaen.key_fields import encode_keys, present_fields
from tocsin.formats.gaen.schema import (
    BIN_MEMBER,
    ECDSA_SHA256,
    HEADER,
    KEYS_FIELD,
    REVISED_KEYS_FIELD,
    SIG_MEMBER,
    TEKSignatureList,
    TemporaryExposureKeyExport,
)
from tocsin.model.keys import RECORD, Records, ReportType, sorted_by_key
from tocsin.model.policy import SignatureInfo


class ExportHeader(Struct, frozen=True):
    """All of an export but its keys. Timestamps in UTC seconds; `batch_num` counts from 1 to `batch_size`."""

    start_timestamp: int
    end_timestamp: int
    region: str
    signature_infos: tuple[SignatureInfo, ...]
    batch_num: int = 1
    batch_size: int = 1


class ExportPart(Struct, frozen=True, eq=False):
    """One file of a split export: its own header, its share of the keys."""

    header: ExportHeader
    keys: Records
    revised_keys: Records


def revisions(changed: Records, removed: Records) -> Records:
    """An export's `revised_keys`: `changed` as they are now, and `removed` as they were published, but REVOKED."""
    revoked = removed.copy()
    revoked["report_type"] = ReportType.REVOKED
    return np.concatenate([changed, revoked], dtype=RECORD)  # numpy alone would turn the byte order


def export_parts(
    header: ExportHeader, keys: Records, revised_keys: Records, records_per_part: int
) -> tuple[ExportPart, ...]:
    """The export in files of at most `records_per_part` records (0: all in one), split and never dropped.

    Sorted keys fill the files, sorted revised keys follow; batch numbers of `header` are set anew. Without any key it
    is one valid, empty file.
    """
    total = len(keys) + len(revised_keys)
    step = records_per_part or max(total, 1)
    size = max(1, -(-total // step))
    keys, revised_keys = sorted_by_key(keys), sorted_by_key(revised_keys)
    return tuple(
        ExportPart(
            replace(header, batch_num=number, batch_size=size),
            keys[start : start + step],
            revised_keys[max(0, start - len(keys)) : max(0, start + step - len(keys))],
        )
        for number, start in enumerate(range(0, size * step, step), 1)
    )


def encode_export(header: ExportHeader, keys: Records, revised_keys: Records) -> bytes:
    """``export.bin``: 16 bytes of header, then the message, keys and revised keys each sorted by `key_data`.

    Byte for byte what the protobuf library writes; about 30 bytes a key. Raises `Invalid` for a start beyond 31 bits.
    """
    return b"".join(
        (
            HEADER,
            encode_head(header),
            *(
                encode_keys(field, records, present_fields(records))
                for field, records in (
                    (KEYS_FIELD, sorted_by_key(keys)),
                    (REVISED_KEYS_FIELD, sorted_by_key(revised_keys)),
                )
            ),
        )
    )


def encode_head(header: ExportHeader) -> bytes:
    """Fields 1 to 6 of the message: keys are its last fields, so their bytes may simply follow."""
    message = TemporaryExposureKeyExport(
        start_timestamp=header.start_timestamp,
        end_timestamp=header.end_timestamp,
        region=header.region,
        batch_num=header.batch_num,
        batch_size=header.batch_size,
        signature_infos=[_signature_info(info) for info in header.signature_infos],
    )
    encoded: bytes = message.SerializeToString(deterministic=True)
    return encoded


def encode_signature_list(
    infos: Sequence[SignatureInfo], signatures: Sequence[bytes], batch_num: int, batch_size: int
) -> bytes:
    """``export.sig``: one DER signature for each of `infos`, in their order; batch numbers as in ``export.bin``."""
    message = TEKSignatureList(
        signatures=[
            {
                "signature_info": _signature_info(info),
                "batch_num": batch_num,
                "batch_size": batch_size,
                "signature": signature,
            }
            for info, signature in zip(infos, signatures, strict=True)
        ]
    )
    encoded: bytes = message.SerializeToString(deterministic=True)
    return encoded


def zip_export(export_bin: bytes, export_sig: bytes) -> bytes:
    """The zip of both members, ``export.bin`` first; equal input gives equal bytes under one build of zlib."""
    return write_members({BIN_MEMBER: export_bin, SIG_MEMBER: export_sig})


def _signature_info(info: SignatureInfo) -> dict[str, str]:
    """The only algorithm that is ever written is the object identifier that phones take."""
    return {
        "verification_key_version": info.verification_key_version,
        "verification_key_id": info.verification_key_id,
        "signature_algorithm": ECDSA_SHA256,
    }
