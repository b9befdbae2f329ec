"""The primary is killed while several processes append, and the right standby is promoted: nothing is lost, none twice.

``-s`` prints the figures; `make test-ha` runs the long one too.
"""

from collections.abc import Iterator

import pytest

from tests.contracts.journal_contract import FOUNDED
from tests.faults.cluster import Cluster, running_cluster
from tests.faults.journal_writer import NOW
from tests.faults.test_standbys import DATABASE, fail_over
from tests.faults.writers import Writers
from tocsin.journal import postgres


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running_cluster() as three:
        three.new_database(DATABASE)
        journal = postgres.create(three.url(DATABASE))
        with journal.group(NOW) as group:
            group.append(FOUNDED)
        journal.close()
        three.settle()
        yield three


@pytest.mark.faults
@pytest.mark.parametrize(
    ("kills", "groups", "size"),
    [pytest.param(1, 60, 8, id="once"), pytest.param(6, 400, 16, id="again and again", marks=pytest.mark.slow)],
)
def test_nothing_acknowledged_is_lost_and_no_claim_is_given_twice(
    cluster: Cluster, kills: int, groups: int, size: int
) -> None:
    with Writers(cluster.url(DATABASE), groups, size) as writers:
        a_kill = groups * size * 4 // (kills + 1) // 2
        lacked = []
        for _ in range(kills):
            writers.wait_for(a_kill)
            behind = cluster.standbys[0]
            cluster.links[behind.name].hold()
            writers.wait_for(a_kill // 2)
            shown = behind.ask("SELECT sequence FROM tip", DATABASE)
            cluster.primary.kill()
            fail_over(cluster)
            lacked.append(cluster.primary.ask("SELECT sequence FROM tip", DATABASE) - shown)
            assert cluster.primary is not behind and lacked[-1] > 0
            writers.wait_for(1)
            cluster.heal()
        writers.finish()
        end = writers.check()
    print(
        f"\nprimaries killed under load: {kills}; {len(writers.told)} answers, {end} events,"
        f" none lost, no gap, chain whole; the other standby lacked {lacked};"
        f" longest silence {writers.longest_silence:.1f} s"
    )
