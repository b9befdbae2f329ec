"""Four ways to lose what was acknowledged, or to tell what never was, with a journal on three PostgreSQL servers.

Each is seen to happen to a careless client first: one that does the same transaction and believes what the driver says.
"""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.faults.cluster import Cluster, running_cluster
from tests.faults.postgres_server import PostgresServer
from tests.faults.servers import until
from tocsin.journal.standbys import compare
from tocsin.model.errors import Invalid, Refused, Unavailable

DATABASE = "tocsin"
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(three: Cluster) -> Cluster:
    """Whole, with an empty database."""
    three.heal()
    three.new_database(DATABASE)
    return three


class Careless:
    """Whoever believes that a `commit()` that returns is a commit. Its journal has numbers and digests only."""

    def __init__(self, cluster: Cluster) -> None:
        self.acknowledged: list[int] = []
        self._url = cluster.url(DATABASE)
        with psycopg.connect(self._url) as connection:
            connection.execute("CREATE TABLE event (sequence bigint PRIMARY KEY, digest bytea)")
            connection.execute("CREATE TABLE tip AS SELECT 0::bigint AS sequence, ''::bytea AS digest")

    def append(self) -> None:
        with psycopg.connect(self._url) as connection:
            row = connection.execute("SELECT sequence + 1 FROM tip FOR UPDATE").fetchone()
            assert row is not None
            digest = hashlib.sha256(repr(row).encode()).digest()
            connection.execute("INSERT INTO event VALUES (%s, %s)", (*row, digest))
            connection.execute("UPDATE tip SET (sequence, digest) = (%s, %s)", (*row, digest))
        self.acknowledged.extend(row)


def stored(cluster: Cluster) -> int:
    found = cluster.primary.ask("SELECT count(*) FROM event", DATABASE)
    assert isinstance(found, int)
    return found


def cut_off(node: PostgresServer) -> None:
    """`node` hears nothing from a primary any more, as `docs/operating/fail-over.md` has it."""
    with node.connect() as connection:
        connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
        connection.execute("SELECT pg_reload_conf()")
    until("it hears nothing", lambda: not node.ask("SELECT count(*) FROM pg_stat_wal_receiver"))


def compared(cluster: Cluster) -> PostgresServer:
    """The standby that the shipped procedure would promote."""
    found = compare([node.url(DATABASE) for node in cluster.standbys], lambda: time.sleep(0.02))
    [node] = [node for node in cluster.standbys if str(node.port) in found.promote.place]
    return node


@pytest.mark.faults
def test_a_careless_client_takes_a_cancelled_wait_for_a_commit(cluster: Cluster) -> None:
    careless = Careless(cluster)
    cluster.cut_off_standbys()
    with ThreadPoolExecutor(1) as threads:
        appended = threads.submit(careless.append)
        until("a commit waits", lambda: cluster.primary.ask(WAITING))
        cluster.primary.ask(f"SELECT pg_cancel_backend(pid) FROM ({WAITING}) AS waiting")
        appended.result()
    assert careless.acknowledged == [1]
    cluster.primary.kill()
    cluster.promote(cluster["s2"])
    assert stored(cluster) == 0


@pytest.mark.faults
@pytest.mark.parametrize("procedure", [True, False])
def test_the_standby_that_has_less_loses_and_is_never_the_one_to_promote(cluster: Cluster, procedure: bool) -> None:
    held_up = cluster.standbys[0]
    careless = Careless(cluster)
    careless.append()
    cluster.settle()
    cluster.links[held_up.name].hold()
    for _ in range(20):
        careless.append()
    cluster.primary.kill()
    for node in cluster.standbys:
        cut_off(node)
    cluster.promote(compared(cluster) if procedure else held_up)
    assert stored(cluster) == (len(careless.acknowledged) if procedure else 1)


@pytest.mark.faults
def test_a_comparison_that_is_not_certain_is_refused(cluster: Cluster) -> None:
    careless = Careless(cluster)
    careless.append()
    one, other = cluster.standbys
    with pytest.raises(Refused, match="still connected") as refused:
        compared(cluster)
    assert refused.value.code == "still_receives"
    with pytest.raises(Refused, match="is no standby"):
        compare([cluster.primary.url(DATABASE), one.url(DATABASE)], lambda: None)
    cut_off(one)
    cut_off(other)
    with pytest.raises(Refused, match="2 standbys must be compared"):
        compare([one.url(DATABASE)], lambda: None)
    with pytest.raises(Refused, match="lead to the same server"):
        compare([one.url(DATABASE), one.url(DATABASE).replace("127.0.0.1", "localhost")], lambda: None)
    with pytest.raises(Invalid, match="holds no journal"):
        compare([one.url("postgres"), other.url("postgres")], lambda: None)
    other.kill()
    with pytest.raises(Unavailable, match="address 2 can't be reached"):
        compared(cluster)
