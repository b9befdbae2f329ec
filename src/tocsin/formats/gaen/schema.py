"""The messages of an export, as protobuf classes made at run time, and the constants around them.

Source: ``export.proto`` of google/exposure-notifications-server; fields 1 and 2 of `SignatureInfo` are the older names
that real files still carry. No generated code: the table below is the schema.
"""

from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

HEADER: Final = b"EK Export v1    "
"""The first 16 bytes of ``export.bin``."""
ECDSA_SHA256: Final = "1.2.840.10045.4.3.2"
"""`signature_algorithm`: the object identifier of ECDSA with SHA-256 (RFC 5758 §3.2). Phones take nothing else."""
BIN_MEMBER: Final = "export.bin"
SIG_MEMBER: Final = "export.sig"
INFOS_FIELD: Final = 6
KEYS_FIELD: Final = 7
REVISED_KEYS_FIELD: Final = 8
DEFAULT_PERIOD: Final = 144
"""`rolling_period` where it is not on the wire."""

_PACKAGE: Final = "gaen"
_Field = FieldDescriptorProto
_REPORT_TYPES: Final = (
    "UNKNOWN",
    "CONFIRMED_TEST",
    "CONFIRMED_CLINICAL_DIAGNOSIS",
    "SELF_REPORT",
    "RECURSIVE",
    "REVOKED",
)
REPORT_TYPE_NAMES: Final = dict(enumerate(_REPORT_TYPES))
"""The names of `report_type`, by number."""

_MESSAGES: Final = {
    "SignatureInfo": (
        (1, "app_bundle_id", _Field.TYPE_STRING),
        (2, "android_package", _Field.TYPE_STRING),
        (3, "verification_key_version", _Field.TYPE_STRING),
        (4, "verification_key_id", _Field.TYPE_STRING),
        (5, "signature_algorithm", _Field.TYPE_STRING),
    ),
    "TemporaryExposureKey": (
        (1, "key_data", _Field.TYPE_BYTES),
        (2, "transmission_risk_level", _Field.TYPE_INT32),
        (3, "rolling_start_interval_number", _Field.TYPE_INT32),
        (4, "rolling_period", _Field.TYPE_INT32),
        (5, "report_type", "ReportType"),
        (6, "days_since_onset_of_symptoms", _Field.TYPE_SINT32),
    ),
    "TemporaryExposureKeyExport": (
        (1, "start_timestamp", _Field.TYPE_FIXED64),
        (2, "end_timestamp", _Field.TYPE_FIXED64),
        (3, "region", _Field.TYPE_STRING),
        (4, "batch_num", _Field.TYPE_INT32),
        (5, "batch_size", _Field.TYPE_INT32),
        (INFOS_FIELD, "signature_infos", ["SignatureInfo"]),
        (KEYS_FIELD, "keys", ["TemporaryExposureKey"]),
        (REVISED_KEYS_FIELD, "revised_keys", ["TemporaryExposureKey"]),
    ),
    "TEKSignature": (
        (1, "signature_info", "SignatureInfo"),
        (2, "batch_num", _Field.TYPE_INT32),
        (3, "batch_size", _Field.TYPE_INT32),
        (4, "signature", _Field.TYPE_BYTES),
    ),
    "TEKSignatureList": ((1, "signatures", ["TEKSignature"]),),
}
"""Message → (number, name, type): a scalar type, the name of a message or enum, or such a name in a list: repeated."""


def _file() -> FileDescriptorProto:
    """The whole schema as protobuf describes it (proto2: every scalar knows whether it is on the wire)."""
    file = FileDescriptorProto(name="export.proto", package=_PACKAGE, syntax="proto2")
    enum = file.enum_type.add(name="ReportType")
    for number, name in enumerate(_REPORT_TYPES):
        enum.value.add(name=name, number=number)
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for number, name, kind in fields:
            field = message.field.add(number=number, name=name, label=_Field.LABEL_OPTIONAL)
            if name == "rolling_period":
                field.default_value = str(DEFAULT_PERIOD)
            if isinstance(kind, int):
                field.type = kind
                continue
            if isinstance(kind, list):
                field.label = _Field.LABEL_REPEATED
                kind = kind[0]
            field.type = _Field.TYPE_ENUM if kind == "ReportType" else _Field.TYPE_MESSAGE
            field.type_name = f".{_PACKAGE}.{kind}"
    return file


_pool = DescriptorPool()
_pool.AddSerializedFile(_file().SerializeToString())


def _message_class(name: str) -> Any:
    return GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


WIRE_TYPES: Final = {
    number: {_Field.TYPE_FIXED64: 1, _Field.TYPE_INT32: 0}.get(kind, 2) if isinstance(kind, int) else 2
    for number, _, kind in _MESSAGES["TemporaryExposureKeyExport"]
}
"""Field of the outermost message → its wire type: 0 a varint, 1 eight bytes, 2 a length and so many bytes."""
TemporaryExposureKeyExport: Final = _message_class("TemporaryExposureKeyExport")
TEKSignatureList: Final = _message_class("TEKSignatureList")
