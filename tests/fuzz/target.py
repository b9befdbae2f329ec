"""A target: a decoder of foreign bytes, what must hold of whatever it is given, and bytes to begin with.

One function serves all who throw bytes at it: the replay of seeds and findings, Hypothesis (`test_targets.py`) and
atheris (`under_atheris.py`). A target takes any bytes, and shapes them: a checksum that no fuzzer could guess is put
behind them, a text is read out of them.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from msgspec import Struct

from tocsin.model.errors import Invalid, Refused

_VECTORS: Final = Path(__file__).parents[1] / "vectors"
_SHARED: Final = Path(__file__).resolve().parents[3] / "shared" / "data"
_scratch: Final[list[TemporaryDirectory[str]]] = []
MOST_SEED_BYTES: Final = 65_536
"""A larger seed costs more time than it opens ways."""


class Target(Struct, frozen=True):
    """`read` reads whatever it is given, and fails where one of its promises does not hold.

    It may raise `Invalid` or `Refused`: the bytes were refused. `decoders`: the functions that it is for, by their full
    names. `words`: what the format is made of, for the fuzzer's dictionary.
    """

    name: str
    decoders: tuple[str, ...]
    read: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]
    words: tuple[bytes, ...] = ()
    most_bytes: int = 4096

    def takes(self, data: bytes) -> bool:
        """Whether `data` was taken, or refused as it should be. Anything else that it raises is a finding."""
        try:
            self.read(data)
        except (Invalid, Refused):
            return False
        return True


def refused(read: Callable[..., object], *arguments: object) -> bool:
    """Whether `read` refuses, and so says nothing more of these bytes; for targets of several decoders."""
    try:
        read(*arguments)
    except (Invalid, Refused):
        return True
    return False


def scratch() -> Path:
    """A folder for targets that read files; gone with the process, if that ends as processes do."""
    folder = TemporaryDirectory(prefix="tocsin-fuzz-")
    _scratch.append(folder)  # it is removed once nobody holds it
    return Path(folder.name)


def text_of(data: bytes) -> str:
    """Any text, lone surrogates included, as a terminal or a system call may hand it over."""
    return data.decode("utf-8", "surrogateescape")


def vector_texts(name: str) -> list[str]:
    """Every text in a file of vectors, good ones and bad ones."""
    return list(_texts(json.loads((_VECTORS / f"{name}.json").read_text(encoding="utf-8"))))


def vector_bytes(name: str) -> Iterator[bytes]:
    """Every text in a file of vectors that is hexadecimal, as bytes."""
    for text in vector_texts(name):
        try:
            yield bytes.fromhex(text)
        except ValueError:
            continue


def foreign_files(pattern: str) -> Iterator[bytes]:
    """Recorded files of other systems, where the folder `shared` is beside the project; the small ones."""
    for path in sorted(_SHARED.glob(pattern)):
        if path.is_file() and path.stat().st_size <= MOST_SEED_BYTES:
            yield path.read_bytes()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
