"""`tocsin provider`: who may hand out codes."""

from typing import Annotated

from cyclopts import App, Parameter

from tocsin.cli.acting import DEFAULT_DATA, DEFAULT_OPTIONS, ActOptions, Data, Json, Outcome, Why, opened, run
from tocsin.cli.terminal import InTerminal
from tocsin.ledger.predicates import standing_revocations
from tocsin.ledger.state import Ledger
from tocsin.model.events import Event, ProviderAdded
from tocsin.rules.issuance import add_provider
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

    A name can't be changed or removed. To stop a provider, cut it off: tocsin revoke --provider N.

    Example: tocsin provider add "General Hospital"

    Parameters
    ----------
    name
        Its name: one line, at most 80 characters.
    """

    run(terminal, options, why, lambda ledger, policy, now, by: add_provider(ledger, name, by), _tell)


def _tell(deployment: Deployment, event: Event) -> Outcome:
    assert isinstance(event.body, ProviderAdded)
    number = event.body.provider
    return Outcome((f"Provider {number}: {event.body.name}", f"Next: tocsin codes issue {number} --count 20"))


@app.command(name="list")
def list_providers(*, data: Data = DEFAULT_DATA, json: Json = False, terminal: InTerminal) -> None:
    """List the providers and what was issued to them.

    Example: tocsin provider list
    """
    with opened(data, terminal.clock) as deployment:
        performer = deployment.performer()
        performer.catch_up()
        rows = [_row(performer.ledger, number) for number in sorted(performer.ledger.providers)]
    if json:
        terminal.json(rows)
    elif rows:
        columns = ("provider", "name", "batches", "cards", "")
        terminal.table(
            columns,
            [
                (row["provider"], row["name"], row["batches"], row["cards"], "cut off" if row["cut_off"] else "")
                for row in rows
            ],
        )
    else:
        terminal.say("There are no providers yet: tocsin provider add NAME")


def _row(ledger: Ledger, number: int) -> dict[str, object]:
    batches = [batch for batch in ledger.batches.values() if batch.provider == number]
    return {
        "provider": number,
        "name": ledger.providers[number].name,
        "batches": len(batches),
        "cards": sum(batch.count for batch in batches),
        "cut_off": bool(standing_revocations(ledger, 0, 0, number, ledger.sequence + 1)),
    }
