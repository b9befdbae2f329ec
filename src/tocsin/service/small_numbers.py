"""Counts by provider, such that no small one can be read or computed from them."""

from collections.abc import Mapping
from typing import Final

LEAST: Final = 10
"""Fewer of one provider are never told: somebody at its desk could tell who they were."""


def in_tens(counts: Mapping[int, int]) -> dict[int, int]:
    """`counts` of all providers, rounded down to whole tens; those below ten are left out.

    The total is known elsewhere, to the unit, so an exact count of all providers but one would tell the last one's.
    Rounding leaves up to nine open for each. What could still be computed is the one case that leaves nothing open,
    where each provider has a nine behind its tens: then nothing is told at all.

    >>> in_tens({1: 57, 2: 9, 3: 20}), in_tens({1: 19, 2: 9})
    ({1: 50, 3: 20}, {})
    """
    told = {provider: count // LEAST * LEAST for provider, count in counts.items() if count >= LEAST}
    is_open = sum(counts.values()) - sum(told.values()) < (LEAST - 1) * len(counts)
    return told if is_open else {}
