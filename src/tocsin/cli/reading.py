"""A person's words, turned into model values: times, serials, selectors, request IDs, files."""

import os
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cyclopts import Parameter, Token

from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.events import Target
from tocsin.model.times import Instant
from tocsin.rules.attribution import REQUEST_ID_BYTES
from tocsin.rules.corrections import Selection


def read_instant(text: str) -> Instant:
    """An ISO 8601 time as UTC seconds; without an offset it is UTC, without a time it is the day's start.

    >>> read_instant("2026-11-25T14:30Z"), read_instant("2026-11-25")
    (1795617000, 1795564800)
    """
    try:
        moment = datetime.fromisoformat(text)
        return Instant(int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))
    except (ValueError, OverflowError):
        raise Invalid("A time is written as 2026-11-25T14:30Z (ISO 8601, UTC).") from None


def read_serials(text: str) -> Target:
    """``BATCH:FIRST-LAST`` as the target it names.

    >>> read_serials("12:0-99")
    Target(provider=None, batch=12, first=0, last=99)
    """
    batch, colon, span = text.partition(":")
    first, dash, last = span.partition("-")
    if not (colon and dash):
        raise Invalid("Serials are written as BATCH:FIRST-LAST, such as 12:0-99; both ends are meant.")
    return Target(batch=read_number(batch), first=read_number(first), last=read_number(last))


def read_number(text: str) -> int:
    """A number without sign, in ASCII digits, small enough for the journal."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise Invalid("A number is written with the digits 0 to 9.")
    return int(text)


def _number(type_: object, tokens: Sequence[Token]) -> int:
    try:
        return read_number(tokens[0].value)
    except Invalid as invalid:
        raise ValueError(str(invalid)) from None


NUMBER: Final = Parameter(converter=_number)
"""A parameter that is a number: 1.5, 1_0 and 0x10 are none."""


def read_selection(selectors: Iterable[str]) -> Selection:
    """What selectors such as ``batch=12`` and ``since=2026-11-25T14:00Z`` mean together: all must hold.

    >>> read_selection(["serials=12:0-99", "reports=5,6"])
    ... # doctest: +NORMALIZE_WHITESPACE
    Selection(target=Target(provider=None, batch=12, first=0, last=99), since_at=None, until_at=None, reports=(5, 6))
    """
    given: dict[str, str] = {}
    for selector in selectors:
        name, equals, value = selector.partition("=")
        if not equals or name not in _SELECTORS:
            raise Invalid(f"A selector is one of {_FORMS}.")
        if name in given:
            raise Invalid("Each selector is given once; reports=5,6 names several reports.")
        given[name] = value
    targets = [_TARGETS[name](value) for name, value in given.items() if name in _TARGETS]
    if len(targets) > 1:
        raise Invalid("Select by one of provider, batch and serials; since, until and reports go with each.")
    return Selection(
        target=targets[0] if targets else None,
        since_at=read_instant(given["since"]) if "since" in given else None,
        until_at=read_instant(given["until"]) if "until" in given else None,
        reports=tuple(map(read_number, given["reports"].split(","))) if "reports" in given else None,
    )


_TARGETS = {
    "provider": lambda value: Target(provider=read_number(value)),
    "batch": lambda value: Target(batch=read_number(value)),
    "serials": read_serials,
}
_SELECTORS = (*_TARGETS, "since", "until", "reports")
_FORMS = "provider=3, batch=12, serials=12:0-99, since=TIME, until=TIME, reports=5,6"


def read_request_id(text: str | None) -> bytes:
    """The 16 bytes of a request ID in hexadecimal; drawn anew if there is none."""
    if text is None:
        return secrets.token_bytes(REQUEST_ID_BYTES)
    try:
        request_id = bytes.fromhex(text)
    except ValueError:
        request_id = b""
    if len(request_id) != REQUEST_ID_BYTES:
        raise Invalid(f"A request ID is {2 * REQUEST_ID_BYTES} hexadecimal digits, drawn at random for one act.")
    return request_id


def read_file(path: Path, most: int = -1) -> bytes:
    """The bytes of a file that a person named, not more than `most` of them unless that is below 0."""
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise Unavailable(f"{path} can't be read: {os.strerror(error.errno or 0)}") from None
