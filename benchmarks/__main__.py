"""Measures, and prints one table: `make bench`, or `python -m benchmarks [--large] [ROW …]`.

The journal under load lies in ``.bench/`` of the current folder, which should be on a real disk; it is removed at the
end.
"""

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import (
    appends,
    archive,
    engines,
    flood,
    fortnight,
    intake,
    machine,
    matching,
    public_set,
    rebuild,
    story,
)
from benchmarks.table import Row, markdown

FOLDER: Final = Path(".bench")
REPORTS: Final = 7_143
"""100,002 keys."""
LARGE_REPORTS: Final = 71_429
"""1,000,006 keys."""

MEASUREMENTS: Final[dict[str, Callable[[Path], list[Row]]]] = {
    "intake": intake.measure,
    "flood": flood.measure,
    "append": appends.measure,
    "engines": engines.measure,
    "public-set": lambda folder: public_set.measure(folder, REPORTS),
    "match": lambda folder: matching.measure(),
    "demo": lambda folder: story.measure(),
}

LARGE: Final[dict[str, Callable[[Path], list[Row]]]] = {
    "public-set-large": lambda folder: public_set.measure(folder, LARGE_REPORTS),
    "fortnight": lambda folder: fortnight.measure(folder, 150_000),
    "fortnight-large": lambda folder: fortnight.measure(folder, 1_000_000),
    "archive": archive.measure,
    "rebuild": lambda folder: rebuild.measure(folder, 150_000),
    "rebuild-large": lambda folder: rebuild.measure(folder, 1_000_000),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures; prints one table.")
    parser.add_argument(
        "--large", action="store_true", help="a million keys, and fortnights of a nation, too (half an hour more)"
    )
    parser.add_argument(
        "only", nargs="*", help=f"measure these alone, of: {', '.join(MEASUREMENTS | LARGE)}", metavar="ROW"
    )
    arguments = parser.parse_args()
    known = MEASUREMENTS | LARGE
    if unknown := set(arguments.only) - known.keys():
        parser.error(f"there is no {' or '.join(sorted(unknown))}; there are {', '.join(known)}")
    chosen = arguments.only or (known if arguments.large else MEASUREMENTS)
    wanted = {name: known[name] for name in chosen}
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    described = machine.describe(FOLDER)
    try:
        rows = [row for name, measure in wanted.items() for row in _measured(name, measure)]
    finally:
        shutil.rmtree(FOLDER)
    print(f"{described}.\n\n{markdown(rows)}")


def _measured(name: str, measure: Callable[[Path], list[Row]]) -> list[Row]:
    print(f"measuring {name} …", file=sys.stderr, flush=True)
    folder = FOLDER / name
    folder.mkdir()
    return measure(folder)


if __name__ == "__main__":
    main()
