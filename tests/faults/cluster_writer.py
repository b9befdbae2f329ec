"""A process that appends to a journal in PostgreSQL, whatever happens to its servers, and says what was acknowledged.

``python -m tests.faults.cluster_writer URL NAME GROUPS SIZE``. Each group is repeated, with its claims, until it is
durable. Only then a line for each of its events: its sequence, and the name of the claim that is its own. The last one
claims what all writers contest; its line names the sequence that holds it, whoever that is.
"""

import os
import sys
import time

from tests.faults.journal_writer import NOW, claim
from tocsin.journal import postgres
from tocsin.journal.encoding import NewEvent
from tocsin.journal.port import ClaimTaken, Group
from tocsin.journal.postgres import PostgresJournal
from tocsin.model.errors import Unavailable
from tocsin.model.events import Withdrawn

PAUSE_SECONDS = 0.05


def write(url: str, name: str, groups: int, size: int) -> None:
    journal: PostgresJournal | None = None
    for number in range(groups):
        names = [*(f"{name}/{number}/{member}" for member in range(size)), f"contested/{number}"]
        held: list[int] = []
        while not held:
            try:
                journal = journal or postgres.open(url)
                with journal.group(NOW) as group:
                    in_group = [_sequence(group, each) for each in names]
                held = in_group
            except Unavailable:
                time.sleep(PAUSE_SECONDS)  # a fail-over may last, and the same group may be appended again
        os.write(1, "".join(f"{at} {each}\n" for at, each in zip(held, names, strict=True)).encode("ascii"))
    if journal is not None:
        journal.close()


def _sequence(group: Group, name: str) -> int:
    """The event that claims `name`: a new one, or the one that holds it."""
    try:
        return group.append(NewEvent(Withdrawn(1), b"\0" * 500, (claim(name),))).sequence
    except ClaimTaken as taken:
        return taken.sequence


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
