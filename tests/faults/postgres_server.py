"""One PostgreSQL server of a test's own, on a free loopback port, that can be killed, frozen and thrown away.

    with postgres_home() as home:
        server = PostgresServer.new(home / "s1")
        server.start()
        with server.connect("postgres") as connection: ...

PostgreSQL refuses root: where the tests run as root, servers run as the user `postgres`, in a folder of its own. The
server is this process's child, and ends with it at the latest. `tests.faults.cluster` makes three of these.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.servers import until

USER = "postgres"
HOST = "127.0.0.1"
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "wal_level": "replica",
    "wal_keep_size": "512MB",
    "max_wal_size": "256MB",
    "max_wal_senders": "10",
    "synchronous_commit": "on",
    "wal_retrieve_retry_interval": "100ms",
    "log_min_messages": "warning",
}
"""What a server of a test has in place of the defaults. All that makes it durable is on."""
Connection = psycopg.Connection[tuple[Any, ...]]


def free_port() -> int:
    """A loopback port that nobody has, outside of the range that outgoing connections are given."""
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port))
            return port


@contextmanager
def postgres_home() -> Iterator[Path]:
    """A new folder that `postgres` owns, gone with all in it afterwards. Skips the test where there is no server."""
    program("postgres")
    home = Path(tempfile.mkdtemp(prefix="tocsin-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(home, USER, USER)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def running_server() -> Iterator["PostgresServer"]:
    """A server alone, ended afterwards."""
    with postgres_home() as home:
        server = PostgresServer.new(home / "alone")
        server.start()
        try:
            yield server
        finally:
            server.kill()


def as_postgres(*command: str, dying: str = "QUIT") -> list[str]:
    """`command` as root has to call it so that it runs as `postgres`.

    It ends with the calling thread, by the signal `dying`.
    """
    if os.geteuid() != 0:
        return list(command)
    identity = (f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
    return ["setpriv", *identity, f"--pdeathsig={dying}", *command]


def run_program(name: str, *words: str) -> None:
    """Runs a program of PostgreSQL to its end; fails with what it said."""
    done = subprocess.run(as_postgres(program(name), *words), cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, f"{name}: {done.stderr}"


def program(name: str) -> str:
    """The newest installed program of this name."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    program = str(found[-1]) if found else shutil.which(name)
    if program is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    return program


class PostgresServer:
    """A server in the folder `data`, which also names it. Not started yet; `port` stays the same for its life."""

    def __init__(self, data: Path) -> None:
        self.name = data.name
        self.data = data
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def new(cls, data: Path) -> "PostgresServer":
        """A server with an empty database system, whose superuser `postgres` needs no password."""
        server = cls(data)
        run_program("initdb", "-D", str(data), "-U", USER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        server.configure(_SETTINGS)
        return server

    def configure(self, settings: dict[str, str]) -> None:
        """Adds settings to its file, in force when it is started or reloaded."""
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def start(self) -> None:
        """Starts it, and returns when it takes connections. A server that was killed repairs itself first.

        It ends with the thread that calls this.
        """
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                as_postgres(program("postgres"), "-D", str(self.data), "-p", str(self.port)),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(f"{self.name} takes connections", self._takes_connections)

    def takes_connections(self) -> bool:
        """Whether it runs and lets somebody in."""
        with suppress(psycopg.OperationalError):
            self.connect().close()
            return True
        return False

    def reload(self) -> None:
        """Puts changed settings in force."""
        with self.connect() as connection:
            connection.execute("SELECT pg_reload_conf()")

    def stop(self) -> None:
        """Ends it as an operator would: everything is written, connections are closed."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
            self._process = None

    def kill(self) -> None:
        """Ends it with all its processes at once, as a power cut would; does nothing if it does not run."""
        if self._process is not None:
            self._signal_all(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stops all its processes where they are: its connections stay open, and nothing is answered."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen server go on."""
        self._signal_all(signal.SIGCONT)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What the server has said."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def url(self, database: str = "postgres", user: str = USER) -> str:
        """Its address."""
        return f"postgresql://{user}@{HOST}:{self.port}/{database}"

    def connect(self, database: str = "postgres", user: str = USER) -> Connection:
        """A connection on which each statement is a transaction of its own."""
        return psycopg.connect(self.url(database, user), autocommit=True, connect_timeout=5)

    def ask(self, query: str, database: str = "postgres") -> Any:
        """The first value that `query` gives; None if it gives no row."""
        with self.connect(database) as connection:
            row = connection.execute(query.encode()).fetchone()
        return None if row is None else row[0]

    @property
    def _log(self) -> Path:
        return self.data.parent / f"{self.name}.log"

    def _takes_connections(self) -> bool:
        assert self.runs, self.log[-2000:]
        return self.takes_connections()

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self.name} does not run"
        signal_all(self._process.pid, number)


def signal_all(main: int, number: signal.Signals) -> None:
    """Sends a signal to a server and its children, each of which is the leader of a group of its own."""
    os.kill(main, signal.SIGSTOP)  # no more children from here on
    for pid in _children(main):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    os.kill(main, number)


def _children(parent: int) -> Sequence[int]:
    """The processes that `parent` started (proc(5): the fourth field of stat)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found
