"""`tocsin provider`: who may hand out codes."""

from typing import Annotated, Final

from cyclopts import App, Parameter

from tocsin.cli.acting import DEFAULT_DATA, DEFAULT_OPTIONS, ActOptions, Data, Json, Outcome, Why, opened, run
from tocsin.cli.reading import NUMBER
from tocsin.cli.repeating import Acted
from tocsin.cli.terminal import InTerminal
from tocsin.ledger.predicates import is_cut_off, is_suspended
from tocsin.ledger.state import Ledger
from tocsin.model.code_reading import CodeKind
from tocsin.model.events import ProviderAdded
from tocsin.rules.issuance import add_provider
from tocsin.rules.suspension import restore_provider, suspend_provider
from tocsin.service.deployment import Deployment

app = App(name="provider", help="Who may hand out codes: a hospital, a lab, a practice, a hotline.")


@app.command
def add(
    name: Annotated[str, Parameter(name="NAME")],
    /,
    *,
    why: Why = "routine",
    options: ActOptions = DEFAULT_OPTIONS,
    terminal: InTerminal,
) -> None:
    """Add a provider; it gets the next number.

    A name can't be changed or removed. To stop a provider: tocsin provider suspend N; to cut its
    cards off too: tocsin revoke --provider N.

    Example: tocsin provider add "General Hospital"

    Parameters
    ----------
    name
        Its name: one line, at most 80 characters.
    """

    run(terminal, options, why, lambda ledger, policy, now, by: add_provider(ledger, name, by), _tell)


def _tell(deployment: Deployment, acted: Acted) -> Outcome:
    event = acted.event
    assert isinstance(event.body, ProviderAdded)
    number = event.body.provider
    return Outcome((f"Provider {number}: {event.body.name}", f"Next: tocsin codes issue {number} --count 20"))


Provider = Annotated[int, NUMBER, Parameter(name="PROVIDER", help="The provider's number (tocsin provider list).")]


@app.command
def suspend(
    provider: Provider,
    /,
    *,
    why: Why,
    options: ActOptions = DEFAULT_OPTIONS,
    terminal: InTerminal,
) -> None:
    """Stop a provider from handing out codes: nothing is issued to it, none of its batches activated.

    Cards in people's hands go on working, and no report is taken back. To cut cards off:
    tocsin revoke --provider N or --batch N.
    The way back: tocsin provider restore N.

    Example: tocsin provider suspend 1 --why "somebody else used its desk"
    """
    run(
        terminal,
        options,
        why,
        lambda ledger, policy, now, by: suspend_provider(ledger, provider, by),
        lambda deployment, acted: Outcome(
            (
                f"Event {acted.event.sequence:,}: provider {provider} is suspended.",
                "Cards in people's hands go on working: tocsin revoke cuts them off.",
                f"The way back: tocsin provider restore {provider} --why REASON",
            )
        ),
    )


@app.command
def restore(
    provider: Provider,
    /,
    *,
    why: Why,
    options: ActOptions = DEFAULT_OPTIONS,
    terminal: InTerminal,
) -> None:
    """Let a suspended provider hand out codes again.

    The way back: tocsin provider suspend N.

    Example: tocsin provider restore 1 --why "the desk has new locks"
    """
    run(
        terminal,
        options,
        why,
        lambda ledger, policy, now, by: restore_provider(ledger, provider, by),
        lambda deployment, acted: Outcome(
            (f"Event {acted.event.sequence:,}: provider {provider} hands out codes again.",),
        ),
    )


@app.command(name="list")
def list_providers(*, data: Data = DEFAULT_DATA, json: Json = False, terminal: InTerminal) -> None:
    """List the providers, what was issued to them and what stops them (tocsin codes list: each batch).

    Example: tocsin provider list
    """
    with opened(data, terminal.clock) as deployment:
        performer = deployment.performer()
        performer.catch_up()
        rows = [_row(performer.ledger, number) for number in sorted(performer.ledger.providers)]
    if json:
        terminal.json(rows)
    elif rows:
        columns = ("provider", "name", "batches", "cards", "phone codes", "")
        terminal.table(
            columns,
            [
                (row["provider"], row["name"], row["batches"], row["cards"], row["phone_codes"], _stopped(row))
                for row in rows
            ],
        )
    else:
        terminal.say("There are no providers yet: tocsin provider add NAME")


_STOPS: Final = {"suspended": "suspended", "cut_off": "cut off"}


def _stopped(row: dict[str, object]) -> str:
    """What stops the provider, in words."""
    return ", ".join(words for stop, words in _STOPS.items() if row[stop])


def _row(ledger: Ledger, number: int) -> dict[str, object]:
    batches = [batch for batch in ledger.batches.values() if batch.provider == number]
    return {
        "provider": number,
        "name": ledger.providers[number].name,
        "batches": len(batches),
        "cards": sum(batch.count for batch in batches if batch.code_kind != CodeKind.PHONE),
        "phone_codes": sum(batch.count for batch in batches if batch.code_kind == CodeKind.PHONE),
        "suspended": is_suspended(ledger, number),
        "cut_off": is_cut_off(ledger, number),
    }
