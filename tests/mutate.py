"""Mutation tests of one room, ``python -m tests.mutate ROOM [MUTANT ...]``: what they are for is in docs/mutation.md.

mutmut makes a copy of the project in ``mutants/``, with each mutant in it and a switch that chooses one, and runs for
each the tests that reach its function. Here a room gets its own tests only, and mutants of what runs at import, which
mutmut's worker has behind it before the switch is turned, are looked at again in a process of their own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from mutmut.__main__ import cli, collect_source_file_mutation_data
from mutmut.configuration import config
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import mangled_name_from_mutant_name

TESTS: Final = {
    "codes": ["tests/codes", "tests/vectors"],
    "formats": ["tests/formats", "tests/vectors"],
    "ledger": [
        "tests/ledger",
        "tests/rules/test_ownership.py",
        "tests/publication/test_laws.py",
        "tests/publication/test_plan.py",
    ],
    "model": ["tests/model", "tests/vectors", "tests/service/test_settings.py"],
    "rules": ["tests/rules"],
}
"""Beside the examples in its docstrings, the tests that a room has to pass."""

TYPE_CHECK: Final = ["-m", "mypy", "--output", "json", "--config-file=", "--strict"]
"""A mutant that it refuses is no mistake that one could commit, and no test is run for it."""
OF_THE_COPY: Final = ["--no-warn-unused-ignores", "--no-warn-return-any"]
"""What mutmut's switch, not the mutant, would be blamed for."""

COLLECT: Final = """
import sys
import pytest
from mutmut.state import state
pytest.main(["--collect-only", "-qq", *sys.argv[1:]])
print(*state()._stats)
"""
"""Imports room and tests, and prints last the functions that ran meanwhile, as mutmut names them."""

SURVIVED: Final = 0
KILLED: Final = 1
TIMEOUT: Final = 36
IMPORT_SECONDS: Final = 300


def main(room: str, mutants: list[str]) -> None:
    """Run, and leave the verdicts in ``mutants/``: all anew, or of the named mutants only."""
    if not mutants:
        shutil.rmtree("mutants", ignore_errors=True)
    settings = config()
    settings.only_mutate = [f"src/tocsin/{room}/*"]
    settings.pytest_add_cli_args_test_selection = [*TESTS[room], f"src/tocsin/{room}"]
    settings.type_check_command = [sys.executable, *TYPE_CHECK, *OF_THE_COPY, f"src/tocsin/{room}"]
    cli(["run", "--max-children", os.environ.get("CHILDREN", "2"), *mutants], standalone_mode=False)
    look_again_at_imports(room)


def look_again_at_imports(room: str) -> None:
    """Run all tests of the room, in a process of its own, for each survivor in a function that runs at import."""
    tests = [*config().pytest_add_cli_args, *TESTS[room], f"src/tocsin/{room}"]
    at_import = in_mutants(["-c", COLLECT, *tests], "stats").stdout.splitlines()[-1].split()
    for data, mutant, exit_code in collect_source_file_mutation_data(mutant_names=[])[0]:
        if exit_code == SURVIVED and mangled_name_from_mutant_name(mutant) in at_import:
            data.exit_code_by_key[mutant] = verdict(mutant, tests)
            data.save()
            print(f"{mutant}: {status_by_exit_code[data.exit_code_by_key[mutant]]} in a process of its own", flush=True)


def verdict(mutant: str, tests: list[str]) -> int:
    """mutmut's number for what a new process says of this mutant."""
    try:
        return min(in_mutants(["-m", "pytest", "-x", "-q", *tests], mutant).returncode, KILLED)
    except subprocess.TimeoutExpired:
        return TIMEOUT


def in_mutants(arguments: list[str], mutant: str) -> subprocess.CompletedProcess[str]:
    """What Python does in ``mutants/`` with its switch at `mutant`."""
    paths = os.pathsep.join(str(Path("mutants", part).resolve()) for part in ("src", "."))
    environment = os.environ | {"MUTANT_UNDER_TEST": mutant, "PYTHONPATH": paths}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd="mutants", env=environment, capture_output=True, text=True, timeout=IMPORT_SECONDS, check=False
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
