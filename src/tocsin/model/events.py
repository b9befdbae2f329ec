"""The events: one fact each. The journal keeps them, the ledger is folded from them, and nothing else changes it.

The table of kinds, every field in order, is ``docs/formats/events.md``; a body is written field by field as declared
here. Byte strings in bodies are canonical unpadded base64url (`tocsin.model.base64url`). Fields are only ever added, at
the end, with defaults; old events are never reinterpreted.
"""

from typing import ClassVar, Final

import numpy as np
from msgspec import Struct

from tocsin.model.claims import Claim
from tocsin.model.keys import CONTENT_KEYS, ContentKeys, KeyKind
from tocsin.model.policy import SignatureInfo


class Body(Struct, frozen=True):
    """What every body has: its kind's name, which is not repeated in the JSON."""

    kind: ClassVar[str]


class Act(Body, frozen=True, kw_only=True):
    """An act of a person: who did it, why, and who else approved of it."""

    who: str
    why: str
    approved_by: str | None = None


class Founded(Body, frozen=True):
    """Event 1: `region` ``[a-z0-9-]{1,32}``, `deployment_id` 32 random bytes."""

    kind: ClassVar[str] = "founded"
    region: str
    deployment_id: str


class ProviderAdded(Act, frozen=True):
    """A hospital, lab, practice or hotline may hand out codes; `provider` counts from 1."""

    kind: ClassVar[str] = "provider_added"
    provider: int
    name: str


class ProviderSuspended(Act, frozen=True):
    """The provider hands out nothing new: no batch is issued to it or activated. Cards in people's hands still work."""

    kind: ClassVar[str] = "provider_suspended"
    provider: int


class ProviderRestored(Act, frozen=True):
    """The provider hands out codes again."""

    kind: ClassVar[str] = "provider_restored"
    provider: int


class BatchIssued(Act, frozen=True):
    """A stack of cards was made. `valid_from`, `valid_until` in quarter-hours since 1970 (the end is not included)."""

    kind: ClassVar[str] = "batch_issued"
    batch: int
    provider: int
    code_kind: int
    count: int
    issuing_period: int
    valid_from: int
    valid_until: int
    report_type: int


class BatchActivated(Act, frozen=True):
    """The provider has the cards in hand; until now none of them was of use."""

    kind: ClassVar[str] = "batch_activated"
    batch: int


class PhoneCodesIssued(Act, frozen=True):
    """Phone codes were made, with the next serials of their batch: a provider's day. All have one life of their own.

    `attempts` and `hashes` have an entry a code: at which attempt it was made, and the 16 bytes by which it is known.
    """

    kind: ClassVar[str] = "phone_codes_issued"
    batch: int
    provider: int
    issuing_period: int
    first_serial: int
    valid_from: int
    valid_until: int
    report_type: int
    attempts: tuple[int, ...]
    hashes: tuple[str, ...]


class HasKeys(Body, frozen=True):
    """What an app's call has led to: keys, in the event's content, and the receipt.

    `id`: the event's own 32 bytes, to which the content is bound; `verdicts` a letter and `hold` quarter-hours per
    position as sent.
    """

    id: str
    received_at: int
    report_type: int
    verdicts: str
    hold: tuple[int, ...]


class Reported(HasKeys, frozen=True):
    """One person's keys, for the first time. `id` is claim 1's value."""

    kind: ClassVar[str] = "reported"


class Continued(HasKeys, frozen=True):
    """More of a person's keys, or another word on what they stand for; `report` is the sequence of the *first* report.

    `id` is claim 9's value: that of the claim 7 that the continuation secret has opened. Report type 5 says that the
    test was negative: whatever this person has reported is taken back, as by `Withdrawn`.
    """

    kind: ClassVar[str] = "continued"
    report: int


class Withdrawn(Body, frozen=True):
    """The reporter takes the report with this sequence back: final."""

    kind: ClassVar[str] = "withdrawn"
    report: int


class Declined(Body, frozen=True):
    """A report that was answered *provisional* can't be taken; `verdict` says why, at whatever site it is asked for.

    `id` is the value of its claim of class 1, which no other report can have from now on; its code is not claimed.
    """

    kind: ClassVar[str] = "declined"
    id: str
    received_at: int
    verdict: str


class Target(Struct, frozen=True):
    """What a revocation cuts off: a provider, a batch, or the serials `first` to `last` of a batch, both included."""

    provider: int | None = None
    batch: int | None = None
    first: int | None = None
    last: int | None = None


class Revoked(Act, frozen=True):
    """Cards, a batch or a provider are cut off; reports with a sequence ≥ `since` stand under this objection."""

    kind: ClassVar[str] = "revoked"
    target: Target
    since: int


class RolledBack(Act, frozen=True):
    """Exactly these reports, by their sequences, ascending, stand under this objection."""

    kind: ClassVar[str] = "rolled_back"
    reports: tuple[int, ...]


class Reinstated(Act, frozen=True):
    """The objection with this sequence no longer stands."""

    kind: ClassVar[str] = "reinstated"
    objection: int


class Paused(Act, frozen=True):
    """Additions to the public set stop; all else goes on."""

    kind: ClassVar[str] = "paused"


class Resumed(Act, frozen=True):
    """Additions go on."""

    kind: ClassVar[str] = "resumed"


class Quarantined(Act, frozen=True):
    """Keys of the target that were never public are kept back, whatever else they wait for, until it is lifted.

    `target`: one provider, one batch, or all reports without a code (provider 0); never a range of serials.
    """

    kind: ClassVar[str] = "quarantined"
    target: Target


class QuarantineLifted(Act, frozen=True):
    """The quarantine with this sequence no longer stands."""

    kind: ClassVar[str] = "quarantine_lifted"
    quarantine: int


class Move(Struct, frozen=True, array_like=True):
    """Positions of one report that enter or leave the public set: bit i of `mask` is position i as sent."""

    report: int
    mask: int
    report_type: int


class FileSpec(Struct, frozen=True, array_like=True):
    """A file that a version makes, so that building it reads no policy.

    `profile` ``keyset`` or ``gaen``; `kind` ``dump`` or ``delta``; `from_version` 0 in a dump; `codec` 0 raw;
    `records_per_part` 0 where there is one part only.
    """

    profile: str
    kind: str
    from_version: int
    codec: int
    records_per_part: int
    signature_infos: tuple[SignatureInfo, ...]


class MadeFile(Struct, frozen=True, array_like=True):
    """A public file by its content: `digest` is its SHA-256 in base64url, of ``export.bin`` for ``gaen``.

    Part `part` of `parts` (from 1) of the window; `from_version` 0 in a dump.
    """

    profile: str
    kind: str
    from_version: int
    to_version: int
    part: int
    parts: int
    digest: str
    length: int


class Published(Body, frozen=True):
    """A version of the public set is decided: what enters, what leaves, what it leads to, which files it makes.

    `made`: the files of the version before it, as they were released; so every leaf follows from the journal alone.
    """

    kind: ClassVar[str] = "published"
    version: int
    at: int
    due: int
    up_to: int
    first_day: int
    useful_days: int
    entering: tuple[Move, ...]
    leaving: tuple[Move, ...]
    padding: tuple[int, ...]
    set_digest: str
    term: int
    files: tuple[FileSpec, ...]
    made: tuple[MadeFile, ...]


class Erased(Body, frozen=True):
    """The day key of this UTC day is destroyed; the content under it can never be read again.

    `objected`: sequences, ascending, of what was received that day, stands under a revocation at this moment, and is of
    a person of whom something is left: what their other keys stand for rests on it, and with its content goes the
    only thing that says so.
    """

    kind: ClassVar[str] = "erased"
    day: int
    objected: tuple[int, ...] = ()


class DayKeyMade(Body, frozen=True):
    """The key of this UTC day is the one with this fingerprint; no content of the day is sealed under another."""

    kind: ClassVar[str] = "day_key_made"
    day: int
    fingerprint: str


BODIES: Final[tuple[type[Body], ...]] = (
    Founded,
    ProviderAdded,
    ProviderSuspended,
    ProviderRestored,
    BatchIssued,
    BatchActivated,
    PhoneCodesIssued,
    Reported,
    Continued,
    Withdrawn,
    Declined,
    Revoked,
    RolledBack,
    Reinstated,
    Paused,
    Resumed,
    Quarantined,
    QuarantineLifted,
    Published,
    Erased,
    DayKeyMade,
)
KINDS: Final[dict[str, type[Body]]] = {body.kind: body for body in BODIES}


class ReportContent(Struct, frozen=True, gc=False):
    """What is erased with its day: a report's keys and where its code came from. Batch 0 and provider 0 mean none.

    `sent` is the 32-byte digest of the call; `key_rows` the bytes of `keys`: for so few, numpy would take longer.
    """

    batch: int
    serial: int
    provider: int
    sent: bytes
    key_kind: KeyKind
    key_rows: bytes

    @property
    def keys(self) -> ContentKeys:
        """One row a taken key, in order of position; all of one kind."""
        return np.frombuffer(self.key_rows, CONTENT_KEYS[self.key_kind])


class Draft(Struct, frozen=True, eq=False):
    """An event as a rule decides it: not yet numbered, sealed or stored. A dry run prints drafts."""

    body: Body
    claims: tuple[Claim, ...] = ()
    content: ReportContent | None = None


class Event(Struct, frozen=True, eq=False, gc=False):
    """An event as the journal holds it, its content opened. `content` is None where there is none or it is erased.

    `sealed`: the journal has content, but the key of its day is not at hand.
    """

    sequence: int
    recorded_at: int
    body: Body
    digest: bytes
    content: ReportContent | None = None
    sealed: bool = False
