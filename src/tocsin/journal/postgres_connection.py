"""One connection to a journal in PostgreSQL: what is asked of the server, deadlines, and its errors in our words.

The server is not believed but asked, on each new connection: an engine that is not durable is refused. Sources:
``docs/formats/events.md``, "In PostgreSQL"; https://www.postgresql.org/docs/current/runtime-config-wal.html.
"""

import logging
from contextlib import closing
from types import TracebackType
from typing import Final, TypeVar

import psycopg
from psycopg import waiting
from psycopg.abc import ConnDict, PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import Diagnostic
from psycopg.rows import TupleRow

from tocsin.journal.port import Durability, NotDurable
from tocsin.model.errors import Invalid, TocsinError, Unavailable

SCHEMA: Final = "0001"
"""The newest schema that this version knows; older ones that it can bring up to date stand before it."""
OLDER_SCHEMAS: Final[tuple[str, ...]] = ()
OLDEST_SERVER: Final = 140_000
CONNECT_SECONDS: Final = 2
"""A server of several that does not answer is passed over after this; libpq knows whole seconds only."""
READ_SECONDS: Final = 4.0
"""How long a page is waited for: callers may wait for it, and then for the spool, within their ten seconds."""

LOCK_MILLISECONDS: Final = 3000
"""How long a statement waits for a lock, unless it says otherwise: less than its answer is waited for, so that the
server ends it. What is left behind instead keeps a place in the server, until there is none."""

_T = TypeVar("_T")
_DEFAULTS: Final[ConnDict] = {"connect_timeout": CONNECT_SECONDS, "application_name": "tocsin"}
_DEMANDED: Final[ConnDict] = {"target_session_attrs": "read-write", "client_encoding": "utf8"}

_LIVELY: Final = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3"
"""So soon a server finds out that a machine is gone which may hold the tip; by default it takes two hours."""
_BY_KEY: Final = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off"
"""All is found by its primary key. A plan that was made while the tables were small is kept, and would go on reading
all of them when they have grown: half a second a group, measured, instead of 15 ms. What stands in the place of a plan
that is ruled out has a price at which the compiler would be called: hence the last."""
_WEAK_COMMITS: Final = frozenset({"off", "local", "remote_write"})
_UNAPPLIED: Final = (
    "The journal's database has no journal, or an older one: `tocsin journal migrate` makes it what this version needs."
)
_NO_JOURNAL: Final = (
    "The database that [journal] url names holds no journal that this user may see: `tocsin init` founds one there; or"
    " the url (its database, its search_path) is not the right one, or the user has none of the journal's roles."
)
_NEWER: Final = "The journal was made by a newer version of tocsin: update tocsin, then try again."
_ASLEEP: Final = (
    "The journal's database server is a standby, and what it shows may be undone by a fail-over: name the primary in"
    " [journal] url, or all servers, of which the primary is found."
)
_NO_STANDBY: Final = (
    "The journal's database server has no synchronous standby (synchronous_standby_names is empty): what it stores dies"
    " with its disk. Set it to 'ANY 1 (…)', or single_machine = true if one machine is meant."
)
_WEAK: Final = (
    "The journal's database server answers before a group is durable (synchronous_commit is weaker than on): set it to"
    " on, also where a role or a database has a setting of its own."
)
_NO_SYNC: Final = (
    "The journal's database server is not safe from a power cut (fsync or full_page_writes is off): set both to on."
)
_OLD_SERVER: Final = "The journal's database server is older than PostgreSQL 14: update it."
_AWAY: Final = (
    "No server that [journal] url names takes this connection: it is down, out of reach or a standby, or knows no such"
    " user, password or database. `psql` with the same url says which."
)
_SILENT: Final = (
    "The journal's database server did not answer in time, or the connection to it broke. Whether the last group was"
    " stored is not known; the same may be appended again. If it goes on: are the synchronous standbys there"
    " (pg_stat_replication), is the server?"
)
_NOT_PASSED_ON: Final = (
    "The wait for a synchronous standby was cut off: the group may be on one disk only, and counts as not stored. The"
    " same may be appended again. Nobody but a database administrator cancels that wait: see who did."
)
_HELD: Final = (
    "other writers held the journal for too long: nothing was stored, try again. If it goes on, a group waits for a"
    " synchronous standby, or hangs: pg_stat_activity and pg_stat_replication tell"
)
_NO_RIGHT: Final = (
    "The database user of [journal] lacks a right that this needs: grant it the role, see deploy/postgresql/roles.sql."
)
_NO_ROOM: Final = "The disk of the journal's database server has no room left. Nothing was stored; free some space."
_DAMAGED: Final = (
    "The journal's database is damaged: the server found a page or an index that is not right. Fail over to a standby,"
    " and prove that one: `tocsin journal verify`."
)
_FORBIDDEN: Final = (
    "The journal's database refused what would break the journal: an event of the past, a claim or the tip was to be"
    " changed."
)
_ANOTHER: Final = "The journal's database server failed (SQLSTATE {state}): nothing was stored, and its log says more."
_BROKEN_OFF: Final = frozenset({"", "08", "57"})
"""No SQLSTATE, or one of a connection that broke or was ended."""
_SENTENCES: Final[dict[str, tuple[type[TocsinError], str]]] = {
    "22": (Invalid, "The journal's database can't hold a value of this event."),
    "23": (Invalid, _FORBIDDEN),
    "25006": (Unavailable, _ASLEEP),
    "3F000": (Invalid, _NO_JOURNAL),
    "42501": (Unavailable, _NO_RIGHT),
    "42P01": (Invalid, _NO_JOURNAL),
    "53100": (Unavailable, _NO_ROOM),
    "55P03": (Unavailable, _HELD),
    "P0001": (Invalid, _FORBIDDEN),
    "XX001": (Invalid, _DAMAGED),
    "XX002": (Invalid, _DAMAGED),
}
"""By SQLSTATE, or its first two characters (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""

# psycopg's own lines would name hosts and users; what fails is told once, in our words
logging.getLogger("psycopg").setLevel(logging.CRITICAL)


class JournalConnection(psycopg.Connection[TupleRow]):
    """A connection on which each statement has `deadline_seconds`, and on which a commit is never cancelled.

    What is not answered in time is not cancelled but left alone: the socket is closed. A cancelled wait for a standby
    would be answered as a success.
    """

    deadline_seconds: float = READ_SECONDS
    timed_out: bool = False
    warned: bool = False
    """Whether the server has warned of something since this was last set to False."""

    def wait(self, gen: PQGen[_T], interval: float = 0.1, timeout: float | None = None) -> _T:
        try:
            return waiting.wait(
                gen,
                self.pgconn.socket,
                interval=interval,
                timeout=self.deadline_seconds if timeout is None else timeout,
            )
        except psycopg.Error as error:
            if error.sqlstate is None:  # nothing that the server said: no answer in time, or no server
                self.timed_out = not self.closed
                self.pgconn.finish()
            raise
        except BaseException:  # an interruption: whatever was asked for is still under way
            self.pgconn.finish()
            raise

    def hear(self, notice: Diagnostic) -> None:
        """Called for each notice of the server. Its text may be of any language; its severity is not."""
        self.warned |= notice.severity_nonlocalized == "WARNING"

    def refuse_warned(self, committed: "psycopg.Cursor[TupleRow] | None" = None) -> None:
        """Holds the server's answer to a ``COMMIT``, where one was sent, against what it has warned of.

        Raises `Unavailable`, and closes the connection, unless what was done is durable on a standby as well.
        """
        if self.warned or (committed is not None and committed.statusmessage != "COMMIT"):
            self.close()
            raise Unavailable(_NOT_PASSED_ON)


def in_our_words(error: psycopg.Error) -> TocsinError:
    """The error of the server or of the way to it, as one of ours. It repeats nothing."""
    state = error.sqlstate or ""
    known = _SENTENCES.get(state) or _SENTENCES.get(state[:2])
    if known is None:
        known = Unavailable, _ANOTHER.format(state=state) if state[:2] not in _BROKEN_OFF else _SILENT
    kind, sentence = known
    return kind(sentence)


class Translated:
    """A block out of which the errors of PostgreSQL come in our words."""

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, psycopg.Error):
            raise in_our_words(error) from None


def connect(url: str, durability: Durability) -> JournalConnection:
    """A connection to the journal at `url`, its server proven.

    Raises `Unavailable` if there is none now or it is not durable, `Invalid` if there is no journal or a newer one.
    """
    connection = connect_bare(url)
    try:
        with Translated():
            connection.execute(_LIVELY)
            connection.execute(_BY_KEY)
            connection.execute(f"SET lock_timeout = {LOCK_MILLISECONDS}".encode())
            check_server(connection, durability)
            _check_schema(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_bare(url: str) -> JournalConnection:
    """A connection to the primary of the servers that `url` names; nothing else has been looked at."""
    try:
        connection = JournalConnection.connect(conninfo(url), autocommit=True)
    except psycopg.Error:
        raise Unavailable(_AWAY) from None
    connection.add_notice_handler(connection.hear)
    return connection


def clock_of(url: str) -> int:
    """What the clock of the journal's database server says, in UTC seconds. Raises as `connect_bare`."""
    with Translated(), closing(connect_bare(url)) as connection:
        row = connection.execute("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint").fetchone()
    assert row is not None
    return int(row[0])


def conninfo(url: str) -> str:
    """What libpq is told: `url`, of several servers always the one that takes writes, and what it does not say.

    Raises `Invalid` if libpq can't read it.
    """
    try:
        told: ConnDict = {**_DEFAULTS, **conninfo_to_dict(url), **_DEMANDED}
        return make_conninfo("", **told)
    except psycopg.Error:
        raise Invalid("[journal] url is none that PostgreSQL's own programs would read.") from None


def check_server(connection: JournalConnection, durability: Durability) -> None:
    """Raises `NotDurable` unless what this server acknowledges is kept. `WAIVED`: one machine is meant."""
    row = connection.execute(
        "SELECT current_setting('server_version_num')::int, pg_is_in_recovery(), current_setting('fsync'),"
        " current_setting('full_page_writes'), current_setting('synchronous_commit'),"
        " current_setting('synchronous_standby_names')"
    ).fetchone()
    assert row is not None
    version, sleeps, fsync, full_pages, commit, standbys = row
    if version < OLDEST_SERVER:
        raise Unavailable(_OLD_SERVER)
    if sleeps:
        raise NotDurable(_ASLEEP)
    if "off" in (fsync, full_pages):
        raise NotDurable(_NO_SYNC)
    check_standbys(commit, standbys, durability)


def check_standbys(commit: str, standbys: str, durability: Durability) -> None:
    """Raises `NotDurable` if a commit does not wait for disk and standby. Asked in each group: settings change."""
    if commit in _WEAK_COMMITS:
        raise NotDurable(_WEAK)
    if not standbys.strip() and durability is Durability.REQUIRED:
        raise NotDurable(_NO_STANDBY)


def schema_of(connection: JournalConnection) -> str | None:
    """The version of the schema in the database; None if it has no journal."""
    if (connection.execute("SELECT to_regclass('alembic_version')").fetchone() or (None,))[0] is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def refuse_newer(schema: str | None) -> None:
    """Raises `Invalid` for a schema that only a newer version knows."""
    if schema not in (None, SCHEMA, *OLDER_SCHEMAS):
        raise Invalid(_NEWER)


def _check_schema(connection: JournalConnection) -> None:
    schema = schema_of(connection)
    if schema is None:
        raise Invalid(_NO_JOURNAL)
    refuse_newer(schema)
    if schema != SCHEMA:
        raise Invalid(_UNAPPLIED)
