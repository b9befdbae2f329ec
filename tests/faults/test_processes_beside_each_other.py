"""Two collectors and two publishers, each a process, over one folder."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.postgres_engine import PostgresEngine
from tests.sites import FixedClock, Site
from tocsin.client.sync import sync
from tocsin.client.trust import parse_trust
from tocsin.journal.verify import verify
from tocsin.model.keys import KeyKind
from tocsin.service.deployment import Deployment

ROOT = Path(__file__).parents[2]
STEPS = 12


def start(role: str, top: Path, name: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.site_process", role, str(top), name],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def set_clock(top: Path, at: int) -> None:
    draft = top / "clock.draft"
    draft.write_text(str(at))
    draft.replace(top / "clock")


@pytest.mark.faults
def test_two_collectors_and_two_publishers(tmp_path: Path) -> None:
    """Cases 23, 30, 52: each card is taken once, each version is decided once, and the bucket is whole."""
    top = tmp_path / "site"
    clock = FixedClock()
    Site(top, clock).deployment.close()
    run_beside_each_other(top, top, clock)


@pytest.mark.faults
def test_two_machines_over_one_postgresql(tmp_path: Path, postgres_engine: PostgresEngine) -> None:
    """Cases 23, 30, 52: as above, with a folder for each, copies of the same keys, and one journal and bucket."""
    left, right = tmp_path / "left", tmp_path / "right"
    clock = FixedClock()
    postgres_engine.empty()
    Site(left, clock, journal=postgres_engine.choice()).deployment.close()
    second_machine(left, right)
    run_beside_each_other(left, right, clock)


def second_machine(first: Path, second: Path) -> None:
    """A folder as an operator makes it on a second machine, of the same site's settings and keys."""
    second.mkdir()
    for name in ("tocsin.toml", "trust.json"):
        shutil.copy(first / name, second / name)
    shutil.copytree(first / "keys", second / "keys")
    (second / "journal").mkdir(mode=0o700)
    for shared in ("bucket", "clock"):
        (second / shared).symlink_to(first / shared)


def run_beside_each_other(left: Path, right: Path, clock: FixedClock) -> None:
    """A collector and a publisher in each folder, and a third publisher that looks whether each step is done."""
    set_clock(left, clock.at)
    collectors = [start("collector", top, top.name + side) for top, side in ((left, " 1"), (right, " 2"))]
    publishers = [start("publisher", top, "publisher") for top in (left, right)]
    for step in range(1, STEPS + 1):
        set_clock(left, clock.at + 900 * step)
        here = Deployment(left, FixedClock(clock.at + 900 * step))
        assert here.publisher().publish() == step  # a third one: when it returns, the step's version is out
        here.close()
    taken: list[str] = []
    for collector in collectors:
        out, err = collector.communicate(timeout=120)
        assert collector.returncode == 0, err
        taken += [line.split()[0] for line in out.splitlines() if line.endswith(" taken")]
        assert {line.split()[1] for line in out.splitlines()} <= {"taken", "code_spent"}
    set_clock(left, 0)
    versions: list[str] = []
    for process in publishers:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
        versions += out.split()
    assert sorted(taken, key=int) == [str(serial) for serial in range(100)], "a card taken twice, or never"
    assert len(versions) == len(set(versions)), "a version was put out twice"
    _check(left, clock.at + 900 * (STEPS + 1))


@pytest.mark.faults
def test_one_request_for_phone_codes_at_four_consoles(tmp_path: Path) -> None:
    """Case 30: all four tell the same codes, which were issued once; another request's are others."""
    top = tmp_path / "site"
    clock = FixedClock()
    Site(top, clock).deployment.close()
    set_clock(top, clock.at)
    consoles = [start("console", top, name) for name in ("ab" * 16,) * 4 + ("cd" * 16,)]
    told = []
    for console in consoles:
        out, err = console.communicate(timeout=120)
        assert (console.returncode, err) == (0, "")
        told.append(json.loads(out))
    *same, other = told
    assert len({json.dumps(each["codes"]) for each in same}) == 1
    assert sorted(each["repeated"] for each in same) == [False, True, True, True]
    assert not {code["code"] for code in same[0]["codes"]} & {code["code"] for code in other["codes"]}
    deployment = Deployment(top, clock)
    verify(deployment.journal)
    performer = deployment.performer()
    performer.catch_up()
    assert performer.ledger.phone_codes.alive(clock.at) == performer.ledger.batches[2**18].count == 10
    deployment.close()


def _check(top: Path, at: int) -> None:
    deployment = Deployment(top, FixedClock(at))
    verify(deployment.journal)
    performer = deployment.performer()
    performer.catch_up()
    ledger = performer.ledger
    assert ledger.reports.count == 100
    assert [version.version for version in ledger.versions] == list(range(1, STEPS + 1))
    assert deployment.publisher().publish() == STEPS + 1
    bucket = top / "bucket"
    trust = parse_trust(deployment.folders.trust.read_bytes())
    state = sync(None, trust, at, lambda name, most: (bucket / name).read_bytes())
    assert (state.version, len(state.keys[KeyKind.GAEN])) == (STEPS + 1, 100)
    deployment.close()
