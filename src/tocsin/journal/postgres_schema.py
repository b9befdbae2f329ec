"""The schema of a journal in PostgreSQL: made, and brought from version to version, by Alembic.

The migrations lie in `tocsin.journal.migrations`; `tocsin.journal.postgres_connection` says which is the newest.
"""

from collections.abc import Callable

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from tocsin.journal.port import Durability
from tocsin.journal.postgres_connection import (
    JournalConnection,
    Translated,
    check_server,
    connect_bare,
    conninfo,
    in_our_words,
    refuse_newer,
    schema_of,
)
from tocsin.model.errors import Invalid, Unavailable

NEWEST = "head"
NONE = "base"


def make_schema(url: str, term: int, durability: Durability) -> None:
    """An empty journal of this `term` in the database at `url`. Raises `Invalid` if events are in it already."""
    with connect_bare(url) as connection, Translated():
        _look(connection, durability)
        if schema_of(connection) is not None and _has_events(connection):
            raise Invalid("There is a journal in this database already: an existing journal is never overwritten.")
    upgrade(url, durability)
    with connect_bare(url) as connection, Translated():
        connection.execute("UPDATE tip SET term = greatest(term, %s) WHERE sequence = 0", (term,))


def upgrade(url: str, durability: Durability, to: str = NEWEST) -> None:
    """Brings the schema up to version `to`, in one transaction; does nothing if it is there.

    Raises `Invalid` for a schema of a newer version.
    """
    _migrate(url, durability, lambda config: command.upgrade(config, to))


def downgrade(url: str, durability: Durability, to: str = NONE) -> None:
    """Takes the schema back to version `to`. Raises what a migration raises that would lose data."""
    _migrate(url, durability, lambda config: command.downgrade(config, to))


def configuration() -> Config:
    """Where Alembic finds the migrations."""
    config = Config()
    config.set_main_option("script_location", "tocsin.journal:migrations")
    return config


def _migrate(url: str, durability: Durability, run: Callable[[Config], None]) -> None:
    with connect_bare(url) as connection, Translated():
        _look(connection, durability)
        refuse_newer(schema_of(connection))
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo(url)), poolclass=NullPool)
    config = configuration()
    try:
        with engine.begin() as bound:
            _one_at_a_time(bound)
            config.attributes["connection"] = bound
            run(config)
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise in_our_words(error.orig) from None
        raise Unavailable("The schema of the journal's database could not be changed: nothing was.") from None


def _one_at_a_time(connection: Connection) -> None:
    """Two that migrate wait for each other."""
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(8389763526297053555)")  # "tocsins" and a digit


def _look(connection: JournalConnection, durability: Durability) -> None:
    check_server(connection, durability)


def _has_events(connection: JournalConnection) -> bool:
    row = connection.execute("SELECT EXISTS (SELECT 1 FROM event) OR EXISTS (SELECT 1 FROM tip WHERE sequence > 0)")
    return bool((row.fetchone() or (True,))[0])
