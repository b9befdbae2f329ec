"""Four ways to lose what was acknowledged, or to tell what never was, with a journal on three PostgreSQL servers.

Each is seen to happen to a careless client first: one that does the same transaction and believes what the driver says.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.faults.cluster import Cluster, running_cluster
from tests.faults.servers import until

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
    """Whoever believes that a `commit()` that returns is a commit."""

    def __init__(self, cluster: Cluster) -> None:
        self.acknowledged: list[int] = []
        self._url = cluster.url(DATABASE)
        with psycopg.connect(self._url) as connection:
            connection.execute("CREATE TABLE report (number int PRIMARY KEY)")

    def append(self, number: int) -> None:
        with psycopg.connect(self._url) as connection:
            connection.execute("INSERT INTO report VALUES (%s)", (number,))
        self.acknowledged.append(number)


def stored(cluster: Cluster) -> int:
    found = cluster.primary.ask("SELECT count(*) FROM report", DATABASE)
    assert isinstance(found, int)
    return found


@pytest.mark.faults
def test_a_careless_client_takes_a_cancelled_wait_for_a_commit(cluster: Cluster) -> None:
    careless = Careless(cluster)
    cluster.cut_off_standbys()
    with ThreadPoolExecutor(1) as threads:
        appended = threads.submit(careless.append, 1)
        until("a commit waits", lambda: cluster.primary.ask(WAITING))
        cluster.primary.ask(f"SELECT pg_cancel_backend(pid) FROM ({WAITING}) AS waiting")
        appended.result()
    assert careless.acknowledged == [1]
    cluster.primary.kill()
    cluster.promote(cluster["s2"])
    assert stored(cluster) == 0
