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
from mutmut.state import state
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
    """Run all tests of the room, in a process of its own, for each survivor that may have run at import.

    mutmut puts down what runs at import to the first test of all, so a function that runs then only has no other.
    """
    tests = [*TESTS[room], f"src/tocsin/{room}"]
    for data, mutant, exit_code in collect_source_file_mutation_data(mutant_names=[])[0]:
        reached_by = state().tests_by_mangled_function_name[mangled_name_from_mutant_name(mutant)]
        if exit_code == SURVIVED and len(reached_by) == 1:
            data.exit_code_by_key[mutant] = verdict(mutant, tests)
            data.save()
            print(f"{mutant}: {status_by_exit_code[data.exit_code_by_key[mutant]]} in a process of its own", flush=True)


def verdict(mutant: str, tests: list[str]) -> int:
    """mutmut's number for what a new process says of this mutant."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", *config().pytest_add_cli_args, *tests]
    paths = os.pathsep.join(str(Path("mutants", part).resolve()) for part in ("src", "."))
    environment = os.environ | {"MUTANT_UNDER_TEST": mutant, "PYTHONPATH": paths}
    try:
        done = subprocess.run(command, cwd="mutants", env=environment, capture_output=True, timeout=IMPORT_SECONDS)
    except subprocess.TimeoutExpired:
        return TIMEOUT
    return SURVIVED if done.returncode == 0 else KILLED


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
