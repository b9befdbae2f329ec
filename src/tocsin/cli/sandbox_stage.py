"""What the sandbox is made of: a deployment of made-up data, cards of every kind, and a publisher in a hurry."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tocsin.cli.demo_stage import StageClock
from tocsin.client.calls import make_report
from tocsin.codes.card import batch_key, make_card
from tocsin.codes.phone import spell_phone_code
from tocsin.formats.wire import decode_answer
from tocsin.ledger.state import Ledger
from tocsin.model.base64url import encode
from tocsin.model.calls import SentKey, Verdict
from tocsin.model.code_reading import CodeKind
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.events import BatchIssued, Draft, PhoneCodesIssued, Target
from tocsin.model.keys import KEY_BYTES, ReportType
from tocsin.model.policy import MOST_PHONE_CODE_QUARTERS, Policy
from tocsin.model.ports import Clock
from tocsin.model.times import DAY_SECONDS, INTERVALS_PER_DAY, QUARTER_SECONDS, Instant, day_of, floor_quarter
from tocsin.rules import corrections, issuance
from tocsin.rules.attribution import Attribution, attribution
from tocsin.rules.corrections import Selection
from tocsin.rules.phone_issuance import PhoneCodesRequest, issue_phone_codes
from tocsin.service.codes import issued_phone_codes, phone_hashes
from tocsin.service.deployment import Deployment, signing_keys
from tocsin.service.founding import found
from tocsin.service.perform import Arrival, Performer
from tocsin.service.publish import Publisher
from tocsin.service.settings import Settings

STEP_SECONDS: Final = 5
"""Between two versions; a deployment's steps are quarter-hours."""
FILE_SECONDS: Final = 60
"""Between two dumps, and between two sets of GAEN files; a deployment's are four hours apart."""
STACK_CARDS: Final = 2048
SMALL_STACK_CARDS: Final = 100
PHONE_CODES: Final = 500
POLICY: Final = Policy(minimum_reports=1, hold_back_quarters=0, longest_wait_seconds=0)
"""One reporter alone makes a publication, at once: for made-up people only."""


class Handouts:
    """What a developer is given: codes by what becomes of them, secrets by what became of their reports."""

    def __init__(self, stacks: dict[str, list[str]], codes: dict[str, str], secrets: dict[str, bytes]) -> None:
        self._stacks = {name: iter(stack) for name, stack in stacks.items()}
        self._codes = codes
        self._secrets = secrets

    @property
    def names(self) -> list[str]:
        """The names by which codes are asked for."""
        return [*self._stacks, *self._codes]

    def code(self, name: str) -> str | None:
        """A code of this name: of a stack another one each time, and None once it is used up."""
        return next(self._stacks[name], None) if name in self._stacks else self._codes.get(name)

    def secret(self, name: str) -> str | None:
        """The withdrawal secret of the report of this name, in base64url."""
        secret = self._secrets.get(name)
        return None if secret is None else encode(secret)


@contextmanager
def opened_sandbox(top: Path, base_url: str, clock: Clock) -> Iterator[tuple[Deployment, Handouts]]:
    """A new deployment in the folder `top`, as if it had been founded yesterday, and what it hands out."""
    yesterday = StageClock(clock.now() - DAY_SECONDS)
    settings = Settings(
        region="utopia", origin="tocsin.example/sandbox", base_url=base_url, single_machine=True, policy=POLICY
    )
    found(top, settings, yesterday)
    past = Deployment(top, yesterday)
    try:
        stacks, codes, secrets = _Office(past, yesterday).stock()
    finally:
        past.close()
    deployment = Deployment(top, clock)
    try:
        deployment.keys.make_days_ahead(day_of(clock.now()))
        yield deployment, Handouts({**stacks, "phone": _phone_codes(deployment)}, codes, secrets)
    finally:
        deployment.close()


def _phone_codes(deployment: Deployment) -> list[str]:
    """Phone codes, made now: they live for hours."""
    request_id = secrets.token_bytes(16)
    by = attribution("the sandbox", "to try things with", request_id)
    request = PhoneCodesRequest(1, PHONE_CODES, 1, life_quarters=MOST_PHONE_CODE_QUARTERS)
    hash_of = phone_hashes(deployment.keys, 1, request_id)
    issued = deployment.performer().act(
        lambda ledger, now: issue_phone_codes(ledger, request, hash_of, POLICY, now, by)
    )
    if not isinstance(issued.body, PhoneCodesIssued):
        raise Invalid("no phone codes were issued")
    return [spell_phone_code(digits) for digits in issued_phone_codes(deployment.keys, issued.body, request_id)]


class _HurriedPolicy(Policy, frozen=True):
    """A policy whose steps need be no quarter-hours: no settings lead to one."""

    def __post_init__(self) -> None:
        pass


_HURRIED: Final = _HurriedPolicy(
    minimum_reports=POLICY.minimum_reports,
    hold_back_quarters=POLICY.hold_back_quarters,
    longest_wait_seconds=POLICY.longest_wait_seconds,
    step_seconds=STEP_SECONDS,
    dump_step_seconds=FILE_SECONDS,
    gaen_step_seconds=FILE_SECONDS,
)


def hurried_publisher(deployment: Deployment) -> Publisher:
    """A publisher that does not wait for quarter-hours."""
    return Publisher(
        deployment.journal,
        deployment.keys,
        deployment.held_clock,
        _HURRIED,
        deployment.bucket,
        signing_keys(deployment.settings, deployment.keys),
    )


class _Office:
    """Hands out cards of every kind, the day before."""

    def __init__(self, deployment: Deployment, clock: StageClock) -> None:
        self._deployment = deployment
        self._performer: Performer = deployment.performer()
        self._now = clock.now()

    def stock(self) -> tuple[dict[str, list[str]], dict[str, str], dict[str, bytes]]:
        """Stacks, single codes and secrets of reports, by name."""
        self._act(lambda ledger, by: issuance.add_provider(ledger, "St. Elsewhere", by))
        quarter = self._now // QUARTER_SECONDS
        stack = self._cards(STACK_CARDS)
        cut_off = self._cards(1)
        stacks = {
            "fresh": stack[:-2],
            "likely": self._cards(SMALL_STACK_CARDS, report_type=ReportType.LIKELY),
            "negative": self._cards(SMALL_STACK_CARDS, report_type=ReportType.REVOKED),
        }
        dormant = self._cards(1, in_hand=False)
        codes = {
            "spent": stack[-1],
            "expired": self._cards(1, valid_until=quarter + 1)[0],
            "cut_off": cut_off[0],
            "dormant": dormant[0],
            "not_yet": self._cards(1, valid_from=quarter + 30 * 96)[0],
            "training": self._cards(1, code_kind=CodeKind.TRAINING)[0],
            "misspelt": _misspelt(stack[0]),
        }
        self._report(stack[-1])
        rolled_back = self._report(stack[-2])
        last_but_one = Target(batch=1, first=STACK_CARDS - 2, last=STACK_CARDS - 2)
        self._act(lambda ledger, by: corrections.rollback(ledger, Selection(target=last_but_one), by))
        self._act(lambda ledger, by: corrections.revoke(ledger, Target(batch=2), None, self._now, by))
        return stacks, codes, {"cut_off": rolled_back}

    def _cards(
        self,
        count: int,
        *,
        in_hand: bool = True,
        code_kind: CodeKind = CodeKind.CARD,
        report_type: ReportType = ReportType.CONFIRMED,
        valid_from: int | None = None,
        valid_until: int | None = None,
    ) -> list[str]:
        request = issuance.BatchRequest(1, count, 1, code_kind, report_type, valid_from, valid_until)
        issued = self._act(lambda ledger, by: issuance.issue_batch(ledger, request, POLICY, self._now, by))
        secret = self._deployment.keys.issuing_secret(1)
        if secret is None or not isinstance(issued, BatchIssued):
            raise Unavailable("the issuing secret is gone")
        if in_hand:
            self._act(lambda ledger, by: issuance.activate_batch(ledger, issued.batch, self._now, by))
        key = batch_key(secret, code_kind, issued.batch)
        return [make_card(key, code_kind, issued.batch, serial) for serial in range(count)]

    def _act(self, rule: Callable[[Ledger, Attribution], Draft]) -> object:
        by = attribution("the sandbox", "to try things with", secrets.token_bytes(16))
        return self._performer.act(lambda ledger, now: rule(ledger, by)).body

    def _report(self, code: str) -> bytes:
        """The withdrawal secret of a report that is taken."""
        start = (day_of(self._now) - 1) * INTERVALS_PER_DAY
        pending = make_report(
            [SentKey(secrets.token_bytes(KEY_BYTES), start, INTERVALS_PER_DAY)],
            code=code,
            onset_day=None,
            withdrawal_secret=secrets.token_bytes(32),
            continuation_secret=secrets.token_bytes(32),
        )
        (answer,) = self._performer.answer([Arrival(pending.body, floor_quarter(Instant(self._now)))])
        if decode_answer(answer).verdict is not Verdict.TAKEN:
            raise Invalid("the sandbox did not come about as it should: this is a fault in tocsin, please report it")
        return pending.withdrawal_secret


def _misspelt(code: str) -> str:
    """`code` with its last symbol replaced."""
    return code[:-1] + ("0" if code[-1] != "0" else "1")
