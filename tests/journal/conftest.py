"""One PostgreSQL server for all tests of this room."""

from collections.abc import Iterator

import pytest

from tests.faults.postgres_server import PostgresServer, postgres_home
from tests.journal.postgres_engine import PostgresEngine


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with postgres_home() as home:
        made = PostgresServer.new(home / "alone")
        made.start()
        try:
            yield made
        finally:
            made.kill()


@pytest.fixture
def postgres_engine(server: PostgresServer) -> Iterator[PostgresEngine]:
    made = PostgresEngine(server)
    yield made
    made.close()
