"""Two collectors and two publishers, each a process, over one folder."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
    set_clock(top, clock.at)
    collectors = [start("collector", top, name) for name in ("left", "right")]
    publishers = [start("publisher", top, name) for name in ("one", "two")]
    for step in range(1, STEPS + 1):
        set_clock(top, clock.at + 900 * step)
        here = Deployment(top, FixedClock(clock.at + 900 * step))
        assert here.publisher().publish() == step  # a third one: when it returns, the step's version is out
        here.close()
    taken: list[str] = []
    for collector in collectors:
        out, err = collector.communicate(timeout=120)
        assert collector.returncode == 0, err
        taken += [line.split()[0] for line in out.splitlines() if line.endswith(" taken")]
        assert {line.split()[1] for line in out.splitlines()} <= {"taken", "code_spent"}
    set_clock(top, 0)
    versions: list[str] = []
    for process in publishers:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
        versions += out.split()
    assert sorted(taken, key=int) == [str(serial) for serial in range(100)], "a card taken twice, or never"
    assert len(versions) == len(set(versions)), "a version was put out twice"
    _check(top, clock.at + 900 * (STEPS + 1))


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
