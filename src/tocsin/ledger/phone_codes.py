"""The phone codes that the ledger remembers, by their keyed hashes: those that live, and those that ended days ago.

Memory: 280 bytes a code that is issued alone, 160 of many at once, for its life and three days; so the codes of four
days are all there is, however long the journal. What is forgotten follows from the journal alone.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from tocsin.model.code_reading import Life
from tocsin.model.times import QUARTERS_PER_DAY, Day

REMEMBERED_DAYS: Final = 3
"""A code is known for so many whole UTC days after the day on which it ends: for calls that arrive in time and are
appended late, and so that the one who has it is told that it expired."""


class PhoneCode(Struct, frozen=True, gc=False):
    """A phone code that was issued."""

    batch: int
    serial: int
    life: Life


class PhoneCodes(Struct):
    """Issuing period and keyed hash → phone code. The fold adds and forgets; rules and readers ask.

    `held`: by issuing period and the UTC day on which they end, so that a day is forgotten at once.
    """

    held: dict[tuple[int, int], dict[bytes, PhoneCode]] = {}

    def add(self, issuing_period: int, hashes: Iterable[bytes], first: PhoneCode) -> None:
        """Remembers codes of one issue: `first`, and those with the next serials."""
        held = self.held.setdefault((issuing_period, first.life.valid_until // QUARTERS_PER_DAY), {})
        for serial, code_hash in enumerate(hashes, first.serial):
            held[code_hash] = PhoneCode(first.batch, serial, first.life)

    def forget_before(self, today: Day) -> None:
        """Forgets what has ended long enough before `today`."""
        for period, day in list(self.held):
            if day + REMEMBERED_DAYS < today:
                del self.held[period, day]

    def find(self, issuing_period: int, code_hash: bytes) -> PhoneCode | None:
        """The code of that period with this hash. All days are looked through, whatever is found."""
        found = [codes.get(code_hash) for (period, _), codes in self.held.items() if period == issuing_period]
        return next((code for code in found if code is not None), None)

    @property
    def issuing_periods(self) -> tuple[int, ...]:
        """The periods of the remembered codes, ascending."""
        return tuple(sorted({period for period, _ in self.held}))

    def alive(self, at: int) -> int:
        """How many codes have not ended in the quarter-hour of `at`. Cost: a step a code."""
        return sum(not code.life.has_ended(at) for codes in self.held.values() for code in codes.values())

    def copy(self) -> "PhoneCodes":
        """A memory of its own that holds the same."""
        return PhoneCodes({where: codes.copy() for where, codes in self.held.items()})
