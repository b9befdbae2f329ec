"""Writes the test vectors again: every ``make_<name>.py`` beside this file gives ``<name>.json``.

A generator has ``vectors() -> dict[str, object]``, says the same each time, and works out what good vectors must hold
without the code under test. Names as arguments select: ``python tests/vectors/make.py card_code``.
"""

import importlib
import json
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """The vectors that have a generator."""
    return sorted(path.stem.removeprefix("make_") for path in FOLDER.glob("make_*.py"))


def made(name: str) -> str:
    """What ``<name>.json`` should hold, by its generator."""
    generator = importlib.import_module(f"tests.vectors.make_{name}")
    return json.dumps(generator.vectors(), indent=2, sort_keys=True) + "\n"


def path_of(name: str) -> Path:
    """Where the vectors are kept."""
    return FOLDER / f"{name}.json"


def main(selected: list[str]) -> None:
    for name in selected or names():
        path_of(name).write_text(made(name), encoding="ascii")


if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parents[1]))
    main(sys.argv[1:])
