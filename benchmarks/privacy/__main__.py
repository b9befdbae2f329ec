"""Looks for differences on the wire, and prints the tables of ``docs/privacy.md``: `make equal`.

    python -m benchmarks.privacy [--calls N] [--results FOLDER] [CONDITION …]

Each condition leaves its result in FOLDER; those named are done anew, and the tables are made of all that are there.
Ends with 1 if anything is told that must not be.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from benchmarks import machine
from benchmarks.privacy.conditions import CONDITIONS, Result, observe
from benchmarks.privacy.stock import make_stock
from benchmarks.privacy.tables import complaints, markdown
from tocsin.service.clock import SystemClock

FOLDER: Final = Path(".equal")
"""Where the site lies while it is used; removed at the end."""
CALLS: Final = 10_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy", description="Equal on the wire?")
    parser.add_argument("--calls", type=int, default=CALLS, help="of each kind")
    parser.add_argument("--results", type=Path, default=Path("equal-results"), help="where results are kept")
    parser.add_argument("only", nargs="*", metavar="CONDITION", help=", ".join(one.name for one in CONDITIONS))
    arguments = parser.parse_args()
    if unknown := set(arguments.only) - {one.name for one in CONDITIONS}:
        parser.error(f"there is no {' or '.join(sorted(unknown))}")
    arguments.results.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    try:
        _observe_all(arguments.calls, arguments.results, arguments.only)
    finally:
        shutil.rmtree(FOLDER)
    files = [arguments.results / f"{one.name}.json" for one in CONDITIONS]
    results = [msgspec.json.decode(file.read_bytes(), type=Result) for file in files if file.exists()]
    tables = f"{results[0].machine}.\n\n{markdown(results)}\n"
    (arguments.results / "tables.md").write_text(tables, encoding="utf-8")
    print(tables)
    told = complaints(results)
    for complaint in told:
        print(complaint, file=sys.stderr)
    return 1 if told else 0


def _observe_all(calls: int, results: Path, only: list[str]) -> None:
    described = machine.describe(FOLDER)
    _say("making the calls")
    kinds = make_stock(FOLDER / "site", calls, SystemClock().now())
    for condition in CONDITIONS:
        if only and condition.name not in only:
            continue
        began = time.monotonic()
        result = observe(condition, FOLDER / "site", kinds, calls, described)
        (results / f"{condition.name}.json").write_bytes(msgspec.json.encode(result))
        _say(f"{condition.name}: {time.monotonic() - began:.0f} s")


def _say(what: str) -> None:
    print(f"{what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
