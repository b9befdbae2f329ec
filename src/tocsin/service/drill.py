"""The drill of a rebuild: all of it, beside the deployment that runs, held against what is public, and thrown away.

Nothing of the deployment is changed: the archive's term is not raised, keys are read where they lie, and what is made
lies in a scratch folder that is gone afterwards.
"""

import secrets
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Final

from msgspec import Struct

from tocsin.client.calls import make_report
from tocsin.codes.card import batch_key, is_card_kind, make_card
from tocsin.formats.leaf import HEAD_NAME
from tocsin.formats.wire import decode_answer
from tocsin.journal import sqlite
from tocsin.journal.port import Durability, Journal, Tip
from tocsin.ledger.state import Batch, Ledger
from tocsin.model.calls import SentKey, Verdict
from tocsin.model.code_reading import CodeKind
from tocsin.model.errors import TocsinError
from tocsin.model.keys import KEY_BYTES
from tocsin.model.times import INTERVALS_PER_DAY, day_of, floor_quarter
from tocsin.publication.in_force import holds
from tocsin.publication.release import Released, released
from tocsin.service.archived import Archived, Loading
from tocsin.service.deployment import Deployment, head_verifier, signing_keys
from tocsin.service.held_clock import HeldClock
from tocsin.service.perform import Arrival, Performer
from tocsin.service.publish import Publisher
from tocsin.service.rebuild import Part, Stopwatch, Told, put_out
from tocsin.stores.folder import FolderBucket

BATCHES_TRIED: Final = 50
"""Batches of cards of which one is tried, the newest first: most of a dormant, expired or revoked one are none."""


class Check(Struct, frozen=True):
    """What was compared, and what is wrong with it, as a sentence; None if nothing is. `skipped`: there was nothing."""

    name: str
    fault: str | None = None
    skipped: bool = False


class Drilled(Struct, frozen=True):
    """How a drill went: the archive's tip, and its newest version; `passed` if nothing was wrong."""

    passed: bool
    tip: Tip
    version: int
    behind_events: int
    checks: tuple[Check, ...]
    parts: tuple[Part, ...]


def drill(deployment: Deployment, archive: Archived, scratch: Path, told: Told) -> Drilled:
    """Rebuilds from `archive` in the empty folder `scratch`, which only its owner can enter, and compares.

    Raises what `Loading.load` raises: from such an archive, or with such keys, nothing would come back.
    """
    watch = Stopwatch()
    last = archive.tip().sequence
    bucket = FolderBucket(scratch / "bucket")
    with closing(sqlite.create(scratch / "journal.sqlite", durability=Durability.WAIVED)) as journal:
        now = deployment.clock.now()
        nothing_out = Released(None, None)
        loading = Loading(archive, deployment.keys, now, nothing_out, lambda done: told("events loaded", done, last))
        loading.load(journal)
        watch.loaded(loading.read_seconds)
        clock, policy = HeldClock(deployment.clock, journal, day_of(now)), deployment.settings.policy
        signing = signing_keys(deployment.settings, deployment.keys)
        publisher = Publisher(journal, deployment.keys, clock, policy, bucket, signing)
        rebuilt = put_out(journal, publisher, loading.files_in_force(), watch, told)
        performer = Performer(journal, deployment.keys, clock, policy)
        performer.catch_up()
        checks = [
            _same_events(journal.tip(), deployment.journal),
            Check("public files made", rebuilt.unfinished),
            *_same_files(bucket, deployment),
            *_codes(performer, deployment),
        ]
    watch.part("compared, codes tried")
    return Drilled(
        passed=not any(check.fault for check in checks),
        tip=rebuilt.tip,
        version=rebuilt.version,
        behind_events=max(deployment.journal.tip().sequence - rebuilt.tip.sequence, 0),
        checks=tuple(checks),
        parts=tuple(watch.parts),
    )


def _same_events(tip: Tip, journal: Journal) -> Check:
    event = next(iter(journal.read(tip.sequence - 1, 1)), None)
    if event is None or event.digest != tip.digest:
        return Check("journal's digest", f"event {tip.sequence} of the archive is not the journal's")
    return Check("journal's digest")


def _same_files(ours: FolderBucket, deployment: Deployment) -> Iterator[Check]:
    """Every file that was made must be public with the same content; so must the head, if it is the newest there."""
    verifier = head_verifier(deployment.settings, deployment.keys)
    public = released(deployment.bucket, verifier)
    made = released(ours, verifier)
    if made.leaf is None or public.leaf is None:
        yield Check("public files the same", skipped=True)
        return
    names = [
        path.relative_to(ours.folder).as_posix()
        for path in ours.folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".txt"
    ]
    wrong = [name for name in names if name != HEAD_NAME and not _is_same(name, ours, deployment.bucket)]
    yield Check("public files the same", f"{wrong[0]} is not public, or holds something else" if wrong else None)
    if public.version == made.version:
        fault = "the head that was made is not the public one" if public.head != made.head else None
        yield Check("head the same", fault)
    else:
        yield Check("head the same", skipped=True)


def _is_same(name: str, ours: FolderBucket, public: FolderBucket) -> bool:
    """A zip may be another build's: what counts is the file in it, of which the name is the hash."""
    found = public.read(name)
    return found is not None and (found == ours.read(name) or holds(name, found))


def _codes(performer: Performer, deployment: Deployment) -> Iterator[Check]:
    """A card of each of the newest batches, until one is taken that nobody used; and one of that batch that was."""
    ledger = performer.ledger
    for batch in islice(_batches_of_cards(ledger), BATCHES_TRIED):
        used = _used(ledger, batch)
        unused = next((serial for serial in range(batch.count) if serial not in used), None)
        if unused is None or _verdict(performer, deployment, batch, unused) is not Verdict.TAKEN:
            continue
        yield Check("an unused card is taken")
        if not used:
            yield Check("a used card is refused", skipped=True)
        elif _verdict(performer, deployment, batch, max(used)) is Verdict.CODE_SPENT:
            yield Check("a used card is refused")
        else:
            yield Check("a used card is refused", f"a used card of batch {batch.batch} was not refused as spent")
        return
    yield Check("an unused card is taken", skipped=True)
    yield Check("a used card is refused", skipped=True)


def _batches_of_cards(ledger: Ledger) -> Iterator[Batch]:
    return (batch for _, batch in sorted(ledger.batches.items(), reverse=True) if is_card_kind(batch.code_kind))


def _used(ledger: Ledger, batch: Batch) -> set[int]:
    reports = ledger.reports
    return set(reports["serial"][reports["batch"] == batch.batch].tolist())


def _verdict(performer: Performer, deployment: Deployment, batch: Batch, serial: int) -> Verdict | None:
    """What a report with this card is told; it goes into the scratch journal. None if the card can't be made."""
    secret = deployment.keys.issuing_secret(batch.issuing_period)
    if secret is None:
        return None
    kind, now = CodeKind(batch.code_kind), deployment.clock.now()
    start = (day_of(now) - 1) * INTERVALS_PER_DAY
    report = make_report(
        [SentKey(secrets.token_bytes(KEY_BYTES), start, INTERVALS_PER_DAY)],
        code=make_card(batch_key(secret, kind, batch.batch), kind, batch.batch, serial),
        onset_day=None,
        withdrawal_secret=secrets.token_bytes(32),
        continuation_secret=secrets.token_bytes(32),
    )
    try:
        [answer] = performer.answer([Arrival(report.body, floor_quarter(now))])
    except TocsinError:
        return None
    return decode_answer(answer).verdict
