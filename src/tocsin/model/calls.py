"""The apps' one call, parsed, and its answer: what `formats.wire` reads and what `rules.intake` judges.

A call's numbers and lengths may still be wrong (a key of 5 bytes, a period of 900): that is for the rules to say, per
key. What is here is well formed: right fields, right types, identifiers of 32 bytes.
"""

from enum import StrEnum
from typing import Final, NewType

from msgspec import Struct

TrackingId = NewType("TrackingId", bytes)
"""32 bytes, the labelled hash of the withdrawal secret; never stored as it is."""
ContinueId = NewType("ContinueId", bytes)
"""32 bytes, the labelled hash of the continuation secret."""

ID_BYTES: Final = 32
SECRET_BYTES: Final = 32


class SentKey(Struct, frozen=True):
    """A diagnosis key as it was sent: any length, any number from 0 to 2³²−1."""

    key_data: bytes
    rolling_start_interval_number: int
    rolling_period: int


class ReportCall(Struct, frozen=True):
    """``act`` = report. `onset_day`, `test_day` in UTC days; `code` as it was typed, None where there is none."""

    tracking_id: TrackingId
    continue_id: ContinueId
    keys: tuple[SentKey, ...]
    code: str | None = None
    onset_day: int | None = None
    test_day: int | None = None


class ContinueCall(Struct, frozen=True):
    """``act`` = continue: more of a report, opened by the 32-byte secret behind its newest continue ID.

    `continue_id` is the next one. `keys` may be empty where a code is sent.
    """

    continuation_secret: bytes
    continue_id: ContinueId
    keys: tuple[SentKey, ...]
    code: str | None = None
    onset_day: int | None = None
    test_day: int | None = None


class TrackCall(Struct, frozen=True):
    """``act`` = track: what became of the report with this tracking ID?"""

    tracking_id: TrackingId


class WithdrawCall(Struct, frozen=True):
    """``act`` = withdraw: the 32-byte secret whose labelled hash is the report's tracking ID."""

    withdrawal_secret: bytes


class DecoyCall(Struct, frozen=True):
    """``act`` = decoy: looks like a report and is none."""


class UnsupportedCall(Struct, frozen=True):
    """An act that this server does not know."""


Call = ReportCall | ContinueCall | TrackCall | WithdrawCall | DecoyCall | UnsupportedCall


class Verdict(StrEnum):
    """What a call is answered: the closed list of ``docs/rules.md``."""

    TAKEN = "taken"
    PROVISIONAL = "provisional"
    CODE_UNKNOWN = "code_unknown"
    CODE_SPENT = "code_spent"
    CODE_EXPIRED = "code_expired"
    CODE_CUT_OFF = "code_cut_off"
    NO_KEY_LEFT = "no_key_left"
    REPORT_REFUSED = "report_refused"
    MISMATCH = "mismatch"
    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"
    OVER_ALLOWANCE = "over_allowance"
    WITHDRAWN = "withdrawn"
    CUT_OFF = "cut_off"
    UNKNOWN = "unknown"
    TOO_OLD = "too_old"
    NOTED = "noted"


class KeyVerdict(StrEnum):
    """What is said of one key position, only with `taken` and `no_key_left`."""

    TAKEN = "taken"
    BAD_LENGTH = "bad_length"
    BAD_PERIOD = "bad_period"
    TOO_OLD = "too_old"
    FUTURE = "future"


KEY_VERDICT_LETTERS: Final = {
    KeyVerdict.TAKEN: "t",
    KeyVerdict.BAD_LENGTH: "l",
    KeyVerdict.BAD_PERIOD: "p",
    KeyVerdict.TOO_OLD: "o",
    KeyVerdict.FUTURE: "f",
}
"""The letter of each verdict in the body of `reported`."""
KEY_VERDICTS: Final = {letter: verdict for verdict, letter in KEY_VERDICT_LETTERS.items()}


class Answer(Struct, frozen=True):
    """The answer to a call: a verdict, and one per key position where the rules say so."""

    verdict: Verdict
    keys: tuple[KeyVerdict, ...] = ()
