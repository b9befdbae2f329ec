"""`tocsin codes`: cards with one-time codes. Codes are derived from the issuing secret; none is stored."""

from typing import Annotated, Final, Literal

from cyclopts import App, Parameter
from cyclopts.types import PositiveInt
from msgspec import Struct

from tocsin.cli.acting import DEFAULT_DATA, DEFAULT_OPTIONS, ActOptions, Data, Json, Outcome, Why, opened, run
from tocsin.cli.terminal import InTerminal, counted
from tocsin.codes.card import batch_key, make_card
from tocsin.codes.hint import hint
from tocsin.journal.encoding import decode_body
from tocsin.ledger.predicates import standing_revocations
from tocsin.ledger.state import Batch, Ledger
from tocsin.model.claims import batch_claim
from tocsin.model.code_reading import CodeKind, CodeReading
from tocsin.model.errors import Unavailable
from tocsin.model.events import BatchActivated, BatchIssued, Draft, Event
from tocsin.model.keys import ReportType
from tocsin.model.policy import Policy
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, Instant, utc
from tocsin.rules.attribution import Attribution
from tocsin.rules.issuance import BatchRequest, activate_batch, issue_batch
from tocsin.service.codes import read_code
from tocsin.service.deployment import Deployment
from tocsin.service.key_folder import KeyFolder

ISSUING_PERIOD: Final = 1
"""The only issuing period that a deployment of this version has."""
REPORT_TYPES: Final = {"confirmed": ReportType.CONFIRMED, "likely": ReportType.LIKELY}

app = App(name="codes", help="Cards with one-time codes. A batch is a stack of cards for one provider.")


@app.command
def issue(
    provider: Annotated[int, Parameter(name="PROVIDER")],
    /,
    *,
    count: int,
    valid_days: PositiveInt | None = None,
    report_type: Literal["confirmed", "likely"] = "confirmed",
    training: bool = False,
    why: Why = "routine",
    options: ActOptions = DEFAULT_OPTIONS,
    terminal: InTerminal,
) -> None:
    """Make a batch of codes and print them as text.

    The batch is dormant: no code in it works until it is activated (tocsin codes activate), when
    the provider has the cards in hand. The codes are shown now and stored nowhere: if you lose
    them, issue another batch, or repeat this command with the same --request-id.
    The way back: tocsin revoke --batch N.

    Example: tocsin codes issue 1 --count 20

    Parameters
    ----------
    provider
        The provider's number (tocsin provider list).
    count
        How many cards.
    valid_days
        How many days they are valid from now. Unless given: the policy's card_life_quarters.
    report_type
        What a report made with them is: confirmed by a test, or likely.
    training
        For practice: codes that begin with T and that no server takes.
    """

    def decide(ledger: Ledger, policy: Policy, now: Instant, by: Attribution) -> Draft:
        life = None if valid_days is None else valid_days * DAY_SECONDS // QUARTER_SECONDS
        request = BatchRequest(
            provider=provider,
            count=count,
            issuing_period=ISSUING_PERIOD,
            code_kind=CodeKind.TRAINING if training else CodeKind.CARD,
            report_type=REPORT_TYPES[report_type],
            valid_until=None if life is None else now // QUARTER_SECONDS + life,
        )
        return issue_batch(ledger, request, policy, now, by)

    run(terminal, options, why, decide, _tell_issued)


@app.command
def activate(
    batch: Annotated[int, Parameter(name="BATCH")],
    /,
    *,
    why: Why = "routine",
    options: ActOptions = DEFAULT_OPTIONS,
    terminal: InTerminal,
) -> None:
    """Make the codes of a batch work: its provider has the cards in hand.

    Those of a training batch are for practice, active or not: no server takes them.
    The way back: tocsin revoke --batch N.

    Example: tocsin codes activate 1

    Parameters
    ----------
    batch
        The batch's number, as tocsin codes issue told it.
    """
    run(
        terminal,
        options,
        why,
        lambda ledger, policy, now, by: activate_batch(ledger, batch, now, by),
        _tell_activated,
    )


@app.command
def check(
    code: Annotated[str, Parameter(name="CODE")],
    /,
    *,
    offline: bool = False,
    data: Data = DEFAULT_DATA,
    json: Json = False,
    terminal: InTerminal,
) -> int:
    """Tell whether a code is well spelt, genuine and of a batch that works now.

    It never tells whether the code was used: whether a person has reported is theirs to say.
    A code that does not work now, or is misspelt, gives exit code 1.

    Example: tocsin codes check C123-4567-89AB-CDEF-GH94

    Parameters
    ----------
    code
        The code, in any spelling: small letters, spaces and missing hyphens do no harm.
    offline
        Check the spelling alone; no deployment is needed.
    """
    finding = _spelling(code)
    if finding.spelling == "good" and not offline:
        with opened(data, terminal.clock) as deployment:
            performer = deployment.performer()
            performer.catch_up()
            reading = read_code(code, performer.ledger, deployment.keys)
            finding = _state(performer.ledger, reading, terminal.clock.now())
    if json:
        terminal.json(finding)
    else:
        terminal.say(finding.sentence)
    return 0 if finding.state in ("works", "unchecked") else 1


class Finding(Struct, frozen=True):
    """What is to be said of a code. `batch` and `serial` only where the code is genuine."""

    spelling: str
    state: str
    sentence: str
    batch: int | None = None
    serial: int | None = None


def _spelling(code: str) -> Finding:
    wrong = hint(code)
    if wrong is not None:
        return Finding("wrong", "misspelt", wrong.sentence)
    return Finding("good", "unchecked", "It is well spelt. Whether it is genuine was not checked.")


def _state(ledger: Ledger, reading: CodeReading, now: Instant) -> Finding:
    batch = ledger.batches.get(reading.batch)
    if batch is None or batch.code_kind != reading.kind or reading.serial >= batch.count or reading.genuine is False:
        return Finding("good", "unknown", "It is well spelt, but no code of this deployment.")
    if reading.genuine is None:
        return Finding("good", "expired", "The secret of its time is destroyed: it can't be checked, nor used.")
    state, sentence = _batch_state(ledger, batch, reading.serial, now)
    return Finding(
        "good", state, f"Batch {batch.batch}, serial {reading.serial}: {sentence}", batch.batch, reading.serial
    )


def _batch_state(ledger: Ledger, batch: Batch, serial: int, now: Instant) -> tuple[str, str]:
    quarter = now // QUARTER_SECONDS
    if batch.code_kind == CodeKind.TRAINING:
        return "training", "a code for practice, which no server takes."
    if standing_revocations(ledger, batch.batch, serial, batch.provider, ledger.sequence + 1):
        return "cut_off", "cut off. The provider has other cards, or gets them by `tocsin codes issue`."
    if quarter >= batch.valid_until:
        return "expired", f"expired since {utc(batch.valid_until * QUARTER_SECONDS)}."
    if not batch.activated:
        return "dormant", f"genuine, but its batch is dormant until `tocsin codes activate {batch.batch}`."
    if quarter < batch.valid_from:
        return "not_yet", f"not valid before {utc(batch.valid_from * QUARTER_SECONDS)}."
    return "works", f"genuine, and valid until {utc(batch.valid_until * QUARTER_SECONDS)}. Use is not told."


def _tell_issued(deployment: Deployment, event: Event) -> Outcome:
    assert isinstance(event.body, BatchIssued)
    body = event.body
    cards = _cards(body, deployment.keys)
    kind, use = "card", f"They work once the provider has them and you run: tocsin codes activate {body.batch}"
    if body.code_kind == CodeKind.TRAINING:
        kind, use = "training card", "They are for practice: no server takes them."
    until = utc(body.valid_until * QUARTER_SECONDS)
    return Outcome(
        lines=(
            f"Batch {body.batch} for provider {body.provider}: {counted(body.count, kind)}, valid until {until}",
            "",
            "  serial  code",
            *(f"  {serial:>6}  {code}" for serial, code in enumerate(cards)),
            "",
            use,
            "They are stored nowhere else: keep this text as safe as the cards.",
        ),
        fields={"cards": [{"serial": serial, "code": code} for serial, code in enumerate(cards)]},
    )


def _tell_activated(deployment: Deployment, event: Event) -> Outcome:
    assert isinstance(event.body, BatchActivated)
    batch = event.body.batch
    (issued,) = deployment.journal.holders([batch_claim(batch)])
    assert issued is not None  # the rule has found the batch
    stored = deployment.journal.read(issued - 1, 1)[0]
    body = decode_body(stored.kind, stored.body)
    if isinstance(body, BatchIssued) and body.code_kind == CodeKind.TRAINING:
        return Outcome((f"Batch {batch} is active, for practice: no server takes its codes.",))
    return Outcome((f"Batch {batch} is active: its codes work from now on.",))


def _cards(body: BatchIssued, keys: KeyFolder) -> list[str]:
    """The codes of a batch, by serial."""
    secret = keys.issuing_secret(body.issuing_period)
    if secret is None:
        raise Unavailable("The batch is recorded, but its issuing secret is gone: nobody can make its codes.")
    kind = CodeKind(body.code_kind)
    key = batch_key(secret, kind, body.batch)
    return [make_card(key, kind, body.batch, serial) for serial in range(body.count)]
