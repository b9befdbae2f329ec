"""A journal as fourteen days of a nation leave it: reports through every quarter-hour, a version at each, corrections.

What `prepare` writes are events as the service writes them: bodies, claims of their length, content sealed under the
key of its day, chained and stored by the journal's own engine. Only who decided them is left out: no call was judged,
and the versions before the last name no files and no set digest that anybody would look at again.
"""

import secrets
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from benchmarks.site import BATCH_CARDS, KEYS_PER_REPORT, POLICY, SETTINGS, StandingClock, issue
from tocsin.journal.content import NONCE_BYTES, encode_content, seal
from tocsin.journal.encoding import NewEvent
from tocsin.journal.port import Group
from tocsin.model.base64url import encode
from tocsin.model.claims import Claim, ClaimClass, tracking_claim, version_claim, withdrawal_claim
from tocsin.model.events import Move, Published, ReportContent, Reported, Withdrawn
from tocsin.model.keys import CONTENT_KEY, NO_ONSET, KeyKind, ReportType, release_instants
from tocsin.model.times import DAY_SECONDS, INTERVALS_PER_DAY, QUARTER_SECONDS, Instant, day_of, day_start
from tocsin.service.deployment import Deployment
from tocsin.service.founding import found

DAYS: Final = 14
STEPS: Final = DAYS * DAY_SECONDS // QUARTER_SECONDS
BEGIN: Final = day_start(20_486)
END: Final = Instant(BEGIN + STEPS * QUARTER_SECONDS)
WITHDRAWN_OF: Final = 100
"""One report of so many is withdrawn, a day after it came."""
HOLD_BACK_QUARTERS: Final = 4


class _Report(Struct, frozen=True):
    sequence: int
    id: bytes


class _Public:
    """Which positions of which report enter and leave when: what `plan` would decide of so plain a story."""

    def __init__(self) -> None:
        self._due: defaultdict[int, dict[int, int]] = defaultdict(dict)
        self._entered: dict[int, int] = {}
        self._leaving: list[Move] = []
        self._gone: set[int] = set()

    def wait(self, report: int, releases: NDArray[np.int64]) -> None:
        for position, release_at in enumerate(releases.tolist()):
            step = self._due[-(-release_at // QUARTER_SECONDS) * QUARTER_SECONDS]
            step[report] = step.get(report, 0) | 1 << position

    def leave(self, report: int) -> None:
        self._gone.add(report)
        if mask := self._entered.pop(report, 0):
            self._leaving.append(Move(report, mask, ReportType.CONFIRMED))

    def moves(self, at: int) -> tuple[tuple[Move, ...], tuple[Move, ...]]:
        entering = {report: mask for report, mask in self._due.pop(at, {}).items() if report not in self._gone}
        for report, mask in entering.items():
            self._entered[report] = self._entered.get(report, 0) | mask
        leaving, self._leaving = self._leaving, []
        return (
            tuple(Move(report, mask, ReportType.CONFIRMED) for report, mask in sorted(entering.items())),
            tuple(sorted(leaving, key=lambda move: move.report)),
        )


def prepare(top: Path, reports: int) -> None:
    """A deployment in `top` whose journal holds so many reports, evenly through fourteen days up to `END`."""
    clock = StandingClock(BEGIN)
    found(top, SETTINGS, clock)
    deployment = Deployment(top, clock)
    issue(deployment.performer(), reports)
    public, withdrawals = _Public(), defaultdict[int, list[_Report]](list)
    written = 0
    for step in range(1, STEPS + 1):
        clock.at = at = BEGIN + step * QUARTER_SECONDS
        deployment.keys.make_days_ahead(day_of(at))
        day_key = deployment.keys.day_key(day_of(at))
        assert day_key is not None
        with deployment.journal.group(clock.now()) as group:
            if step < STEPS:  # the last version is left to those who measure
                _publish(group, step, at, public)
            for report in withdrawals.pop(at, ()):
                group.append(NewEvent(Withdrawn(report.sequence), None, (withdrawal_claim(report.id),)))
                public.leave(report.sequence)
            for number in range(written, reports * step // STEPS):
                report = _report(group, number, at, day_key, public)
                if number % WITHDRAWN_OF == 0:
                    withdrawals[at + DAY_SECONDS].append(report)
            written = reports * step // STEPS
    deployment.close()


def _publish(group: Group, version: int, at: int, public: _Public) -> None:
    entering, leaving = public.moves(at)
    body = Published(
        version=version,
        at=at,
        due=at + QUARTER_SECONDS,
        up_to=group.tip.sequence,
        first_day=day_of(at) - POLICY.useful_days,
        useful_days=POLICY.useful_days,
        entering=entering,
        leaving=leaving,
        padding=(),
        set_digest=encode(bytes(32)),
        term=1,
        files=(),
        made=(),
    )
    group.append(NewEvent(body, None, (version_claim(version),)))


def _report(group: Group, number: int, at: int, day_key: bytes, public: _Public) -> _Report:
    keys = _keys(at)
    steps = _holds(release_instants(keys["record"], at, np.zeros(KEYS_PER_REPORT, np.int64)))
    own_id = secrets.token_bytes(32)
    content = ReportContent(
        batch=1 + number // BATCH_CARDS,
        serial=number % BATCH_CARDS,
        provider=1,
        sent=secrets.token_bytes(32),
        keys=keys,
    )
    body = Reported(
        id=encode(own_id),
        received_at=at,
        report_type=ReportType.CONFIRMED,
        verdicts="t" * KEYS_PER_REPORT,
        hold=steps,
    )
    sealed = seal(day_key, day_of(at), body.kind, own_id, encode_content(content), secrets.token_bytes(NONCE_BYTES))
    stored = group.append(NewEvent(body, sealed, (tracking_claim(own_id), *_claims())))
    public.wait(stored.sequence, release_instants(keys["record"], at, np.array(steps)))
    return _Report(stored.sequence, own_id)


def _keys(at: int) -> NDArray[np.void]:
    """Whole-day keys of today and the thirteen days before."""
    keys = np.zeros(KEYS_PER_REPORT, CONTENT_KEY)
    keys["key_kind"] = KeyKind.GAEN
    keys["position"] = np.arange(KEYS_PER_REPORT)
    record = keys["record"]
    record["key_data"] = np.frombuffer(secrets.token_bytes(16 * KEYS_PER_REPORT), "V16")
    record["rolling_start_interval_number"] = (day_of(at) - np.arange(KEYS_PER_REPORT)) * INTERVALS_PER_DAY
    record["rolling_period"] = INTERVALS_PER_DAY
    record["report_type"] = ReportType.CONFIRMED
    record["days_since_onset"] = NO_ONSET
    return keys


def _holds(releases: NDArray[np.int64]) -> tuple[int, ...]:
    """One draw a part, in quarter-hours."""
    drawn = {release: secrets.randbelow(HOLD_BACK_QUARTERS + 1) for release in np.unique(releases).tolist()}
    return tuple(drawn[release] for release in releases.tolist())


def _claims() -> Iterator[Claim]:
    for claim_class in (ClaimClass.CARD, ClaimClass.CONTINUE):
        yield Claim(bytes([claim_class]) + secrets.token_bytes(32))
