"""`tocsin codes phone`: codes to read out, made anew each time they are asked for and stored nowhere."""

from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from tocsin.cli.acting import DEFAULT_OPTIONS, ActOptions, Decide, Outcome, Why, run_bound
from tocsin.cli.codes import ISSUING_PERIOD, REPORT_TYPES, quota_warning
from tocsin.cli.reading import NUMBER
from tocsin.cli.repeating import Acted
from tocsin.cli.terminal import InTerminal, counted
from tocsin.codes.phone import spell_phone_code
from tocsin.ledger.state import Ledger
from tocsin.model.events import Draft, PhoneCodesIssued
from tocsin.model.policy import MOST_PHONE_CODE_QUARTERS, Policy
from tocsin.model.times import QUARTER_SECONDS, Instant, utc
from tocsin.rules.attribution import Attribution
from tocsin.rules.phone_issuance import PhoneCodesRequest, issue_phone_codes
from tocsin.rules.quotas import phone_code_quotas
from tocsin.service.codes import issued_phone_codes, phone_hashes
from tocsin.service.deployment import Deployment


def phone(
    provider: Annotated[int, NUMBER, Parameter(name="PROVIDER")],
    /,
    *,
    count: Annotated[int, NUMBER] = 1,
    valid_quarters: Annotated[
        int | None, NUMBER, Parameter(validator=Number(gte=1, lte=MOST_PHONE_CODE_QUARTERS))
    ] = None,
    report_type: Literal["confirmed", "likely", "negative"] = "confirmed",
    why: Why = "routine",
    options: ActOptions = DEFAULT_OPTIONS,
    terminal: InTerminal,
) -> None:
    """Make phone codes and print them: 12 digits to read out, of use at once and for an hour or so.

    For people on the telephone only; who comes in person gets a card. The codes are shown now and
    stored nowhere: repeat this command with the same --request-id to see them again, or issue
    others. Read them digit by digit, in three groups of four, and say until when they are valid.
    The way back: tocsin revoke --serials BATCH:FIRST-LAST.

    Example: tocsin codes phone 1

    Parameters
    ----------
    provider
        The provider's number (tocsin provider list).
    count
        How many codes, 1,000 at most.
    valid_quarters
        For how many quarter-hours at least. Unless given: the policy's phone_code_life_quarters.
    report_type
        What a report made with them is: confirmed by a test, or likely.
    """
    request = PhoneCodesRequest(
        provider=provider,
        count=count,
        issuing_period=ISSUING_PERIOD,
        report_type=REPORT_TYPES[report_type],
        life_quarters=valid_quarters,
    )
    run_bound(terminal, options, why, lambda deployment: _decide(deployment, request), _tell_issued)


def _decide(deployment: Deployment, request: PhoneCodesRequest) -> Decide:
    def decide(ledger: Ledger, policy: Policy, now: Instant, by: Attribution) -> Draft:
        hash_of = phone_hashes(deployment.keys, request.issuing_period, by.request_id)
        return issue_phone_codes(ledger, request, hash_of, policy, now, by)

    return decide


def _tell_issued(deployment: Deployment, acted: Acted) -> Outcome:
    body = acted.event.body
    assert isinstance(body, PhoneCodesIssued)
    codes = [spell_phone_code(digits) for digits in issued_phone_codes(deployment.keys, body, acted.request_id)]
    first, last = body.first_serial, body.first_serial + len(codes) - 1
    until = body.valid_until * QUARTER_SECONDS
    quotas = phone_code_quotas(acted.ledger, deployment.settings.policy, Instant(acted.event.recorded_at))
    uses = quotas.uses(body.who, body.provider)
    return Outcome(
        lines=(
            f"{counted(len(codes), 'phone code')} for provider {body.provider}, valid until {utc(until)}",
            "",
            *(f"  {code}" for code in codes),
            "",
            "Read digit by digit, in three groups of four, and say until when. They are stored nowhere.",
            f"The way back: tocsin revoke --serials {body.batch}:{first}-{last} --why REASON",
            *(quota_warning(use, quotas.codes) for use in uses if use.runs_out),
        ),
        fields={
            "codes": [{"serial": serial, "code": code} for serial, code in enumerate(codes, first)],
            "valid_until_at": until,
            "quotas": uses,
        },
    )
