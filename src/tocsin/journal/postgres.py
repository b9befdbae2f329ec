"""The engine for more than one machine: PostgreSQL, with synchronous standbys in other sites.

A group locks the one row of `tip`, and whoever else would append waits there; it looks claims up, keeps what it appends
in memory, and at its end sends all of it, with the commit, in one go. The commit returns when a standby has it on disk
as well. What is not answered in time is left alone, never cancelled (`tocsin.journal.postgres_connection`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from time import perf_counter
from typing import Final, TypeVar

from tocsin.journal.claim_index import ClaimIndex
from tocsin.journal.content import day_bytes
from tocsin.journal.encoding import NewEvent, StoredEvent, number_event, sorted_claims, split_claims
from tocsin.journal.port import (
    DEADLINE_SECONDS,
    FIRST_TERM,
    PAGE_EVENTS,
    RETIRED,
    Broken,
    ClaimTaken,
    Durability,
    Tip,
    first_recorded_since,
    refuse_lag,
    refuse_retired,
)
from tocsin.journal.postgres_connection import READ_SECONDS, JournalConnection, Translated, check_standbys
from tocsin.journal.postgres_pool import Pool
from tocsin.journal.verify import linked
from tocsin.model.claims import Claim
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.times import Day, Instant, day_start, floor_quarter

T = TypeVar("T")

READERS: Final = 4
"""Connections of one process that read; one more writes, since only one group can be open anyway."""
GRACE_SECONDS: Final = 0.5
"""How much longer than PostgreSQL's own time-out an answer is waited for."""
HELD_SECONDS: Final = 300
"""A process that holds the tip and asks nothing for so long stands still: the server ends its group. To copy and prove
a journal while nobody can append must take less."""
LOAD_SECONDS: Final = 600.0
"""How long a restored journal's commit is waited for: a standby must have all of it."""
LOADED_AT_ONCE: Final = 5000
ERASE_SECONDS: Final = 10.0
"""How long a step of erasing may take."""
ERASED_AT_ONCE: Final = 500

_BUSY: Final = (
    "other writers held the journal for too long: nothing was stored, try again. They wait in this very process for its"
    " database server"
)
_CROWDED: Final = "too many of this process read the journal at once: try again"
_BEGIN: Final = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = {milliseconds};"
    " SET LOCAL idle_in_transaction_session_timeout = {held_milliseconds};"
    " SELECT sequence, digest, recorded_at, term, beats,"
    " current_setting('synchronous_commit'), current_setting('synchronous_standby_names') FROM tip FOR UPDATE;"
    " SELECT sequence, digest FROM event ORDER BY sequence DESC LIMIT 1"
)
"""One round trip. Each statement sees what was committed before it began: the last those before us in the queue."""
_TIP: Final = "SELECT sequence, digest, recorded_at, term, beats FROM tip"
_READ: Final = (
    "SELECT sequence, recorded_at, kind, body, content, content_digest, claims, digest FROM event"
    " WHERE sequence > %s ORDER BY sequence LIMIT %s"
)
_HOLDERS: Final = "SELECT claim, sequence FROM claim WHERE claim = ANY(%b)"
_CLAIM_ROWS: Final = "SELECT claim, sequence FROM claim WHERE claim > %s ORDER BY claim LIMIT %s"
_ADD_EVENTS: Final = (
    "INSERT INTO event (sequence, recorded_at, kind, body, content, content_digest, claims, digest)"
    " SELECT * FROM unnest(%b::bigint[], %b::bigint[], %b::text[], %b::bytea[], %b::bytea[], %b::bytea[], %b::bytea[],"
    " %b::bytea[])"
)
"""Arrays in binary: as text each of their bytes would be spelt out."""
_ADD_CLAIMS: Final = "INSERT INTO claim (claim, sequence) SELECT * FROM unnest(%b::bytea[], %b::bigint[])"
_COPY_EVENTS: Final = (
    b"COPY event (sequence, recorded_at, kind, body, content, content_digest, claims, digest) FROM STDIN"
)
_COPY_CLAIMS: Final = b"COPY claim (claim, sequence) FROM STDIN"
_MOVE_TIP: Final = "UPDATE tip SET sequence = %s, digest = %s, recorded_at = %s, beats = %s"
_ERASE: Final = "SELECT erase_content(%s, %s, %s)"


def create(url: str, term: int = FIRST_TERM, durability: Durability = Durability.REQUIRED) -> "PostgresJournal":
    """A new, empty journal in the database at `url`, durable when it returns. `term` is higher in a rebuilt one.

    Tables that are there already are taken if no event is in them. Raises `Invalid` if one is, `Unavailable` if the
    server is away or not durable.
    """
    from tocsin.journal.postgres_schema import make_schema  # not needed, nor its libraries loaded, by any other call

    make_schema(url, term, durability)
    return open(url, durability)


def open(url: str, durability: Durability = Durability.REQUIRED) -> "PostgresJournal":
    """The journal in the database at `url`, its servers and the rest as libpq reads it.

    Raises `Invalid` if there is none, or one of another version's schema, `Unavailable` if the server is away or not
    durable. `WAIVED`: one machine is meant, so there need be no standby.
    """
    journal = PostgresJournal(url, durability)
    try:
        journal.tip()
    except BaseException:
        journal.close()
        raise
    return journal


class PostgresJournal:
    """A `tocsin.journal.port.Journal`. Must not be taken along into a forked process."""

    def __init__(self, url: str, durability: Durability) -> None:
        self._readers = Pool(url, durability, READERS)
        self._writer = Pool(url, durability, 1)
        self._durability = durability

    def tip(self) -> Tip:
        return self._read(_tip)

    def read(self, after: int, limit: int = PAGE_EVENTS) -> list[StoredEvent]:
        return self._read(lambda connection: _events(connection, after, limit))

    def holders(self, claims: Sequence[Claim]) -> list[int | None]:
        held = self._read(lambda connection: _held(connection, claims))
        return [held.get(claim) for claim in claims]

    def claim_rows(self, after: Claim, limit: int) -> list[tuple[Claim, int]]:
        return self._read(
            lambda connection: [
                (Claim(claim), sequence)
                for claim, sequence in connection.execute(_CLAIM_ROWS, (after, limit), binary=True)
            ]
        )

    @contextmanager
    def group(self, now: Instant, deadline_seconds: float = DEADLINE_SECONDS) -> Iterator["PostgresGroup"]:
        give_up_at = perf_counter() + deadline_seconds  # a stopwatch, not the time of day

        def begin(connection: JournalConnection) -> PostgresGroup:
            connection.deadline_seconds = max(give_up_at - perf_counter(), 0) + GRACE_SECONDS
            tip = _locked_tip(connection, give_up_at - perf_counter(), self._durability)
            connection.deadline_seconds = max(deadline_seconds, DEADLINE_SECONDS)
            return PostgresGroup(connection, tip, now)

        with self._writer.asked(begin, deadline_seconds, _BUSY) as (_, group):
            try:
                yield group
                group.store()
            finally:
                group.end()

    def load(self, events: Iterable[StoredEvent]) -> Tip:
        def begin(connection: JournalConnection) -> Tip:
            connection.deadline_seconds = LOAD_SECONDS
            return _locked_tip(connection, LOAD_SECONDS, self._durability)

        with self._writer.asked(begin, LOAD_SECONDS, _BUSY) as (connection, tip), Translated():
            if tip.sequence:
                raise Invalid("The journal is not empty: events are restored into a new one only.")
            index = ClaimIndex()
            coming = linked(events)
            while some := list(islice(coming, LOADED_AT_ONCE)):
                tip = tip.moved_to(some[-1])
                index.add(some)
                _copy(connection, _COPY_EVENTS, map(_row, some))
            _copy(connection, _COPY_CLAIMS, index.rows())
            connection.warned = False
            connection.execute(_MOVE_TIP, (tip.sequence, tip.digest, tip.recorded_at, tip.beats))
            connection.refuse_warned(connection.execute("COMMIT"))
        return tip

    def erase(self, day: Day) -> int:
        """As the port has it. Nulled bytes stay in dead rows until PostgreSQL writes over them, and in its write-ahead
        log: it is the day key that makes them unreadable."""
        erased = 0
        for after in range(first_recorded_since(self, day_start(day)) - 1, self.tip().sequence, ERASED_AT_ONCE):
            run = day_bytes(day), after, after + ERASED_AT_ONCE
            with self._readers.asked(_patient, ERASE_SECONDS, _CROWDED) as (connection, _), Translated():
                connection.warned = False
                row = connection.execute(_ERASE, run).fetchone()
                connection.refuse_warned()
            erased += 0 if row is None else row[0]
        return erased

    def close(self) -> None:
        self._readers.close()
        self._writer.close()

    def _read(self, ask: Callable[[JournalConnection], T]) -> T:
        """The answer to `ask`, of one statement: no read transaction outlives a page."""

        def patiently(connection: JournalConnection) -> T:
            connection.deadline_seconds = READ_SECONDS
            return ask(connection)

        with self._readers.asked(patiently, READ_SECONDS, _CROWDED) as (_, answer):
            return answer


class PostgresGroup:
    """A `tocsin.journal.port.Group`, within one transaction that holds the tip."""

    def __init__(self, connection: JournalConnection, tip: Tip, now: Instant) -> None:
        refuse_retired(tip)
        refuse_lag(now, tip)
        self._connection = connection
        self._tip = self._began = tip
        self._recorded_at = max(floor_quarter(now), tip.recorded_at)
        self._members: list[StoredEvent] = []
        self._known: dict[Claim, int | None] = {}
        self._retired = False
        self._over = False

    @property
    def tip(self) -> Tip:
        return self._tip

    def read(self, after: int, limit: int = PAGE_EVENTS) -> list[StoredEvent]:
        stored = self._ask(lambda connection: _events(connection, after, limit))
        own = self._members[max(after - self._began.sequence, 0) :]
        return (stored + own)[:limit]

    def expect(self, claims: Iterable[Claim]) -> None:
        unknown = list({claim for claim in claims if claim not in self._known})
        if unknown:
            held = self._ask(lambda connection: _held(connection, unknown))
            self._known |= {claim: held.get(claim) for claim in unknown}

    def claimed(self, claim: Claim) -> int | None:
        self._refuse_over()
        self.expect((claim,))
        return self._known[claim]

    def append(self, event: NewEvent) -> StoredEvent:
        self._refuse_over()
        claims = sorted_claims(event.claims)
        self.expect(claims)
        for claim in claims:
            holder = self._known[claim]
            if holder is not None:
                raise ClaimTaken(claim, holder)
        stored = number_event(event, self._tip.digest, self._tip.sequence + 1, self._recorded_at)
        self._members.append(stored)
        self._known |= dict.fromkeys(claims, stored.sequence)
        self._tip = self._tip.moved_to(stored)
        return stored

    def retire(self) -> None:
        self._refuse_over()
        self._retired = True

    def store(self) -> None:
        """Sends what was appended, or a beat, and the commit; all of it is durable when this returns. Not for callers
        of a group."""
        self._ask(self._store)

    def end(self) -> None:
        """Nothing can be stored in this group any more."""
        self._over = True

    def _store(self, connection: JournalConnection) -> None:
        tip = self._tip
        beats = RETIRED if self._retired else tip.beats + (tip.sequence == self._began.sequence)
        connection.warned = False
        with connection.pipeline():
            if self._members:
                connection.execute(_ADD_EVENTS, _columns(self._members), binary=True)
                claims = [(claim, event.sequence) for event in self._members for claim in event.claims]
                connection.execute(_ADD_CLAIMS, [list(column) for column in zip(*claims, strict=True)] or ([], []))
            connection.execute(_MOVE_TIP, (tip.sequence, tip.digest, tip.recorded_at, beats))
            answered = connection.execute("COMMIT")
        connection.refuse_warned(answered)

    def _ask(self, ask: Callable[[JournalConnection], T]) -> T:
        """The answer to `ask`. After a failure there is none: PostgreSQL takes nothing more in this transaction."""
        self._refuse_over()
        try:
            with Translated():
                return ask(self._connection)
        except BaseException:
            self._over = True
            raise

    def _refuse_over(self) -> None:
        if self._over:
            raise Unavailable("The group is over, or its database failed before: nothing more can be stored in it.")


def _patient(connection: JournalConnection) -> None:
    connection.deadline_seconds = ERASE_SECONDS


def _locked_tip(connection: JournalConnection, seconds: float, durability: Durability) -> Tip:
    """The tip, held until the transaction ends that begins here. Raises as `Journal.group`."""
    cursor = connection.execute(
        _BEGIN.format(milliseconds=max(int(seconds * 1000), 1), held_milliseconds=HELD_SECONDS * 1000).encode()
    )
    while cursor.description is None and cursor.nextset():
        pass
    row = cursor.fetchone()
    if row is None:
        raise Invalid("The journal has lost its tip: restore the newest copy.")
    *fields, commit, standbys = row
    tip = Tip(*fields)
    cursor.nextset()
    if (cursor.fetchone() or (0, tip.digest)) != (tip.sequence, tip.digest):
        raise Broken(max(tip.sequence, 1), "the tip and the last event do not agree; verify the journal")
    check_standbys(commit, standbys, durability)
    return tip


def _tip(connection: JournalConnection) -> Tip:
    row = connection.execute(_TIP, binary=True).fetchone()
    if row is None:
        raise Invalid("The journal has lost its tip: restore the newest copy.")
    return Tip(*row)


def _events(connection: JournalConnection, after: int, limit: int) -> list[StoredEvent]:
    events = []
    for expected, row in enumerate(connection.execute(_READ, (after, limit), binary=True), after + 1):
        if row[0] != expected:
            raise Broken(expected, "it is missing")
        sequence, recorded_at, kind, body, content, content_digest, claims, digest = row
        try:
            split = split_claims(claims)
        except Invalid as invalid:
            raise Broken(sequence, str(invalid)) from None
        events.append(StoredEvent(sequence, recorded_at, kind, body, content, content_digest, split, digest))
    return events


def _held(connection: JournalConnection, claims: Sequence[Claim]) -> dict[Claim, int]:
    """Of these claims those that are held, with the sequences of their events."""
    return dict(connection.execute(_HOLDERS, (list(claims),), binary=True))


def _columns(events: Sequence[StoredEvent]) -> list[list[object]]:
    return [list(column) for column in zip(*map(_row, events), strict=True)]


def _row(event: StoredEvent) -> tuple[object, ...]:
    return (
        event.sequence,
        event.recorded_at,
        event.kind,
        event.body,
        event.content,
        event.content_digest,
        b"".join(event.claims),
        event.digest,
    )


def _copy(connection: JournalConnection, statement: bytes, rows: Iterable[Sequence[object]]) -> None:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
