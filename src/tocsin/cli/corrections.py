"""Taking back: `tocsin revoke`, `rollback`, `reinstate`, `pause`, `resume`. Each demands a reason."""

from typing import Annotated, Final

from cyclopts import ArgumentCollection, Group, Parameter

from tocsin.cli.acting import DEFAULT_OPTIONS, ActOptions, Outcome, Why, run
from tocsin.cli.reading import NUMBER, read_instant, read_selection, read_serials
from tocsin.cli.repeating import Acted
from tocsin.cli.terminal import InTerminal, counted
from tocsin.model.events import Event, Revoked, RolledBack, Target
from tocsin.rules import corrections
from tocsin.rules.quarantine import SELF_REPORTS
from tocsin.service.deployment import Deployment


def _one_target(given: ArgumentCollection) -> None:
    if sum(bool(argument.tokens) for argument in given) != 1:
        raise ValueError("Name one target: --serials, --batch or --provider.")


_TARGET = Group("Target (one of)", validator=_one_target)
_KEYS_LEAVE: Final = "Keys that are public leave with the next version."


def revoke(
    *,
    serials: Annotated[str | None, Parameter(group=_TARGET)] = None,
    batch: Annotated[int | None, NUMBER, Parameter(group=_TARGET)] = None,
    provider: Annotated[int | None, NUMBER, Parameter(group=_TARGET)] = None,
    since: str | None = None,
    why: Why,
    options: ActOptions = DEFAULT_OPTIONS,
    terminal: InTerminal,
) -> None:
    """Cut off cards, a batch or a provider: its codes are refused from now on.

    With --since, reports made with them since then are taken back too. Look first with --dry-run.
    Alerts that phones have already shown can't be taken back.
    The way back: tocsin reinstate SEQUENCE.

    Example: tocsin revoke --serials 12:23-60 --since 2026-11-24T08:00Z --why "stack stolen" --dry-run

    Parameters
    ----------
    serials
        BATCH:FIRST-LAST, both ends included, such as 12:23-60.
    batch
        A whole batch.
    provider
        A whole provider, with all batches it has and will get.
    since
        Also take back reports recorded since this time (ISO 8601, UTC). Unless given: only from now on.
    """
    target = read_serials(serials) if serials is not None else Target(provider=provider, batch=batch)
    since_at = None if since is None else read_instant(since)
    run(
        terminal,
        options,
        why,
        lambda ledger, policy, now, by: corrections.revoke(ledger, target, since_at, now, by),
        _tell_revoked,
    )


def rollback(
    *,
    select: Annotated[list[str], Parameter(consume_multiple=True)],
    why: Why,
    options: ActOptions = DEFAULT_OPTIONS,
    terminal: InTerminal,
) -> None:
    """Take back an exact list of reports; their codes stay used, other cards go on working.

    Selectors, of which all must hold: batch=12, serials=12:0-99, provider=3, since=TIME,
    until=TIME, reports=5,6. Times are ISO 8601, UTC. Look first with --dry-run: it names the very
    reports. The way back: tocsin reinstate SEQUENCE.

    Example: tocsin rollback --select provider=3 since=2026-11-24T22:00Z --why "false positives" --dry-run

    Parameters
    ----------
    select
        One selector or several.
    """
    selection = read_selection(select)
    run(
        terminal,
        options,
        why,
        lambda ledger, policy, now, by: corrections.rollback(ledger, selection, by),
        _tell_rolled_back,
    )


def reinstate(
    objection: Annotated[int, NUMBER, Parameter(name="OBJECTION")],
    /,
    *,
    why: Why,
    options: ActOptions = DEFAULT_OPTIONS,
    terminal: InTerminal,
) -> None:
    """Undo a revocation or a rollback: what it took back counts again.

    Withdrawn reports stay withdrawn, and a report under two objections needs both undone.
    The way back: revoke or roll back again.

    Example: tocsin reinstate 42 --why "the stack was found"

    Parameters
    ----------
    objection
        The sequence of the revocation or rollback (tocsin status lists those that stand).
    """
    run(
        terminal,
        options,
        why,
        lambda ledger, policy, now, by: corrections.reinstate(ledger, objection, by),
        lambda deployment, acted: Outcome(
            (f"Event {acted.event.sequence:,}: objection {objection:,} no longer stands.",),
        ),
    )


def pause(*, why: Why, options: ActOptions = DEFAULT_OPTIONS, terminal: InTerminal) -> None:
    """Stop additions to the public set. Reports are still taken, versions made, corrections published.

    The way back: tocsin resume. What waited meanwhile then goes out.

    Example: tocsin pause --why "a lab has sent 300 false positives"
    """
    run(
        terminal,
        options,
        why,
        lambda ledger, policy, now, by: corrections.pause(ledger, by),
        lambda deployment, acted: Outcome(
            (f"Event {acted.event.sequence:,}: additions are paused. The way back: tocsin resume --why REASON",)
        ),
    )


def resume(*, why: Why, options: ActOptions = DEFAULT_OPTIONS, terminal: InTerminal) -> None:
    """Let additions to the public set go on; what waited goes out with the next version that is due.

    The way back: tocsin pause.

    Example: tocsin resume --why "the lab's reports are rolled back"
    """
    run(
        terminal,
        options,
        why,
        lambda ledger, policy, now, by: corrections.resume(ledger, by),
        lambda deployment, acted: Outcome((f"Event {acted.event.sequence:,}: additions go on.",)),
    )


def _tell_revoked(deployment: Deployment, acted: Acted) -> Outcome:
    event = acted.event
    assert isinstance(event.body, Revoked)
    named, since = target_words(event.body.target), event.body.since
    if since >= event.sequence:
        return _objection(event, f"{named} cut off, from now on.", "Reports made before stay: --since takes them back.")
    return _objection(event, f"{named} cut off, with its reports from event {since:,} on.", _KEYS_LEAVE)


def _tell_rolled_back(deployment: Deployment, acted: Acted) -> Outcome:
    event = acted.event
    assert isinstance(event.body, RolledBack)
    return _objection(event, f"{counted(len(event.body.reports), 'report')} rolled back.", _KEYS_LEAVE)


def _objection(event: Event, done: str, effect: str) -> Outcome:
    return Outcome(
        (
            f"Event {event.sequence:,}: {done}",
            effect,
            f"The way back: tocsin reinstate {event.sequence} --why REASON",
        )
    )


def target_words(target: Target) -> str:
    """What `target` names, for a person."""
    if target == SELF_REPORTS:
        return "reports without a code"
    if target.provider is not None:
        return f"provider {target.provider}"
    if target.first is None:
        return f"batch {target.batch}"
    return f"serials {target.first} to {target.last} of batch {target.batch}"
