"""Terminals that are none, full, gone, narrow or old: nothing half done, no traceback, and JSON stays JSON."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.sites import Site

_ISSUE = ["codes", "issue", "1", "--count", "2"]


def _tocsin(
    data: Path, words: list[str], redirection: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs `tocsin` as a process, on the machine's clock, its streams as a shell would redirect them."""
    command = [
        "sh",
        "-c",
        f'exec "$@" {redirection}',
        "sh",
        sys.executable,
        "-m",
        "tocsin",
        *words,
        "--data",
        str(data),
    ]
    variables = {"PATH": os.defpath, "HOME": str(data.parent), **environment}
    return subprocess.run(command, capture_output=True, text=True, env=variables)


@pytest.fixture
def founded(tmp_path: Path) -> Path:
    data = tmp_path / "deployment"
    words = ["init", str(data), "--region", "xx", "--origin", "tocsin.example/xx", "--base-url", "http://127.0.0.1:1"]
    subprocess.run([sys.executable, "-m", "tocsin", *words, "--single-machine"], check=True, capture_output=True)
    assert _tocsin(data, ["provider", "add", "Clinic"]).returncode == 0
    return data


def _events(data: Path) -> int:
    events: int = json.loads(_tocsin(data, ["journal", "verify", "--json"]).stdout)["sequence"]
    return events


def test_with_no_output_nothing_is_done(founded: Path) -> None:
    done = _tocsin(founded, _ISSUE, ">&-")
    assert done.returncode == 1 and "no standard output" in done.stderr
    assert _events(founded) == 2


def test_with_no_error_stream_the_output_stays_what_it_is(founded: Path) -> None:
    done = _tocsin(founded, ["pause", "--json"], "2>&-")
    assert done.returncode == 2 and json.loads(done.stdout)["error"] == "not_understood"


@pytest.mark.parametrize("redirection", ["> /dev/full", "| true"])
def test_an_act_whose_end_could_not_be_told_says_how_to_see_it(founded: Path, redirection: str) -> None:
    """Cards are stored nowhere: a batch whose codes nobody saw would be lost."""
    done = _tocsin(founded, [*_ISSUE[:-1], "2000"], redirection)
    [again] = re.findall("--request-id ([0-9a-f]{32})", done.stderr)
    assert "event 3" in done.stderr.lower()
    told = json.loads(_tocsin(founded, [*_ISSUE[:-1], "2000", "--request-id", again, "--json"]).stdout)
    assert told["repeated"] is True and len(told["cards"]) == 2000


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["--help"]], ids=" ".join)
def test_a_look_that_can_not_be_told_says_so(founded: Path, words: list[str]) -> None:
    if words != ["--help"]:
        done = _tocsin(founded, words, "> /dev/full")
    else:
        program = [sys.executable, "-m", "tocsin", "--help"]
        with open("/dev/full", "w") as full:
            done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and done.stderr == "tocsin: the output can't be written: No space left on device\n"


def test_a_reader_that_has_left_is_no_trouble(founded: Path) -> None:
    done = _tocsin(founded, ["status"], "| true")
    assert done.stderr == ""


def test_an_old_locale_shows_replacements(founded: Path) -> None:
    old = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TERM": "dumb"}
    _tocsin(founded, ["provider", "add", "Zoë"])
    done = _tocsin(founded, ["provider", "list"], **old)
    assert (done.returncode, done.stderr) == (0, "") and "Zo" in done.stdout and "\x1b" not in done.stdout


@pytest.mark.parametrize("columns", ["40", "0", "1", "", "x", "-5", "999999999"])
@pytest.mark.parametrize(
    "words", [["status"], ["provider", "list"], ["codes", "--help"], ["revoke", "--help"]], ids=" ".join
)
def test_any_width_will_do(
    run: Run, site: Site, words: list[str], columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    done = run(*words)
    assert (done.code, done.err) == (0, "")
    if columns == "40":
        assert max(map(len, done.out.splitlines())) <= 40


@pytest.fixture
def ctrl_c_is_heeded() -> Iterator[None]:
    """As in a terminal: a shell starts what it puts in the background, a whole test run among it, to ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_is_heeded")
@pytest.mark.parametrize(
    "words", [["status"], _ISSUE, ["client", "sync", "--phone", "p", "--trust", "t"]], ids=" ".join
)
def test_ctrl_c_ends_a_command_with_code_130_and_nothing_else(
    run: Run, site: Site, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*given: object, **more: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("tocsin.service.perform.Performer._append", interrupt)
    monkeypatch.setattr("tocsin.cli.status._status", interrupt)
    monkeypatch.setattr("tocsin.cli.client.read_trust", interrupt)
    before = site.deployment.journal.tip()
    done = run(*words)
    assert (done.code, done.out, done.err) == (130, "", "")
    assert site.deployment.journal.tip() == before
    monkeypatch.undo()
    assert site.deployment.journal.read(before.sequence) == []


@pytest.mark.usefixtures("ctrl_c_is_heeded")
def test_ctrl_c_while_the_program_is_loaded_is_no_traceback() -> None:
    program = (
        "import signal, sys, types\n"
        "from tocsin import __main__ as entry\n"
        "class Slow(types.ModuleType):\n"
        "    def __getattr__(self, name):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "sys.modules['tocsin.cli'] = Slow('tocsin.cli')\n"
        "entry.run()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
