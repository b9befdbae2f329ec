"""What the benchmark of the engines compares does the same: as many events, as many claims, one move of the tip."""

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg

from benchmarks.engine_load import CLAIMS, Group, bare_psycopg, bare_sqlite, load, through
from tests.contracts.postgres_engine import PostgresEngine
from tocsin.journal import sqlite
from tocsin.journal.port import Durability, Journal
from tocsin.model.claims import Claim

WAITING = 5


def _appended(journal: Journal, append: Group) -> int:
    """How many events a load of at least one group has appended; their claims are all in the index."""
    before = journal.tip().sequence
    events = WAITING * len(load(append, WAITING, 0.01))
    assert journal.tip().sequence == before + events
    assert len(journal.read(before, events + 1)) == events
    assert len(journal.claim_rows(Claim(b""), 10**6)) == len(CLAIMS) * journal.tip().sequence
    return events


def test_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = sqlite.create(path, durability=Durability.WAIVED)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert _appended(journal, through(journal)) and _appended(journal, bare_sqlite(connection))
    journal.close()


def test_postgresql(postgres_engine: PostgresEngine) -> None:
    journal = postgres_engine.create()
    assert _appended(journal, through(journal))
    with psycopg.connect(postgres_engine.url, autocommit=True) as connection:
        assert _appended(journal, bare_psycopg(connection))
