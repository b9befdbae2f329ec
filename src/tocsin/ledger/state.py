"""The ledger: the state folded from the journal up to a sequence number.

Only `tocsin.ledger.fold` changes it. `predicates` and `queries` read it; rules and publication ask them.
"""

from copy import deepcopy
from itertools import islice

import numpy as np
from msgspec import Struct

from tocsin.ledger.columns import Columns
from tocsin.ledger.issued import IssuedCodes
from tocsin.ledger.key_table import KeyTable
from tocsin.ledger.phone_codes import PhoneCodes
from tocsin.model.calls import Verdict
from tocsin.model.code_reading import Life
from tocsin.model.events import FileSpec, MadeFile, Target
from tocsin.model.keys import KeyKind


class Provider(Struct, frozen=True):
    """A hospital, lab, practice or hotline that may hand out codes; nothing new while it is `suspended`."""

    provider: int
    name: str
    suspended: bool = False


class Batch(Struct, frozen=True):
    """A stack of cards, or the phone codes of a provider's day: that batch grows, and its life is that of all of them.

    `activated`: phone codes are handed out as they are made, and never dormant.
    """

    batch: int
    provider: int
    code_kind: int
    count: int
    issuing_period: int
    life: Life
    report_type: int
    activated: bool


class Revocation(Struct, frozen=True):
    """An objection to whatever `target` covers, from the sequence `since` on; `standing` until it is reinstated."""

    target: Target
    since: int
    standing: bool = True


class Rollback(Struct, frozen=True):
    """An objection to exactly these reports (sequences, ascending)."""

    reports: tuple[int, ...]
    standing: bool = True


PhoneBatchKey = tuple[int, int, int]
"""Provider, report type and issuing period: what the phone codes of one batch have in common, beside their day."""
Objection = Revocation | Rollback


class Quarantine(Struct, frozen=True):
    """What is kept back of `target` (provider 0: reports without a code) until `lifted_at`, in UTC seconds."""

    target: Target
    lifted_at: int | None = None

    @property
    def standing(self) -> bool:
        """Whether it was not lifted."""
        return self.lifted_at is None


class Withdrawal(Struct, frozen=True):
    """What one withdrawal has changed: rows of reports, and heads of keys by kind. For taking it back."""

    reports: tuple[int, ...]
    final: tuple[tuple[KeyKind, int], ...]


class Version(Struct, frozen=True):
    """A version of the public set as it was decided, with the number of positions that entered and left."""

    version: int
    at: int
    due: int
    first_day: int
    useful_days: int
    set_digest: bytes
    term: int
    files: tuple[FileSpec, ...]
    sequence: int
    digest: bytes
    entered: int
    left: int


def key_tables(secret: bytes) -> dict[KeyKind, KeyTable]:
    """An empty table for each kind; `secret` as `KeyTable` wants it."""
    return {kind: KeyTable(kind, secret) for kind in KeyKind}


class Ledger:
    """What the journal up to `sequence` amounts to.

    `reports`: one row a report or continuation, ascending by sequence, of which `root` is the row of the same person's
    first report (its own, where it is the first); `keys`: for each kind, one row a key that they hold. The keys of one
    row of `reports` are of one kind.
    """

    def __init__(self) -> None:
        self.sequence = 0
        self.recorded_at = 0
        self.region = ""
        self.deployment_id = b""
        self.founded_at = 0
        self.paused = False
        self.providers: dict[int, Provider] = {}
        self.batches: dict[int, Batch] = {}
        self.issued_cards = IssuedCodes()
        self.issued_phone_codes = IssuedCodes()
        self.phone_codes = PhoneCodes()
        self.phone_batches: dict[PhoneBatchKey, int] = {}
        """The newest batch of phone codes of each provider, report type and issuing period."""
        self.secret_ends: dict[int, int] = {}
        """Issuing period → the end of the last life of its codes, in quarter-hours since 1970."""
        self.objections: dict[int, Objection] = {}
        self.revocations: dict[tuple[int | None, int | None], list[int]] = {}
        """Provider or batch → the sequences of the revocations against it or a part of it."""
        self.quarantines: dict[int, Quarantine] = {}
        self.versions: list[Version] = []
        self.made: list[MadeFile] = []
        """The public files of every version but the newest, whose own are recorded with the next one."""
        self.sealed_days: set[int] = set()
        """UTC days of reports whose content could not be opened when it was folded, and is not erased."""
        self.day_keys: dict[int, bytes] = {}
        """UTC day → the fingerprint of its key; of days that are not erased."""
        self.erased_days: set[int] = set()
        """UTC days whose content is erased: none of it is in this ledger, whenever it was folded."""
        self.report_by_id: dict[bytes, int] = {}
        self.acts = 0
        """How many events were folded that no app's call has led to."""
        self.withdrawals: list[Withdrawal] = []
        """What the withdrawals since the last mark have changed (`fold.mark`)."""
        self.declined: dict[bytes, Verdict] = {}
        """ID of a report that was answered *provisional* and could not be taken → the last word on it."""
        self.continuations: dict[int, list[int]] = {}
        """Row of a first report → the rows of its continuations, ascending; only where there are any."""
        self.letters: dict[str, int] = {}
        """The different `verdicts` of reports → the number by which `reports` has them."""
        self.reports = Columns(
            {
                "sequence": np.int64,
                "root": np.int32,
                "recorded_at": np.int64,
                "received_at": np.int64,
                "report_type": np.uint8,
                "batch": np.int64,
                "serial": np.int64,
                "provider": np.int64,
                "sent": "V32",
                "key_kind": np.uint8,
                "first_row": np.int64,
                "rows": np.int64,
                "objections": np.int32,
                "withdrawn": np.bool_,
                "erased": np.bool_,
                "letters": np.uint32,
            }
        )
        self.keys = key_tables(b"")

    def copy(self) -> "Ledger":
        """A ledger of its own that stands where this one does: what it costs is memory, not another fold."""
        twin = Ledger()
        for name, value in vars(self).items():
            if isinstance(value, Columns | PhoneCodes | dict | list | set):
                value = value.copy()
            setattr(twin, name, value)
        twin.keys = {kind: table.copy() for kind, table in self.keys.items()}
        twin.revocations, twin.continuations = deepcopy(self.revocations), deepcopy(self.continuations)
        return twin

    def verdicts(self, row: int) -> str:
        """The verdicts on the positions of the report in this row, a letter each."""
        return next(islice(self.letters, self.reports.cell("letters", row), None))

    def rows_of_person(self, root: int) -> list[int]:
        """The rows of all that one person has reported, ascending: of the first report, then of its continuations."""
        return [root, *self.continuations.get(root, ())]

    @property
    def torn(self) -> bool:
        """Whether memory ran out while a table was written: the ledger can't be used any more."""
        return self.reports.torn or any(table.torn for table in self.keys.values())

    @property
    def version(self) -> int:
        """The newest version of the public set; 0 is the empty set of the founding."""
        return self.versions[-1].version if self.versions else 0
