"""Which standby to promote when the primary of a journal in PostgreSQL is gone, and nobody but a person decides.

Under ``ANY 1 (s2,s3)`` what was acknowledged is on the primary and on one of the two, and not always on the same one.
So the one that has more is the only one that has everything; and with one of them out of reach nobody knows. The
comparison holds only once none of them hears from the old primary any more: until then it may move on unseen.
Sources: ``docs/operating/fail-over.md``; https://www.postgresql.org/docs/current/functions-admin.html
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import psycopg
from msgspec import Struct
from psycopg.conninfo import make_conninfo

from tocsin.model.errors import Invalid, Refused, Unavailable

CONNECT_SECONDS: Final = 5
ANSWER_MILLISECONDS: Final = 10_000
MOST_READINGS: Final = 30
"""A standby that has not replayed what it has by then is looked after by a person."""

_STATE: Final = """
SELECT pg_postmaster_start_time()::text,
       (SELECT system_identifier FROM pg_control_system()),
       pg_is_in_recovery(),
       EXISTS (SELECT FROM pg_stat_wal_receiver),
       (SELECT max(left(name, 8)) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'),
       coalesce(pg_wal_lsn_diff(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0'), 0)::bigint,
       coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'), 0)::bigint,
       current_setting('synchronous_standby_names'),
       tip.sequence, tip.digest
FROM tip
"""
"""After a restart the received position begins at its segment's start again: then the replayed one is further."""
_DIGEST: Final = "SELECT digest FROM event WHERE sequence = %s"
_QUORUM: Final = re.compile(r"\s*ANY\s+(\d+)\s*\(([^()*]+)\)\s*", re.IGNORECASE)
_Connection = psycopg.Connection[tuple[Any, ...]]


class Standby(Struct, frozen=True):
    """How far one server has come."""

    place: str
    """Host and port."""
    started: str
    """When it was started, to the microsecond: two addresses of one server are told by it."""
    system: int
    """The database system that it is a copy of."""
    sleeps: bool
    """Whether it is a standby."""
    receives: bool
    """Whether it hears from a primary, or waits for word from one."""
    timeline: int
    """Counts the promotions that it knows of."""
    received: int
    """The position in the log of writes up to which all is on its disk."""
    replayed: int
    quorum: str
    """What commits would wait for, were it the primary: `synchronous_standby_names`."""
    sequence: int
    """The journal's last event, as far as it is replayed."""
    digest: bytes

    @property
    def has(self) -> tuple[int, int]:
        """What it has, to be compared: who missed a promotion has nothing that was acknowledged since, however long."""
        return self.timeline, self.received


class Comparison(Struct, frozen=True):
    """The standby that has everything that was acknowledged, and all that were compared, in the order given."""

    promote: Standby
    standbys: tuple[Standby, ...]


def compare(urls: Sequence[str], pause: Callable[[], None]) -> Comparison:
    """Which of the standbys at `urls` is to be promoted. Reads only; `pause` is called between two readings.

    Raises `Refused` where none may be promoted on this evidence, `Unavailable` if one of them is out of reach or does
    not come to rest, `Invalid` for an address that is none, or a database without a journal.
    """
    if not urls:
        raise Refused("too_few", "Give the address of each standby: without one of them nothing can be said.")
    with ExitStack() as stack:
        connections = [stack.enter_context(_connected(url, number)) for number, url in enumerate(urls, 1)]
        standbys = _at_rest(connections, pause)
        best = furthest(standbys)
        _refuse_fork(connections[standbys.index(best)], best, standbys)
    return Comparison(best, tuple(standbys))


def furthest(standbys: Sequence[Standby]) -> Standby:
    """The one that has everything that was acknowledged. Raises `Refused` where that is not certain."""
    for one in standbys:
        if not one.sleeps:
            raise Refused("no_standby", f"{one.place} is no standby: it takes writes, or was promoted already.")
        if one.receives:
            raise Refused(
                "still_receives",
                f"{one.place} is still connected to a primary, which may acknowledge more behind our back. Cut it off"
                " first: ALTER SYSTEM SET primary_conninfo = ''; SELECT pg_reload_conf();",
            )
    if len({one.system for one in standbys}) > 1:
        raise Refused("other_system", "These servers are not copies of one another: look at the addresses.")
    if len({one.started for one in standbys}) < len(standbys):
        raise Refused("same_server", "Two of these addresses lead to the same server: each standby is given once.")
    if len(standbys) < needed(standbys):
        raise Refused(
            "too_few",
            "What was acknowledged last may be on a standby that is not among these: compare all of them. If one is"
            " lost for good, read in docs/operating/fail-over.md what that means.",
        )
    return max(standbys, key=lambda one: one.has)


def needed(standbys: Sequence[Standby]) -> int:
    """How many standbys must be seen so that each acknowledged event is on one of them: n − k + 1 for ``ANY k`` of n.

    A server's setting may name itself, where all have the same one, or not. The n are all servers but the primary.
    """
    quorums = [_quorum(one) for one in standbys]
    named = frozenset[str]().union(*(names for _, names in quorums))
    itself = len(standbys) == 1  # only of several is each one named for certain
    return len(named) + itself - min(k for k, _ in quorums)


def _quorum(standby: Standby) -> tuple[int, frozenset[str]]:
    """How many of which names a commit waits for."""
    quorum = _QUORUM.fullmatch(standby.quorum)
    if quorum is None:
        raise Refused(
            "no_quorum",
            f"synchronous_standby_names of {standby.place} is not of the form ANY 1 (…): which standbys have what was"
            " acknowledged can't be told from it. Set it as the primary had it.",
        )
    return int(quorum[1]), frozenset(name.strip(' "').lower() for name in quorum[2].split(","))


def _at_rest(connections: Sequence[_Connection], pause: Callable[[], None]) -> list[Standby]:
    """The standbys, when all that they have is replayed and nothing comes any more."""
    before: list[Standby] = []
    for _ in range(MOST_READINGS):
        standbys = [_state(connection) for connection in connections]
        rests = all(one.replayed >= one.received for one in standbys)
        if any(one.receives or not one.sleeps for one in standbys) or (rests and standbys == before):
            return standbys  # those that still receive are refused
        before = standbys
        pause()
    raise Unavailable(
        "A standby has more than it has replayed, and does not come to rest: is its replay paused"
        " (pg_is_wal_replay_paused), or does it copy from an archive? See to it, then compare again."
    )


def _refuse_fork(connection: _Connection, best: Standby, standbys: Sequence[Standby]) -> None:
    """Raises `Refused` if another one's last event is not in the journal of `best`, which claims to have all of it."""
    for one in standbys:
        if one.timeline != best.timeline or not one.sequence:
            continue
        with _Translated(best.place):
            row = connection.execute(_DIGEST, (one.sequence,)).fetchone()
        if row is None or bytes(row[0]) != one.digest:
            raise Refused(
                "forked",
                f"Event {one.sequence} of {one.place} is not the one that {best.place} has: their journals have parted."
                " Promote neither; keep both as they are, and find out which one took writes by itself.",
            )


def _state(connection: _Connection) -> Standby:
    place = f"{connection.info.host}:{connection.info.port}"
    with _Translated(place):
        row = connection.execute(_STATE).fetchone()
    if row is None:
        raise Invalid(f"The database at {place} holds no journal: name the journal's own database in the address.")
    started, system, sleeps, receives, timeline, received, replayed, quorum, sequence, digest = row
    return Standby(
        place,
        started,
        system,
        sleeps,
        receives,
        int(timeline or "0", 16),
        received,
        replayed,
        quorum,
        sequence,
        bytes(digest),
    )


@contextmanager
def _connected(url: str, number: int) -> Iterator[_Connection]:
    """A connection to the one server at `url`, which is the address of this number."""
    try:
        # an empty setting there must not send us to another server: any that answers is the one that was meant
        told = make_conninfo(
            url,
            target_session_attrs="any",
            connect_timeout=CONNECT_SECONDS,
            application_name="tocsin",
            options=f"-c statement_timeout={ANSWER_MILLISECONDS}",
        )
        connection = psycopg.connect(told, autocommit=True)
    except (psycopg.ProgrammingError, UnicodeError, ValueError):
        raise Invalid(f"Address {number} is none that PostgreSQL's own programs would read.") from None
    except psycopg.Error:
        raise Unavailable(
            f"The server of address {number} can't be reached, or refuses this user or database. It may be the only one"
            " that has what was acknowledged last, so nothing can be said without it: bring it back. If it is lost for"
            " good, read docs/operating/fail-over.md."
        ) from None
    with connection:
        yield connection


class _Translated:
    """A block out of which the errors of PostgreSQL come in our words."""

    def __init__(self, place: str) -> None:
        self._place = place

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        match error:
            case psycopg.errors.UndefinedTable():
                raise Invalid(
                    f"The database at {self._place} holds no journal: name the journal's own database in the address."
                ) from None
            case psycopg.errors.InsufficientPrivilege():
                raise Unavailable(
                    f"The user at {self._place} may not look how far the server has come: take the superuser, or grant"
                    " it pg_monitor and the role that reads the journal."
                ) from None
            case psycopg.Error():
                raise Unavailable(
                    f"{self._place} did not answer: look whether it is well, then compare again."
                ) from None
