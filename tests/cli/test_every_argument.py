"""Every argument of every command, given what nobody should give: a sentence, no traceback, and nothing half made.

The commands and their parameters are read from the tree that `tocsin` builds, so a new one is swept too.
"""

import json
import os
from pathlib import Path
from typing import get_args

import pytest
from cyclopts.argument import Argument

from tests.cli.conftest import Done, Run
from tests.cli.tree import Command, commands
from tests.sites import Site
from tocsin.cli import sandbox, serve
from tocsin.cli.demo_stage import Stage
from tocsin.cli.phone import Phone
from tocsin.client.schedule import Schedule
from tocsin.model.errors import Unavailable
from tocsin.model.times import Instant

BAD_TEXTS = {
    "empty": "",
    "space": " ",
    "NUL": "a\0b",
    "lone surrogate": "\udcff",
    "bidi and line feed": "é\u202e\n",
    "huge": "x" * 100_000,
    "huge number": "9" * 5_000,
    "time of no year": "99999-01-01",
    "half a selector": "batch=",
    "half a span": "1:2-",
    "path into a file": "/etc/passwd/x",
    "device": "/dev/null",
}
BAD_NUMBERS = {
    "empty": "",
    "NUL": "1\0",
    "huge": "9" * 5_000,
    "negative": "-1",
    "plus": "+1",
    "fraction": "1.5",
    "underscore": "1_0",
    "hexadecimal": "0x10",
    "full-width digit": "\uff11",
}
LONGEST_SENTENCE = 700


def _words(command: Command, swept: Argument | None, value: str, needed: dict[str, list[str]]) -> list[str]:
    """The command with all it needs, and `value` for the parameter that is swept."""
    given: list[str] = []
    positional: list[str] = []
    for parameter in command.parameters:
        if swept is not None and parameter.name == swept.name:
            (given if parameter.field_info.is_keyword else positional).append(_spelt(parameter, value))
        elif parameter.required:
            assert parameter.name in needed, f"say in `needed` what {command.name} can be given as {parameter.name}"
            (given if parameter.field_info.is_keyword else positional).extend(needed[parameter.name])
    return [*given, *needed.get(command.name, []), "--", *positional]


def _spelt(parameter: Argument, value: str) -> str:
    return f"{parameter.name}={value}" if parameter.field_info.is_keyword else value


@pytest.fixture
def needed(run: Run, site: Site, trust: Path, tmp_path: Path) -> dict[str, list[str]]:
    """What the parameters can be given that must be, and what some commands need besides."""
    run("codes", "issue", "1", "--count", "2")
    run("revoke", "--serials", "1:90-91", "--why", "x")
    run("quarantine", "begin", "--self-reports", "--why", "x")
    (tmp_path / "seen.json").write_text("[]")
    Phone(tmp_path / "phone").keep_schedule(Schedule(Instant(0)))
    return {
        "DIR": [str(tmp_path / "made")],
        "NAME": ["Clinic"],
        "PROVIDER": ["1"],
        "BATCH": ["2"],
        "OBJECTION": ["6"],
        "QUARANTINE": ["7"],
        "ID": ["310"],
        "VERSION": ["v2"],
        "CODE": [site.cards[1]],
        "FILE": [str(trust)],
        "--region": ["--region", "xx"],
        "--origin": ["--origin", "tocsin.example.org/xx"],
        "--base-url": ["--base-url", "https://tocsin.example.org"],
        "--count": ["--count", "2"],
        "--why": ["--why", "x"],
        "--select": ["--select", "batch=1"],
        "--phone": ["--phone", str(tmp_path / "phone")],
        "--trust": ["--trust", str(trust)],
        "--to": ["--to", "sqlite"],
        "--keys": ["--keys", str(site.top / "keys")],
        "--sightings": ["--sightings", str(tmp_path / "seen.json")],
    }


@pytest.fixture
def everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where all that a command may make comes to lie: its working folder too. What would run on is not begun."""

    def not_begun(*args: object, **more: object) -> None:
        raise Unavailable("a test does not begin this")

    monkeypatch.setattr(serve, "running_server", not_begun)
    monkeypatch.setattr(Stage, "set", not_begun)
    monkeypatch.setattr(sandbox, "running_sandbox", not_begun)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return tmp_path


def _listing(top: Path) -> set[str]:
    """All there is below `top`; the database's own files beside it come and go."""
    found = {os.path.join(folder, name) for folder, *names in os.walk(top) for kind in names for name in kind}
    return {path for path in found if not path.endswith(("-wal", "-shm", ".lock"))}


def _check(done: Done, as_json: bool) -> None:
    assert done.code in (0, 1, 2)
    if as_json:
        json.loads(done.out)
        assert done.out.isascii()
    if done.code == 0:
        return
    lines = done.err.splitlines()
    assert all(line.startswith("tocsin: ") and len(line) <= LONGEST_SENTENCE for line in lines)
    assert lines or done.out


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.name)
def test_no_argument_breaks_a_command(
    run: Run, site: Site, needed: dict[str, list[str]], everything: Path, command: Command
) -> None:
    """Users' D3: exit codes and one sentence, whatever is typed."""
    run("status")
    site.name_day_keys()  # as a server does before it listens
    for swept in command.parameters:
        number = int in (swept.hint, *get_args(swept.hint))
        has_json = "--json" in command.options - {swept.name}
        for place, value in enumerate((BAD_NUMBERS if number else BAD_TEXTS).values()):
            as_json = has_json and place % 2 == 1
            before, tip = _listing(everything), site.deployment.journal.tip().sequence
            done = run(*command.words, *["--json"] * as_json, *_words(command, swept, value, needed))
            _check(done, as_json)
            assert done.code != 0 or (value and not number), f"{swept.name} took {value[:20]!r}"
            if done.code != 0:
                assert _listing(everything) == before or swept.name == "--phone"  # the folder of a phone stays
                assert site.deployment.journal.tip().sequence == tip


@pytest.mark.parametrize(
    "command",
    [command for command in commands() if "--data" in command.options],
    ids=lambda command: command.name,
)
def test_an_empty_variable_is_not_the_working_folder(
    run: Run, everything: Path, monkeypatch: pytest.MonkeyPatch, command: Command, needed: dict[str, list[str]]
) -> None:
    words = _words(command, None, "", needed)
    monkeypatch.setenv("TOCSIN_DATA", "")
    done = run(*command.words, *words)
    assert (done.code, done.out) == (2, "") and "TOCSIN_DATA" in done.err and "empty" in done.err
