"""What the service learnt of a code before any rule looks at it.

The service parses the text, computes the MAC and compares it in constant time; rules are handed the outcome and never
see a secret.
"""

from enum import IntEnum
from typing import Final

from msgspec import Struct

from tocsin.model.times import QUARTER_SECONDS


class CodeKind(IntEnum):
    """The kind of a code is the value of its first symbol; 0 where there is none."""

    NONE = 0
    CARD = 12  # C
    PHONE = 22  # P
    TRAINING = 26  # T


class Life(Struct, frozen=True, gc=False):
    """When a code is of use, in quarter-hours since 1970; the end is not included."""

    valid_from: int
    valid_until: int

    def joined(self, other: "Life") -> "Life":
        """From where the first of the two begins to where the last ends."""
        return Life(min(self.valid_from, other.valid_from), max(self.valid_until, other.valid_until))

    def has_begun(self, at: int) -> bool:
        """Whether it has begun in the quarter-hour of `at`."""
        return at // QUARTER_SECONDS >= self.valid_from

    def has_ended(self, at: int) -> bool:
        """Whether it has ended in the quarter-hour of `at`: no such code is of use again."""
        return at // QUARTER_SECONDS >= self.valid_until


class CodeReading(Struct, frozen=True):
    """A code as read: `kind`, `batch` and `serial` are 0 if it does not parse.

    `genuine`: the MAC is right, or the hash is that of a phone code that was issued; None if the secret of its issuing
    period is gone. `claim`: the 33 bytes that make it single-use, where it is genuine. `life`: that of the code itself,
    of phone codes only; a card has its batch's. Whatever reads as a phone code has that kind, also if none is known.
    """

    kind: int = CodeKind.NONE
    batch: int = 0
    serial: int = 0
    genuine: bool | None = False
    claim: bytes | None = None
    life: Life | None = None

    @property
    def spelt(self) -> tuple[int, int, int]:
        """Kind, batch and serial as far as the text alone tells them: a phone code says no batch and no serial."""
        if self.kind == CodeKind.PHONE:
            return self.kind, 0, 0
        return self.kind, self.batch, self.serial


NO_CODE: Final = CodeReading()
"""No code was sent, or what was sent does not parse."""
