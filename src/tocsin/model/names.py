"""Names of people and providers, compared as people compare them."""

import re
import unicodedata
from typing import Final

_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""What is printable to Python and shown by no font (Unicode's Default_Ignorable_Code_Point)."""


def folded(name: str) -> str:
    """What `name` is compared by: case, width, compatible forms, spaces and what nobody sees apart.

    Normalised again at the end, since to fold case can take a composed letter apart (Unicode 3.13, D146).

    >>> folded("St.  Elsewhere") == folded("\uff33\uff34. ELSEWHERE ")
    True
    """
    small = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", _UNSEEN.sub("", name)).casefold()).casefold()
    return " ".join(unicodedata.normalize("NFKC", small).split())
