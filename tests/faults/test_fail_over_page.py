"""`docs/operating/fail-over.md`, done word for word with three real servers."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster, running_cluster
from tests.faults.pages import commands, section
from tests.faults.postgres_server import as_postgres, program
from tests.faults.servers import until
from tests.faults.test_standbys import DATABASE, Careless, stored

STARTED = "systemctl start postgresql"


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        yield cluster


class Operator:
    """Who types what stands on a page, on machines that are called s1 to s3 there."""

    def __init__(self, cluster: Cluster, lost: str) -> None:
        """`lost` is the server that is made anew."""
        self._cluster = cluster
        self._lost = cluster[lost]
        self._path = os.pathsep.join(
            [str(Path(sys.executable).parent), str(Path(program("psql")).parent), os.environ["PATH"]]
        )

    def type(self, line: str) -> str:
        """What the command prints. It must succeed."""
        if line == STARTED:
            self._lost.start()
            return ""
        done = subprocess.run(
            ["sh", "-c", self._here(line)] if line.startswith("tocsin") else as_postgres("sh", "-c", self._here(line)),
            cwd="/",
            env={**os.environ, "PATH": self._path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (line, done.stderr)
        return self._there(done.stdout)

    def _here(self, line: str) -> str:
        """The line with the addresses and folders of this machine."""
        for name, node in self._cluster.nodes.items():
            line = line.replace(f"{name}.example.org", f"127.0.0.1:{node.port}")
        return line.replace("/var/lib/postgresql/15/main", str(self._lost.data))

    def _there(self, text: str) -> str:
        """What was printed, with the addresses of the page."""
        for name, node in self._cluster.nodes.items():
            text = text.replace(f"127.0.0.1:{node.port}", f"{name}.example.org:5432")
        return text


@pytest.mark.faults
def test_without_patroni(three: Cluster) -> None:
    three.new_database(DATABASE)
    careless = Careless(three)
    three.settle()
    three.links["s2"].hold()
    for _ in range(20):
        careless.append()
    three.primary.kill()

    page = section("fail-over.md", "Without Patroni")
    operator = Operator(three, "s1")
    said = ""
    for line in commands(page):
        if line.startswith("rm -r"):
            until("the other one follows", lambda: three["s3"].ask("SELECT count(*) FROM pg_stat_replication"))
        if line == "tocsin journal verify":
            continue
        said += operator.type(line)

    [promise] = re.findall(r"^> (.*)$", page, re.MULTILINE)
    assert promise in said
    three.primary = three["s3"]
    assert stored(three) == len(careless.acknowledged)
    careless.append()
    until("both are waited for", lambda: three.is_waited_for(three["s1"]) and three.is_waited_for(three["s2"]))
