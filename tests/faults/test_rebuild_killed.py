"""A rebuild that is killed at any step: run again, or where its journal is durable, published from; all is there."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.servers import ROOT
from tests.sites import FixedClock, Site
from tocsin.journal.archive import make_archive, open_archive
from tocsin.journal.verify import verify
from tocsin.model.errors import Refused
from tocsin.publication.in_force import missing
from tocsin.publication.release import released
from tocsin.service.deployment import Deployment, head_verifier
from tocsin.service.rebuild import rebuild
from tocsin.stores.place_folder import FolderPlace

MOST_STEPS = 10_000
KILLS = 12


@pytest.fixture
def site(tmp_path: Path) -> Site:
    clock = FixedClock()
    site = Site(tmp_path / "old", clock)
    for serial in range(3):
        site.report(f"phone {serial}", serial)
        clock.wait(4 * 3600)
        site.deployment.publisher().publish()
    make_archive(FolderPlace(tmp_path / "archive")).append(site.deployment.journal.read(0), 1)
    site.deployment.close()
    return site


def killed(site: Site, folder: Path, name: str, step: int) -> "subprocess.CompletedProcess[str]":
    words = [str(site.top), str(folder / "archive"), str(folder / name), str(site.clock.at), str(step)]
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.killed_rebuild", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.faults
def test_killed_at_any_step(site: Site, tmp_path: Path) -> None:
    whole = killed(site, tmp_path, "whole", MOST_STEPS)
    assert whole.returncode == 0, whole.stderr
    steps = MOST_STEPS - int(whole.stdout)
    reference = Deployment(tmp_path / "whole", site.clock)
    archive = open_archive(FolderPlace(tmp_path / "archive"))
    resumed = set()
    for kill in range(KILLS):
        new = tmp_path / f"killed {kill}"
        assert killed(site, tmp_path, new.name, kill * steps // KILLS).returncode == -9
        term = archive.tip().term
        try:
            rebuilt = rebuild(new, lambda settings: archive, site.top / "keys", site.top / "tocsin.toml", site.clock)
            assert rebuilt.tip.term == term + 1 and rebuilt.unfinished is None
            resumed.add("again")
        except Refused as refusal:
            assert refusal.code == "not_empty", refusal
            resumed.add("published")
        deployment = Deployment(new, site.clock)
        deployment.publisher().restore()
        assert deployment.journal.read(0) == reference.journal.read(0)
        assert verify(deployment.journal).term == archive.tip().term
        leaf = released(deployment.bucket, head_verifier(deployment.settings, deployment.keys)).leaf
        assert leaf is not None and leaf.version == 3 and missing(leaf, deployment.bucket) == []
        assert {path.name for path in new.iterdir()} == {"tocsin.toml", "trust.json", "keys", "journal", "bucket"}
        deployment.close()
    assert resumed == {"again", "published"}
    reference.close()
