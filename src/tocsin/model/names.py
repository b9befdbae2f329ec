"""Names of people and providers, compared as people compare them."""

import unicodedata


def folded(name: str) -> str:
    """What `name` is compared by: case, width, compatible forms and spaces apart.

    Normalised again at the end, since to fold case can take a composed letter apart (Unicode 3.13, D146).

    >>> folded("St.  Elsewhere") == folded("\uff33\uff34. ELSEWHERE ")
    True
    """
    small = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", name).casefold()).casefold()
    return " ".join(unicodedata.normalize("NFKC", small).split())
