"""`tocsin codes`: one-time codes, derived from the issuing secret and stored nowhere; those to read out are apart."""

from typing import Annotated, Final, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number
from msgspec import Struct

from tocsin.cli.acting import DEFAULT_DATA, DEFAULT_OPTIONS, ActOptions, Data, Json, Outcome, Why, opened, run
from tocsin.cli.finding import find_spelling, find_state
from tocsin.cli.reading import NUMBER
from tocsin.cli.repeating import Acted
from tocsin.cli.terminal import InTerminal, counted
from tocsin.codes.card import batch_key, make_card
from tocsin.ledger.predicates import batch_state
from tocsin.ledger.state import Ledger
from tocsin.model.code_reading import CodeKind
from tocsin.model.errors import Unavailable
from tocsin.model.events import BatchActivated, BatchIssued, Draft
from tocsin.model.keys import ReportType
from tocsin.model.policy import Policy
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, Instant, utc
from tocsin.rules.attribution import Attribution
from tocsin.rules.issuance import BatchRequest, activate_batch, issue_batch
from tocsin.rules.quotas import QuotaUse, card_quotas
from tocsin.service.codes import read_code
from tocsin.service.deployment import Deployment
from tocsin.service.key_folder import KeyFolder

ISSUING_PERIOD: Final = 1
"""The only issuing period that a deployment of this version has."""
MOST_DAYS: Final = 3_660
"""Cards are valid for ten years at most: longer is a slip of the finger."""
REPORT_TYPES: Final = {
    "confirmed": ReportType.CONFIRMED,
    "likely": ReportType.LIKELY,
    "negative": ReportType.REVOKED,
}

app = App(name="codes", help="One-time codes: cards in batches, phone codes to read out.")
app.command("tocsin.cli.phone_codes:phone", name="phone")


@app.command
def issue(
    provider: Annotated[int, NUMBER, Parameter(name="PROVIDER")],
    /,
    *,
    count: Annotated[int, NUMBER],
    valid_days: Annotated[int | None, NUMBER, Parameter(validator=Number(gte=1, lte=MOST_DAYS))] = None,
    report_type: Literal["confirmed", "likely", "negative"] = "confirmed",
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
        What a report made with them is: confirmed by a test, or likely. Negative: they take back
        a likely or self-reported one that its owner continues with them.
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
    batch: Annotated[int, NUMBER, Parameter(name="BATCH")],
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


@app.command(name="list")
def list_batches(
    *,
    provider: Annotated[int | None, NUMBER] = None,
    data: Data = DEFAULT_DATA,
    json: Json = False,
    terminal: InTerminal,
) -> None:
    """List the batches of codes and of what use each is now.

    cut off: revoked as a whole. expired: its life has ended, whether it was activated or not.
    dormant: its provider does not have it in hand yet. not yet: its life has not begun. active: its
    codes work. Nobody is told which codes were used. A batch of phone codes is a provider's day; it
    ends with the last of them.

    Example: tocsin codes list --provider 1

    Parameters
    ----------
    provider
        Only the batches of this provider.
    """
    with opened(data, terminal.clock) as deployment:
        performer = deployment.performer()
        performer.catch_up()
        rows = _rows(performer.ledger, provider, terminal.clock.now())
    if json:
        terminal.json(rows)
    elif rows:
        terminal.table(
            ("batch", "provider", "codes", "", "valid until", "state"),
            [
                (row.batch, row.provider, row.codes, row.kind, utc(row.valid_until_at), row.state.replace("_", " "))
                for row in rows
            ],
        )
    else:
        terminal.say("There are no batches: tocsin codes issue PROVIDER --count N")


class BatchRow(Struct, frozen=True):
    """A batch as it is listed; instants in UTC seconds, the end not included."""

    batch: int
    provider: int
    codes: int
    kind: str
    issuing_period: int
    valid_from_at: int
    valid_until_at: int
    state: str


def _rows(ledger: Ledger, provider: int | None, now: Instant) -> list[BatchRow]:
    return [
        BatchRow(
            batch=number,
            provider=batch.provider,
            codes=batch.count,
            kind=CodeKind(batch.code_kind).name.lower(),
            issuing_period=batch.issuing_period,
            valid_from_at=batch.life.valid_from * QUARTER_SECONDS,
            valid_until_at=batch.life.valid_until * QUARTER_SECONDS,
            state=batch_state(ledger, batch, now),
        )
        for number, batch in sorted(ledger.batches.items())
        if provider in (None, batch.provider)
    ]


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
    finding = find_spelling(code)
    if finding.spelling == "good" and not offline:
        with opened(data, terminal.clock) as deployment:
            performer = deployment.performer()
            performer.catch_up()
            reading = read_code(code, performer.ledger, deployment.keys)
            finding = find_state(performer.ledger, reading, terminal.clock.now())
    if json:
        terminal.json(finding)
    else:
        terminal.say(finding.sentence)
    return 0 if finding.state in ("works", "unchecked") else 1


def _tell_issued(deployment: Deployment, acted: Acted) -> Outcome:
    event = acted.event
    assert isinstance(event.body, BatchIssued)
    body = event.body
    cards = _cards(body, deployment.keys)
    kind, use = "card", f"They work once the provider has them and you run: tocsin codes activate {body.batch}"
    if body.code_kind == CodeKind.TRAINING:
        kind, use = "training card", "They are for practice: no server takes them."
    until = utc(body.valid_until * QUARTER_SECONDS)
    uses = _quota_uses(deployment, acted, body)
    return Outcome(
        lines=(
            f"Batch {body.batch} for provider {body.provider}: {counted(body.count, kind)}, valid until {until}",
            "",
            "  serial  code",
            *(f"  {serial:>6}  {code}" for serial, code in enumerate(cards)),
            "",
            use,
            "They are stored nowhere else: keep this text as safe as the cards.",
            *(quota_warning(use, "cards") for use in uses if use.runs_out),
        ),
        fields={"cards": [{"serial": serial, "code": code} for serial, code in enumerate(cards)], "quotas": uses},
    )


def _quota_uses(deployment: Deployment, acted: Acted, body: BatchIssued) -> list[QuotaUse]:
    """What was used of that day's quotas once the batch was issued; nothing for what uses none."""
    if body.code_kind == CodeKind.TRAINING:
        return []
    policy, at = deployment.settings.policy, Instant(acted.event.recorded_at)
    return card_quotas(acted.ledger, policy, at).uses(body.who, body.provider)


def quota_warning(use: QuotaUse, codes: str) -> str:
    """That a quota runs out; `codes` names what it is of, in the plural."""
    return (
        f"{use.used:,} of {use.quota:,} {codes} of today's quota of this {use.whose} are issued; "
        "for more than that somebody else has to approve (--approved-by)."
    )


def _tell_activated(deployment: Deployment, acted: Acted) -> Outcome:
    assert isinstance(acted.event.body, BatchActivated)
    batch = acted.event.body.batch
    if acted.ledger.batches[batch].code_kind == CodeKind.TRAINING:
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
