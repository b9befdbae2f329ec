"""`docs/operating/postgresql.md` done word for word with three real servers; what is shipped in `deploy/postgresql`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.contracts.journal_contract import FOUNDED, add
from tests.faults.certificates import certify
from tests.faults.cluster import Cluster, running_cluster
from tests.faults.pages import commands, section
from tests.faults.postgres_server import USER, PostgresServer, postgres_home, program
from tests.faults.servers import Server, until
from tests.faults.test_fail_over_page import Operator
from tocsin.journal import postgres
from tocsin.journal.port import Durability
from tocsin.model.errors import Unavailable
from tocsin.service.journal_choice import JournalChoice
from tocsin.service.settings import Folders, load_settings

pytestmark = pytest.mark.faults
ROOT = Path(__file__).parents[2]
PAGE = "postgresql.md"
SHIPPED = ROOT / "deploy" / "postgresql"


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        yield cluster


def test_a_deployment_from_the_first_server_on(three: Cluster, tmp_path: Path) -> None:
    site = tmp_path / "srv"

    def here(line: str) -> str:
        for name, node in three.nodes.items():
            line = line.replace(f"{name}.example.org", f"127.0.0.1:{node.port}")
        return line.replace("/srv/tocsin", str(site))

    def type_(line: str) -> str:
        done = subprocess.run(["sh", "-c", here(line)], cwd=ROOT, env=_path(), capture_output=True, text=True)
        assert done.returncode == 0, (line, done.stderr, done.stdout)
        return done.stdout

    _standbys(three)
    for part in ("2. The database", "3. The deployment", "4. Roles"):
        for line in commands(section(PAGE, part)):
            type_(line)
    chosen = load_settings(Folders(site)).journal
    assert "tocsin_server@" in chosen.url and chosen.engine == "postgresql"
    verify, doctor, provider, serve = commands(section(PAGE, "5. Look, then start"))
    assert "whole: 1 event" in type_(verify)
    doctor_says = subprocess.run(["sh", "-c", here(doctor)], cwd=ROOT, capture_output=True, text=True, env=_path())
    assert not {"not_durable", "journal_unusable"} & set(doctor_says.stdout.split()), doctor_says
    type_(provider)
    assert serve == "tocsin serve --data /srv/tocsin"
    server = Server.real(site, tmp_path / "said")
    assert server.port
    server.stop()
    for line in commands(section(PAGE, "After an update")):
        type_(line)
    assert "whole: " in type_(verify)
    _no_more_than_its_right(chosen)


def _standbys(three: Cluster) -> None:
    """Part 1, typed at `s2`, and at `s3` with its own name."""
    *made, look = commands(section(PAGE, "1. Three servers"))
    for node in three.standbys:
        node.kill()
        shutil.rmtree(node.data)
    for node in three.standbys:
        for line in made:
            Operator(three, node.name).type(line.replace("=s2", f"={node.name}"))
    until("both are waited for", lambda: Operator(three, "s2").type(look).count("quorum") == 2)


def _path() -> dict[str, str]:
    folders = str(Path(sys.executable).parent), str(Path(program("psql")).parent), os.environ["PATH"]
    return {**os.environ, "PATH": os.pathsep.join(folders)}


def _no_more_than_its_right(chosen: JournalChoice) -> None:
    with psycopg.connect(chosen.url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("UPDATE event SET body = body")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[PostgresServer, Path]]:
    """A server set up as shipped, with a founded journal, and the folder of the certificates."""
    with postgres_home() as home:
        server = PostgresServer.new(home / "s1")
        server.start()
        try:
            with server.connect() as connection:
                connection.execute("CREATE DATABASE tocsin")
                connection.execute("CREATE ROLE collector LOGIN PASSWORD 'right' IN ROLE pg_read_all_data")
                connection.execute("ALTER ROLE postgres PASSWORD 'right'")
            journal = postgres.create(server.url("tocsin"), durability=Durability.WAIVED)
            add(journal, FOUNDED)
            journal.close()
            certify(tmp_path)
            files = {"site.crt": "server.crt", "site.key": "server.key", "ca.crt": "clients-ca.crt"}
            for source, target in files.items():
                shutil.copy(tmp_path / source, server.data / target)
                (server.data / target).chmod(0o600)
                if os.geteuid() == 0:
                    shutil.chown(server.data / target, USER, USER)
            with (server.data / "postgresql.conf").open("a") as file:
                file.write((SHIPPED / "postgresql.conf").read_text())
            rules = (SHIPPED / "pg_hba.conf").read_text().replace("10.1.0.0/16", "127.0.0.1/32")
            (server.data / "pg_hba.conf").write_text(rules)
            server.reload()
            yield server, tmp_path
        finally:
            server.kill()


def test_what_is_shipped_lets_in_by_tls_certificate_and_password_alone(
    guarded: tuple[PostgresServer, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, folder = guarded
    url = server.url("tocsin", user="collector")
    trust = f"sslmode=verify-full&sslrootcert={folder}/ca.crt"
    own = f"sslcert={folder}/site.crt&sslkey={folder}/site.key"
    (folder / "site.key").chmod(0o600)
    passwords = folder / "passwords"
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    for password, query in (("right", "sslmode=disable"), ("right", trust), ("wrong", f"{trust}&{own}")):
        passwords.write_text(f"*:*:*:*:{password}\n")
        passwords.chmod(0o600)
        with pytest.raises(Unavailable, match="takes this connection") as error:
            postgres.open(f"{url}?{query}")
        assert "wrong" not in str(error.value) and "collector" not in str(error.value)
    passwords.write_text("*:*:*:*:right\n")
    journal = postgres.open(f"{url}?{trust}&{own}")
    assert journal.tip().sequence == 1
    journal.close()
    for query in ("", "&replication=true"):  # as people type it who fail over, or make a standby
        psycopg.connect(f"{server.url()}?{trust}&{own}{query}").close()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(f"{server.url(user='collector')}?{trust}&{own}{query}")
