"""The index of claims made anew, for an engine that restores a journal: its rows in order, each claim held once."""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from tocsin.journal.encoding import StoredEvent
from tocsin.journal.port import Broken
from tocsin.model.claims import CLAIM_BYTES, Claim

_NUMBER: Final = struct.Struct(">Q")


class ClaimIndex:
    """Gathers the claims of all events, 41 bytes each, and gives them back ascending: an index is built fastest so."""

    def __init__(self) -> None:
        self._entries: list[bytes] = []

    def add(self, events: Sequence[StoredEvent]) -> None:
        """The claims of these events."""
        self._entries += (claim + _NUMBER.pack(event.sequence) for event in events for claim in event.claims)

    def rows(self) -> Iterator[tuple[Claim, int]]:
        """Each claim with the event that holds it. Raises `Broken` where one is held twice."""
        self._entries.sort()
        before = b""
        for entry in self._entries:
            claim, sequence = Claim(entry[:CLAIM_BYTES]), _NUMBER.unpack_from(entry, CLAIM_BYTES)[0]
            if claim == before:
                raise Broken(sequence, "an event before it holds a claim of it")
            yield claim, sequence
            before = claim
