"""``make fuzz-http``: schemathesis against a server of its own, until it has sent so many cases.

    python -m tests.fuzz.door [--cases N] [--jobs N] [--seed N]

The server is `tocsin serve` in its own process, on a deployment with a past (`stage.py`); what is sent gets behind the
door by `hooks.py`. Exit code 1 if a check failed, the server said anything on stderr, a verdict that can be reached was
not, or fewer cases were sent than asked for.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tests.faults.servers import ROOT, Server
from tests.fuzz.door.stage import UNREACHED, Past, make_stage
from tocsin.model.calls import Verdict

CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
OTHERS: Final = 9
"""Operations beside the call: files, each with GET and HEAD. They get a tenth of the cases together."""
FIRST: Final = 220
"""Cases of the phases that come before fuzzing, whatever their number: examples and coverage."""


class Outcome(Struct, frozen=True):
    """What came of it: how often each answer was given, what was wrong, and what schemathesis says of that."""

    tally: Counter[str]
    troubles: tuple[str, ...]
    reports: tuple[str, ...] = ()


def main(arguments: Sequence[str]) -> int:
    """What the module promises; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make fuzz-http")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=20)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        outcome = fuzz(Path(folder), asked.cases, asked.jobs, asked.seed)
    for report in outcome.reports:
        print(report)
    for name, count in sorted(outcome.tally.items()):
        print(f"{count:>7,} {name}")
    troubles = [*outcome.troubles, *_not_reached(outcome.tally)]
    troubles += [f"only {outcome.tally['cases']:,} cases were sent"] if outcome.tally["cases"] < asked.cases else []
    print("\n".join(troubles) or "Nothing found.")
    return 1 if troubles else 0


def fuzz(folder: Path, cases: int, jobs: int, seed: int, phases: str = "examples,coverage,fuzzing") -> Outcome:
    """A stage and a server in the empty `folder`, and `jobs` of schemathesis at once, with so many cases in all."""
    past = make_stage(folder / "site")
    server = Server.real(folder / "site", folder / "said")
    each = max(0, -(-cases // jobs) - FIRST)
    told = [folder / str(job) for job in range(jobs)]
    fuzzers = [
        _start(path, server.port, replace(past, fresh=past.fresh[job::jobs]), each, seed + job, phases)
        for job, path in enumerate(told)
    ]
    ended = [fuzzer.wait() for fuzzer in fuzzers]
    server.stop()
    tally: Counter[str] = Counter()
    for path in told:
        tally.update(msgspec.json.decode((path / "tally").read_bytes(), type=dict[str, int]))
    troubles = [f"schemathesis {job} ended with {status}" for job, status in enumerate(ended) if status]
    troubles += [f"the server said: {server.err}"] if server.err else []
    troubles += [f"{name}: {count}" for name, count in tally.items() if name.rpartition(" ")[2].startswith("5")]
    reports = tuple((told[job] / "out").read_text(encoding="utf-8") for job, status in enumerate(ended) if status)
    return Outcome(tally, tuple(troubles), reports)


def _not_reached(tally: Counter[str]) -> list[str]:
    """Verdicts that the stage has a call for, and that nobody was answered: the run then says little."""
    return [
        f"no call was answered {verdict}"
        for verdict in Verdict
        if not tally[f"verdict {verdict}"] and verdict not in UNREACHED
    ]


def _start(folder: Path, port: int, past: Past, cases: int, seed: int, phases: str) -> "subprocess.Popen[bytes]":
    """One schemathesis with cards of its own. It draws the same for the same seed."""
    folder.mkdir()
    (folder / "stage").write_bytes(msgspec.json.encode(past))
    calls, files = cases * 9 // 10, max(1, cases // 10 // OTHERS)
    config = CONFIG.read_text(encoding="utf-8") + f"generation.max-examples = {max(1, calls)}\n"
    (folder / "schemathesis.toml").write_text(config, encoding="utf-8")
    url = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(folder / "schemathesis.toml")),
        *("run", f"{url}/openapi.json", "--url", url, "--no-color", "--phases", phases),
        *("--max-examples", str(files), "--seed", str(seed), "--continue-on-failure"),
    ]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "tests.fuzz.door.hooks",
        "TOCSIN_STAGE": str(folder / "stage"),
        "TOCSIN_TALLY": str(folder / "tally"),
        "TOCSIN_NOW": str(int(time.time())),
        "PYTHONPATH": str(ROOT),
    }
    with (folder / "out").open("wb") as out:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
