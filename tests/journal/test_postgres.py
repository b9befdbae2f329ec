"""PostgreSQL: the contract on a real server, and what only a server can suffer."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pytest

from tests.contracts.journal_contract import (
    FOUNDED,
    IMPATIENT_SECONDS,
    NOW,
    TODAY,
    Engine,
    JournalContract,
    add,
    claim,
    fact,
    sealed,
)
from tests.contracts.postgres_engine import PostgresEngine
from tests.faults.postgres_server import PostgresServer
from tests.faults.servers import until
from tests.journal.vectors import JOURNAL
from tocsin.journal import postgres, postgres_connection, postgres_schema
from tocsin.journal.port import Broken, ClaimTaken, Durability, NotDurable
from tocsin.journal.postgres import PostgresJournal
from tocsin.journal.postgres_connection import JournalConnection
from tocsin.journal.verify import verify
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.times import Day
from tocsin.service.follow import Follower


class TestContract(JournalContract):
    @pytest.fixture
    def engine(self, postgres_engine: PostgresEngine) -> Engine:
        return postgres_engine


@pytest.fixture
def engine(postgres_engine: PostgresEngine) -> PostgresEngine:
    return postgres_engine


@pytest.fixture
def journal(engine: PostgresEngine) -> PostgresJournal:
    return engine.create()


# --- connections ---


def test_connections_that_died_while_idle_cost_no_report(engine: PostgresEngine, journal: PostgresJournal) -> None:
    """Case 51: all connections are ended by the server, then one report: it is taken, and once."""
    add(journal, FOUNDED)
    journal.tip()
    engine.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tocsin'")
    assert add(journal, fact(2, claim("card")))[0].sequence == 2
    engine.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tocsin'")
    assert [event.sequence for event in journal.read(0)] == [1, 2]
    assert verify(journal).sequence == 2


def test_a_connection_that_dies_in_a_group_stores_nothing_of_it(
    engine: PostgresEngine, journal: PostgresJournal
) -> None:
    add(journal, FOUNDED)
    with pytest.raises(Unavailable, match="not known"), journal.group(NOW) as group:
        group.append(fact(2))
        engine.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tocsin'")
    assert add(journal, fact(2))[0].sequence == 2


def test_a_server_that_stands_still_is_given_up_and_found_again(
    postgres_server: PostgresServer, journal: PostgresJournal
) -> None:
    add(journal, FOUNDED)
    postgres_server.freeze()
    try:
        for _ in range(2):
            with pytest.raises(Unavailable), journal.group(NOW, IMPATIENT_SECONDS):
                raise AssertionError("the group must not begin")
    finally:
        postgres_server.thaw()
    assert add(journal, fact(2))[0].sequence == 2


def test_an_erasure_whose_wait_for_a_standby_is_cut_off_is_none(
    engine: PostgresEngine, journal: PostgresJournal
) -> None:
    add(journal, FOUNDED, fact(2, content=sealed(TODAY)))
    waiting = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    with (
        altered(engine.server, {"synchronous_standby_names": "nobody"}),
        ThreadPoolExecutor(1) as threads,
    ):
        erasing = threads.submit(journal.erase, Day(TODAY))
        until("it waits, and is cancelled", lambda: engine.server.ask(waiting))
        with pytest.raises(Unavailable, match="cut off"):
            erasing.result()
    assert journal.erase(Day(TODAY)) == 0


def test_what_waits_for_a_lock_is_not_left_behind_again_and_again(
    engine: PostgresEngine, journal: PostgresJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erasure whose standby is away is tried every five seconds: it must not take the server's last place."""
    monkeypatch.setattr(postgres_connection, "LOCK_MILLISECONDS", 50)
    journal.close()  # it is the next connection that has it
    add(journal, FOUNDED, fact(2, content=sealed(TODAY)))
    steps: dict[str, Callable[[], object]] = {
        "SELECT FROM {}.event FOR UPDATE": lambda: journal.erase(Day(TODAY)),  # as another erasure, not yet passed on
        "LOCK TABLE {}.event": lambda: journal.read(0),  # as a migration
    }
    for lock, step in steps.items():
        with engine.server.connect() as connection, connection.transaction():
            connection.execute(lock.format(engine.schema).encode())
            for _ in range(2):
                with pytest.raises(Unavailable, match="held"):
                    step()
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            assert engine.server.ask(waiting) == 0
    assert journal.erase(Day(TODAY)) == 1


def test_a_commit_that_is_not_answered_in_time_is_not_stored_or_found_stored(
    postgres_server: PostgresServer, journal: PostgresJournal
) -> None:
    add(journal, FOUNDED)
    try:
        with pytest.raises(Unavailable, match="not known"), journal.group(NOW) as group:
            group.append(fact(2, claim("card")))
            postgres_server.freeze()
    finally:
        postgres_server.thaw()
    with journal.group(NOW, 30) as group, suppress(ClaimTaken):
        group.append(fact(2, claim("card")))
    assert journal.holders([claim("card")]) == [2] and verify(journal).sequence == 2


def test_whoever_stands_still_with_the_tip_loses_it(
    engine: PostgresEngine, journal: PostgresJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 52: a holder that hangs, or whose machine is gone, holds up the others for a while and stores nothing."""
    add(journal, FOUNDED)
    monkeypatch.setattr(postgres, "HELD_SECONDS", 1)
    with pytest.raises(Unavailable), journal.group(NOW) as group:
        group.append(fact(2))
        with engine.open().group(NOW, 60) as other:
            other.append(fact(3))
    assert verify(journal).sequence == 2


def test_a_group_is_few_round_trips(postgres_server: PostgresServer, journal: PostgresJournal) -> None:
    """However many events: what takes the time is the way to the standby, and it is gone once."""
    add(journal, FOUNDED)
    asked = 0
    waited = JournalConnection.wait

    def counted(*words: Any, **named: Any) -> Any:
        nonlocal asked
        asked += 1
        return waited(*words, **named)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(JournalConnection, "wait", counted)
        with journal.group(NOW) as group:
            group.expect([claim(number) for number in range(128)])
            for number in range(128):
                assert group.claimed(claim(number)) is None
                group.append(fact(number, claim(number)))
    assert asked <= 8, "begin, claims, and the pipeline that stores"


def test_a_plan_made_for_a_small_journal_reads_no_table_from_end_to_end(engine: PostgresEngine) -> None:
    """Plans are kept with a connection, from when a journal was founded: it has to be quick when it has grown, too."""
    journal = engine.create()
    counted = "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname IN ('event', 'claim') AND schemaname = '{}'"
    engine.open().close()
    before = engine.server.ask(counted.format(engine.schema))
    add(journal, FOUNDED)
    for number in range(30):  # both libraries keep a plan after some
        add(journal, fact(number, claim(number), content=sealed(TODAY)))
        assert journal.read(journal.tip().sequence - 1)
        assert journal.holders([claim(number)]) != [None]
    verify(journal)
    journal.erase(Day(TODAY))
    tip = journal.tip().sequence
    journal.close()  # what a connection has counted is told when it ends
    connected = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tocsin'"
    until("the connections have ended", lambda: engine.server.ask(connected) == 0)
    assert tip == 31 and engine.server.ask(counted.format(engine.schema)) == before


# --- what is refused ---


@pytest.mark.parametrize(
    ("setting", "value", "complaint"),
    [
        ("synchronous_standby_names", "", "no synchronous standby"),
        ("synchronous_commit", "local", "weaker than on"),
        ("synchronous_commit", "remote_write", "weaker than on"),
        ("fsync", "off", "power cut"),
        ("full_page_writes", "off", "power cut"),
    ],
)
def test_a_server_that_is_not_durable_is_refused(
    engine: PostgresEngine, setting: str, value: str, complaint: str
) -> None:
    """All but the first also where one machine is meant."""
    engine.create()
    with altered(engine.server, {setting: value}):
        durability = Durability.WAIVED if value else Durability.REQUIRED
        with pytest.raises(NotDurable, match=complaint):
            postgres.open(engine.url, durability)


@pytest.mark.parametrize("value", ["off", "local"])
def test_a_user_who_waits_for_less_is_refused(engine: PostgresEngine, journal: PostgresJournal, value: str) -> None:
    """The server's setting is right, and the user's own is not."""
    engine.sql("DROP ROLE IF EXISTS hasty", "CREATE ROLE hasty LOGIN SUPERUSER")
    engine.sql(f"ALTER ROLE hasty SET synchronous_commit = {value}")
    with pytest.raises(NotDurable, match="weaker than on"):
        postgres.open(engine.url.replace("postgres@", "hasty@"), Durability.WAIVED)


def test_a_standby_that_is_given_up_while_a_server_runs_is_noticed_by_the_next_group(
    engine: PostgresEngine,
) -> None:
    """The standbys are looked at in each group, and not only when a connection is made."""
    engine.create()
    with altered(engine.server, {"synchronous_standby_names": "s2", "synchronous_commit": "on"}):
        journal = postgres.open(engine.url)
        assert journal.tip().sequence == 0
        with (
            altered(engine.server, {"synchronous_standby_names": ""}),
            pytest.raises(NotDurable, match="no synchronous standby"),
            journal.group(NOW),
        ):
            raise AssertionError("the group must not begin")
        journal.close()


def test_a_server_that_takes_no_writes_is_no_journal(engine: PostgresEngine, journal: PostgresJournal) -> None:
    """As a standby looks to libpq."""
    with (
        altered(engine.server, {"default_transaction_read_only": "on"}),
        pytest.raises(Unavailable, match="is down, out of reach or a standby"),
    ):
        postgres.open(engine.url, Durability.WAIVED)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgresql://u:hunter2@127.0.0.1:1/x", "down, out of reach"),
        ("postgresql://u:hunter2@127.0.0.1:1/x?sslmode=hunter2", "down, out of reach"),
        ("postgresql://u:hunter2@[/x", "none that PostgreSQL's own programs would read"),
    ],
)
def test_an_address_that_leads_nowhere_is_not_repeated(url: str, complaint: str) -> None:
    with pytest.raises((Unavailable, Invalid), match=complaint) as error:
        postgres.open(url)
    assert "hunter2" not in str(error.value) and "127.0.0.1" not in str(error.value)
    assert error.value.__cause__ is None and error.value.__suppress_context__


def test_a_database_without_a_journal_is_told_from_one_with_a_newer(
    engine: PostgresEngine, journal: PostgresJournal
) -> None:
    with pytest.raises(Invalid, match="holds no journal"):
        postgres.open(engine.server.url(), Durability.WAIVED)
    engine.sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Invalid, match="newer version of tocsin"):
        engine.open()
    with pytest.raises(Invalid, match="newer version of tocsin"):
        postgres_schema.upgrade(engine.url, Durability.WAIVED)


def test_an_existing_journal_is_never_overwritten(engine: PostgresEngine, journal: PostgresJournal) -> None:
    add(journal, FOUNDED)
    with pytest.raises(Invalid, match="never overwritten"):
        postgres.create(engine.url, durability=Durability.WAIVED)
    assert journal.tip().sequence == 1


def test_a_rebuilt_journal_has_a_higher_term(engine: PostgresEngine, journal: PostgresJournal) -> None:
    rebuilt = postgres.create(engine.url, term=7, durability=Durability.WAIVED)
    assert rebuilt.load(iter(JOURNAL)).term == journal.tip().term == 7
    rebuilt.close()


# --- what an administrator does behind our back ---

BY_HAND = [
    ("UPDATE event SET body = '{}' WHERE sequence = 3", 3),
    ("UPDATE event SET recorded_at = recorded_at - 900 WHERE sequence = 4", 4),
    ("DELETE FROM event WHERE sequence = 2", 2),
    ("UPDATE event SET sequence = 10 WHERE sequence = 5", 5),
    ("UPDATE event SET content = 'x' WHERE sequence = 3", 3),
    ("DELETE FROM claim WHERE sequence = 4", 4),
    ("UPDATE tip SET sequence = 4", 4),
    ("UPDATE tip SET digest = '\\x00'", 5),
]


@pytest.mark.parametrize(("statement", "sequence"), BY_HAND)
def test_what_a_superuser_changes_is_refused_and_else_named(
    engine: PostgresEngine, journal: PostgresJournal, statement: str, sequence: int
) -> None:
    """T-I1: guards stop everybody who does not disable them; who does is found out by the chain."""
    add(journal, FOUNDED, *(fact(number, claim(number), content=b"sealed") for number in range(2, 6)))
    with pytest.raises(psycopg.errors.RaiseException):
        engine.sql(statement)
    assert verify(journal).sequence == 5
    engine.sql("SET session_replication_role = replica", statement)
    with pytest.raises(Broken) as broken:
        verify(journal)
    assert broken.value.sequence == sequence


def test_what_a_superuser_adds_is_named(engine: PostgresEngine, journal: PostgresJournal) -> None:
    """T-I1: a foreign claim, an event in the place of one that is not there yet."""
    add(journal, FOUNDED, fact(2, claim(2)))
    engine.sql("INSERT INTO claim SELECT set_byte(claim, 32, 1 + get_byte(claim, 32) % 9), sequence FROM claim")
    with pytest.raises(Broken, match="it does not make") as broken:
        verify(journal)
    assert broken.value.sequence == 2
    engine.sql(
        "INSERT INTO event SELECT 3, recorded_at, kind, body, NULL, content_digest, '', digest FROM event LIMIT 1"
    )
    with pytest.raises(Broken, match="never appended") as broken:
        verify(journal)
    assert broken.value.sequence == 3
    with pytest.raises(Broken, match=r"do not agree.* In PostgreSQL: prove a standby"):
        add(journal, fact(3))


def test_of_a_tail_that_was_cut_off_the_journal_itself_knows_nothing(
    engine: PostgresEngine, journal: PostgresJournal
) -> None:
    """T-I1: events, claims and tip set back together prove themselves: only what was published or archived tells."""
    digest = add(journal, FOUNDED, fact(2), fact(3, claim(3)))[1].digest
    cut = ["DELETE FROM event WHERE sequence = 3", "DELETE FROM claim", "UPDATE tip SET sequence = 2, digest = "]
    cut[-1] += f"'\\x{digest.hex()}'"
    engine.sql("SET session_replication_role = replica", *cut)
    assert verify(journal).sequence == 2


def test_a_reader_whose_last_event_a_fail_over_lost_stops(engine: PostgresEngine, journal: PostgresJournal) -> None:
    """Read on a primary that had not passed it on, then replaced by another event of the same number."""
    add(journal, FOUNDED)
    reader = Follower(NoKeys())
    reader.catch_up(journal.read)
    engine.sql("SET session_replication_role = replica", "UPDATE event SET digest = 'x'")
    with pytest.raises(Broken, match=r"fail-over.* PostgreSQL: nothing acknowledged is lost; restart ") as broken:
        reader.catch_up(journal.read)
    assert broken.value.sequence == 1


class NoKeys:
    def day_key(self, day: Day) -> bytes | None:
        return None


@contextmanager
def altered(server: PostgresServer, settings: dict[str, str]) -> Iterator[None]:
    """The server with these settings, and without any that was altered afterwards."""

    def put_in_force(statements: list[str]) -> None:
        before = server.ask("SELECT pg_conf_load_time()")
        with server.connect() as connection:
            connection.execute("SET synchronous_commit = off")  # there is no standby that could answer
            for statement in statements:
                connection.execute(statement.encode())
            connection.execute("SELECT pg_reload_conf()")
        until("the settings are in force", lambda: server.ask("SELECT pg_conf_load_time()") != before)

    put_in_force([f"ALTER SYSTEM SET {name} = '{value}'" for name, value in settings.items()])
    try:
        yield
    finally:
        put_in_force([f"ALTER SYSTEM RESET {name}" for name in settings])
