"""Three PostgreSQL servers on this machine: a primary and two standbys, one of which has each commit before it returns.

    @pytest.fixture(scope="module")
    def three() -> Iterator[Cluster]:
        with running_cluster() as cluster:
            yield cluster

    three.heal()                        # at the start of each test: all three run and follow, whatever the last one did
    three.new_database("tocsin")
    three.url("tocsin")                 # libpq's multi-host address, which finds the primary
    three.primary.kill()                # with all its processes
    three.standbys[0].freeze()          # and .thaw(): it stands still, its connections stay open
    three.links["s2"].delay_seconds     # the way between the primary and a standby: slow, held up, cut
    three.promote(three["s3"])          # no questions asked: the procedure that asks is `tocsin standby compare`
    three.follow(three["s2"])           # it follows the new primary

It takes some five seconds to start, so share one in a module. Each server is named as `synchronous_standby_names` calls
it, s1 to s3. Its files are in `.data`, for who searches
them. A test that needs one server alone takes `tests.faults.postgres_server`.
"""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.faults.link import Link
from tests.faults.postgres_server import HOST, USER, PostgresServer, postgres_home, run_program
from tests.faults.servers import until

NAMES = ("s1", "s2", "s3")
RETURN_SECONDS = 1


@contextmanager
def running_cluster() -> Iterator["Cluster"]:
    """A cluster, whose every process is ended afterwards, also where the test fails."""
    with postgres_home() as home, ExitStack() as stack:
        cluster = Cluster(home, stack)
        stack.callback(cluster.kill)
        cluster.start()
        yield cluster


class Cluster:
    """s1 to s3. `primary` is the one that was promoted last."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self.primary = PostgresServer.new(home / NAMES[0])
        others = [PostgresServer(home / name) for name in NAMES[1:]]
        self.nodes = {node.name: node for node in (self.primary, *others)}
        self.links = {name: stack.enter_context(Link(self.primary.port)) for name in NAMES}
        """What each server reaches its primary by."""

    def __getitem__(self, name: str) -> PostgresServer:
        return self.nodes[name]

    @property
    def standbys(self) -> list[PostgresServer]:
        """The two others, in order of their names."""
        return [node for node in self.nodes.values() if node is not self.primary]

    def start(self) -> None:
        """Starts the primary, alone, makes both standbys out of it, and lets commits wait for one of them."""
        self.primary.start()
        self.primary.configure({"synchronous_standby_names": f"ANY 1 ({', '.join(NAMES)})"})
        self.heal()

    def kill(self) -> None:
        """Ends all of it at once."""
        for node in self.nodes.values():
            node.kill()

    def heal(self) -> None:
        """All three run and both standbys follow; whoever does not is made anew out of the primary."""
        for link in self.links.values():
            link.delay_seconds = 0.0
            link.flow()
            link.mend()
        if not self.primary.runs:
            self.primary.start()
        for node in self.standbys:
            if node.runs:
                node.thaw()
        lost = [node for node in self.standbys if not self._follows_soon(node)]
        with ThreadPoolExecutor(len(NAMES)) as threads:
            list(threads.map(self._copy_primary, lost))
        for node in lost:
            self._start_standby(node)
        self.primary.reload()
        until("both standbys are waited for", lambda: all(self.is_waited_for(node) for node in self.standbys))

    def cut_off_standbys(self) -> None:
        """Nothing reaches a standby any more, and each of them knows."""
        for standby in self.standbys:
            self.links[standby.name].cut()

    @contextmanager
    def standbys_away(self) -> Iterator[None]:
        """No standby is reached during the block; behind it both follow again."""
        self.cut_off_standbys()
        try:
            yield
        finally:
            for standby in self.standbys:
                self.links[standby.name].mend()
            until("both standbys follow", lambda: all(map(self.follows, self.standbys)))

    def rebuild(self, node: PostgresServer) -> None:
        """Makes `node` anew, as a standby of the primary."""
        self._copy_primary(node)
        self._start_standby(node)

    def promote(self, node: PostgresServer) -> None:
        """Makes `node` the primary, whether that is wise or not."""
        run_program("pg_ctl", "promote", "-D", str(node.data), "--wait")
        self.primary = node
        for link in self.links.values():
            link.target_port = node.port

    def follow(self, node: PostgresServer) -> None:
        """`node`, a standby that runs and has no more than the primary, follows it from now on."""
        self.links[node.name].flow()
        self.links[node.name].mend()
        self._show_way(node)
        until(f"{node.name} follows", lambda: self.follows(node))

    def follows(self, node: PostgresServer) -> bool:
        """Whether the primary streams its own history to `node`."""
        if not node.runs or not self._state(node):
            return False
        own = self.primary.ask("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)")
        return bool(node.ask("SELECT received_tli FROM pg_stat_wal_receiver") == int(own, 16))

    def _follows_soon(self, node: PostgresServer) -> bool:
        """Whether a standby that was frozen or cut off finds back by itself."""
        if not (node.runs and node.takes_connections()):
            return False
        self._show_way(node)
        with suppress(AssertionError):
            until(f"{node.name} follows", lambda: self.follows(node), RETURN_SECONDS)
        return self.follows(node)

    def is_waited_for(self, node: PostgresServer) -> bool:
        """Whether a commit counts `node`."""
        return self._state(node) == "quorum"

    def new_database(self, name: str) -> None:
        """An empty database, in place of one of this name; each standby has it."""
        with self.primary.connect() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        self.settle()

    def settle(self) -> None:
        """Waits until both standbys show all that the primary has."""
        end = self.primary.ask("SELECT pg_current_wal_flush_lsn()")
        until(
            "the standbys are up to date",
            lambda: all(node.ask(f"SELECT pg_last_wal_replay_lsn() >= '{end}'") for node in self.standbys),
        )

    def url(self, database: str, user: str = USER) -> str:
        """An address that names all three servers; libpq takes the one that can be written."""
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.nodes.values())
        return f"postgresql://{user}@{hosts}/{database}?target_session_attrs=read-write&connect_timeout=2"

    def _way(self, node: PostgresServer) -> str:
        """The address by which `node` reaches the primary."""
        return f"host={HOST} port={self.links[node.name].port} user={USER} application_name={node.name}"

    def _show_way(self, node: PostgresServer) -> None:
        with node.connect() as connection:
            connection.execute(f"ALTER SYSTEM SET primary_conninfo = '{self._way(node)}'".encode())
            connection.execute("SELECT pg_reload_conf()")

    def _state(self, node: PostgresServer) -> object:
        states = "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming' AND application_name = "
        return self.primary.ask(f"{states}'{node.name}'")

    def _copy_primary(self, node: PostgresServer) -> None:
        node.kill()
        shutil.rmtree(node.data, ignore_errors=True)
        run_program(
            "pg_basebackup",
            *("-D", str(node.data), "-d", self._way(node), "--checkpoint=fast", "--write-recovery-conf", "--no-sync"),
        )

    def _start_standby(self, node: PostgresServer) -> None:
        node.start()
        until(f"{node.name} follows", lambda: self.follows(node))
