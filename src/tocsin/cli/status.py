"""`tocsin status`: what there is, what waits, what is out, what is missing; also what this version does not do."""

from typing import Final

from msgspec import Struct

from tocsin.cli.acting import DEFAULT_DATA, Data, Json, opened
from tocsin.cli.attention import (
    bucket_warnings,
    clock_warnings,
    disk_warnings,
    key_warnings,
    phone_code_warnings,
    quarantine_warnings,
    secret_warnings,
    spool_warnings,
    version_warnings,
)
from tocsin.cli.corrections import target_words
from tocsin.cli.terminal import InTerminal, Terminal, counted, span
from tocsin.ledger.queries import standing_objections
from tocsin.ledger.state import Ledger, Revocation
from tocsin.model.times import Instant, utc
from tocsin.service.deployment import Deployment
from tocsin.service.figures import (
    Batches,
    DayKeys,
    IssuingSecret,
    Quarantine,
    Queue,
    Reports,
    Versions,
    batches_of,
    day_keys_of,
    issuing_secrets_of,
    providers_of,
    quarantines_of,
    queue_of,
    reports_of,
    versions_of,
    waiting_in,
)
from tocsin.service.soundness import look_at_bucket, look_at_disks
from tocsin.stores.spool import Waiting

NOT_YET: Final = (
    "There is no padding: where few people report, who watches the files can tell when one of them did.",
    "There is no publication log and no witness: phones can't tell whether all of them are shown the same head.",
)
"""What an operator might take for granted and this version lacks."""
NO_ARCHIVE: Final = "There is no archive: reports are as safe as this machine's disk and its backup."


_ENGINES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


class Objection(Struct, frozen=True):
    """One that stands."""

    sequence: int
    kind: str
    target: str


class Status(Struct, frozen=True):
    """The whole answer."""

    region: str
    origin: str
    sequence: int
    engine: str
    term: int
    providers: int
    suspended_providers: int
    batches: Batches
    reports: Reports
    queue: Queue
    objections: tuple[Objection, ...]
    quarantines: tuple[Quarantine, ...]
    versions: Versions
    day_keys: DayKeys
    issuing_secrets: tuple[IssuingSecret, ...]
    spool: Waiting
    lost_files: tuple[str, ...]
    """Public files in force that are lost or damaged."""
    strangers: tuple[str, ...]
    """What is in the bucket and not tocsin's."""
    warnings: tuple[str, ...]
    not_yet: tuple[str, ...]


def status(*, data: Data = DEFAULT_DATA, json: Json = False, terminal: InTerminal) -> None:
    """Show what there is, what waits, what is out, what is missing. Changes nothing.

    It ends by what this version of tocsin does not do yet.

    Example: tocsin status
    """
    with opened(data, terminal.clock) as deployment:
        found = _status(deployment, terminal.clock.now())
    if json:
        terminal.json(found)
    else:
        _tell(terminal, found, terminal.clock.now())


def _status(deployment: Deployment, now: Instant) -> Status:
    performer = deployment.performer()
    performer.catch_up()
    ledger, settings = performer.ledger, deployment.settings
    bucket, disks = look_at_bucket(deployment), look_at_disks(deployment.folders)
    versions = versions_of(bucket.out, ledger, settings.policy.step_seconds, now)
    batches = batches_of(ledger, now)
    day_keys = day_keys_of(deployment.keys, ledger, now)
    quarantines = quarantines_of(ledger, now, settings.policy.useful_days)
    issuing_secrets = issuing_secrets_of(deployment.keys, ledger)
    providers = providers_of(ledger)
    spool = waiting_in(deployment)
    return Status(
        not_yet=NOT_YET if settings.archive.url else (*NOT_YET, NO_ARCHIVE),
        region=settings.region,
        origin=settings.origin,
        sequence=ledger.sequence,
        engine=settings.journal.engine,
        term=deployment.journal.tip().term,
        providers=providers.total,
        suspended_providers=providers.suspended,
        batches=batches,
        reports=reports_of(ledger),
        queue=queue_of(ledger, now, settings.policy.useful_days),
        objections=_objections(ledger),
        quarantines=quarantines,
        versions=versions,
        day_keys=day_keys,
        issuing_secrets=issuing_secrets,
        spool=spool,
        lost_files=bucket.lost,
        strangers=bucket.strangers,
        warnings=(
            *disk_warnings(disks),
            *bucket_warnings(bucket, versions),
            *clock_warnings(deployment.held_clock),
            *secret_warnings(issuing_secrets, now),
            *phone_code_warnings(batches.live_phone_codes),
            *key_warnings(day_keys, now),
            *quarantine_warnings(quarantines),
            *spool_warnings(spool),
            *version_warnings(versions, now, settings.policy),
        ),
    )


def _tell(terminal: Terminal, found: Status, now: Instant) -> None:
    batches, reports, queue, versions = found.batches, found.reports, found.queue, found.versions
    terminal.facts(
        (
            ("deployment", f"region {found.region}, origin {found.origin}"),
            (
                "journal",
                f"{_ENGINES[found.engine]}, {counted(found.sequence, 'event')}, term {found.term}",
            ),
            ("providers", f"{found.providers:,}, {found.suspended_providers:,} suspended"),
            (
                "codes",
                f"{counted(batches.active, 'active batch')}, {batches.dormant:,} dormant, {batches.expired:,} expired,"
                f" {batches.cut_off:,} cut off;"
                f" {counted(batches.cards, 'card')} in all; {counted(batches.live_phone_codes, 'live phone code')}",
            ),
            (
                "reports",
                f"{reports.total:,}: {reports.standing:,} stand, {reports.withdrawn:,} withdrawn,"
                f" {reports.cut_off:,} cut off",
            ),
            ("public set", counted(versions.live_keys, "key")),
            (
                "waiting",
                f"{counted(queue.keys, 'key')} of {counted(queue.reports, 'report')};"
                f" {counted(queue.held_keys, 'key')} not due yet, {queue.kept_keys:,} in quarantine",
            ),
            ("spool", _spool_words(found.spool)),
            ("additions", "PAUSED (tocsin resume)" if queue.paused else "go on"),
            ("newest version", _version_words(versions)),
            ("next version", f"{_due_words(versions.next_due_at, now)}"),
            (
                "day keys",
                f"today's is {'there' if found.day_keys.today else 'MISSING'},"
                f" and {counted(found.day_keys.days_ahead, 'day')} ahead",
            ),
            *(
                (f"issuing secret {secret.period}", f"needed until {utc(secret.needed_until_at)}")
                for secret in found.issuing_secrets
            ),
        )
    )
    if found.objections:
        terminal.line()
        terminal.line("Objections that stand (undo one: tocsin reinstate SEQUENCE --why REASON)")
        terminal.table(
            ("sequence", "kind", "against"), [(each.sequence, each.kind, each.target) for each in found.objections]
        )
    if found.warnings:
        terminal.line()
        terminal.facts(("!", warning) for warning in found.warnings)
    terminal.line()
    terminal.line("What this version does not do yet:")
    terminal.facts(("-", lack) for lack in found.not_yet)


def _objections(ledger: Ledger) -> tuple[Objection, ...]:
    """The objections that stand."""
    return tuple(_objection(ledger, sequence, kind) for sequence, kind in standing_objections(ledger).items())


def _objection(ledger: Ledger, sequence: int, kind: str) -> Objection:
    objection = ledger.objections[sequence]
    if not isinstance(objection, Revocation):
        return Objection(sequence, kind, counted(len(objection.reports), "report"))
    return Objection(sequence, kind, target_words(objection.target))


def _spool_words(spool: Waiting) -> str:
    if spool.oldest_at is None:
        return "empty"
    return f"{counted(spool.records, 'call')} for the journal, the oldest of {utc(spool.oldest_at)}"


def _version_words(versions: Versions) -> str:
    if versions.out_at is None or versions.out_age_seconds is None:
        return "none is out" if not versions.decided else f"none is out; {versions.decided:,} decided"
    behind = "" if versions.out == versions.decided else f"; {versions.decided:,} is decided and NOT OUT"
    return f"{versions.out:,} is out, {span(max(0, versions.out_age_seconds))} old{behind}"


def _due_words(due: int, now: Instant) -> str:
    return f"due in {span(due - now)}, at {utc(due)}" if due > now else f"due since {span(now - due)}, at {utc(due)}"
