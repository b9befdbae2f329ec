"""Three sites with etcd, Patroni and PostgreSQL on this machine, set up by the files of ``deploy/patroni`` as they are,
but for addresses, folders and passwords.

    with running_sites() as sites:
        leader = sites.leader()
        leader.kill()                   # Patroni, PostgreSQL with all its processes, and etcd
        ...
        leader.start()                  # it comes back as a standby, by itself
        leader.freeze(), leader.thaw()  # all of it stands still

Patroni runs as `postgres`, and starts Python again: so in an environment made of the system's Python, which that user
can execute. It is made anew each time, from the lock file.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.faults.certificates import certify
from tests.faults.postgres_server import HOST, USER, Connection, as_postgres, free_port, postgres_home, signal_all
from tests.faults.servers import ROOT, until

NAMES = ("s1", "s2", "s3")
DEPLOY = ROOT / "deploy" / "patroni"
SYSTEM_PYTHON = "/usr/bin/python3"
PASSWORD = "only-of-a-test"
ELECTION_SECONDS = 180
_PORTS = (5432, 8008, 2379, 2380)
_FOLDERS = {
    "/etc/tocsin-ha": "etc",
    "/var/lib/etcd/tocsin": "etcd",
    "/var/lib/postgresql/tocsin": "data",
    "/var/lib/postgresql": "",
    "/var/run/postgresql": "run",
}


@contextmanager
def running_sites() -> Iterator["Sites"]:
    """Three sites, ended afterwards. Skips the test where etcd or the system's Python is absent."""
    if shutil.which("etcd") is None:
        pytest.skip("needs etcd: apt-get install etcd-server")
    if not Path(SYSTEM_PYTHON).exists():
        pytest.skip("needs the system's own Python: apt-get install python3 python3-venv")
    with postgres_home() as home, ExitStack() as stack:
        sites = Sites(home)
        stack.callback(sites.kill)
        sites.start()
        yield sites


class Sites:
    """s1 to s3."""

    def __init__(self, home: Path) -> None:
        self.home = home
        _install_patroni(home / "venv")
        certify(home / "tls")
        ports = {name: {port: free_port() for port in _PORTS} for name in NAMES}
        self.all = [Site(home, name, ports) for name in NAMES]

    def start(self) -> None:
        """Starts all of them; returns when there is a leader that counts both others."""
        for site in self.all:
            site.start_etcd()
        for site in self.all:
            site.start_patroni()
        self.wait_until_whole()

    def kill(self) -> None:
        for site in self.all:
            site.kill()

    def leader(self) -> "Site":
        """The one that takes writes, once there is one."""
        until("a leader", lambda: any(site.is_primary() for site in self.all), ELECTION_SECONDS)
        return next(site for site in self.all if site.is_primary())

    def wait_until_whole(self) -> None:
        """Waits for a leader both of whose standbys may acknowledge."""
        count = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'"
        until("two standbys that count", lambda: self.leader().ask(count) == 2, ELECTION_SECONDS)

    def url(self, database: str) -> str:
        """libpq's multi-host address. The password is in the file `pgpass`."""
        hosts = ",".join(f"{HOST}:{site.port}" for site in self.all)
        trusted = self.home / "tls" / "ca.crt"
        return f"postgresql://tocsin@{hosts}/{database}?sslmode=verify-full&sslrootcert={trusted}"

    @property
    def pgpass(self) -> Path:
        """The file that PGPASSFILE is to name."""
        file = self.home / "pgpass"
        file.touch(mode=0o600)
        file.write_text(f"*:*:*:tocsin:{PASSWORD}\n")
        return file


class Site:
    """One site's etcd, Patroni and PostgreSQL."""

    def __init__(self, home: Path, name: str, ports: dict[str, dict[int, int]]) -> None:
        self.name = name
        self.port = ports[name][5432]
        self.folder = home / name
        self._venv = home / "venv"
        self._ports = ports
        self._etcd: subprocess.Popen[bytes] | None = None
        self._patroni: subprocess.Popen[bytes] | None = None
        for folder in (self.folder, *(self.folder / each for each in filter(None, _FOLDERS.values()))):
            folder.mkdir(mode=0o700)
            _give(folder)
        for file in (home / "tls").iterdir():
            _write(self.folder / "etc" / file.name, file.read_text())
        self.settings = self.folder / "etc" / "patroni.yml"
        _write(self.settings, self._here((DEPLOY / "patroni.yml").read_text()))

    def start(self) -> None:
        """Starts all that does not run."""
        self.start_etcd()
        self.start_patroni()

    def start_etcd(self) -> None:
        self._etcd = self._started("etcd", "etcd", environment=self._environment("etcd.env"))

    def start_patroni(self) -> None:
        self._patroni = self._started(
            "patroni", str(self._venv / "bin" / "patroni"), str(self.settings), environment=self.patroni_environment()
        )

    def kill(self) -> None:
        """The end of the site: nothing of it runs, and nothing was written down."""
        for process in (self._patroni, self._etcd):
            if process is not None:
                process.send_signal(signal.SIGSTOP)  # Patroni must not see its server end
        with suppress(OSError, IndexError):
            signal_all(self._postmaster(), signal.SIGKILL)
        for process in (self._patroni, self._etcd):
            if process is not None:
                process.kill()
                process.wait()
        self._patroni = self._etcd = None

    def freeze(self) -> None:
        """All of it stands still; its connections stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on, and does not know that it stood still."""
        self._signal(signal.SIGCONT)

    def is_primary(self) -> bool:
        """Whether it takes writes just now."""
        with suppress(psycopg.Error):
            return self.ask("SELECT pg_is_in_recovery()") is False
        return False

    def connect(self, database: str = "postgres") -> Connection:
        """A connection of the superuser, over TLS, as Patroni's own."""
        return psycopg.connect(
            host=HOST,
            port=self.port,
            user=USER,
            password=PASSWORD,
            dbname=database,
            sslmode="verify-full",
            sslrootcert=str(self.folder / "etc" / "ca.crt"),
            connect_timeout=2,
            options="-c statement_timeout=2000",
            autocommit=True,
        )

    def ask(self, query: str) -> object:
        """The first value that `query` gives."""
        with self.connect() as connection:
            row = connection.execute(query.encode()).fetchone()
        return None if row is None else row[0]

    def patroni_environment(self) -> dict[str, str]:
        """What `patroni.env` says, with passwords."""
        values = self._environment("patroni.env")
        return values | {name: PASSWORD for name, value in values.items() if name.endswith("PASSWORD") and not value}

    def log(self, name: str) -> str:
        """What a process of it has said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _environment(self, file: str) -> dict[str, str]:
        """A file of this site's environment: that of s1, with its own name but where all are named."""
        lines = (DEPLOY / file).read_text().splitlines()
        own = [line if "s2" in line else line.replace("s1", self.name) for line in lines]
        pairs = [line.split("=", 1) for line in own if line and not line.startswith("#")]
        return dict(os.environ) | {name: self._here(value) for name, value in pairs}

    def _here(self, text: str) -> str:
        """The text with this machine's addresses and folders."""
        for there, here in _FOLDERS.items():
            text = text.replace(there, str(self.folder / here))
        text = re.sub(r"(s[123])\.example\.org:(\d+)", lambda m: f"{HOST}:{self._ports[m[1]][int(m[2])]}", text)
        return re.sub(r"0\.0\.0\.0:(\d+)", lambda m: f"{HOST}:{self._ports[self.name][int(m[1])]}", text)

    def _started(self, name: str, *command: str, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                as_postgres(*command, dying="TERM"),
                cwd=self.folder,
                env=environment | {"HOME": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _postmaster(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])

    def _signal(self, number: signal.Signals) -> None:
        signal_all(self._postmaster(), number)
        for process in (self._patroni, self._etcd):
            if process is not None:
                process.send_signal(number)


def _install_patroni(venv: Path) -> None:
    """As README.md has it."""
    pip = [str(venv / "bin" / "pip"), "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
    source_only = "--no-binary=python-etcd,ydiff"
    for command in (
        [SYSTEM_PYTHON, "-m", "venv", str(venv)],
        [*pip, "--only-binary=:all:", "-r", str(DEPLOY / "build.lock")],
        [*pip, "--only-binary=:all:", source_only, "--no-build-isolation", "-r", str(DEPLOY / "requirements.lock")],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr[-2000:])
    venv.chmod(0o755)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)
    _give(path)


def _give(path: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, USER, USER)
