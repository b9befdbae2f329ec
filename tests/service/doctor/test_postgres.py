"""A deployment whose journal is in PostgreSQL: what its server must be set to, one that is held, one that is away."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.postgres_server import PostgresServer, postgres_home
from tests.sites import FixedClock
from tocsin.model.errors import Unavailable
from tocsin.service.clock import SystemClock
from tocsin.service.doctor.examination import examine
from tocsin.service.doctor.subject import Seen, Subject
from tocsin.service.founding import found
from tocsin.service.journal_choice import JournalChoice
from tocsin.service.settings import Settings


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
def top(server: PostgresServer, tmp_path: Path, clock: FixedClock) -> Iterator[Path]:
    """A deployment, founded while one machine was meant; from then on nothing is waived."""
    with server.connect() as connection:
        connection.execute("DROP DATABASE IF EXISTS site")
        connection.execute("CREATE DATABASE site")
    settings = Settings(
        region="xx",
        origin="t.example",
        base_url="http://127.0.0.1:1",
        single_machine=True,
        journal=JournalChoice(engine="postgresql", url=server.url("site")),
    )
    folders = found(tmp_path / "site", settings, clock)
    text = folders.settings.read_text()
    folders.settings.write_text(text.replace("single_machine = true", "single_machine = false"))
    yield folders.top
    with server.connect() as connection:
        connection.execute("ALTER SYSTEM RESET ALL")
    server.reload()


def test_a_clock_that_the_server_contradicts(top: Path, server: PostgresServer, clock: FixedClock) -> None:
    """The site's stands still in the past; a clock that is right contradicts nobody's."""
    assert "database server" in _all(top, clock)["clock_wrong"]
    clock.at = SystemClock().now()
    assert "database server" not in _all(top, clock).get("clock_wrong", "")


def _codes(top: Path, clock: FixedClock) -> dict[str, str]:
    """What is found of the journal."""
    about = {"not_durable", "journal_unusable", "cannot_append", "not_looked_at", "check_failed"}
    return {code: sentence for code, sentence in _all(top, clock).items() if code in about}


def _all(top: Path, clock: FixedClock) -> dict[str, str]:
    def nobody(url: str) -> Seen:
        raise Unavailable("nobody answers")

    subject = Subject(top, clock, nobody)
    try:
        return {each.code.code: each.sentence for each in examine(subject)}
    finally:
        subject.close()


def test_a_server_without_a_standby(top: Path, clock: FixedClock) -> None:
    """All the rest is looked at."""
    found = _codes(top, clock)
    assert set(found) == {"not_durable"} and "synchronous_standby_names is empty" in found["not_durable"]


def test_a_server_that_answers_too_early(top: Path, server: PostgresServer, clock: FixedClock) -> None:
    with server.connect() as connection:
        connection.execute("ALTER DATABASE site SET synchronous_commit = 'local'")
    assert "synchronous_commit" in _codes(top, clock)["not_durable"]


def test_a_server_that_does_not_sync(top: Path, server: PostgresServer, clock: FixedClock) -> None:
    with server.connect() as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
    server.reload()
    assert "fsync" in _codes(top, clock)["not_durable"]


def test_somebody_who_holds_the_tip(top: Path, server: PostgresServer, clock: FixedClock) -> None:
    with server.connect("site") as connection, connection.transaction():
        connection.execute("SELECT * FROM tip FOR UPDATE")
        assert "pg_stat_activity" in _codes(top, clock)["cannot_append"]


def test_a_server_that_is_away(top: Path, server: PostgresServer, clock: FixedClock) -> None:
    server.stop()
    try:
        found = _codes(top, clock)
    finally:
        server.start()
    assert set(found) == {"journal_unusable", "not_looked_at"} and "psql" in found["journal_unusable"]
