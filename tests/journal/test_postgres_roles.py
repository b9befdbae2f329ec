"""The roles of a journal in PostgreSQL, each tried beyond its right on a real server."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from tests.contracts.journal_contract import FOUNDED, NOW, TODAY, add, claim, fact, sealed
from tests.contracts.postgres_engine import PostgresEngine
from tests.faults.postgres_server import PostgresServer
from tocsin.journal import postgres
from tocsin.journal.port import Durability
from tocsin.journal.postgres import PostgresJournal
from tocsin.journal.verify import verify
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.times import Day

ROLES = Path(__file__).parents[2] / "deploy/postgresql/roles.sql"
USERS = ("collector", "eraser", "auditor", "stranger")


@pytest.fixture
def engine(postgres_engine: PostgresEngine) -> Iterator[PostgresEngine]:
    """A journal of five events, roles as they are shipped, and a user in each."""
    journal = postgres_engine.create()
    add(journal, FOUNDED, *(fact(number, claim(number), content=sealed(TODAY)) for number in range(2, 6)))
    for _ in range(2):  # it may be run again
        postgres_engine.sql(ROLES.read_text(encoding="utf-8"))
    for user in USERS:
        postgres_engine.sql(f"CREATE ROLE {user} LOGIN")
    for role, user in zip(("append", "erase", "read"), USERS, strict=False):
        postgres_engine.sql(f"GRANT tocsin_{role} TO {user}")
    yield postgres_engine
    for user in USERS:
        postgres_engine.sql(f"DROP ROLE {user}")


def opened(engine: PostgresEngine, user: str) -> PostgresJournal:
    return postgres.open(engine.url_of(user), Durability.WAIVED)


def test_each_role_does_its_own(engine: PostgresEngine) -> None:
    """What a role is for works under it alone."""
    collector, eraser, auditor = (opened(engine, user) for user in USERS[:3])
    assert add(collector, fact(6, claim(6), content=sealed(TODAY)))[0].sequence == 6
    add(collector)
    assert verify(auditor).sequence == 6 and auditor.tip().beats == 1
    assert eraser.erase(Day(TODAY)) == 5
    assert verify(auditor).sequence == 6 and not any(event.content for event in auditor.read(0))
    for journal in (collector, eraser, auditor):
        journal.close()


def test_what_a_role_may_not_do_is_told_in_our_words(engine: PostgresEngine) -> None:
    collector, eraser, auditor = (opened(engine, user) for user in USERS[:3])
    for journal in (eraser, auditor):
        with pytest.raises(Unavailable, match=r"lacks a right.*roles\.sql"), journal.group(NOW) as group:
            group.append(fact(6))
    for journal in (collector, auditor):
        with pytest.raises(Unavailable, match="lacks a right"):
            journal.erase(Day(TODAY))
    with pytest.raises(Invalid, match="has none of the journal's roles"):
        opened(engine, "stranger")
    for journal in (collector, eraser, auditor):
        journal.close()


BEYOND = [
    "UPDATE event SET body = 'x' WHERE sequence = 2",
    "UPDATE event SET content = NULL WHERE sequence = 2",
    "UPDATE event SET content = 'x' WHERE sequence = 2",
    "UPDATE event SET recorded_at = 0",
    "DELETE FROM event WHERE sequence = 5",
    "TRUNCATE event",
    "DELETE FROM claim",
    "UPDATE claim SET sequence = 1",
    "TRUNCATE claim",
    "DELETE FROM tip",
    "INSERT INTO tip VALUES (1, 0, '', 0, 0, 0)",
    "UPDATE tip SET term = term + 1",
    "UPDATE tip SET sequence = sequence - 1",
    "UPDATE tip SET sequence = sequence + 1",
    "UPDATE tip SET recorded_at = recorded_at + 900",
    "UPDATE tip SET digest = 'x'",
    "UPDATE tip SET one = 2",
    "UPDATE alembic_version SET version_num = '9999'",
    "DROP TABLE event",
    "ALTER TABLE event DISABLE TRIGGER ALL",
    "ALTER TABLE event ADD COLUMN more text",
    "DROP FUNCTION guard_event() CASCADE",
    "CREATE OR REPLACE FUNCTION guard_event() RETURNS trigger LANGUAGE sql AS 'SELECT NULL'",
    "CREATE TABLE beside (one int)",
    "CREATE INDEX ON event (kind)",
    "SET session_replication_role = replica",
    "SET ROLE postgres",
    "COPY event TO PROGRAM 'true'",
]
APPEND_ALONE = [
    "INSERT INTO event SELECT 6, recorded_at, kind, body, content, content_digest, claims, digest FROM event LIMIT 1",
    "INSERT INTO claim SELECT set_byte(claim, 32, 0), sequence FROM claim LIMIT 1",
    "UPDATE tip SET beats = beats + 1",
    "SELECT FROM tip FOR UPDATE",
]
ERASE_ALONE = ["SELECT erase_content(''::bytea, 0, 0)"]
READ = ["SELECT * FROM event", "SELECT * FROM claim", "SELECT * FROM tip"]
FORBIDDEN = [
    *((user, statement) for user in USERS for statement in BEYOND),
    *((user, statement) for user in ("eraser", "auditor", "stranger") for statement in APPEND_ALONE),
    *((user, statement) for user in ("collector", "auditor", "stranger") for statement in ERASE_ALONE),
    *(("stranger", statement) for statement in READ),
]


REFUSALS = (
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.RaiseException,
    psycopg.errors.UndefinedTable,  # a stranger does not even see it
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InvalidSchemaName,
)


def attempt(engine: PostgresEngine, user: str, statement: str) -> None:
    """One statement, taken back in any case. Raises as psycopg does."""
    with psycopg.connect(engine.url_of(user)) as connection:
        connection.execute(statement.encode())
        connection.rollback()


def test_no_role_goes_beyond_its_right(engine: PostgresEngine) -> None:
    """T-I1: not even who appends changes what was recorded, or sets the tip back."""
    went_beyond = []
    for user, statement in FORBIDDEN:
        try:
            attempt(engine, user, statement)
        except REFUSALS:
            continue
        went_beyond.append((user, statement))
    assert not went_beyond
    for user, statements in [("collector", APPEND_ALONE + READ), ("eraser", ERASE_ALONE + READ), ("auditor", READ)]:
        for statement in statements:
            attempt(engine, user, statement)


def test_not_even_the_owner_changes_what_was_recorded(engine: PostgresEngine, postgres_server: PostgresServer) -> None:
    changed = []
    for statement in BEYOND[:8] + BEYOND[12:17]:
        try:
            attempt(engine, "postgres", statement)
        except psycopg.errors.RaiseException:
            continue
        changed.append(statement)
    assert changed == ["UPDATE event SET content = NULL WHERE sequence = 2"]


@pytest.mark.parametrize("day", [b"", b"%", bytes(4)])
def test_erasing_takes_one_day_s_content(engine: PostgresEngine, day: bytes) -> None:
    with psycopg.connect(engine.url_of("eraser"), autocommit=True) as connection:
        assert connection.execute("SELECT erase_content(%s, 0, 1000)", (day,)).fetchone() == (0,)


IN_ITS_PLACE = {
    "eraser": [
        "CREATE TEMP TABLE event (sequence bigint, content bytea)",
        "INSERT INTO event VALUES (1, '\\x00000000')",
        "CREATE FUNCTION pg_temp.take() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN EXECUTE format('ALTER TABLE %I.event DISABLE TRIGGER ALL', current_schema()); RETURN NEW; END $$",
        "CREATE TRIGGER take BEFORE UPDATE ON event FOR EACH ROW EXECUTE FUNCTION pg_temp.take()",
        "SELECT erase_content('\\x00000000', 0, 10)",
    ],
    "collector": [
        "CREATE TEMP TABLE event AS SELECT 9::bigint AS sequence, 'x'::bytea AS digest, recorded_at FROM tip",
        "UPDATE tip SET sequence = 9, digest = 'x'",
    ],
}
"""A table of the user's own, which shadows the journal's where a function with more rights looks one up by its name."""


@pytest.mark.parametrize("user", IN_ITS_PLACE)
def test_a_table_of_one_s_own_stands_in_for_none_of_the_journal_s(engine: PostgresEngine, user: str) -> None:
    """T-I1: temporary tables come before all others, unless a function says otherwise."""
    guards = f"SELECT count(*) FROM pg_trigger WHERE tgrelid = '{engine.schema}.event'::regclass AND tgenabled = 'O'"
    before = engine.server.ask(guards)
    with psycopg.connect(engine.url_of(user), autocommit=True) as connection, suppress(psycopg.errors.RaiseException):
        for statement in IN_ITS_PLACE[user]:
            connection.execute(statement.encode())
    assert engine.server.ask(guards) == before > 0
    assert engine.server.ask(f"SELECT sequence FROM {engine.schema}.tip") == 5
