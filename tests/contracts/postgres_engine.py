"""Journals in PostgreSQL for tests: in one database of a server that has no standby, each in a schema of its own."""

import itertools

from tests.faults.postgres_server import PostgresServer
from tocsin.journal import postgres
from tocsin.journal.port import Durability
from tocsin.journal.postgres import PostgresJournal
from tocsin.service.journal_choice import JournalChoice

NUMBERS = itertools.count()


class PostgresEngine:
    """A `tests.contracts.journal_contract.Engine`."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.schema = "none"
        self._made: list[PostgresJournal] = []

    @property
    def url(self) -> str:
        """The address of the last one."""
        return self.url_of("postgres")

    def url_of(self, user: str) -> str:
        """The address of the last one, for another user."""
        return f"{self.server.url(user=user)}?options=-csearch_path%3D{self.schema}"

    def empty(self) -> str:
        """The address of a place for a journal, where there is none yet."""
        self.schema = f"journal_{next(NUMBERS)}"
        self.sql(f"CREATE SCHEMA {self.schema}")
        return self.url

    def choice(self) -> JournalChoice:
        """The settings of a deployment whose journal is the last one."""
        return JournalChoice(engine="postgresql", url=self.url)

    def create(self) -> PostgresJournal:
        self._made.append(postgres.create(self.empty(), durability=Durability.WAIVED))
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
