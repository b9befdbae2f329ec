"""A process that appends to a journal and says on its standard output what was acknowledged.

``python -m tests.faults.journal_writer PATH NAME GROUPS SIZE``. A line for each event, written only when its group is
durable: sequence, digest, and the name of the claim that is its own. In each group there is one more event that claims
what all writers contest: the one who gets it writes ``won`` and its number.
"""

import hashlib
import os
import sys
from pathlib import Path

from tocsin.journal import sqlite
from tocsin.journal.encoding import NewEvent
from tocsin.journal.port import ClaimTaken, Durability
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


def write(path: Path, name: str, groups: int, size: int) -> None:
    journal = sqlite.open(path, Durability.WAIVED)
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
        write(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    except Unavailable as unavailable:
        os.write(2, f"{unavailable}\n".encode())
        sys.exit(UNAVAILABLE)
