"""`docs/operating/site-lost.md`, done word for word: a third of everything is gone, and built anew of what is left."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster, running_cluster
from tests.faults.pages import commands, section
from tests.faults.shell import Shell, Typed
from tests.faults.test_fail_over_page import Operator
from tests.faults.test_standbys import DATABASE
from tests.sites import FixedClock, Site, report
from tocsin.model.calls import Verdict
from tocsin.service.clock import SystemClock
from tocsin.service.journal_choice import JournalChoice

pytestmark = pytest.mark.faults

PAGE = "site-lost.md"
LOST = "s3"
WRONG = re.compile(r"^! +(\w+):", re.MULTILINE)
"""What `tocsin doctor` calls more than a warning."""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running_cluster() as three:
        three.new_database(DATABASE)
        yield three


class Machines:
    """The collector that is left, the new one, and the servers of the database."""

    def __init__(self, folder: Path, site: Site, cluster: Cluster) -> None:
        self.left, self.new = Shell(folder / "left", site), Shell(folder / "new", site)
        self._operator = Operator(cluster, LOST)

    def type(self, shell: Shell, line: str) -> Typed:
        """Types a line at a collector, or at a server of the database where it is one for that."""
        if line.split()[0] in ("psql", "pg_basebackup") or "postgresql" in line:
            return Typed(0, self._operator.type(line), "")
        done = shell.type(line.replace("rsa:4096", "rsa:2048"))
        assert done.code == 0 or "doctor" in line, (line, done.err)
        return done

    def carry(self, name: str, there: Shell) -> None:
        """One file of `/sealed`, from one collector to the other."""
        here = self.left if there is self.new else self.new
        (there.root / "sealed").mkdir(exist_ok=True)
        shutil.copy(here.root / "sealed" / name, there.root / "sealed")


def test_a_site_is_lost_and_built_anew(cluster: Cluster, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    clock = FixedClock(SystemClock().now() - 3600)
    choice = JournalChoice(engine="postgresql", url=cluster.url(DATABASE))
    site = Site(tmp_path / "left" / "srv" / "tocsin", clock, journal=choice)
    site.report("ada", 0)
    clock.wait(900)
    site.deployment.publisher().publish()
    site.deployment.close()
    (tmp_path / "new" / "srv").mkdir(parents=True)
    machines = Machines(tmp_path, site, cluster)
    left, new = machines.left, machines.new
    left.type("systemctl start tocsin")
    assert left.server is not None and left.server.port
    cluster[LOST].kill()

    seen, status = (machines.type(left, line).out for line in commands(section(PAGE, "The first hour")))
    assert seen.count("quorum") == 1 and "report" in status
    assert left.server.verdict(report("ben", site.cards[1], 1, SystemClock().now()).body) is Verdict.TAKEN

    last = ""
    for line in commands(section(PAGE, "Build a new one")):
        if "site.cms /sealed/new.pem" in line:
            machines.carry("new.pem", left)
            machines.type(left, line)
            machines.carry("site.cms", new)
            continue
        last = machines.type(new, line).out
        if "doctor" in line:
            assert WRONG.findall(last) == ["publication_late"], last
    assert last.count("quorum") == 2
    assert not list((new.root / "sealed").glob("*.key"))
    assert new.track("ada") is new.track("ben") is Verdict.TAKEN
    assert new.server is not None
    assert new.server.verdict(report("cem", site.cards[2], 1, SystemClock().now()).body) is Verdict.TAKEN
    assert left.track("cem") is Verdict.TAKEN
    for shell in (left, new):
        shell.type("systemctl stop tocsin")
