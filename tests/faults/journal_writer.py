"""A process that appends to a journal and says on its standard output what was acknowledged.

``python -m tests.faults.journal_writer PLACE NAME GROUPS SIZE``; PLACE is a path, or an address of PostgreSQL. A line
for each event, written only when its group is durable: sequence, digest, and the name of the claim that is its own. In
each group there is one more event that claims what all writers contest: the one who gets it writes ``won`` and its
number.
"""

import hashlib
import os
import sys
from pathlib import Path

from tocsin.journal import postgres, sqlite
from tocsin.journal.encoding import NewEvent
from tocsin.journal.port import ClaimTaken, Durability, Journal
from tocsin.model.claims import Claim
from tocsin.model.errors import Unavailable
from tocsin.model.events import Withdrawn
from tocsin.model.times import Instant

NOW = Instant(1_797_150_617)
PATIENT_SECONDS = 60.0
UNAVAILABLE = 3
"""Exit status when the journal was away."""


def claim(name: str) -> Claim:
    """The claim that a name stands for."""
    return Claim(b"\x03" + hashlib.sha256(name.encode("utf-8")).digest())


def open_journal(place: str) -> Journal:
    """The journal at a path, or at an address of PostgreSQL."""
    if place.startswith("postgresql:"):
        return postgres.open(place, Durability.WAIVED)
    return sqlite.open(Path(place), Durability.WAIVED)


def write(place: str, name: str, groups: int, size: int) -> None:
    journal = open_journal(place)
    for number in range(groups):
        said = []
        with journal.group(NOW, PATIENT_SECONDS) as group:
            for member in range(size):
                own = f"{name}/{number}/{member}"
                stored = group.append(NewEvent(Withdrawn(number), b"\0" * 500, (claim(own),)))
                said.append(f"{stored.sequence} {stored.digest.hex()} {own}\n")
            if size:
                try:
                    group.append(NewEvent(Withdrawn(number), None, (claim(f"contested/{number}"),)))
                    said.append(f"won {number}\n")
                except ClaimTaken:
                    pass
        os.write(1, "".join(said or ["beat\n"]).encode("ascii"))
    journal.close()


if __name__ == "__main__":
    try:
        write(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    except Unavailable as unavailable:
        os.write(2, f"{unavailable}\n".encode())
        sys.exit(UNAVAILABLE)
