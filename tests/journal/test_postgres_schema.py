"""The schema of a journal in PostgreSQL, from version to version, with data."""

import pytest
from alembic.script import ScriptDirectory

from tests.contracts.postgres_engine import PostgresEngine
from tests.journal.vectors import JOURNAL
from tocsin.journal import postgres, postgres_schema
from tocsin.journal.port import Durability, Journal
from tocsin.journal.postgres_connection import OLDER_SCHEMAS, SCHEMA
from tocsin.journal.verify import verify
from tocsin.model.errors import Invalid, Refused, Unavailable

MIGRATIONS = ScriptDirectory.from_config(postgres_schema.configuration())
VERSIONS = [script.revision for script in reversed(list(MIGRATIONS.walk_revisions()))]
WAIVED = Durability.WAIVED


def test_the_newest_version_is_the_one_that_the_code_asks_for() -> None:
    assert [*OLDER_SCHEMAS, SCHEMA] == VERSIONS and MIGRATIONS.get_heads() == [SCHEMA]


@pytest.mark.parametrize("version", VERSIONS)
def test_up_down_and_up_again_with_data(postgres_engine: PostgresEngine, version: str) -> None:
    """Case 54: data is intact, or the way back is refused with the reason, and data is intact."""
    url = postgres_engine.empty()
    journal = postgres.create(url, durability=WAIVED)
    journal.load(iter(JOURNAL))
    postgres_schema.upgrade(url, WAIVED, version)
    below = VERSIONS[VERSIONS.index(version) - 1] if version != VERSIONS[0] else postgres_schema.NONE
    if below == postgres_schema.NONE:
        with pytest.raises(Refused, match="leaves nothing, and there are events") as refusal:
            postgres_schema.downgrade(url, WAIVED, below)
        assert refusal.value.code == "journal_not_empty"
    else:
        postgres_schema.downgrade(url, WAIVED, below)
    postgres_schema.upgrade(url, WAIVED)
    _assert_intact(journal)
    journal.close()


def test_up_down_and_up_again_without_data(postgres_engine: PostgresEngine) -> None:
    """Case 54: nothing is left behind; what was made twice is the same."""
    url = postgres_engine.empty()
    postgres_schema.upgrade(url, WAIVED)
    made = _objects(postgres_engine)
    postgres_schema.downgrade(url, WAIVED)
    assert _objects(postgres_engine) == ["alembic_version", "alembic_version_pkc"]
    with pytest.raises(Invalid, match="no journal"):
        postgres.open(url, WAIVED)
    postgres_schema.upgrade(url, WAIVED)
    postgres_schema.upgrade(url, WAIVED)
    assert _objects(postgres_engine) == made
    journal = postgres.create(url, durability=WAIVED)
    journal.load(iter(JOURNAL))
    _assert_intact(journal)
    journal.close()


def test_a_schema_that_is_behind_is_not_used(postgres_engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres_engine.create()
    monkeypatch.setattr("tocsin.journal.postgres_connection.SCHEMA", "9999")
    monkeypatch.setattr("tocsin.journal.postgres_connection.OLDER_SCHEMAS", (SCHEMA,))
    with pytest.raises(Invalid, match="tocsin journal migrate"):
        postgres_engine.open()


def test_a_migration_that_is_cut_off_has_done_nothing(postgres_engine: PostgresEngine) -> None:
    """The last statement fails, since a function of its name is there: no table is left behind."""
    url = postgres_engine.empty()
    postgres_engine.sql(
        "CREATE FUNCTION erase_content(bytea, bigint, bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'"
    )
    with pytest.raises(Unavailable, match="journal's database"):
        postgres_schema.upgrade(url, WAIVED)
    assert _objects(postgres_engine) == []


def _assert_intact(journal: Journal) -> None:
    assert journal.read(0) == JOURNAL
    assert verify(journal) == journal.tip()


def _objects(engine: PostgresEngine) -> list[str]:
    """The names of all tables, indexes and sequences of the last journal's schema."""
    names = engine.server.ask(
        f"SELECT array_agg(relname ORDER BY relname) FROM pg_class WHERE relnamespace = '{engine.schema}'::regnamespace"
        " AND relkind <> 't' AND relname NOT LIKE 'pg_toast%'"
    )
    return [str(name) for name in names or ()]
