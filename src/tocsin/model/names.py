"""Names of people and providers, compared as people compare them."""

import unicodedata


def folded(name: str) -> str:
    """What `name` is compared by: case, width, compatible forms and spaces apart.

    >>> folded("St.  Elsewhere") == folded("\uff33\uff34. ELSEWHERE ")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
