"""What all acts of people have in common: who and why, the dry run, and a repeated command that does nothing twice."""

import os
import pwd
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Protocol

import msgspec
from cyclopts import Parameter, Token
from msgspec import Struct

from tocsin.cli.reading import read_instant, read_request_id
from tocsin.cli.repeating import Acted, done_before
from tocsin.cli.terminal import Terminal
from tocsin.journal.port import ClaimTaken
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Refused, Unavailable
from tocsin.model.events import Body, Draft, Event
from tocsin.model.policy import Policy
from tocsin.model.ports import Clock
from tocsin.model.times import Instant, day_of
from tocsin.rules.attribution import Attribution, attribution
from tocsin.rules.preview import Effect, effect
from tocsin.service.deployment import Deployment
from tocsin.service.perform import Rule


class Decide(Protocol):
    """A rule with its request bound."""

    def __call__(self, ledger: Ledger, policy: Policy, now: Instant, by: Attribution) -> Draft: ...


def _data(type_: object, tokens: Sequence[Token]) -> Path:
    """An empty `TOCSIN_DATA` is no folder, and least of all the working folder."""
    if not tokens[0].value:
        raise ValueError("it is empty: unset it, or let it name the deployment's folder.")
    return Path(tokens[0].value)


Data = Annotated[
    Path, Parameter(name="--data", env_var="TOCSIN_DATA", converter=_data, help="The deployment's folder.")
]
DEFAULT_DATA = Path("tocsin-data")
Json = Annotated[bool, Parameter(name="--json", help="Print JSON, for a program.")]
Today = Annotated[
    str | None,
    Parameter(
        name="--today",
        help="Today's date as another clock tells it, if this machine's is more than three days ahead of the journal"
        " because nothing ran here for so long. Else it changes nothing.",
    ),
]
Why = Annotated[str, Parameter(name="--why", help="The reason; it stays in the journal for ever.")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ActOptions:
    """The options that every act takes."""

    data: Data = DEFAULT_DATA
    who: Annotated[str | None, Parameter(help="Who does this. Unless given: the user of this machine.")] = None
    approved_by: Annotated[str | None, Parameter(help="Who else approved of it.")] = None
    request_id: Annotated[
        str | None,
        Parameter(help="32 hexadecimal digits: give the same ones to repeat a command whose end you did not see."),
    ] = None
    dry_run: Annotated[bool, Parameter(help="Show what it would record and change; record nothing.")] = False
    json: Json = False


DEFAULT_OPTIONS = ActOptions()


class Outcome(Struct, frozen=True):
    """What to tell of an act beside its event: lines for a person, fields for a program."""

    lines: tuple[str, ...]
    fields: dict[str, object] = {}


Tell = Callable[[Deployment, Acted], Outcome]


class Rehearsed(Struct, frozen=True, eq=False):
    """An act that would be recorded now, and what it would change."""

    draft: Draft
    effect: Effect


@contextmanager
def opened(data: Path, clock: Clock, today: str | None = None) -> Iterator[Deployment]:
    """The deployment in the folder `data`, let go of at the end. `today`: the date that a person says it is."""
    deployment = Deployment(data, clock, None if today is None else day_of(read_instant(today)))
    try:
        yield deployment
    finally:
        deployment.close()


def act(deployment: Deployment, options: ActOptions, why: str, decide: Decide) -> Acted:
    """Records what `decide` says; or finds it recorded under the same request ID.

    Raises what the rule raises, and `Refused` if the request ID was used for another act.
    """
    by = _attribution(options, why)
    rule = _bound(deployment, decide, by)
    recorded = done_before(deployment, rule, by)
    if recorded is None:
        try:
            performer = deployment.performer()
            return Acted(performer.act(rule), performer.ledger, by.request_id, repeated=False)
        except (ClaimTaken, Refused):  # perhaps by the same command, a moment ago and beside this one
            recorded = done_before(deployment, rule, by)
            if recorded is None:
                raise
    return recorded


def rehearse(deployment: Deployment, options: ActOptions, why: str, decide: Decide) -> Event | Rehearsed:
    """What `act` would record now, and what that would change; or the event that this very act is already."""
    by = _attribution(options, why)
    rule = _bound(deployment, decide, by)
    recorded = done_before(deployment, rule, by)
    if recorded is not None:
        return recorded.event
    performer = deployment.performer()
    draft = performer.rehearse(rule)
    return Rehearsed(draft, effect(performer.ledger, draft, deployment.settings.policy, deployment.clock.now()))


def run(terminal: Terminal, options: ActOptions, why: str, decide: Decide, tell: Tell) -> None:
    """A whole command that is one act: rehearsed or recorded, then told to a person or a program. Raises as below."""
    run_bound(terminal, options, why, lambda deployment: decide, tell)


def run_bound(
    terminal: Terminal, options: ActOptions, why: str, bind: Callable[[Deployment], Decide], tell: Tell
) -> None:
    """`run` for a rule that is handed something of the deployment itself.

    Raises `Unavailable` with the request ID where the output takes no more: of some acts it is all that there is.
    """
    options = replace(options, request_id=read_request_id(options.request_id).hex())
    with opened(options.data, terminal.clock) as deployment:
        decide = bind(deployment)
        if options.dry_run:
            _tell_rehearsal(terminal, options, rehearse(deployment, options, why, decide))
            return
        acted = act(deployment, options, why, decide)
        outcome = tell(deployment, acted)
    try:
        _tell_act(terminal, options, acted, outcome)
    except OSError as error:
        raise Unavailable(
            f"Event {acted.event.sequence} is recorded, and could not be told: {os.strerror(error.errno or 0)}."
            f" The same command with --request-id {options.request_id} tells it again."
        ) from None


def _tell_act(terminal: Terminal, options: ActOptions, acted: Acted, outcome: Outcome) -> None:
    if options.json:
        head = {"dry_run": False, "repeated": acted.repeated, "sequence": acted.event.sequence}
        terminal.json({**head, **as_json(acted.event.body), **outcome.fields})
        return
    if acted.repeated:
        terminal.say(f"This was done before, as event {acted.event.sequence:,}; nothing was done again.")
    terminal.say(*outcome.lines)


def _tell_rehearsal(terminal: Terminal, options: ActOptions, rehearsed: Event | Rehearsed) -> None:
    if isinstance(rehearsed, Event):
        if options.json:
            head = {"dry_run": True, "repeated": True, "sequence": rehearsed.sequence}
            terminal.json({**head, **as_json(rehearsed.body)})
        else:
            terminal.say(f"A dry run: this was done before, as event {rehearsed.sequence:,}; nothing would be done.")
        return
    body, changed = rehearsed.draft.body, rehearsed.effect
    if options.json:
        terminal.json({"dry_run": True, "repeated": False, **as_json(body), "effect": changed})
        return
    terminal.say(f"A dry run: nothing is recorded. The event would be `{body.kind}` with")
    terminal.facts((f"  {name}", _shown(value)) for name, value in as_json(body)["body"].items())
    if not any(msgspec.to_builtins(changed).values()):
        terminal.say("It would change no report and no public key.")
        return
    terminal.say("It would change, by the next version at the latest:")
    terminal.facts(_effect_facts(changed))


def as_json(body: Body) -> dict[str, Any]:
    """A body with its kind's name."""
    return {"kind": body.kind, "body": msgspec.to_builtins(body)}


def _shown(value: Any) -> str:
    """A field of a body, as a person reads it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items() if part is not None)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)


def _attribution(options: ActOptions, why: str) -> Attribution:
    who = _machine_user() if options.who is None else options.who
    return attribution(who, why, read_request_id(options.request_id), options.approved_by)


def _bound(deployment: Deployment, decide: Decide, by: Attribution) -> Rule:
    return lambda ledger, now: decide(ledger, deployment.settings.policy, now, by)


def _machine_user() -> str:
    """The name of the account that runs this: asked of the system, since variables are anybody's to set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _effect_facts(changed: Effect) -> list[tuple[str, str]]:
    figures = (
        ("reports that gain or lose an objection", changed.reports),
        ("- of these with keys in the public set", changed.public_reports),
        ("- of these that would no longer stand", changed.reports_cut_off),
        ("- of these that would stand again", changed.reports_restored),
        ("public keys that would leave", changed.keys_leaving),
        ("- of these that another report also carries", changed.keys_passing),
        ("public keys that would change their report type", changed.keys_changing),
        ("keys that would be wanted in the set again", changed.keys_returning),
        ("new keys that would be kept back", changed.keys_kept_back),
        ("new keys that would be kept back no more", changed.keys_let_go),
    )
    return [(f"  {words}", f"{count:,}") for words, count in figures]
