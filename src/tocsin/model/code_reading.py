"""What the service learnt of a code before any rule looks at it.

The service parses the text, computes the MAC and compares it in constant time; rules are handed the outcome and never
see a secret.
"""

from enum import IntEnum
from typing import Final

from msgspec import Struct


class CodeKind(IntEnum):
    """The kind of a code is the value of its first symbol; 0 where there is none."""

    NONE = 0
    CARD = 12  # C
    PHONE = 22  # P
    TRAINING = 26  # T


class CodeReading(Struct, frozen=True):
    """A code as read: `kind`, `batch` and `serial` are 0 if it does not parse.

    `genuine`: the MAC is right; None if the secret of its issuing period is gone. `claim`: the 33 bytes that make it
    single-use, where it is genuine.
    """

    kind: int = CodeKind.NONE
    batch: int = 0
    serial: int = 0
    genuine: bool | None = False
    claim: bytes | None = None


NO_CODE: Final = CodeReading()
"""No code was sent, or what was sent does not parse."""
