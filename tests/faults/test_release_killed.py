"""A publisher killed between any two steps: running again repairs it, with the same content."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sites import FixedClock, Site
from tocsin.publication.in_force import missing
from tocsin.publication.release import released
from tocsin.service.deployment import Deployment, head_verifier

ROOT = Path(__file__).parents[2]
MOST_STEPS = 40


def publisher(top: Path, at: int, step: int) -> "subprocess.CompletedProcess[str]":
    """One publisher process that is killed at `step`."""
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.killed_publisher", str(top), str(at), str(step)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def objects(top: Path) -> dict[str, bytes]:
    """The objects of a bucket that anybody is served."""
    bucket = top / "bucket"
    return {
        str(path.relative_to(bucket)): path.read_bytes()
        for path in bucket.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A deployment with a version out, and a report, a withdrawal and a GAEN step for the next one."""
    top = tmp_path_factory.mktemp("site") / "before"
    clock = FixedClock()
    site = Site(top, clock)
    for serial in range(3):
        site.report(f"phone {serial}", serial)
    clock.wait(900)
    assert site.deployment.publisher().publish() == 1
    site.report("phone 3", 3)
    site.withdraw("phone 0")
    site.deployment.close()
    return top, clock.at + 4 * 3600


@pytest.mark.faults
def test_killed_between_any_two_steps_of_a_release(before: tuple[Path, int], tmp_path: Path) -> None:
    top, at = before
    whole = shutil.copytree(top, tmp_path / "whole")
    ran = publisher(whole, at, MOST_STEPS)
    assert ran.returncode == 0, ran.stderr
    steps = MOST_STEPS - int(ran.stdout)
    assert steps >= 8  # the append, two keyset files, two GAEN zips, two lists, the head
    expected = objects(whole)
    for step in range(steps):
        broken = shutil.copytree(top, tmp_path / f"killed {step}")
        ran = publisher(broken, at, step)
        assert ran.returncode == -signal.SIGKILL, ran.stderr
        left = objects(broken)
        assert left["v1/head"] == objects(top)["v1/head"], "the head came before what it names"
        deployment = Deployment(broken, FixedClock(at))
        assert deployment.publisher().publish() == 2
        deployment.close()
        assert objects(broken).keys() == expected.keys()
        assert objects(broken) == expected, f"killed at step {step}: other content"


@pytest.mark.faults
def test_a_lost_bucket_is_made_again_with_the_same_content(before: tuple[Path, int], tmp_path: Path) -> None:
    top, at = before
    lost = shutil.copytree(top, tmp_path / "lost")
    assert publisher(lost, at, MOST_STEPS).returncode == 0
    expected = objects(lost)
    shutil.rmtree(lost / "bucket")
    (lost / "bucket").mkdir()
    assert publisher(lost, at, MOST_STEPS).returncode == 0
    found = objects(lost)
    assert found.items() <= expected.items()  # what was in force in version 1 only is not made again
    deployment = Deployment(lost, FixedClock(at))
    leaf = released(deployment.bucket, head_verifier(deployment.settings, deployment.keys)).leaf
    assert leaf is not None and missing(leaf, deployment.bucket) == []
    deployment.close()
