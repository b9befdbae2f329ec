"""What a process holds in memory stays there: seen from outside, in real processes."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.servers import ROOT

_NOBODY = 65_534
_WAITS = "print('there', flush=True); input()"
_IMPORTS = "import ctypes, os, sys; from tocsin.service.memory import keep_to_itself"
_KEPT = f"{_IMPORTS}; keep_to_itself(); {_WAITS}"
_AS_NOBODY = f"{_IMPORTS}; os.setuid({_NOBODY}); ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)"  # as after an exec by nobody
_LOOKS = f"""
import os, sys
os.setuid({_NOBODY})
for name in ("environ", "maps"):
    open(f"/proc/{{sys.argv[1]}}/{{name}}", "rb")
"""


def _process(code: str, cwd: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT / "src"), "PYTHONFAULTHANDLER": "1"},
        preexec_fn=_allow_cores,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"there\n"
    return process


def _allow_cores() -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


@pytest.mark.parametrize("crash", [signal.SIGSEGV, signal.SIGABRT], ids=lambda crash: crash.name)
def test_a_crash_leaves_no_core_and_no_word(tmp_path: Path, crash: signal.Signals) -> None:
    """T-I3, T-C7."""
    with _process(_KEPT, tmp_path) as process:
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")] == [["0", "0"]]
        process.send_signal(crash)
        out, err = process.communicate(timeout=60)
    assert process.returncode == -crash and (out, err) == (b"", b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may start a process as another user")
def test_no_process_of_the_same_user_may_look_into_it(tmp_path: Path) -> None:
    """T-I3. Without it, the same user may: so it is this that keeps it out."""
    for code, may_look in ((f"{_AS_NOBODY}; keep_to_itself(); {_WAITS}", False), (f"{_AS_NOBODY}; {_WAITS}", True)):
        with _process(code, tmp_path) as process:
            looker = [sys.executable, "-c", _LOOKS, str(process.pid)]
            done = subprocess.run(looker, capture_output=True, check=False)
            process.communicate(b"\n", timeout=60)
        assert (b"PermissionError" not in done.stderr) is may_look, done.stderr
