"""Four ways to lose what was acknowledged, or to tell what never was, with a journal on three PostgreSQL servers.

Each is seen to happen to a careless client first: one that does the same transaction and believes what the driver says.
"""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.contracts.journal_contract import FOUNDED
from tests.faults.cluster import Cluster, running_cluster
from tests.faults.journal_writer import NOW, claim
from tests.faults.postgres_server import PostgresServer, run_program
from tests.faults.servers import until
from tests.sites import FixedClock, Site, report
from tocsin.journal import postgres
from tocsin.journal.encoding import NewEvent, StoredEvent
from tocsin.journal.port import Broken, ClaimTaken
from tocsin.journal.postgres import PostgresJournal
from tocsin.journal.standbys import compare
from tocsin.journal.verify import verify
from tocsin.model.calls import Verdict
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.events import Withdrawn
from tocsin.model.times import QUARTER_SECONDS
from tocsin.service.follow import Follower
from tocsin.service.journal_choice import JournalChoice

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

    def __init__(self, cluster: Cluster, database: str = DATABASE) -> None:
        self.acknowledged: list[int] = []
        self._url = cluster.url(database)
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


class Ours:
    """A journal of ours on the cluster, founded."""

    def __init__(self, cluster: Cluster) -> None:
        self.journal: PostgresJournal = postgres.create(cluster.url(DATABASE))
        self._append(FOUNDED)

    def append(self, name: str) -> StoredEvent:
        """The event that claims `name`, durable. Raises as `Journal.group`, and `ClaimTaken` once that is durable."""
        return self._append(NewEvent(Withdrawn(1), b"content", (claim(name),)))

    def _append(self, event: NewEvent) -> StoredEvent:
        taken: ClaimTaken | None = None
        stored: StoredEvent | None = None
        with self.journal.group(NOW) as group:
            try:
                stored = group.append(event)
            except ClaimTaken as already:
                taken = already
        if stored is None:
            assert taken is not None
            raise taken
        return stored


@pytest.fixture
def ours(cluster: Cluster) -> Iterator[Ours]:
    made = Ours(cluster)
    yield made
    made.journal.close()


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


def fail_over(cluster: Cluster) -> None:
    """The shipped procedure, from the primary that is gone to the first commit that is possible again."""
    for node in cluster.standbys:
        cut_off(node)
    promoted = compared(cluster)
    [other] = [node for node in cluster.standbys if node is not promoted]
    cluster.promote(promoted)
    cluster.follow(other)


@pytest.mark.faults
def test_a_standby_that_takes_no_connections_is_made_anew(three: Cluster) -> None:
    """The fixture's own: whatever a test before has left, or a slow machine, the next one begins with all three."""
    three.heal()
    standby = three["s2"]
    (standby.data / "pg_hba.conf").write_text("host all all all reject\n")
    run_program("pg_ctl", "reload", "-D", str(standby.data))
    until("it takes none", lambda: not standby.takes_connections())
    three.heal()
    assert standby.takes_connections() and three.is_waited_for(standby)


@pytest.mark.faults
def test_a_journal_is_never_served_from_a_standby(cluster: Cluster, ours: Ours) -> None:
    ours.append("card 1")
    cluster.settle()
    for node in cluster.standbys:
        assert node.ask("SELECT count(*) FROM event", DATABASE) == 2, "whoever is careless reads there"
        with pytest.raises(Unavailable, match="standby"):
            postgres.open(node.url(DATABASE))


@pytest.mark.faults
def test_with_both_standbys_away_a_careless_client_hangs_and_ours_is_told(cluster: Cluster, ours: Ours) -> None:
    cluster.new_database("careless")
    careless = Careless(cluster, "careless")
    with ThreadPoolExecutor(1) as threads, cluster.standbys_away():
        hanging = threads.submit(careless.append)
        until("a commit waits", lambda: cluster.primary.ask(WAITING))
        with pytest.raises(Unavailable, match="did not answer in time"):
            ours.append("card 1")
        for _ in range(3):  # the commit that was given up holds the tip until a standby is back
            with pytest.raises(Unavailable, match="held the journal for too long"):
                ours.append("card 2")
        assert not hanging.done()
        connections = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'tocsin'"
        assert cluster.primary.ask(connections) <= 3
    hanging.result()
    until("the commit that was given up is one", lambda: not cluster.primary.ask(WAITING))
    with pytest.raises(ClaimTaken):
        ours.append("card 1")
    assert ours.append("card 2").sequence == 3
    assert verify(ours.journal).sequence == 3


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
def test_a_cancelled_wait_is_no_acknowledgement_of_ours(cluster: Cluster, ours: Ours) -> None:
    with ThreadPoolExecutor(1) as threads, cluster.standbys_away():
        appended = threads.submit(ours.append, "card 1")
        until("a commit waits", lambda: cluster.primary.ask(WAITING))
        cluster.primary.ask(f"SELECT pg_cancel_backend(pid) FROM ({WAITING}) AS waiting")
        with pytest.raises(Unavailable, match="counts as not stored"):
            appended.result()
    with pytest.raises(ClaimTaken) as taken:  # it is on the primary's disk, and by now on a standby's too
        ours.append("card 1")
    cluster.primary.kill()
    fail_over(cluster)
    with pytest.raises(ClaimTaken) as again:
        ours.append("card 1")
    assert taken.value.sequence == again.value.sequence == 2
    assert verify(ours.journal).sequence == 2


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
    with pytest.raises(Refused, match="compare all of them"):
        compare([one.url(DATABASE)], lambda: None)
    with pytest.raises(Refused, match="lead to the same server"):
        compare([one.url(DATABASE), one.url(DATABASE).replace("127.0.0.1", "localhost")], lambda: None)
    with pytest.raises(Invalid, match="holds no journal"):
        compare([one.url("postgres"), other.url("postgres")], lambda: None)
    other.kill()
    with pytest.raises(Unavailable, match="address 2 can't be reached"):
        compared(cluster)


@pytest.mark.faults
def test_a_standby_that_is_promoted_by_the_procedure_has_all_of_ours(cluster: Cluster, ours: Ours) -> None:
    cluster.settle()
    cluster.links[cluster.standbys[1].name].hold()
    acknowledged = [ours.append(f"card {number}") for number in range(20)]
    cluster.primary.kill()
    fail_over(cluster)
    assert verify(ours.journal).sequence == 21
    assert ours.journal.read(1) == acknowledged


@pytest.mark.faults
def test_nothing_is_put_out_that_a_fail_over_may_erase(cluster: Cluster, tmp_path: Path) -> None:
    choice = JournalChoice(engine="postgresql", url=cluster.url(DATABASE))
    site = Site(tmp_path / "site", FixedClock(), journal=choice)
    publisher = site.deployment.publisher()
    publisher.publish()
    before = site.deployment.journal.tip()
    cluster.cut_off_standbys()
    with pytest.raises(Unavailable):
        site.report("ada", 0)
    cluster.primary.kill()
    cluster.primary.start()  # it shows its own, whether a standby has it or not
    tip = site.deployment.journal.tip()
    site.clock.wait(QUARTER_SECONDS)
    ahead = Follower(site.deployment.keys)
    ahead.catch_up(site.deployment.journal.read)
    assert ahead.ledger.sequence == tip.sequence == before.sequence + 1
    out = publisher.ledger.version
    files = sorted(path for path in site.deployment.folders.bucket.rglob("*"))
    with pytest.raises(Unavailable):
        publisher.publish()
    assert sorted(path for path in site.deployment.folders.bucket.rglob("*")) == files

    cluster.primary.kill()
    fail_over(cluster)
    assert site.deployment.journal.tip() == before
    with pytest.raises(Broken, match="was read before"):
        ahead.catch_up(site.deployment.journal.read)
    again = report("ada", site.cards[0], 3, site.clock.now())
    assert site.answer(again.body).verdict is Verdict.TAKEN, "the number that was shown is another event's now"
    fresh = site.deployment.publisher()
    assert fresh.publish() == out + 1
    verify(site.deployment.journal)
    site.deployment.close()
