"""`tocsin quarantine`: keep the new keys of one provider, batch or of reports without a code back; and let them go."""

from typing import Annotated, Final

from cyclopts import App, ArgumentCollection, Group, Parameter

from tocsin.cli.acting import DEFAULT_OPTIONS, ActOptions, Outcome, Why, run
from tocsin.cli.corrections import target_words
from tocsin.cli.reading import NUMBER
from tocsin.cli.terminal import InTerminal
from tocsin.model.events import Target
from tocsin.rules.quarantine import SELF_REPORTS, lift, quarantine

app = App(name="quarantine", help="Keep the new keys of one provider or batch back until somebody has looked.")


def _one_target(given: ArgumentCollection) -> None:
    if sum(bool(argument.tokens) for argument in given) != 1:
        raise ValueError("Name one target: --provider, --batch or --self-reports.")


_TARGET: Final = Group("Target (one of)", validator=_one_target)


@app.command
def begin(
    *,
    provider: Annotated[int | None, NUMBER, Parameter(group=_TARGET)] = None,
    batch: Annotated[int | None, NUMBER, Parameter(group=_TARGET)] = None,
    self_reports: Annotated[bool, Parameter(group=_TARGET)] = False,
    why: Why,
    options: ActOptions = DEFAULT_OPTIONS,
    terminal: InTerminal,
) -> None:
    """Keep new keys back: reports are taken and answered as ever, and what is public stays so.

    A surge is put into quarantine by tocsin serve itself. To take reports back: tocsin rollback.
    The way back: tocsin quarantine lift SEQUENCE.

    Example: tocsin quarantine begin --provider 3 --why "300 reports since midnight: asked the lab"

    Parameters
    ----------
    provider
        A whole provider, with all batches it has and will get.
    batch
        A whole batch.
    self_reports
        All reports without a code.
    """
    target = SELF_REPORTS if self_reports else Target(provider=provider, batch=batch)
    run(
        terminal,
        options,
        why,
        lambda ledger, policy, now, by: quarantine(ledger, target, by),
        lambda deployment, acted: Outcome(
            (
                f"Event {acted.event.sequence:,}: new keys of {target_words(target)} are kept back.",
                f"The way back: tocsin quarantine lift {acted.event.sequence} --why REASON",
            )
        ),
    )


@app.command(name="lift")
def lift_quarantine(
    quarantine: Annotated[int, NUMBER, Parameter(name="QUARANTINE")],
    /,
    *,
    why: Why,
    options: ActOptions = DEFAULT_OPTIONS,
    terminal: InTerminal,
) -> None:
    """Let go what a quarantine kept back: it goes out as if it had never been kept, once it is due.

    For a day no quarantine of the same provider begins by itself.
    The way back: tocsin quarantine begin.

    Example: tocsin quarantine lift 42 --why "the lab has tested a whole school"

    Parameters
    ----------
    quarantine
        The sequence of the quarantine (tocsin status lists those that stand).
    """
    run(
        terminal,
        options,
        why,
        lambda ledger, policy, now, by: lift(ledger, quarantine, by),
        lambda deployment, acted: Outcome(
            (f"Event {acted.event.sequence:,}: quarantine {quarantine:,} is lifted.",),
        ),
    )
