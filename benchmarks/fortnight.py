"""A journal as fourteen days of a nation leave it: reports through every quarter-hour, a version at each, corrections.

What `prepare` writes are events as the service writes them: bodies, claims of their length, content sealed under the
key of its day, chained and stored by the journal's own engine. Only who decided them is left out: no call was judged,
and the versions before the last name no files and no set digest that anybody would look at again.
"""

import re
import secrets
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import httpx
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from benchmarks.machine import most_resident
from benchmarks.public_set import LATE_REPORTS, LONGEST_SECONDS, lay_aside, measured_apart, steps
from benchmarks.site import BATCH_CARDS, KEYS_PER_REPORT, POLICY, SETTINGS, StandingClock, cards_of, issue
from benchmarks.table import Row
from benchmarks.wrk import Defect
from tocsin.client.calls import decoy_call
from tocsin.journal.content import NONCE_BYTES, encode_content, seal
from tocsin.journal.encoding import NewEvent
from tocsin.journal.port import Group
from tocsin.model.base64url import encode
from tocsin.model.claims import Claim, ClaimClass, tracking_claim, version_claim, withdrawal_claim
from tocsin.model.events import Move, Published, ReportContent, Reported, Withdrawn
from tocsin.model.keys import CONTENT_KEY, NO_ONSET, KeyKind, ReportType, key_ends, release_instants
from tocsin.model.times import DAY_SECONDS, INTERVALS_PER_DAY, QUARTER_SECONDS, Instant, day_of, floor_quarter
from tocsin.service.deployment import Deployment
from tocsin.service.founding import found

DAYS: Final = 14
STEPS: Final = DAYS * DAY_SECONDS // QUARTER_SECONDS
WITHDRAWN_OF: Final = 100
"""One report of so many is withdrawn, a day after it came."""
HOLD_BACK_QUARTERS: Final = 4
_URL: Final = re.compile(r"serving on (http://\S+)")
MARGIN_SECONDS: Final = 3600
"""The story ends so long before the present, for what is measured on it afterwards takes two quarter-hours more."""


class Report(Struct, frozen=True):
    """One that was appended: its number, its report ID, the instants at which its keys are due."""

    sequence: int
    id: bytes
    releases: NDArray[np.int64]


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


def measure(folder: Path, reports: int) -> list[Row]:
    """The rows of a fortnight of so many reports; `folder` is empty."""
    end = floor_quarter(int(time.time()) - MARGIN_SECONDS)
    prepare(folder / "site", reports, end)
    journal_bytes = sum(file.stat().st_size for file in (folder / "site" / "journal").iterdir())
    measured = measured_apart(folder / "site", end)
    started = _started(folder / "site")
    saved = _save(folder / "site", end)
    started_saved = _started(folder / "site")
    size = f"{reports:,} reports, {measured.keys:,} keys, {STEPS:,} versions"
    live = f"{measured.live:,} live keys"
    return [
        Row(
            "a fortnight: journal on disk",
            size,
            f"{journal_bytes / 1e6:,.0f} MB",
            f"{journal_bytes / reports:,.0f} bytes a report",
        ),
        Row(
            "a fortnight: fold, chain checked, content opened",
            size,
            f"{measured.fold_seconds:.1f} s, {(measured.bytes_after_fold - measured.bytes_before) / 1e6:,.0f} MB",
            f"{measured.fold_seconds / reports * 1e6:.1f} µs a report",
            "1,000,000 reports < 15 s, < 2.5 GB",
        ),
        Row(
            "a fortnight: publication with dumps of both profiles",
            live,
            f"{measured.first.total:.1f} s; {measured.bytes_after_all / 1e6:,.0f} MB resident at most",
            steps(measured.first),
            "1,000,000 live keys < 5 s",
        ),
        Row(
            "a fortnight: the next quarter-hour's publication",
            live,
            f"{measured.second.total:.1f} s",
            steps(measured.second),
            "< 2 s",
        ),
        Row(
            "a fortnight: `tocsin serve`, start to first answer",
            size,
            f"{started.seconds:.1f} s, {started.resident / 1e6:,.0f} MB",
        ),
        Row(
            "a fortnight: a checkpoint is written",
            size,
            f"{saved.seconds:.1f} s, {saved.file_bytes / 1e6:,.0f} MB",
            f"{saved.file_bytes / reports:,.0f} bytes a report",
        ),
        Row(
            "a fortnight: `tocsin serve` with a checkpoint, start to first answer",
            size,
            f"{started_saved.seconds:.1f} s, {started_saved.resident / 1e6:,.0f} MB",
            f"without one: × {started.seconds / started_saved.seconds:.1f}",
            "1,000,000 reports < 3 s",
        ),
    ]


class _Saved(Struct, frozen=True):
    """Seconds that a checkpoint took to be written, and how large it is."""

    seconds: float
    file_bytes: int


def _save(top: Path, end: Instant) -> _Saved:
    """Writes a checkpoint of all there is."""
    deployment = Deployment(top, StandingClock(end))
    follower = deployment.follower()
    follower.catch_up(deployment.journal.read)
    began = time.perf_counter()
    deployment.checkpoints.write(follower.ledger, follower.tip)
    seconds = time.perf_counter() - began
    deployment.close()
    return _Saved(seconds, sum(file.stat().st_size for file in deployment.folders.checkpoints.iterdir()))


class _Started(Struct, frozen=True):
    """Seconds from the start of a server to its first answer to a call, and what it held then at most, in bytes."""

    seconds: float
    resident: int


def _started(top: Path) -> _Started:
    began = time.perf_counter()
    command = [sys.executable, "-m", "tocsin", "serve", "--data", str(top), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        watchdog = threading.Timer(LONGEST_SECONDS, server.kill)
        watchdog.start()
        try:
            assert server.stdout is not None
            url = next((found[1] for line in server.stdout if (found := _URL.search(line))), None)
            if url is None:
                raise Defect("the server did not start")
            headers = {"content-type": "application/json"}
            answer = httpx.post(f"{url}/v1/reports", content=decoy_call(), headers=headers, timeout=LONGEST_SECONDS)
            if answer.status_code != 200:
                raise Defect("the server that was started does not answer")
            return _Started(time.perf_counter() - began, most_resident(server.pid))
        finally:
            watchdog.cancel()
            server.kill()


def prepare(top: Path, reports: int, end: Instant) -> None:
    """A deployment in `top` whose journal holds so many reports, evenly through fourteen days up to `end`."""
    begin = end - STEPS * QUARTER_SECONDS
    clock = StandingClock(begin)
    found(top, SETTINGS, clock)
    deployment = Deployment(top, clock)
    batches = issue(deployment.performer(), reports + LATE_REPORTS)
    public, withdrawals = _Public(), defaultdict[int, list[Report]](list)
    written = 0
    for step in range(1, STEPS + 1):
        clock.at = at = begin + step * QUARTER_SECONDS
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
                report = append_report(group, number, at, day_key)
                public.wait(report.sequence, report.releases)
                if number % WITHDRAWN_OF == 0:
                    withdrawals[at + DAY_SECONDS].append(report)
            written = reports * step // STEPS
    deployment.close()
    cards = islice((card for batch in batches for card in cards_of(deployment.keys, batch)), reports, None)
    lay_aside(top, list(islice(cards, LATE_REPORTS)), end)


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


def append_report(group: Group, number: int, at: int, day_key: bytes) -> Report:
    """Appends report `number`, of fourteen keys, as it is stored when it came `at`."""
    keys = _keys(at)
    steps = _holds(release_instants(key_ends(keys["record"]), at, np.zeros(KEYS_PER_REPORT, np.int64)))
    own_id = secrets.token_bytes(32)
    content = ReportContent(
        batch=1 + number // BATCH_CARDS,
        serial=number % BATCH_CARDS,
        provider=1,
        sent=secrets.token_bytes(32),
        key_kind=KeyKind.GAEN,
        key_rows=keys.tobytes(),
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
    return Report(stored.sequence, own_id, release_instants(key_ends(keys["record"]), at, np.array(steps)))


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
