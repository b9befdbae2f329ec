"""From the journal to the bucket: fold, the first publication, the next quarter-hour's, the bytes that come out.

Folding and publishing are done by a process of their own, so that its memory is theirs:

    python -m benchmarks.public_set FOLDER AT

`FOLDER` is a deployment whose newest quarter-hour is `AT`, with bodies of late reports beside it; what it prints is
`Measured`, in JSON.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from benchmarks.machine import most_resident
from benchmarks.site import MORNING, POLICY, StandingClock, found_site, report_body
from benchmarks.table import Row
from benchmarks.wrk import Defect
from tocsin.formats.leaf import HEAD_NAME, Profile, decode_file_list, object_name
from tocsin.formats.wire import REQUEST_BYTES
from tocsin.journal.encoding import NewEvent
from tocsin.journal.port import FIRST_TERM
from tocsin.model.keys import KeyKind
from tocsin.model.times import QUARTER_SECONDS, Instant
from tocsin.publication.build import build
from tocsin.publication.plan import plan
from tocsin.publication.release import release, released
from tocsin.publication.sign import sign
from tocsin.service.deployment import Deployment, head_verifier, signing_keys
from tocsin.service.follow import Follower
from tocsin.service.perform import Arrival

LATE_REPORTS: Final = 20
"""Reports that come after the first publication, and go out with the second."""
GROUP: Final = 256
LONGEST_SECONDS: Final = 600
MILLION: Final = 1_000_000


class Published(Struct, frozen=True):
    """Seconds of each step of one publication."""

    decide: float
    build: float
    sign: float
    release: float

    @property
    def total(self) -> float:
        """Seconds of all of it."""
        return self.decide + self.build + self.sign + self.release


class Measured(Struct, frozen=True):
    """What the process measured: of all `keys` those that are `live`; memory as the most that was resident.

    Memory is given before the ledger, with it, and after both publications.
    """

    keys: int
    live: int
    fold_seconds: float
    bytes_before: int
    bytes_after_fold: int
    bytes_after_all: int
    first: Published
    second: Published
    dump_bytes: int
    gaen_zip_bytes: int
    head_bytes: int


def measure(folder: Path, reports: int) -> list[Row]:
    """The rows of fold and publication; `folder` is empty. Raises `Defect` unless all keys are published."""
    prepare(folder / "site", reports)
    measured = measured_apart(folder / "site", MORNING)
    if measured.live != measured.keys:
        raise Defect(f"of {measured.keys} keys {measured.live} were published")
    return _rows(measured, reports)


def measured_apart(top: Path, at: Instant) -> Measured:
    """What a process of its own measures on the deployment in `top`, whose newest quarter-hour is `at`."""
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.public_set", str(top), str(at)],
        stdout=subprocess.PIPE,
        check=True,
        timeout=LONGEST_SECONDS,
    ).stdout
    return msgspec.json.decode(output, type=Measured)


def prepare(top: Path, reports: int) -> None:
    """A deployment whose journal holds so many reports, and beside it the bodies of late ones."""
    clock = StandingClock()
    cards = found_site(top, reports + LATE_REPORTS, clock)
    deployment = Deployment(top, clock)
    _answer(deployment, [report_body(card, MORNING) for card in cards[:reports]], MORNING)
    deployment.close()
    lay_aside(top, cards[reports:], MORNING)


def lay_aside(top: Path, cards: Sequence[str], at: Instant) -> None:
    """Bodies of reports with these cards, for later."""
    (top / "late").write_bytes(b"".join(report_body(card, at) for card in cards))


def _answer(deployment: Deployment, bodies: Sequence[bytes], at: Instant) -> None:
    performer = deployment.performer()
    for first in range(0, len(bodies), GROUP):
        performer.answer([Arrival(body, at) for body in bodies[first : first + GROUP]])


def _rows(measured: Measured, reports: int) -> list[Row]:
    keys = measured.keys
    size = f"{keys:,} keys in {reports:,} reports"
    a_million = measured.fold_seconds * MILLION / reports
    ledger_bytes = measured.bytes_after_fold - measured.bytes_before
    return [
        Row(
            "fold, content opened",
            size,
            f"{measured.fold_seconds:.2f} s, {ledger_bytes / 1e6:.0f} MB "
            f"(of {measured.bytes_after_fold / 1e6:.0f} MB resident at most)",
            f"at this rate 1,000,000 reports: {a_million:.0f} s, {ledger_bytes * MILLION / reports / 1e9:.1f} GB",
            "1,000,000 reports < 15 s, < 2.5 GB",
        ),
        Row(
            "first publication: decide, build, sign, release",
            f"{keys:,} live keys",
            f"{measured.first.total:.2f} s",
            steps(measured.first),
            "1,000,000 live keys < 5 s",
        ),
        Row(
            "the next quarter-hour's publication",
            f"{LATE_REPORTS} reports more",
            f"{measured.second.total:.2f} s",
            steps(measured.second),
            "1,000,000 live keys < 2 s",
        ),
        Row(
            "bytes a key: keyset dump, raw",
            f"{measured.dump_bytes:,} bytes",
            f"{measured.dump_bytes / keys:.2f}",
            f"GAEN zip {measured.gaen_zip_bytes / keys:.2f}",
            "24 raw; 14.3 when the codec comes",
        ),
        Row(
            "head: all that a phone fetches without news",
            "one signature, no witness",
            f"{measured.head_bytes:,} bytes",
            aim="a poll with news ≤ 2,000",
        ),
    ]


def steps(published: Published) -> str:
    """Seconds of each step: decide + build + sign + release."""
    return " + ".join(f"{seconds:.2f}" for seconds in msgspec.structs.astuple(published))


# --- the process -----------------------------------------------------------------------------------------------------


def main(top: Path, at: Instant) -> Measured:
    clock = StandingClock(at)
    deployment = Deployment(top, clock)
    follower = Follower(deployment.keys)
    before = most_resident()
    began = time.perf_counter()
    follower.catch_up(deployment.journal.read)
    keys = len(follower.ledger.keys[KeyKind.GAEN]["day"])  # asked for, so that all of them are laid out
    fold_seconds = time.perf_counter() - began
    after_fold = most_resident()
    first = _publish(deployment, follower, clock)
    live, dump_bytes, gaen_zip_bytes = _dumps(deployment)
    late = (top / "late").read_bytes()
    _answer(deployment, [late[begin : begin + REQUEST_BYTES] for begin in range(0, len(late), REQUEST_BYTES)], at)
    second = _publish(deployment, follower, clock)
    return Measured(
        keys=keys,
        live=live,
        fold_seconds=fold_seconds,
        bytes_before=before,
        bytes_after_fold=after_fold,
        bytes_after_all=most_resident(),
        first=first,
        second=second,
        dump_bytes=dump_bytes,
        gaen_zip_bytes=gaen_zip_bytes,
        head_bytes=len(_object(deployment, HEAD_NAME)),
    )


def _publish(deployment: Deployment, follower: Follower, clock: StandingClock) -> Published:
    """The next version, as `tocsin.service.publish` makes it, with a stopwatch between its steps."""
    clock.at += QUARTER_SECONDS
    keys = signing_keys(deployment.settings, deployment.keys)
    before = released(deployment.bucket, keys.head_verifier)
    follower.catch_up(deployment.journal.read)
    versions = follower.ledger.versions
    made = build(follower.ledger).made if versions and versions[-1].files else ()  # a publisher has it from before
    times = [time.perf_counter()]
    draft = plan(follower.ledger, POLICY, clock.now(), FIRST_TERM, made)
    assert draft is not None
    with deployment.journal.group(clock.now()) as group:
        group.append(NewEvent(draft.body, None, draft.claims))
    follower.catch_up(deployment.journal.read)
    times.append(time.perf_counter())
    built = build(follower.ledger)
    times.append(time.perf_counter())
    signed = sign(built, keys)
    times.append(time.perf_counter())
    release(signed, deployment.bucket, before)
    times.append(time.perf_counter())
    steps = (after - since for since, after in pairwise(times))
    return Published(*steps)


def _dumps(deployment: Deployment) -> tuple[int, int, int]:
    """Live keys; bytes of the keyset dump, and of all zips of the GAEN dump."""
    leaf = released(deployment.bucket, head_verifier(deployment.settings, deployment.keys)).leaf
    assert leaf is not None
    dumps = {entry.profile: entry.dump for entry in leaf.profiles}
    keyset, gaen = dumps[Profile.KEYSET], dumps[Profile.GAEN]
    assert keyset is not None and gaen is not None
    listed = decode_file_list(_object(deployment, object_name(leaf.region, Profile.GAEN, gaen.file.hash)))
    zips = (_object(deployment, object_name(leaf.region, Profile.GAEN, part.file.hash)) for part in listed)
    return leaf.gaen_keys, keyset.file.length, sum(len(data) for data in zips)


def _object(deployment: Deployment, name: str) -> bytes:
    data = deployment.bucket.read(name)
    if data is None:
        raise Defect("an object that was released is not in the bucket")
    return data


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(main(Path(sys.argv[1]), Instant(int(sys.argv[2])))))
