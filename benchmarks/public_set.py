"""From the journal to the bucket: fold, the first publication, the next quarter-hour's, the bytes that come out.

Folding and publishing are done by a process of their own, so that its memory is theirs:

    python -m benchmarks.public_set FOLDER

`FOLDER` is a deployment that `prepare` made; what it prints is `Measured`, in JSON.
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

from benchmarks.site import MORNING, POLICY, StandingClock, found_site, report_body
from benchmarks.table import Row
from benchmarks.wrk import Defect
from tocsin.formats.leaf import HEAD_NAME, Profile, decode_file_list, object_name
from tocsin.formats.wire import REQUEST_BYTES
from tocsin.journal.encoding import NewEvent
from tocsin.journal.port import FIRST_TERM
from tocsin.model.times import QUARTER_SECONDS
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
LONGEST_SECONDS: Final = 240
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
    """What the process measured. Memory: the most that was resident, without and with the ledger."""

    keys: int
    fold_seconds: float
    bytes_before: int
    bytes_after_fold: int
    first: Published
    second: Published
    dump_bytes: int
    gaen_zip_bytes: int
    head_bytes: int


def measure(folder: Path, reports: int) -> list[Row]:
    """The rows of fold and publication; `folder` is empty."""
    prepare(folder / "site", reports)
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.public_set", str(folder / "site")],
        stdout=subprocess.PIPE,
        check=True,
        timeout=LONGEST_SECONDS,
    ).stdout
    return _rows(msgspec.json.decode(output, type=Measured), reports)


def prepare(top: Path, reports: int) -> None:
    """A deployment whose journal holds so many reports, and beside it the bodies of late ones."""
    clock = StandingClock()
    cards = found_site(top, reports + LATE_REPORTS, clock)
    deployment = Deployment(top, clock)
    _answer(deployment, [report_body(card, MORNING) for card in cards[:reports]])
    deployment.close()
    (top / "late").write_bytes(b"".join(report_body(card, MORNING) for card in cards[reports:]))


def _answer(deployment: Deployment, bodies: Sequence[bytes]) -> None:
    performer = deployment.performer()
    for first in range(0, len(bodies), GROUP):
        performer.answer([Arrival(body, MORNING) for body in bodies[first : first + GROUP]])


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
            _steps(measured.first),
            "1,000,000 live keys < 5 s",
        ),
        Row(
            "the next quarter-hour's publication",
            f"{LATE_REPORTS} reports more",
            f"{measured.second.total:.2f} s",
            _steps(measured.second),
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


def _steps(published: Published) -> str:
    return " + ".join(f"{seconds:.2f}" for seconds in msgspec.structs.astuple(published))


# --- the process -----------------------------------------------------------------------------------------------------


def main(top: Path) -> Measured:
    clock = StandingClock()
    deployment = Deployment(top, clock)
    follower = Follower(deployment.keys)
    before = _most_resident()
    began = time.perf_counter()
    follower.catch_up(deployment.journal.read)
    fold_seconds = time.perf_counter() - began
    after_fold, keys = _most_resident(), follower.ledger.keys.count
    first = _publish(deployment, follower, clock)
    dump_bytes, gaen_zip_bytes = _bytes_of_dumps(deployment, keys)
    late = (top / "late").read_bytes()
    _answer(deployment, [late[at : at + REQUEST_BYTES] for at in range(0, len(late), REQUEST_BYTES)])
    second = _publish(deployment, follower, clock)
    return Measured(
        keys=keys,
        fold_seconds=fold_seconds,
        bytes_before=before,
        bytes_after_fold=after_fold,
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
    made = build(follower.ledger).made if follower.ledger.versions else ()  # a publisher has it from its last release
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


def _bytes_of_dumps(deployment: Deployment, keys: int) -> tuple[int, int]:
    """Bytes of the keyset dump, and of all zips of the GAEN dump. Raises `Defect` unless all `keys` are in them."""
    leaf = released(deployment.bucket, head_verifier(deployment.settings, deployment.keys)).leaf
    assert leaf is not None
    dumps = {entry.profile: entry.dump for entry in leaf.profiles}
    keyset, gaen = dumps[Profile.KEYSET], dumps[Profile.GAEN]
    assert keyset is not None and gaen is not None
    if leaf.gaen_keys != keys:
        raise Defect(f"of {keys} keys {leaf.gaen_keys} were published")
    listed = decode_file_list(_object(deployment, object_name(leaf.region, Profile.GAEN, gaen.file.hash)))
    zips = (_object(deployment, object_name(leaf.region, Profile.GAEN, part.file.hash)) for part in listed)
    return keyset.file.length, sum(len(data) for data in zips)


def _object(deployment: Deployment, name: str) -> bytes:
    data = deployment.bucket.read(name)
    if data is None:
        raise Defect("an object that was released is not in the bucket")
    return data


def _most_resident() -> int:
    """Bytes of memory that this process held at most, by ``/proc/self/status``."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(main(Path(sys.argv[1]))))
