"""``make fuzz``: each decoder of foreign bytes under atheris in turn; what was learned is kept in the folder `.fuzz`.

    python -m tests.fuzz [TARGET …] --seconds 60      a while each, and the figures
    python -m tests.fuzz [TARGET …] --runs 5000       as often each, always the same: for the build server
    python -m tests.fuzz TARGET --again FILE          what was found, once more, without atheris

Exit code 1 if a target found something, 2 if atheris is not here or the words are not understood.
"""

import argparse
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct

from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

ROOT: Final = Path(__file__).resolve().parents[2]
LIMITS: Final = ("-timeout=30", "-rss_limit_mb=1024")
"""An input that takes longer, or more memory, is a finding."""
MEMORY: Final = Path("/dev/shm")
"""Where Linux keeps files that no disk has to hold: some targets write one each time."""
FIXED: Final = "-seed=20"
"""With a number of runs, libFuzzer draws the same each time."""


class Outcome(Struct, frozen=True):
    """What became of one target."""

    runs: int
    covered: int
    corpus: int
    found: Path | None


def main(arguments: Sequence[str]) -> int:
    """What the module promises; returns the exit code."""
    asked = _asked(arguments)
    unknown = [name for name in asked.targets if name not in TARGETS]
    if unknown:
        print(f"no such target; there are: {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    if asked.again is not None:
        print("taken" if TARGETS[asked.targets[0]].takes(asked.again.read_bytes()) else "refused, as it should be")
        return 0
    if importlib.util.find_spec("atheris") is None:
        print(
            "atheris is not here: it exists for CPython up to 3.13 on Linux, x86-64. `make test T=tests/fuzz` needs it"
            " not: seeds, findings and Hypothesis.",
            file=sys.stderr,
        )
        return 2
    limit = [f"-runs={asked.runs}", FIXED] if asked.runs else [f"-max_total_time={asked.seconds}"]
    outcomes = {name: _fuzz(TARGETS[name], limit, asked.folder) for name in asked.targets or TARGETS}
    found = {name: outcome.found for name, outcome in outcomes.items() if outcome.found is not None}
    for name, path in found.items():
        print(f"FOUND by {name}: {path}\n  repeat it: make fuzz TARGET={name} AGAIN={path}")
    print(f"{sum(outcome.runs for outcome in outcomes.values()):,} runs, {len(found)} findings")
    return 1 if found else 0


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--again", type=Path)
    parser.add_argument("--folder", type=Path, default=ROOT / ".fuzz")
    asked = parser.parse_args(arguments)
    if asked.again is not None and len(asked.targets) != 1:
        parser.error("--again needs the one target that found it")
    return asked


def _fuzz(target: Target, limit: Sequence[str], folder: Path) -> Outcome:
    """One target in a process of its own. What it says is kept beside its corpus."""
    learned, seeds, found = (folder / part / target.name for part in ("corpus", "seeds", "found"))
    shutil.rmtree(seeds, ignore_errors=True)
    for each in (learned, seeds, found):
        each.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (seeds / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed[: target.most_bytes])
    words = seeds.parent / f"{target.name}.words"
    words.write_text(_dictionary(target), encoding="ascii")
    before = set(found.iterdir())
    said = folder / f"{target.name}.log"
    with said.open("wb") as log, TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as scratch:
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "tests.fuzz.under_atheris", target.name),
                *limit,
                *LIMITS,
                f"-max_len={target.most_bytes}",
                *([f"-dict={words}"] if target.words else []),
                f"-artifact_prefix={found}/",
                "-print_final_stats=1",
                *(str(learned), str(seeds)),
            ],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": scratch},  # libFuzzer ends a process before that removes what it made
            stdout=log,
            stderr=subprocess.STDOUT,
        ).returncode
    outcome = _outcome(said.read_text(encoding="utf-8", errors="replace"))
    new = sorted(set(found.iterdir()) - before)
    if ended != 0:
        outcome = Outcome(outcome.runs, outcome.covered, outcome.corpus, new[0] if new else said)
    print(f"{target.name:16} {outcome.runs:>10,} runs, {outcome.covered:>5,} edges", flush=True)
    return outcome


def _dictionary(target: Target) -> str:
    """The words as libFuzzer reads them."""
    return "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words)


def _outcome(said: str) -> Outcome:
    """libFuzzer's figures."""
    runs = re.findall(r"number_of_executed_units: (\d+)|^#(\d+)\t", said, re.MULTILINE)
    covered = re.findall(r"\bcov: (\d+)", said)
    corpus = re.findall(r"\bcorp: (\d+)", said)
    last_runs = max((int(stat or line) for stat, line in runs), default=0)
    return Outcome(last_runs, int(covered[-1]) if covered else 0, int(corpus[-1]) if corpus else 0, None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
