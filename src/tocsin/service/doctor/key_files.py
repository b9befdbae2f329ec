"""The files of the key folder: that nobody else can read them, and that each holds what it is named for."""

import stat
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from tocsin.model.errors import TocsinError
from tocsin.service.doctor.finding import Code, Finding, in_full
from tocsin.service.doctor.subject import Subject

SHOWN: Final = 3


def look(subject: Subject) -> Iterator[Finding]:
    """Files that others can read, and keys that are missing or damaged."""
    try:
        keys = subject.keys
    except TocsinError as error:
        yield Finding(Code.KEYS_UNUSABLE, in_full(error))
        return
    loose = [
        path.relative_to(subject.folders.top)
        for path in (keys.folder, *sorted(keys.folder.rglob("*")))
        if stat.S_IMODE(path.lstat().st_mode) & 0o077
    ]
    if loose:
        others = f" and {len(loose) - SHOWN} more" if len(loose) > SHOWN else ""
        yield Finding(
            Code.KEY_FILE_OPEN,
            f"Others can read or change {', '.join(map(str, loose[:SHOWN]))}{others}, and every command refuses that:"
            f" run `chmod -R go= {keys.folder}`, and ask who may have read it.",
        )
    yield from _usable(keys.head_key)
    yield from _usable(keys.gaen_keys)
    yield from _usable(keys.gaen_signs_from)
    yield from _issuing_secrets(subject)


def _usable(ask: Callable[[], object]) -> Iterator[Finding]:
    try:
        ask()
    except TocsinError as error:
        yield Finding(Code.KEYS_UNUSABLE, f"{in_full(error)} What each is for: docs/operating/key-folder-lost.md.")


def _issuing_secrets(subject: Subject) -> Iterator[Finding]:
    keys = subject.keys
    periods = [name.removeprefix("issuing-") for name in (path.name for path in keys.folder.glob("issuing-*"))]
    numbers = [int(period) for period in periods if period.isascii() and period.isdecimal()]
    if not numbers:
        yield Finding(
            Code.KEYS_UNUSABLE,
            "There is no issuing secret in the key folder: cards that are out are answered as expired. Restore"
            " issuing-1 from its backup.",
        )
    for number in numbers:
        yield from _usable(partial(keys.issuing_secret, number))
