"""The index of claims made anew, for an engine that restores a journal: its rows in order, each claim held once."""

from collections.abc import Iterator, Sequence
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from tocsin.journal.encoding import StoredEvent
from tocsin.journal.port import Broken
from tocsin.model.claims import CLAIM_BYTES, Claim

_WORDS: Final = -(-CLAIM_BYTES // 8)
_AT_ONCE: Final = 1 << 16
"""Rows that are handed out together."""


class ClaimIndex:
    """Gathers the claims of all events, 41 bytes each, and gives them back ascending: an index is built fastest so."""

    def __init__(self) -> None:
        self._claims: list[bytes] = []
        self._sequences: list[NDArray[np.int64]] = []

    def add(self, events: Sequence[StoredEvent]) -> None:
        """The claims of these events, 33 bytes each."""
        self._claims.append(b"".join([claim for event in events for claim in event.claims]))
        counts = [len(event.claims) for event in events]
        self._sequences.append(np.repeat(np.array([event.sequence for event in events], np.int64), counts))

    def rows(self) -> Iterator[tuple[Claim, int]]:
        """Each claim with the event that holds it. Raises `Broken` where one is held twice."""
        claims = np.frombuffer(b"".join(self._claims), f"V{CLAIM_BYTES}")
        sequences = np.concatenate(self._sequences or [np.zeros(0, np.int64)])
        order = _ascending(claims)
        ordered = claims[order]
        twice = np.nonzero(ordered[1:] == ordered[:-1])[0]
        if len(twice):
            raise Broken(int(sequences[order[twice + 1]].min()), "an event before it holds a claim of it")
        for begin in range(0, len(order), _AT_ONCE):
            some = slice(begin, begin + _AT_ONCE)
            yield from zip(cast(list[Claim], ordered[some].tolist()), sequences[order[some]].tolist(), strict=True)


def _ascending(claims: NDArray[np.void]) -> NDArray[np.intp]:
    """The permutation that sorts `claims`; those that are alike stay in their order."""
    padded = np.zeros((len(claims), 8 * _WORDS), np.uint8)
    padded[:, :CLAIM_BYTES] = claims.view(np.uint8).reshape(-1, CLAIM_BYTES)
    words = padded.view(">u8").astype(np.uint64)  # they compare as the bytes do
    first = np.ascontiguousarray(words[:, 0])
    order = np.argsort(first)
    ranked = first[order]
    alike = ranked[1:] == ranked[:-1]
    tied = np.zeros(len(order), np.bool_)  # claims of small numbers share their first 8 bytes: by all of them, then
    tied[:-1] |= alike
    tied[1:] |= alike
    order[tied] = order[tied][np.lexsort((order[tied], *words[order[tied]].T[::-1]))]
    return order
