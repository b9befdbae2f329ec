"""What one may ask of a ledger. The present moment is always an argument."""

from enum import StrEnum
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tocsin.ledger.key_table import NEVER, KeyTable
from tocsin.ledger.predicates import kept_back, owned_rows, standing_reports
from tocsin.ledger.state import Ledger, Revocation
from tocsin.model.keys import WEAKEST_FIRST, Column, KeyKind, KeysByKind, Records, key_ends, rows_of
from tocsin.model.times import EMBARGO_SECONDS, QUARTER_SECONDS, Day, Instant, day_of, day_start

Rows = NDArray[np.intp]

_BY_STRENGTH: Final = np.array([0, *WEAKEST_FIRST], np.uint8)
_STRENGTHS: Final = np.zeros(256, np.uint8)
_STRENGTHS[_BY_STRENGTH] = np.arange(len(_BY_STRENGTH))
"""Report type → how strong it is, from 1; 0 where a key can't be public under it."""


class Standing(StrEnum):
    """What became of a person's report; the first that holds, in this order."""

    TOO_OLD = "too_old"
    WITHDRAWN = "withdrawn"
    CUT_OFF = "cut_off"
    TAKEN = "taken"


def standing(ledger: Ledger, report: int) -> Standing:
    """What became of what the person has reported whose first report is in row `report`."""
    reports = ledger.reports
    if reports["erased"][ledger.rows_of_person(report)].all():
        return Standing.TOO_OLD
    if reports["withdrawn"][report]:
        return Standing.WITHDRAWN
    return Standing.CUT_OFF if reports["objections"][report] else Standing.TAKEN


def is_spent(ledger: Ledger, batch: int, serial: int) -> bool:
    """Whether a report that is not erased was made with this code. The journal's claims know of the others too."""
    reports = ledger.reports
    return bool(((reports["batch"] == batch) & (reports["serial"] == serial)).any())


def first_day(ledger: Ledger, at: int, useful_days: int) -> Day:
    """The oldest day whose keys are live in a version made at `at`.

    It never goes back, for phones have dropped what was before: a useful life that is made longer waits.
    """
    last = ledger.versions[-1].first_day if ledger.versions else 0
    return Day(max(day_of(at) - useful_days, last))  # P6


def wanted_rows(ledger: Ledger, keys: KeyTable, oldest: Day) -> NDArray[np.bool_]:
    """Whether each row ought to be public, its release instant apart: owned, its report standing, its day live."""
    owned, standing = owned_rows(ledger, keys), standing_reports(ledger)[keys["report"]]
    wanted: NDArray[np.bool_] = standing & owned & (keys["day"] >= oldest)
    return wanted


def public_rows(keys: KeyTable) -> NDArray[np.bool_]:
    """Whether each row is the one under which its key was last published and has not left; expired days included."""
    public: NDArray[np.bool_] = keys["public"][keys["head"]] & (keys["last_row"][keys["head"]] == np.arange(keys.count))
    return public


def live_rows(keys: KeyTable, oldest: Day) -> Rows:
    """The rows of the public set, given its first day."""
    return np.nonzero(public_rows(keys) & (keys["day"] >= oldest))[0]


def live_keys(ledger: Ledger, oldest: Day) -> KeysByKind:
    """The public set, given its first day; its order tells which reports came first."""
    return {kind: rows_of(keys["record"], live_rows(keys, oldest)) for kind, keys in ledger.keys.items()}


def is_whole(ledger: Ledger) -> bool:
    """Whether the newest version can be built: no report is erased that may have a key of a live day.

    A report's youngest key may end on the day after the report's own.
    """
    reports, oldest = ledger.reports, ledger.versions[-1].first_day
    return not (reports["erased"] & (reports["received_at"] >= day_start(oldest - 1))).any()


def count_people(ledger: Ledger, reports: NDArray[Any]) -> int:
    """How many people the rows `reports` are of (by numbers or flags): a report and what continues it are one."""
    return len(np.unique(ledger.reports["root"][reports]))


def present_types(ledger: Ledger) -> NDArray[np.uint8]:
    """The report type, a row of `ledger.reports`, that its keys are published with: the person's present one (O8).

    That is the strongest of those that no objection stands against, for a report only ever moves up. Where none is
    left nothing is published, and each row keeps its own.
    """
    reports = ledger.reports
    types: NDArray[np.uint8] = reports["report_type"].copy()
    if not ledger.continuations:
        return types
    strongest = np.zeros(reports.count, np.uint8)
    np.maximum.at(strongest, reports["root"], np.where(reports["objections"] == 0, _STRENGTHS[types], 0))
    present = strongest[reports["root"]]
    return np.where(present > 0, _BY_STRENGTH[present], types)


def present_type(ledger: Ledger, root: int) -> int:
    """As `present_types`, of the person whose first report is in row `root`; 0 where no row is in force."""
    reports, person = ledger.reports, ledger.rows_of_person(root)
    in_force = reports["report_type"][person][reports["objections"][person] == 0]
    return int(_BY_STRENGTH[_STRENGTHS[in_force].max(initial=0)])


class Waiting(Struct, frozen=True):
    """What might enter the public set: never-public rows whose release instant has come, and those still held.

    `kept`: never-public rows under a quarantine, due or not; they are in neither of the two. `returning`: rows that
    were public once and are wanted again; they wait for nothing but the end of a pause.
    """

    eligible: Rows
    held: Rows
    kept: Rows
    returning: Rows
    reports: int
    oldest_release_at: int | None


def waiting(ledger: Ledger, keys: KeyTable, at: int, oldest: Day) -> Waiting:
    """The rows that wait at `at`; `reports` counts the first reports, so the people, with an eligible row."""
    absent = wanted_rows(ledger, keys, oldest) & ~public_rows(keys)
    never_public = absent & ~keys["was_public"]
    kept = never_public & kept_back(ledger)[keys["report"]]  # Q1
    fresh = never_public & ~kept
    due = keys["release_at"] <= at
    returning = np.nonzero(absent & keys["was_public"])[0]
    eligible = np.nonzero(fresh & due)[0]
    return Waiting(
        eligible=eligible,
        held=np.nonzero(fresh & ~due)[0],
        kept=np.nonzero(kept)[0],
        returning=returning[key_ends(keys["record"][returning]) + EMBARGO_SECONDS <= at],
        reports=count_people(ledger, keys["report"][eligible]),
        oldest_release_at=int(keys["release_at"][eligible].min()) if len(eligible) else None,
    )


def waiting_by_kind(ledger: Ledger, at: int, oldest: Day) -> dict[KeyKind, Waiting]:
    """`waiting` for each kind."""
    return {kind: waiting(ledger, keys, at, oldest) for kind, keys in ledger.keys.items()}


class Changes(Struct, frozen=True, eq=False):
    """What a delta over [`from_version`, now] says, by the delta law.

    `additions`: records not identically present at every version of the window, with the version at which each key
    first entered; `removals`: records, as last published, of keys present at some version and not now.
    """

    from_version: int
    additions: Records
    first_entered: Column
    removals: Records


def changes(keys: KeyTable, from_version: int, oldest: Day) -> Changes:
    """The delta law for one kind over [`from_version`, the newest version], given the newest version's first day.

    Three version columns a key are enough (``docs/formats/keyset.md``); keys with several holders also keep the
    stints of those who went before.
    """
    live = live_rows(keys, oldest)
    added = live[keys["changed"][keys["head"][live]] > from_version]
    heads = np.nonzero(keys["last_row"] != NEVER)[0]
    last = keys["last_row"][heads]
    absent = ~(keys["public"][heads] & (keys["day"][last] >= oldest))
    gone = absent & ~keys["public"][heads] & (keys["left"][heads] > from_version) & (keys["day"][last] >= oldest)
    removed = {int(head): int(row) for head, row in zip(heads[gone], last[gone], strict=True)}
    for head in set(keys.stints).intersection(heads[absent].tolist()) - removed.keys():
        for row, ended in keys.stints[head]:
            if ended > from_version and keys["day"][row] >= oldest:
                removed[head] = row
    return Changes(
        from_version=from_version,
        additions=rows_of(keys["record"], added),
        first_entered=keys["first_entered"][keys["head"][added]].astype(np.int64),
        removals=rows_of(keys["record"], np.array(sorted(removed.values()), np.intp)),
    )


def spent_cards(ledger: Ledger, batch: int) -> int:
    """How many cards of a batch were used, among the reports not yet erased."""
    reports = ledger.reports  # what continues a report without a code of its own has the card of that report
    return len(np.unique(reports["serial"][reports["batch"] == batch]))


def secrets_needed_until(ledger: Ledger) -> dict[int, Instant]:
    """Issuing period → the end of the last life of its codes: until then its secret must be there, then it may go."""
    return {period: Instant(quarter * QUARTER_SECONDS) for period, quarter in sorted(ledger.secret_ends.items())}


def sequence_since(ledger: Ledger, at: int) -> int:
    """The first sequence from which on every report was recorded at or after `at`: the next one if there is none."""
    index = int(np.searchsorted(ledger.reports["recorded_at"], at))
    if index == ledger.reports.count:
        return ledger.sequence + 1
    return int(ledger.reports["sequence"][index])


def standing_objections(ledger: Ledger) -> dict[int, str]:
    """The objections that stand: sequence → ``revocation`` or ``rollback``."""
    return {
        sequence: "revocation" if isinstance(objection, Revocation) else "rollback"
        for sequence, objection in ledger.objections.items()
        if objection.standing
    }
