"""What an operator has to look at: each sentence names the file or disk, what stops by it, and the way out."""

from collections.abc import Iterator
from typing import Final

from tocsin.cli.corrections import target_words
from tocsin.cli.terminal import counted, size
from tocsin.model.errors import Unavailable
from tocsin.model.policy import Policy
from tocsin.model.ports import Clock
from tocsin.model.times import Instant, day_of, utc
from tocsin.service.figures import DayKeys, IssuingSecret, Quarantine, Versions
from tocsin.service.key_folder import DAYS_AHEAD
from tocsin.service.soundness import Bucket, Disk
from tocsin.stores.spool import Waiting

MANY_PHONE_CODES: Final = 2_000
"""The peak of a large country: with so many alive a guess hits once in 5·10⁷ times (docs/formats/phone-code.md)."""
PHONE_CODES: Final = 10**11
"""Codes there are."""
SHOWN_NAMES: Final = 3
"""Names of files shown to a person; `--json` has them all."""


def disk_warnings(disks: tuple[Disk, ...]) -> Iterator[str]:
    """Disks that are full soon, or can't be written."""
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


def bucket_warnings(bucket: Bucket, versions: Versions) -> Iterator[str]:
    """What is not in the bucket, and what should not be."""
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


def clock_warnings(clock: Clock) -> tuple[str, ...]:
    """A clock that is in doubt."""
    try:
        clock.now()
    except Unavailable as error:
        return (f"Nothing is recorded: {error}.",)
    return ()


def secret_warnings(issuing_secrets: tuple[IssuingSecret, ...], now: Instant) -> tuple[str, ...]:
    """Issuing secrets that went before their cards."""
    return tuple(
        f"The issuing secret issuing-{secret.period} of the key folder is gone, and codes made with it are valid until"
        f" {utc(secret.needed_until_at)}: cards are answered as expired, phone codes as unknown. Restore it from its"
        " backup."
        for secret in issuing_secrets
        if not secret.there and now < secret.needed_until_at
    )


def phone_code_warnings(live: int) -> Iterator[str]:
    """So many phone codes alive that guessing becomes worth while."""
    if live > MANY_PHONE_CODES:
        yield (
            f"{live:,} phone codes are alive: one guess in {PHONE_CODES // live:,} would hit. Give out cards where"
            " people come in person, or make phone_code_life_quarters smaller."
        )


def key_warnings(day_keys: DayKeys, now: Instant) -> Iterator[str]:
    """Day keys that are lost, or run out."""
    if day_keys.lost:
        named = ", ".join(f"days/{day}" for day in day_keys.lost)
        yield (
            f"A day key is lost: restore {named} of the key folder from its backup. Until then every report is"
            " answered 503, and if it sealed a report nothing is published."
        )
    if not day_keys.today and day_of(now) not in day_keys.lost:
        yield "There is no day key for today: reports are answered 503. `tocsin serve` makes it."
    elif day_keys.days_ahead < DAYS_AHEAD - 1:
        yield f"Day keys reach {day_keys.days_ahead} days ahead only: `tocsin serve` makes them."


def quarantine_warnings(quarantines: tuple[Quarantine, ...]) -> Iterator[str]:
    """What is kept back until somebody has looked."""
    for each in quarantines:
        yield (
            f"New keys of {target_words(each.target)} are kept back, {counted(each.reports, 'report')} so far: ask"
            f" there whether they are real. If so: `tocsin quarantine lift {each.sequence}`; if not: `tocsin rollback`."
        )


def spool_warnings(spool: Waiting) -> Iterator[str]:
    """Calls that were answered *provisional* and are not in the journal yet."""
    if spool.records > spool.set_aside:
        yield (
            f"{counted(spool.records - spool.set_aside, 'call')} answered provisional wait in the spool: a running"
            " `tocsin serve` delivers them once the journal is in reach."
        )
    if spool.set_aside:
        yield (
            f"{counted(spool.set_aside, 'call')} in the spool could not be delivered, by a fault that the server's log"
            " names: see docs/operating/spool.md, and report it. A restart of `tocsin serve` tries again."
        )


def version_warnings(versions: Versions, now: Instant, policy: Policy) -> Iterator[str]:
    """A head that is stale, or versions that do not come."""
    if versions.out_age_seconds is not None and versions.out_age_seconds > policy.freshness_seconds:
        yield "The head is stale: phones refuse it. Run `tocsin serve`."
    elif now >= versions.next_due_at + policy.step_seconds:
        yield "Versions are overdue: is `tocsin serve` running?"
