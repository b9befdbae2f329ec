"""Sites under Patroni, as ``deploy/patroni`` has them: the leader's is lost or stands still under load, and nothing is.

`make test-ha` runs these: they take minutes, since an election begins when the leader's `ttl` of 20 s is over.
"""

import subprocess
from collections.abc import Iterator

import pytest

from tests.contracts.journal_contract import FOUNDED
from tests.faults.journal_writer import NOW
from tests.faults.patroni_sites import PASSWORD, Sites, running_sites
from tests.faults.postgres_server import as_postgres
from tests.faults.writers import Writers
from tocsin.journal import postgres

DATABASE = "tocsin"


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    with running_sites() as three:
        with three.leader().connect() as connection:
            connection.execute(f"CREATE ROLE tocsin LOGIN PASSWORD '{PASSWORD}'".encode())
            connection.execute(f"CREATE DATABASE {DATABASE} OWNER tocsin".encode())
        yield three


@pytest.fixture
def url(sites: Sites, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new journal."""
    monkeypatch.setenv("PGPASSFILE", str(sites.pgpass))
    with sites.leader().connect() as connection:
        connection.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {DATABASE} OWNER tocsin".encode())
    address = sites.url(DATABASE)
    journal = postgres.create(address)
    with journal.group(NOW) as group:
        group.append(FOUNDED)
    journal.close()
    return address


@pytest.mark.slow
@pytest.mark.faults
def test_patroni_itself_finds_nothing_wrong_with_the_configuration(sites: Sites) -> None:
    for site in sites.all:
        # it takes no loopback address for one where others reach it
        said = {f"PATRONI_{one}_CONNECT_ADDRESS": f"{site.name}.example.org:1" for one in ("RESTAPI", "POSTGRESQL")}
        done = subprocess.run(
            as_postgres(
                str(sites.home / "venv" / "bin" / "patroni"),
                "--validate-config",
                "--ignore-listen-port",
                str(site.settings),
            ),
            cwd=site.folder,
            env=site.patroni_environment() | said,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("fate", ["lost", "frozen"])
def test_the_leader_s_site_is_gone_and_nothing_acknowledged_is(sites: Sites, url: str, fate: str) -> None:
    with Writers(url, groups=400, size=16) as writers:
        writers.wait_for(4000)
        old = sites.leader()
        if fate == "lost":
            old.kill()
        else:
            old.freeze()
        after = writers.wait_for(1)
        assert sites.leader() is not old
        writers.wait_for(2000)
        if fate == "lost":
            old.start()
        else:
            old.thaw()
        sites.wait_until_whole()
        assert not old.is_primary()
        writers.finish()
        end = writers.check()
    print(
        f"\nleader {fate} after {after} answers: {len(writers.told)} answers, {end} events, none lost, no gap,"
        f" chain whole; longest silence {writers.longest_silence:.1f} s"
    )
