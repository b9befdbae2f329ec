"""``docs/apps.md`` is run word for word, in order, against a sandbox (E1); its tables are the closed lists (E3)."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tocsin.model.calls import KeyVerdict, Verdict
from tocsin.web.problems import Problem

_ROOT: Final = Path(__file__).resolve().parents[2]
_PAGE: Final = (_ROOT / "docs" / "apps.md").read_text(encoding="utf-8")
_BLOCKS: Final = re.findall(r"^```(sh|python|text)\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
_END: Final = "\x04"


class Shell:
    """One bash for the whole page, in a folder that looks like a checkout."""

    def __init__(self, folder: Path) -> None:
        (folder / "tests").mkdir()
        (folder / "tests" / "frozen").symlink_to(_ROOT / "tests" / "frozen")
        self.folder = folder
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._bash = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env={"PATH": path, "NO_PROXY": "127.0.0.1", "LC_ALL": "C.UTF-8"},
        )

    def run(self, words: str) -> str:
        """What these lines print, on either stream."""
        assert self._bash.stdin and self._bash.stdout
        self._bash.stdin.write(f"{words}\nprintf {shlex.quote(_END)}\n")
        self._bash.stdin.flush()
        said = ""
        while not said.endswith(_END):
            said += self._bash.stdout.read(1)
            assert self._bash.poll() is None or said.endswith(_END), said
        return said.removesuffix(_END)

    def close(self) -> None:
        assert self._bash.stdin and self._bash.stdout
        self._bash.stdin.close()
        self._bash.wait()
        self._bash.stdout.close()


@pytest.fixture(scope="module")
def told() -> Iterator[str]:
    """What `tocsin sandbox` prints; it runs until the tests of this page are over."""
    command = [sys.executable, "-m", "tocsin", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = ""
        while not said.endswith("Stop with Ctrl-C.\n"):
            line = process.stdout.readline()
            assert line, said
            said += line
        yield said
        process.terminate()


@pytest.fixture(scope="module")
def shell(told: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    made = Shell(tmp_path_factory.mktemp("page"))
    yield made
    made.close()


def _matches(expected: str, said: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, expected.split("…"))), said) is not None


def _here(text: str, told: str) -> str:
    """`text` with the port of this sandbox."""
    port = re.search(r"127\.0\.0\.1:(\d+)", told)
    assert port
    return text.replace("127.0.0.1:8788", port[0])


def _rows(heading: str) -> dict[str, str]:
    """By name what brings it about: first and last cell of the table that begins with `heading`."""
    table = _PAGE.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
    rows = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in table.splitlines()[2:]]
    return {cells[0].strip("`"): cells[-1].strip("`").replace("\\|", "|") for cells in rows}


def _run_blocks(shell: Shell, told: str) -> None:
    said = told
    for language, text in _BLOCKS[1:]:
        if language == "text":
            assert _matches(_here(text, told), said)
        elif language == "python":
            (shell.folder / text.partition("\n")[0].removeprefix("# ")).write_text(text, encoding="utf-8")
        else:
            said = shell.run(_here(text, told))


def test_every_block_says_what_the_page_says_and_every_error_can_be_had(shell: Shell, told: str) -> None:
    """E1 and E3, one after the other: the tables use what the blocks define."""
    _run_blocks(shell, told)
    wrong = []
    for heading, key in (("verdict", '"verdict":"{}"'), ("key", '"keys":["{}"]'), ("problem", '"code":"{}"')):
        for name, command in _rows(heading).items():
            said = shell.run(_here(command, told))
            if key.format(name) not in said:
                wrong.append((name, said))
    assert wrong == []


def test_the_tables_are_the_closed_lists() -> None:
    """E3: nothing missing, either way."""
    assert list(_rows("verdict")) == [verdict.value for verdict in Verdict]
    assert list(_rows("key")) == [verdict.value for verdict in KeyVerdict]
    assert list(_rows("problem")) == [problem.code for problem in Problem]
