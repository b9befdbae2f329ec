"""The three families of errors; each is mapped to the wire and to the terminal in one place only.

``Invalid``: somebody's bytes are not what they should be. ``Refused``: a rule said no. ``Unavailable``: later, perhaps.
A foreign exception that leaves a room is a bug.
"""


class TocsinError(Exception):
    """What all errors of tocsin have: a fixed sentence for a person, never an echo of input."""


class Invalid(TocsinError):
    """The bytes, text or file do not hold what they should; the sentence says what is wrong."""


class Refused(TocsinError):
    """A rule said no. `code` is stable (``docs/rules.md``); the sentence tells a person what to do next."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Unavailable(TocsinError):
    """Not now: a service, disk or key that is needed is away. Nothing was stored; the same call may be repeated."""
