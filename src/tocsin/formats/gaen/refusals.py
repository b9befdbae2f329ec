"""Why foreign bytes are no export: one stable reason for each fault, with its sentence.

Vectors and ``docs/formats/gaen.md`` name the reasons; sentences may be reworded.
"""

from enum import StrEnum
from typing import Final

from tocsin.model.errors import Invalid

MAX_KEYS: Final = 1_000_000
"""Most keys in one file, revised ones included; the reference server splits at 500,000."""
MAX_SIGNATURES: Final = 10
"""Most signatures, and most signature infos, in one file (google/exposure-notifications-server)."""
MAX_OTHER_FIELDS: Final = 1_000
"""Most fields of the outermost message that are no keys; six are known."""
MAX_TEXT: Final = 256
"""Most characters in a text: regions, names of keys, bundle IDs."""


class ExportReason(StrEnum):
    """Why a file was refused; stable."""

    UNKNOWN_FILE = "unknown_file"
    FILE_SIZE = "file_size"

    NO_ZIP = "no_zip"
    ZIP_TRAILER = "zip_trailer"
    ZIP_DISKS = "zip_disks"
    ZIP_64 = "zip_64"
    ZIP_DIRECTORY = "zip_directory"
    ZIP_ENCRYPTED = "zip_encrypted"
    ZIP_FLAGS = "zip_flags"
    ZIP_METHOD = "zip_method"
    ZIP_COMMENT = "zip_comment"
    ZIP_EXTRA = "zip_extra"
    ZIP_SECOND_NAME = "zip_second_name"
    ZIP_NO_FILE = "zip_no_file"
    ZIP_STRAY_BYTES = "zip_stray_bytes"
    ZIP_OVERLAP = "zip_overlap"
    ZIP_TWO_RECORDS = "zip_two_records"
    ZIP_DESCRIPTOR = "zip_descriptor"
    MEMBER_COUNT = "member_count"
    MEMBER_NAME = "member_name"
    MEMBER_TWICE = "member_twice"
    MEMBER_MISSING = "member_missing"
    MEMBER_SIZE = "member_size"
    MEMBER_RATIO = "member_ratio"
    MEMBER_DAMAGED = "member_damaged"
    MEMBER_CHECKSUM = "member_checksum"

    EXPORT_SIZE = "export_size"
    NO_HEADER = "no_header"
    CUT_SHORT = "cut_short"
    NO_EXPORT = "no_export"
    FIELD_TYPE = "field_type"
    FIELD_COUNT = "field_count"
    KEY_COUNT = "key_count"
    KEY_LENGTH = "key_length"
    KEY_PERIOD = "key_period"
    KEY_START = "key_start"
    KEY_RISK = "key_risk"
    BATCH = "batch"
    WINDOW = "window"
    INFO_COUNT = "info_count"
    TEXT = "text"
    TEXT_LENGTH = "text_length"

    SIGNATURES_SIZE = "signatures_size"
    NO_SIGNATURES = "no_signatures"
    SIGNATURE_COUNT = "signature_count"
    ALGORITHM = "algorithm"
    WRONG_SIGNATURE = "wrong_signature"
    KEY_NOT_HELD = "key_not_held"


_SENTENCES: Final = {
    ExportReason.UNKNOWN_FILE: "neither a zip nor an export.bin",
    ExportReason.FILE_SIZE: "the file is larger than any export",
    ExportReason.NO_ZIP: "not a zip, or one that is cut short or damaged",
    ExportReason.ZIP_TRAILER: "the zip has a comment, or bytes after its end",
    ExportReason.ZIP_DISKS: "the zip is one of several disks",
    ExportReason.ZIP_64: "the zip is of the form for more than 4 GiB (Zip64), which no export needs",
    ExportReason.ZIP_DIRECTORY: "the zip's directory does not fit the zip, or bytes stand before the zip",
    ExportReason.ZIP_ENCRYPTED: "the zip is encrypted",
    ExportReason.ZIP_FLAGS: "the zip uses a feature that no export needs",
    ExportReason.ZIP_METHOD: "the zip is packed by a method that no export needs: only stored and deflated are read",
    ExportReason.ZIP_COMMENT: "a member of the zip has a comment",
    ExportReason.ZIP_EXTRA: "the zip has a damaged extra field",
    ExportReason.ZIP_SECOND_NAME: "the zip gives a member a second name or comment",
    ExportReason.ZIP_NO_FILE: "a member of the zip is a link or a folder",
    ExportReason.ZIP_STRAY_BYTES: "the zip has bytes that belong to no member",
    ExportReason.ZIP_OVERLAP: "members of the zip overlap",
    ExportReason.ZIP_TWO_RECORDS: "the zip tells two different things of a member",
    ExportReason.ZIP_DESCRIPTOR: "the zip's data descriptor tells another thing than its directory",
    ExportReason.MEMBER_COUNT: "the zip holds more members than an export has",
    ExportReason.MEMBER_NAME: "the zip holds a member under a name that no export has",
    ExportReason.MEMBER_TWICE: "the zip holds a member twice",
    ExportReason.MEMBER_MISSING: "the zip lacks export.bin or export.sig",
    ExportReason.MEMBER_SIZE: "a member of the zip is larger than it may be",
    ExportReason.MEMBER_RATIO: "a member of the zip is compressed beyond reason",
    ExportReason.MEMBER_DAMAGED: "a member of the zip is damaged",
    ExportReason.MEMBER_CHECKSUM: "a member of the zip does not have the checksum that the zip names",
    ExportReason.EXPORT_SIZE: "export.bin is larger than it may be",
    ExportReason.NO_HEADER: (
        "export.bin does not begin with the header of an export: it is another file, even if well signed"
    ),
    ExportReason.CUT_SHORT: "export.bin ends in the midst of a field",
    ExportReason.NO_EXPORT: "what follows the header of export.bin is no export",
    ExportReason.FIELD_TYPE: "a field of the export is not of its type",
    ExportReason.FIELD_COUNT: f"the export has more than {MAX_OTHER_FIELDS:,} fields beside its keys",
    ExportReason.KEY_COUNT: f"the export holds more than {MAX_KEYS:,} keys",
    ExportReason.KEY_LENGTH: "a key in the export is not 16 bytes long",
    ExportReason.KEY_PERIOD: "a key in the export has a rolling period that is not 1 to 144",
    ExportReason.KEY_START: "a key in the export has no start",
    ExportReason.KEY_RISK: "a key in the export has a transmission risk that is not 0 to 8",
    ExportReason.BATCH: "the batch number is not within the batch",
    ExportReason.WINDOW: "the export's window ends before it begins",
    ExportReason.INFO_COUNT: f"the export names more than {MAX_SIGNATURES} signing keys",
    ExportReason.TEXT: "a text in the file is not printable UTF-8",
    ExportReason.TEXT_LENGTH: f"a text in the file is longer than {MAX_TEXT} characters",
    ExportReason.SIGNATURES_SIZE: "export.sig is larger than it may be",
    ExportReason.NO_SIGNATURES: "export.sig is no list of signatures",
    ExportReason.SIGNATURE_COUNT: f"export.sig must hold 1 to {MAX_SIGNATURES} signatures",
    ExportReason.ALGORITHM: "the export's signature does not say the algorithm that phones take",
    ExportReason.WRONG_SIGNATURE: "the export's signature is wrong: the file was changed, or another key has signed it",
    ExportReason.KEY_NOT_HELD: "the export is signed with no key that is held here",
}


class ExportInvalid(Invalid):
    """A file is no export. `detail` follows the sentence: words of our own, or names that were checked."""

    def __init__(self, reason: ExportReason, detail: str = "") -> None:
        super().__init__(_SENTENCES[reason] + detail)
        self.reason = reason
