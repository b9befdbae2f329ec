"""The entry: exit codes, one sentence for each failure, and nothing of it a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.sites import Site

_ACTS_AND_LOOKS = [
    ["provider", "add", "Clinic"],
    ["provider", "list"],
    ["codes", "issue", "1", "--count", "1"],
    ["codes", "activate", "1"],
    ["codes", "check", "C123-4567-89AB-CDEF-GH94"],
    ["serve", "--port", "0"],
    ["status"],
    ["publish"],
    ["revoke", "--batch", "1", "--why", "x"],
    ["rollback", "--select", "batch=1", "--why", "x"],
    ["reinstate", "1", "--why", "x"],
    ["pause", "--why", "x"],
    ["resume", "--why", "x"],
    ["journal", "verify"],
]


@pytest.mark.parametrize("words", _ACTS_AND_LOOKS, ids=lambda words: " ".join(words[:2]))
def test_every_command_refuses_keys_that_others_can_read(run: Run, site: Site, words: list[str]) -> None:
    head = site.deployment.folders.keys / "head"
    head.chmod(0o644)
    done = run(*words)
    assert done.code == 1
    assert str(head) in done.err and "chmod" in done.err
    assert done.out == ""


@pytest.mark.parametrize("words", _ACTS_AND_LOOKS, ids=lambda words: " ".join(words[:2]))
def test_every_command_says_where_no_deployment_is(run: Run, words: list[str]) -> None:
    done = run(*words)
    assert done.code == 1
    assert done.err.startswith("tocsin: ") and done.err.count("\n") == 1
    assert "Traceback" not in done.err


@pytest.mark.parametrize("command", ["revoke", "rollback", "reinstate", "pause", "resume"])
def test_taking_back_demands_a_reason(run: Run, command: str) -> None:
    words = {"revoke": ["--batch", "1"], "rollback": ["--select", "batch=1"], "reinstate": ["1"]}.get(command, [])
    done = run(command, *words)
    assert done.code == 2
    assert "--why" in done.err


@pytest.mark.parametrize("words", [["no-such-command"], ["codes", "issue"], ["status", "--no-such-option"]])
def test_a_command_that_is_not_understood_is_two_sentences_and_code_2(run: Run, words: list[str]) -> None:
    done = run(*words)
    assert done.code == 2
    assert done.err.count("\n") == 2 and "--help" in done.err


def test_help_imports_no_room_and_no_numbers() -> None:
    program = (
        "import sys; from tocsin.cli import main; main(['--help']);"
        "print([name for name in ('numpy', 'httpx', 'starlette', 'cryptography', 'sqlite3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    assert "rollback" in done.stdout


@pytest.mark.parametrize("words", [["revoke"], ["rollback"], ["codes", "issue"], ["pause"], ["init"]], ids=" ".join)
def test_help_tells_an_example_and_the_way_back(run: Run, words: list[str]) -> None:
    told = run(*words, "--help").words
    assert "Example: tocsin" in told
    assert "The way back" in told or "To undo" in told


def test_python_m_gives_the_exit_code_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tocsin", "status", "--data", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "tocsin init" in done.stderr


def test_a_broken_settings_file_names_the_field(run: Run, site: Site) -> None:
    settings = site.deployment.folders.settings
    settings.write_text(settings.read_text().replace("[policy]", "[policy]\nminimum_report = 3"))
    done = run("status")
    assert done.code == 1
    assert "minimum_report" in done.err
