"""What the doctor can find: a closed list of codes, each wrong or a warning. Documented in docs/operating/doctor.md."""

from enum import Enum, StrEnum

from msgspec import Struct

from tocsin.model.errors import TocsinError


class Severity(StrEnum):
    """`WRONG`: something does not work, or would be lost. `WARNING`: nothing is wrong yet, or it may be meant."""

    WRONG = "wrong"
    WARNING = "warning"


class Code(Enum):
    """What is found, by its stable name, and how bad that is."""

    SETTINGS_INVALID = ("settings_invalid", Severity.WRONG)
    TRUST_MISSING = ("trust_missing", Severity.WRONG)
    TRUST_OTHER_KEY = ("trust_other_key", Severity.WRONG)
    TRUST_OUTDATED = ("trust_outdated", Severity.WARNING)
    GAEN_KEY_UNANNOUNCED = ("gaen_key_unannounced", Severity.WARNING)
    SINGLE_MACHINE = ("single_machine", Severity.WARNING)
    NO_OPERATIONS = ("no_operations", Severity.WARNING)

    JOURNAL_UNUSABLE = ("journal_unusable", Severity.WRONG)
    NOT_DURABLE = ("not_durable", Severity.WRONG)
    SQLITE_OLD = ("sqlite_old", Severity.WARNING)
    CANNOT_APPEND = ("cannot_append", Severity.WRONG)
    UNKNOWN_KIND = ("unknown_kind", Severity.WRONG)
    SECOND_WRITER = ("second_writer", Severity.WRONG)

    SPOOL_UNUSABLE = ("spool_unusable", Severity.WRONG)
    SPOOL_WAITING = ("spool_waiting", Severity.WRONG)
    ARCHIVE_UNFIT = ("archive_unfit", Severity.WRONG)
    ARCHIVE_AWAY = ("archive_away", Severity.WRONG)
    ARCHIVE_BEHIND = ("archive_behind", Severity.WRONG)

    CLOCK_WRONG = ("clock_wrong", Severity.WRONG)
    CLOCK_UNSYNCHRONISED = ("clock_unsynchronised", Severity.WARNING)

    DISK_FULL = ("disk_full", Severity.WRONG)
    DISK_LOW = ("disk_low", Severity.WARNING)
    NOT_WRITABLE = ("not_writable", Severity.WRONG)
    MIXED_OWNERS = ("mixed_owners", Severity.WRONG)

    KEYS_UNUSABLE = ("keys_unusable", Severity.WRONG)
    KEY_FILE_OPEN = ("key_file_open", Severity.WRONG)
    DAY_KEY_MISSING = ("day_key_missing", Severity.WRONG)
    ERASURE_LATE = ("erasure_late", Severity.WRONG)
    DAY_KEYS_SHORT = ("day_keys_short", Severity.WARNING)

    BUCKET_UNUSABLE = ("bucket_unusable", Severity.WRONG)
    PUBLIC_FILE_MISSING = ("public_file_missing", Severity.WRONG)
    PUBLICATION_LATE = ("publication_late", Severity.WRONG)
    PUBLIC_HEAD_OLD = ("public_head_old", Severity.WARNING)
    PUBLIC_ADDRESS_SILENT = ("public_address_silent", Severity.WARNING)

    SWAP_ON = ("swap_on", Severity.WARNING)
    CORES_POSSIBLE = ("cores_possible", Severity.WARNING)
    FEW_FILES = ("few_files", Severity.WARNING)

    CHECK_FAILED = ("check_failed", Severity.WRONG)
    NOT_LOOKED_AT = ("not_looked_at", Severity.WARNING)

    def __init__(self, code: str, severity: Severity) -> None:
        self.code = code
        self.severity = severity


def in_full(error: TocsinError) -> str:
    """What an error says, as a sentence: some of them end in a full stop, some are the end of another's sentence.

    >>> in_full(TocsinError("the disk is away"))
    'The disk is away.'
    """
    told = str(error).rstrip(".")
    return f"{told[:1].upper()}{told[1:]}."


class Finding(Struct, frozen=True):
    """One thing found: what is wrong, which file or server, and the way out, as sentences for a person."""

    code: Code
    sentence: str
