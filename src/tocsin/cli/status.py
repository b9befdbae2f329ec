"""`tocsin status`: what there is, what waits, what is out, what is missing; also what this version does not do."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from tocsin.cli.acting import DEFAULT_DATA, Data, Json, opened
from tocsin.cli.terminal import InTerminal, Terminal, counted, size, span
from tocsin.ledger.predicates import BatchState, batch_state, is_suspended, standing_reports
from tocsin.ledger.queries import first_day, secrets_needed_until, standing_objections, waiting
from tocsin.ledger.state import Ledger, Revocation
from tocsin.model.errors import Unavailable
from tocsin.model.times import Day, Instant, day_of, utc
from tocsin.publication.release import Released
from tocsin.service.deployment import Deployment
from tocsin.service.follow import lost_days
from tocsin.service.key_folder import DAYS_AHEAD, KeyFolder
from tocsin.service.soundness import Bucket, Disk, look_at_bucket, look_at_disks

NOT_YET: Final = (
    "There is no padding: where few people report, who watches the files can tell when one of them did.",
    "Nothing is pruned: public files and day keys stay until a person removes them; nothing is erased.",
    "There is no publication log and no witness: phones can't tell whether all of them are shown the same head.",
    "There is no archive and no spool: reports are as safe as this machine's disk and its backup.",
)
"""What a keeper might take for granted and this version lacks."""


SHOWN_NAMES: Final = 3
"""Names of files shown to a person; `--json` has them all."""


class Batches(Struct, frozen=True):
    """Code batches by their state now, and their cards; a life that has not begun counts as dormant."""

    dormant: int
    active: int
    expired: int
    cut_off: int
    cards: int


class Reports(Struct, frozen=True):
    """Reports by what became of them; a withdrawn one may be cut off too."""

    total: int
    standing: int
    withdrawn: int
    cut_off: int
    last_recorded_at: int | None


class Queue(Struct, frozen=True):
    """What is not public yet: reports and keys whose release instant has come, and keys that are held back still."""

    reports: int
    keys: int
    held_keys: int
    paused: bool


class Objection(Struct, frozen=True):
    """One that stands."""

    sequence: int
    kind: str
    target: str


class Versions(Struct, frozen=True):
    """The newest version that is decided, the newest that is out; instants in UTC seconds."""

    decided: int
    out: int
    out_at: int | None
    out_age_seconds: int | None
    next_due_at: int
    live_keys: int


class DayKeys(Struct, frozen=True):
    """Whether today's key is there, how many days ahead there are keys without a gap, and the UTC days of lost keys."""

    today: bool
    days_ahead: int
    lost: tuple[int, ...]


class IssuingSecret(Struct, frozen=True):
    """The secret behind the codes of one issuing period; it must be there until `needed_until_at`."""

    period: int
    there: bool
    needed_until_at: int


class Status(Struct, frozen=True):
    """The whole answer."""

    region: str
    origin: str
    sequence: int
    term: int
    providers: int
    suspended_providers: int
    batches: Batches
    reports: Reports
    queue: Queue
    objections: tuple[Objection, ...]
    versions: Versions
    day_keys: DayKeys
    issuing_secrets: tuple[IssuingSecret, ...]
    lost_files: tuple[str, ...]
    """Public files in force that are lost or damaged."""
    strangers: tuple[str, ...]
    """What is in the bucket and not tocsin's."""
    warnings: tuple[str, ...]
    not_yet: tuple[str, ...] = NOT_YET


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
    versions = _versions(bucket.out, ledger, settings.policy.step_seconds, now)
    day_keys = _day_keys(deployment.keys, ledger, now)
    issuing_secrets = _issuing_secrets(deployment.keys, ledger)
    return Status(
        region=settings.region,
        origin=settings.origin,
        sequence=ledger.sequence,
        term=deployment.journal.tip().term,
        providers=len(ledger.providers),
        suspended_providers=sum(is_suspended(ledger, provider) for provider in ledger.providers),
        batches=_batches(ledger, now),
        reports=_reports(ledger),
        queue=_queue(ledger, now, settings.policy.useful_days),
        objections=tuple(_objection(ledger, sequence, kind) for sequence, kind in standing_objections(ledger).items()),
        versions=versions,
        day_keys=day_keys,
        issuing_secrets=issuing_secrets,
        lost_files=bucket.lost,
        strangers=bucket.strangers,
        warnings=(
            *_disk_warnings(disks),
            *_bucket_warnings(bucket, versions),
            *_clock_warning(deployment),
            *_secret_warnings(issuing_secrets, now),
            *_warnings(versions, day_keys, now, settings.policy.step_seconds, settings.policy.freshness_seconds),
        ),
    )


def _batches(ledger: Ledger, now: Instant) -> Batches:
    batches = ledger.batches.values()
    states = Counter(batch_state(ledger, batch, now) for batch in batches)
    return Batches(
        dormant=states[BatchState.DORMANT] + states[BatchState.NOT_YET],
        active=states[BatchState.ACTIVE],
        expired=states[BatchState.EXPIRED],
        cut_off=states[BatchState.CUT_OFF],
        cards=sum(batch.count for batch in batches),
    )


def _reports(ledger: Ledger) -> Reports:
    reports = ledger.reports
    return Reports(
        total=reports.count,
        standing=int(standing_reports(ledger).sum()),
        withdrawn=int(reports["withdrawn"].sum()),
        cut_off=int((reports["objections"] > 0).sum()),
        last_recorded_at=int(reports["recorded_at"][-1]) if reports.count else None,
    )


def _queue(ledger: Ledger, now: Instant, useful_days: int) -> Queue:
    queue = waiting(ledger, now, first_day(ledger, now, useful_days))
    keys = len(queue.eligible) + len(queue.returning)
    return Queue(reports=queue.reports, keys=keys, held_keys=len(queue.held), paused=ledger.paused)


def _objection(ledger: Ledger, sequence: int, kind: str) -> Objection:
    objection = ledger.objections[sequence]
    if not isinstance(objection, Revocation):
        return Objection(sequence, kind, counted(len(objection.reports), "report"))
    target = objection.target
    if target.provider is not None:
        return Objection(sequence, kind, f"provider {target.provider}")
    serials = "" if target.first is None else f", serials {target.first} to {target.last}"
    return Objection(sequence, kind, f"batch {target.batch}{serials}")


def _versions(out: Released, ledger: Ledger, step: int, now: Instant) -> Versions:
    newest = ledger.versions[-1] if ledger.versions else None
    return Versions(
        decided=ledger.version,
        out=out.version,
        out_at=out.leaf.at if out.leaf else None,
        out_age_seconds=now - out.leaf.at if out.leaf else None,
        next_due_at=newest.due if newest else ledger.founded_at - ledger.founded_at % step + step,
        live_keys=out.leaf.gaen_keys if out.leaf else 0,
    )


def _day_keys(keys: KeyFolder, ledger: Ledger, now: Instant) -> DayKeys:
    today = day_of(now)
    ahead = 0
    while keys.has_day_key(Day(today + ahead + 1)):
        ahead += 1
    there = keys.has_day_key(today)
    lost = set(lost_days(ledger, now))
    if ahead and not there:  # keys are made in order
        lost.add(today)
    return DayKeys(there, ahead, tuple(sorted(lost)))


def _issuing_secrets(keys: KeyFolder, ledger: Ledger) -> tuple[IssuingSecret, ...]:
    return tuple(
        IssuingSecret(period, keys.issuing_secret(period) is not None, end)
        for period, end in secrets_needed_until(ledger).items()
    )


def _secret_warnings(issuing_secrets: tuple[IssuingSecret, ...], now: Instant) -> tuple[str, ...]:
    return tuple(
        f"The issuing secret issuing-{secret.period} of the key folder is gone, and cards made with it are valid until"
        f" {utc(secret.needed_until_at)}: all of them are answered as expired. Restore it from its backup."
        for secret in issuing_secrets
        if not secret.there and now < secret.needed_until_at
    )


def _disk_warnings(disks: tuple[Disk, ...]) -> Iterator[str]:
    for disk in disks:
        if disk.free_bytes is None:
            yield (
                f"{disk.folder} can't be written: see that it is there, that it is this user's, and that its disk is"
                f" not mounted read-only. {disk.consequence}"
            )
        else:
            yield (
                f"The disk of {disk.folder} has {size(disk.free_bytes)} left: free some. {disk.consequence}"
                " All goes on by itself once there is room."
            )


def _bucket_warnings(bucket: Bucket, versions: Versions) -> Iterator[str]:
    if bucket.trouble is not None:
        yield f"Nothing is published: {bucket.trouble}."
    elif versions.out < versions.decided:
        yield "A version is decided and not out: `tocsin publish` or `tocsin serve` finishes it."
    if bucket.lost:
        yield (
            f"{counted(len(bucket.lost), 'public file')} in force lost or damaged: {_some(bucket.lost)}. They are made"
            " again by `tocsin publish`, and by `tocsin serve` within a quarter-hour; look at the bucket's disk."
        )
    if bucket.strangers:
        yield (
            f"The bucket holds what is not tocsin's, and what is never served or removed: {_some(bucket.strangers)}."
            " See who put it there, and move it away."
        )


def _some(names: tuple[str, ...]) -> str:
    """The first of these names, and how many others there are."""
    others = f" and {len(names) - SHOWN_NAMES:,} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + others


def _clock_warning(deployment: Deployment) -> tuple[str, ...]:
    try:
        deployment.held_clock.now()
    except Unavailable as error:
        return (f"Nothing is recorded: {error}.",)
    return ()


def _warnings(
    versions: Versions, day_keys: DayKeys, now: Instant, step_seconds: int, freshness_seconds: int
) -> tuple[str, ...]:
    found = []
    if day_keys.lost:
        named = ", ".join(f"days/{day}" for day in day_keys.lost)
        found.append(
            f"A day key is lost: restore {named} of the key folder from its backup. Until then every report is"
            " answered 503, and if it sealed a report nothing is published."
        )
    if not day_keys.today and day_of(now) not in day_keys.lost:
        found.append("There is no day key for today: reports are answered 503. `tocsin serve` makes it.")
    elif day_keys.days_ahead < DAYS_AHEAD - 1:
        found.append(f"Day keys reach {day_keys.days_ahead} days ahead only: `tocsin serve` makes them.")
    if versions.out_age_seconds is not None and versions.out_age_seconds > freshness_seconds:
        found.append("The head is stale: phones refuse it. Run `tocsin serve`.")
    elif now >= versions.next_due_at + step_seconds:
        found.append("Versions are overdue: is `tocsin serve` running?")
    return tuple(found)


def _tell(terminal: Terminal, found: Status, now: Instant) -> None:
    batches, reports, queue, versions = found.batches, found.reports, found.queue, found.versions
    terminal.facts(
        (
            ("deployment", f"region {found.region}, origin {found.origin}"),
            ("journal", f"{counted(found.sequence, 'event')}, term {found.term}"),
            ("providers", f"{found.providers:,}, {found.suspended_providers:,} suspended"),
            (
                "codes",
                f"{counted(batches.active, 'active batch')}, {batches.dormant:,} dormant, {batches.expired:,} expired,"
                f" {batches.cut_off:,} cut off;"
                f" {counted(batches.cards, 'card')} in all",
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
                f" {counted(queue.held_keys, 'key')} not due yet",
            ),
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


def _version_words(versions: Versions) -> str:
    if versions.out_at is None or versions.out_age_seconds is None:
        return "none is out" if not versions.decided else f"none is out; {versions.decided:,} decided"
    behind = "" if versions.out == versions.decided else f"; {versions.decided:,} is decided and NOT OUT"
    return f"{versions.out:,} is out, {span(max(0, versions.out_age_seconds))} old{behind}"


def _due_words(due: int, now: Instant) -> str:
    return f"due in {span(due - now)}, at {utc(due)}" if due > now else f"due since {span(now - due)}, at {utc(due)}"
