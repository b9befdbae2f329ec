"""What may be done only so often, and what a rule asks before it lets it be done.

How often, and who counts, is the service's (`service.allowances`): a rule remembers nothing.
"""

from enum import Enum
from typing import Final, Protocol


class Costly(Enum):
    """What may be done only so often."""

    GUESS = "guess"
    """A phone code is looked at: short enough to be guessed, if one may guess without end."""
    SELF_REPORT = "self_report"


class Allowance(Protocol):
    """What the source of a call may still do, and all sources together."""

    def take(self, what: Costly) -> bool:
        """Takes one, before anything is looked at; False if there is none."""
        ...

    def give_back(self) -> None:
        """Gives back what was taken."""
        ...


class Unlimited:
    """An allowance that is never used up: for calls of no source."""

    def take(self, what: Costly) -> bool:
        """Takes nothing."""
        return True

    def give_back(self) -> None:
        """Has nothing to give back."""


UNLIMITED: Final = Unlimited()
