"""PostgreSQL: the contract on a real server, and what only a server can suffer."""

import itertools
from collections.abc import Iterator

import pytest

from tests.contracts.journal_contract import Engine, JournalContract
from tests.faults.postgres_server import PostgresServer, postgres_home
from tocsin.journal import postgres
from tocsin.journal.port import Durability
from tocsin.journal.postgres import PostgresJournal

NUMBERS = itertools.count()


class PostgresEngine:
    """Journals in one database of a server that has no standby, each in a schema of its own."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.schema = "none"
        self._made: list[PostgresJournal] = []

    @property
    def url(self) -> str:
        """The address of the last one."""
        return f"{self.server.url()}?options=-csearch_path%3D{self.schema}"

    def create(self) -> PostgresJournal:
        self.schema = f"journal_{next(NUMBERS)}"
        self.sql(f"CREATE SCHEMA {self.schema}")
        self._made.append(postgres.create(self.url, durability=Durability.WAIVED))
        return self._made[-1]

    def open(self) -> PostgresJournal:
        self._made.append(postgres.open(self.url, Durability.WAIVED))
        return self._made[-1]

    def sql(self, *statements: str) -> None:
        """What an administrator does, in the schema of the last one."""
        with self.server.connect() as connection:
            connection.execute(f"SET search_path = {self.schema}".encode())
            for statement in statements:
                connection.execute(statement.encode())

    def close(self) -> None:
        for journal in self._made:
            journal.close()


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_home() as home:
        made = PostgresServer.new(home / "alone")
        made.start()
        try:
            yield made
        finally:
            made.kill()


@pytest.fixture
def engine(server: PostgresServer) -> Iterator[PostgresEngine]:
    made = PostgresEngine(server)
    yield made
    made.close()


class TestContract(JournalContract):
    @pytest.fixture
    def engine(self, server: PostgresServer) -> Iterator[Engine]:
        made = PostgresEngine(server)
        yield made
        made.close()
