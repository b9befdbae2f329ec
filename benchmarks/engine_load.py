"""One writer of one journal, as a process: ``python -m benchmarks.engine_load PLACE``, PLACE a file or an address.

For each line ``DRIVER WAITING SECONDS`` on its standard input it appends for so long, and writes a line of JSON: the
seconds that each group took. So many calls wait at any time, and all that wait share a group, as in
`tocsin.service.collect`: when a group is durable, its callers call again at once.

``engine`` is the journal as the service uses it; ``bare`` the same transaction by hand, on the same tables: the tip is
read and locked, claims are looked up, events and claims go in, the tip moves, one commit. It numbers and does nothing
else: its digests are drawn, its bodies were made before.
"""

import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Final

import psycopg

from tocsin.journal import postgres, sqlite
from tocsin.journal.encoding import NewEvent, encode_body
from tocsin.journal.port import Durability, Journal
from tocsin.model import base64url
from tocsin.model.claims import Claim
from tocsin.model.events import Reported
from tocsin.model.times import Instant

NOW: Final = Instant(1_797_150_600)
CONTENT_BYTES: Final = 425
"""14 keys, sealed."""
KEYS: Final = 14
CLAIMS: Final = (1, 3, 7)
"""The classes that a report with a card claims."""

Group = Callable[[Sequence[NewEvent]], None]
"""Makes these events durable, in one group."""


def reports(number: int) -> list[NewEvent]:
    """So many reports, each with claims of its own."""
    return [_report(os.urandom(32)) for _ in range(number)]


def _report(own_id: bytes) -> NewEvent:
    body = Reported(base64url.encode(own_id), int(NOW), 1, "t" * KEYS, (1,) * KEYS)
    claims = (Claim(bytes([1]) + own_id), *(Claim(bytes([each]) + os.urandom(32)) for each in CLAIMS[1:]))
    return NewEvent(body, os.urandom(CONTENT_BYTES), claims)


def through(journal: Journal) -> Group:
    """As `Performer.answer` appends."""

    def append(events: Sequence[NewEvent]) -> None:
        with journal.group(NOW) as group:
            group.expect(claim for event in events for claim in event.claims)
            for event in events:
                group.append(event)

    return append


def bare_sqlite(connection: sqlite3.Connection) -> Group:
    """`sqlite3` by hand."""
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")

    def append(events: Sequence[NewEvent]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        tip, beats = connection.execute("SELECT sequence, beats FROM tip").fetchone()
        for event in events:
            for claim in event.claims:
                assert connection.execute("SELECT sequence FROM claim WHERE claim = ?", (claim,)).fetchone() is None
        rows = list(map(_row, events, count(tip + 1)))
        connection.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        connection.executemany("INSERT INTO claim VALUES (?, ?)", _claims(events, tip))
        moved = tip + len(events), rows[-1][-1], NOW, beats
        connection.execute("UPDATE tip SET sequence = ?, digest = ?, recorded_at = ?, beats = ?", moved)
        connection.execute("COMMIT")

    return append


def bare_psycopg(connection: psycopg.Connection) -> Group:
    """psycopg by hand, in as few round trips as can be."""
    types = "bigint", "bigint", "text", "bytea", "bytea", "bytea", "bytea", "bytea"
    unnest = ", ".join(f"%b::{name}[]" for name in types)
    add_events = f"INSERT INTO event SELECT * FROM unnest({unnest})".encode()

    def append(events: Sequence[NewEvent]) -> None:
        asked = [claim for event in events for claim in event.claims]
        with connection.pipeline():
            connection.execute("BEGIN")
            read = connection.execute("SELECT sequence, beats FROM tip FOR UPDATE")
            held = connection.execute("SELECT claim FROM claim WHERE claim = ANY(%b)", (asked,), binary=True)
            tip, beats = read.fetchone() or (0, 0)
            assert held.fetchone() is None
            rows = list(map(_row, events, count(tip + 1)))
            connection.execute(add_events, [list(column) for column in zip(*rows, strict=True)], binary=True)
            claims = [list(column) for column in zip(*_claims(events, tip), strict=True)]
            connection.execute("INSERT INTO claim SELECT * FROM unnest(%b::bytea[], %b::bigint[])", claims, binary=True)
            moved = tip + len(events), rows[-1][-1], NOW, beats
            connection.execute("UPDATE tip SET sequence = %s, digest = %s, recorded_at = %s, beats = %s", moved)
            connection.execute("COMMIT")

    return append


def _row(event: NewEvent, sequence: int) -> tuple[object, ...]:
    joined = b"".join(sorted(event.claims))
    return sequence, int(NOW), "reported", encode_body(event.body), event.content, bytes(32), joined, os.urandom(32)


def _claims(events: Sequence[NewEvent], tip: int) -> list[tuple[Claim, int]]:
    return [(claim, sequence) for sequence, event in enumerate(events, tip + 1) for claim in event.claims]


def load(append: Group, waiting: int, seconds: float) -> list[float]:
    """How long each group took. The reports are made between the groups, as phones make them."""
    took: list[float] = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end or not took:
        events = reports(waiting)
        began = time.perf_counter()
        append(events)
        took.append(time.perf_counter() - began)
    return took


def main(place: str) -> None:
    if place.startswith("postgresql:"):
        drivers = {
            "engine": through(postgres.open(place)),
            "bare": bare_psycopg(psycopg.connect(place, autocommit=True)),
        }
    else:
        bare = bare_sqlite(sqlite3.connect(place, isolation_level=None))
        drivers = {"engine": through(sqlite.open(Path(place), Durability.WAIVED)), "bare": bare}
    for line in sys.stdin:
        driver, waiting, seconds = line.split()
        print(json.dumps(load(drivers[driver], int(waiting), float(seconds))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
