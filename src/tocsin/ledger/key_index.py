"""Which row holds a key first: a hash table in one array, asked and filled for many keys at once.

A dictionary of millions of keys costs some 180 bytes each, this one 8 to 16. Reporters choose their keys, so the hash
has secret multipliers: who does not know them cannot choose keys that meet in one slot.
"""

import hashlib
from copy import copy
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tocsin.model.keys import Records

Rows = NDArray[np.int64]
Words = NDArray[np.uint64]
Places = NDArray[np.uint32]

FIRST_BITS: Final = 12
_AT_ONCE: Final = 1 << 14
"""Rows looked at together: what they need meanwhile stays in the processor's cache."""


class KeyIndex:
    """Open addressing with linear probing; a slot holds 0 or the row of a key's first holder, plus one.

    The hash is the multilinear family over 32-bit words (Lemire and Kaser, "Strongly universal string hashing is
    fast", 2014), of which the upper bits are taken. `key_bytes`: the length of a key; `secret`: any bytes that
    reporters do not know.
    """

    def __init__(self, key_bytes: int, secret: bytes) -> None:
        drawn = hashlib.shake_256(secret).digest(8 * (key_bytes // 4 + 1))
        self._multipliers = np.frombuffer(drawn, np.uint64)
        self._empty_table(FIRST_BITS)

    def copy(self) -> "KeyIndex":
        """An index of its own with the same keys."""
        twin = copy(self)
        twin._slots = self._slots.copy()
        return twin

    @property
    def bits(self) -> int:
        """It has so many slots, as a power of two."""
        return self._bits

    def places(self, heads: Rows) -> Places:
        """The slot of each row's key, given the key's first holder."""
        taken = np.nonzero(self._slots)[0]
        places = np.zeros(len(heads), np.uint32)
        places[self._slots[taken] - 1] = taken
        return places[heads]

    def put_back(self, bits: int, heads: Rows, places: Places) -> None:
        """Fills this index, which is empty, with what `places` told of it when it had so many `bits`."""
        self._empty_table(bits)
        self._slots[places] = heads + 1
        self._taken = len(heads)

    def holders_at(self, places: Places) -> Rows:
        """The first holders that are in these slots; -1 where there is none."""
        rows: Rows = self._slots[places].astype(np.int64) - 1
        return rows

    def _empty_table(self, bits: int) -> None:
        self._bits = bits
        self._slots = np.zeros(1 << bits, np.int32)
        self._taken = 0

    def first_holders(self, records: Records, start: int) -> Rows:
        """For each row from `start` on, the first row of `records` with the same key; rows before it are known."""
        words = _words(records)
        heads = np.empty(len(records) - start, np.int64)
        for begin in range(start, len(records), _AT_ONCE):
            rows = np.arange(begin, min(begin + _AT_ONCE, len(records)))
            self._make_room(words, len(rows))
            heads[rows - start] = self._place(words, rows)
        return heads

    def fill_anew(self, records: Records, heads: Rows) -> None:
        """Forgets every row; `heads`, the first holders of the keys in `records`, ascending, are known instead."""
        words = _words(records)
        self._empty_table(FIRST_BITS)
        for begin in range(0, len(heads), _AT_ONCE):
            run = heads[begin : begin + _AT_ONCE]
            self._make_room(words, len(run))
            self._place(words, run)

    def forget(self, records: Records, first: int) -> None:
        """Forgets the keys that only rows from `first` on hold. `records` has those rows still; cost: one pass."""
        words, last = _words(records), len(self._slots) - 1
        gone = np.nonzero(self._slots > first)[0].tolist()
        kept: set[int] = set()
        for slot in gone:  # what stands behind them, up to a free slot, may have gone past them when it was placed
            while held := int(self._slots[slot]):
                if held <= first:
                    kept.add(slot)
                slot = slot + 1 & last
        rows = np.sort(self._slots[sorted(kept)].astype(np.int64)) - 1
        self._slots[[*gone, *kept]] = 0
        self._taken -= len(gone) + len(kept)
        self._place(words, rows)

    def _make_room(self, words: Words, rows: int) -> None:
        """Keeps half of the slots free, so that a search ends after a step or two."""
        bits = self._bits
        while 2 * (self._taken + rows) > 1 << bits:
            bits += 1
        if bits == self._bits:
            return
        heads = np.sort(self._slots[self._slots > 0].astype(np.int64)) - 1
        self._empty_table(bits + 1)
        for begin in range(0, len(heads), _AT_ONCE):
            self._place(words, heads[begin : begin + _AT_ONCE])

    def _place(self, words: Words, rows: Rows) -> Rows:
        """The first holders of the keys in `rows`, ascending; those that nobody held take a slot.

        All rows take their steps together. Rows of one key therefore always look at the same slot, and where several
        rows want a free one, the lowest gets it.
        """
        if not len(rows):
            return rows
        at_once = rows[-1] - rows[0] == len(rows) - 1
        mine = np.ascontiguousarray(words[rows[0] : rows[-1] + 1] if at_once else words[rows])
        heads, marks, at, todo = rows.copy(), rows + 1, self._hash(mine), np.arange(len(rows))
        while len(todo):
            held = self._slots[at]
            free = np.nonzero(held == 0)[0][::-1]  # of several values for one place numpy keeps the last
            wanted = at[free]
            self._slots[wanted] = marks[free]
            held[free] = self._slots[wanted]
            others = np.nonzero(held != marks)[0]
            todo, holder = todo[others], held[others].astype(np.int64) - 1
            same = np.ones(len(todo), np.bool_)
            for word in range(words.shape[1]):  # numpy is slow on rows of two
                same &= words[:, word][holder] == mine[:, word][todo]
            heads[todo[same]] = holder[same]
            further = others[~same]
            todo, marks, at = todo[~same], marks[further], (at[further] + 1) & (len(self._slots) - 1)
        self._taken += int((heads == rows).sum())
        return heads

    def _hash(self, words: Words) -> Rows:
        halves, multipliers = words.view(np.uint32), self._multipliers
        mixed = np.full(len(words), multipliers[-1])
        for half in range(halves.shape[1]):
            mixed += halves[:, half] * multipliers[half]
        slots: Rows = (mixed >> np.uint64(64 - self._bits)).astype(np.int64)
        return slots


def _words(records: Records) -> Words:
    """The keys' bytes as two numbers a row, without copying them. Their order of bytes does not matter here."""
    record = records.dtype
    words: Words = records.view(np.uint64).reshape(-1, record.itemsize // 8)[:, : record["key_data"].itemsize // 8]
    return words
