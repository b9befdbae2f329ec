"""What the next version of the public set is: a pure decision, recorded as a `published` event.

Minimum, longest wait, hold-back and pause are decided here and nowhere else; building never reads the policy. Rules:
``docs/rules.md``, "Publication".
"""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Final

import numpy as np
from msgspec import Struct

from tocsin.formats.set_digest import set_digest
from tocsin.ledger.key_table import KeyTable
from tocsin.ledger.queries import Rows, Waiting, changes, first_day, present_types, public_rows, waiting, wanted_rows
from tocsin.ledger.state import Ledger
from tocsin.model.base64url import encode
from tocsin.model.claims import version_claim
from tocsin.model.events import (
    Body,
    Continued,
    Draft,
    FileSpec,
    MadeFile,
    Move,
    Paused,
    Published,
    Quarantined,
    QuarantineLifted,
    Reinstated,
    Resumed,
    Revoked,
    RolledBack,
    Withdrawn,
)
from tocsin.model.keys import KeyKind, Records, ReportType, rows_of
from tocsin.model.policy import Policy
from tocsin.model.times import Day, Instant

_OVERTAKING: Final = (
    Withdrawn,
    Revoked,
    RolledBack,
    Reinstated,
    Paused,
    Resumed,
    Quarantined,
    QuarantineLifted,
    Published,
)


def overtakes(body: Body) -> bool:
    """Whether an event, after a plan's `up_to`, makes the plan stale (P7). Reports do no harm, whatever their type.

    A negative test takes back, as a withdrawal does.
    """
    return isinstance(body, _OVERTAKING) or (isinstance(body, Continued) and body.report_type == ReportType.REVOKED)


def plan(ledger: Ledger, policy: Policy, now: int, term: int, made: tuple[MadeFile, ...]) -> Draft | None:
    """The next version as of `now`, or None if this step has its version already.

    `made`: the files of the ledger's newest version, as `build` made them; empty if they can't be made any more, which
    is then made up for. Cost: one pass over the ledger's keys, and one set digest.
    """
    at = Instant(now - now % policy.step_seconds)
    if at <= last_at(ledger):  # P1
        return None
    oldest = first_day(ledger, at, policy.useful_days)
    moves = {kind: _moves(ledger, keys, policy, at, oldest) for kind, keys in ledger.keys.items()}
    live = {kind: _records(ledger, keys, moves[kind].live) for kind, keys in ledger.keys.items()}
    version = ledger.version + 1
    body = Published(
        version=version,
        at=at,
        due=at + policy.step_seconds,
        up_to=ledger.sequence,
        first_day=oldest,
        useful_days=policy.useful_days,
        entering=_as_moves(ledger, {kind: rows.entering for kind, rows in moves.items()}),
        leaving=_as_moves(ledger, {kind: rows.leaving for kind, rows in moves.items()}),
        padding=(),
        set_digest=encode(set_digest(ledger.region, live)),
        term=term,
        files=_files(ledger, policy, at, oldest, moves[KeyKind.GAEN], made),
        made=made,
    )
    return Draft(body=body, claims=(version_claim(version),))


def last_at(ledger: Ledger) -> Instant:
    """The instant of the newest version; that of version 0, the empty set, is the founding's."""
    return Instant(ledger.versions[-1].at if ledger.versions else ledger.founded_at)


class _Moves(Struct, frozen=True, eq=False):
    """Of one kind: rows that enter (or change their record), rows that leave, and all that are live afterwards."""

    entering: Rows
    leaving: Rows
    live: Rows


def _moves(ledger: Ledger, keys: KeyTable, policy: Policy, at: int, oldest: Day) -> _Moves:
    wanted, public = wanted_rows(ledger, keys, oldest), public_rows(keys)
    entering = wanted & public & (keys["record"]["report_type"] != present_types(ledger)[keys["report"]])  # P5
    leaving = public & ~wanted & (keys["day"] >= oldest)  # P3
    if not ledger.paused:
        queue = waiting(ledger, keys, at, oldest)
        entering[queue.returning] = True  # P4: no minimum and no hold-back, for there is nothing left to hide
        entering[_additions(queue, policy, at)] = True
    return _Moves(
        entering=np.nonzero(entering)[0],
        leaving=np.nonzero(leaving)[0],
        live=np.nonzero((wanted & public) | entering)[0],
    )


def _additions(queue: Waiting, policy: Policy, at: int) -> Rows:
    """All eligible rows, or none: until enough reports wait, or the oldest has waited long enough (P2).

    Each kind waits for itself: a report of one kind is not hidden among those of the other.
    """
    if queue.oldest_release_at is None:
        return queue.eligible
    waited = queue.oldest_release_at + policy.longest_wait_seconds <= at
    return queue.eligible if queue.reports >= policy.minimum_reports or waited else queue.eligible[:0]


def _records(ledger: Ledger, keys: KeyTable, rows: Rows) -> Records:
    """The records of `rows` as they will stand: with the report's present type."""
    records = rows_of(keys["record"], rows)
    records["report_type"] = present_types(ledger)[keys["report"][rows]]
    return records


def _as_moves(ledger: Ledger, rows: Mapping[KeyKind, Rows]) -> tuple[Move, ...]:
    """`rows` of every kind grouped by report, ascending by sequence."""
    moves = chain.from_iterable(_moves_of_kind(ledger, ledger.keys[kind], rows[kind]) for kind in rows)
    return tuple(sorted(moves, key=lambda move: move.report))


def _moves_of_kind(ledger: Ledger, keys: KeyTable, rows: Rows) -> Iterable[Move]:
    """`rows` grouped by report; they come sorted, and rows of one report stand together."""
    if not len(rows):
        return ()
    reports = keys["report"][rows]
    starts = np.nonzero(np.diff(reports, prepend=-1))[0]
    masks = np.add.reduceat(np.left_shift(np.int64(1), keys["position"][rows].astype(np.int64)), starts)
    sequences = ledger.reports["sequence"][reports[starts]]
    types = present_types(ledger)[reports[starts]]
    return (
        Move(report, mask, report_type)
        for report, mask, report_type in zip(sequences.tolist(), masks.tolist(), types.tolist(), strict=True)
    )


def _files(
    ledger: Ledger, policy: Policy, at: int, oldest: Day, moves: _Moves, made: tuple[MadeFile, ...]
) -> tuple[FileSpec, ...]:
    """The files of this version. `moves`: those of GAEN keys, for a GAEN delta is made only if it holds something."""
    files = []
    version = ledger.version + 1
    newest_dump = _newest_dump(ledger, made, "keyset")
    if _is_due(ledger, newest_dump, at, policy.dump_step_seconds):
        files.append(FileSpec("keyset", "dump", 0, 0, 0, ()))
        newest_dump = version
    files.append(FileSpec("keyset", "delta", _delta_from(ledger, policy, at, newest_dump), 0, 0, ()))
    since = _newest_dump(ledger, made, "gaen")
    if _is_due(ledger, since, at, policy.gaen_step_seconds):
        parts, infos = policy.gaen_records_per_part, policy.gaen_signature_infos
        files.append(FileSpec("gaen", "dump", 0, 0, parts, infos))
        window = changes(ledger.keys[KeyKind.GAEN], since, oldest)
        if len(window.additions) or len(window.removals) or _change_something(ledger, moves):
            files.append(FileSpec("gaen", "delta", since, 0, parts, infos))
    return tuple(files)


def _change_something(ledger: Ledger, moves: _Moves) -> bool:
    """Whether the GAEN set after `moves` is another: a key may go over to another holder of the same record."""
    keys = ledger.keys[KeyKind.GAEN]
    heads = keys["head"]
    before = zip(heads[moves.leaving].tolist(), keys["record"][moves.leaving].tolist(), strict=True)
    after = zip(heads[moves.entering].tolist(), _records(ledger, keys, moves.entering).tolist(), strict=True)
    return dict(before) != dict(after)


def _newest_dump(ledger: Ledger, made: tuple[MadeFile, ...], profile: str) -> int:
    """The version of the newest dump that phones can be told of; 0 if there is none."""
    files = chain(reversed(made), reversed(ledger.made))
    return next((file.to_version for file in files if (file.profile, file.kind) == (profile, "dump")), 0)


def _is_due(ledger: Ledger, last: int, at: int, seconds: int) -> bool:
    """Whether `at` is in a later span of so many seconds than version `last`; version 0 made nothing."""
    return not last or at // seconds > ledger.versions[last - 1].at // seconds


def _delta_from(ledger: Ledger, policy: Policy, at: int, newest_dump: int) -> int:
    """The newest delta spans from the newest dump or what was in force a delta window ago, whichever is older."""
    in_force = 0
    for version in reversed(ledger.versions):
        if version.at <= at - policy.delta_window_seconds:
            in_force = version.version
            break
    return min(in_force, newest_dump)
