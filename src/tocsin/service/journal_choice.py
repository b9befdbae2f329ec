"""The table ``[journal]`` of `tocsin.toml`: which engine keeps the journal, and where; it is opened and made here.

An engine's libraries are loaded only where it is the one.
"""

import re
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from tocsin.journal.port import FIRST_TERM, Durability, Journal

Engine = Literal["sqlite", "postgresql"]

_URL: Final = re.compile(r"postgres(ql)?://[!#-\[\]-~]*")
"""Printable ASCII without quotes or backslashes, which would not survive `settings_text`."""
_PASSWORD: Final = re.compile(r"//[^/@]*:[^/@]*@|[?&](password|sslpassword|passcode)=", re.IGNORECASE)


class JournalChoice(Struct, frozen=True, kw_only=True):
    """The table ``[journal]``."""

    engine: Engine = "sqlite"
    """``sqlite``: a file in the deployment's folder; ``postgresql``: a database that several machines share."""
    url: str = ""
    """Of PostgreSQL: ``postgresql://USER@HOST,HOST,HOST/DATABASE``, as libpq reads it, without a password."""

    def __post_init__(self) -> None:
        if self.engine == "sqlite" and self.url:
            raise ValueError("url is for engine = \"postgresql\"; SQLite's file lies in the deployment's folder")
        if self.engine == "postgresql" and not _URL.fullmatch(self.url):
            raise ValueError("url must be an address of PostgreSQL, postgresql://USER@HOST/DATABASE, in ASCII")
        if _PASSWORD.search(self.url):
            raise ValueError(
                "url must not hold a password, for this file is no secret: put it into the file that PGPASSFILE names"
            )


def open_journal(choice: JournalChoice, file: Path, durability: Durability) -> Journal:
    """The journal that is chosen; `file` is SQLite's. Raises as the engine's `open`."""
    if choice.engine == "postgresql":
        from tocsin.journal import postgres

        return postgres.open(choice.url, durability)
    from tocsin.journal import sqlite

    return sqlite.open(file, durability)


def create_journal(choice: JournalChoice, file: Path, durability: Durability, term: int = FIRST_TERM) -> Journal:
    """A new and empty one. Raises as the engine's `create`."""
    if choice.engine == "postgresql":
        from tocsin.journal import postgres

        return postgres.create(choice.url, term, durability)
    from tocsin.journal import sqlite

    return sqlite.create(file, term, durability)


def clock_of_journal(choice: JournalChoice) -> int | None:
    """What the clock of the machine that keeps the journal says, in UTC seconds; None if that is this machine.

    Raises `Unavailable`.
    """
    if choice.engine != "postgresql":
        return None
    from tocsin.journal import postgres_connection

    return postgres_connection.clock_of(choice.url)


def migrate_journal(choice: JournalChoice, durability: Durability) -> None:
    """Brings the tables in PostgreSQL up to date. Raises as `tocsin.journal.postgres_schema.upgrade`."""
    from tocsin.journal import postgres_schema

    postgres_schema.upgrade(choice.url, durability)
