"""`tocsin init`."""

import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tocsin.service.key_folder import PURPOSES

_WORDS = ["--region", "xx", "--origin", "tocsin.example.org/xx", "--base-url", "https://tocsin.example.org"]


def test_it_makes_a_deployment_and_says_what_each_key_is_for(run: Run, tmp_path: Path) -> None:
    top = tmp_path / "new" / "deployment"
    done = run("init", str(top), *_WORDS, "--single-machine")
    assert (done.code, done.err) == (0, "")
    for name, purpose in PURPOSES.items():
        assert name in done.out and purpose in done.words
    assert "Back up" in done.words and f"tocsin serve --data {top}" in done.out
    assert stat.S_IMODE((top / "keys").stat().st_mode) == 0o700
    assert run("status", "--data", str(top)).code == 0


def test_a_folder_that_holds_anything_is_refused_and_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = run("init", str(tmp_path), *_WORDS)
    assert done.code == 1 and "not empty" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("option", "value"), [("--region", "XX"), ("--origin", "https://x"), ("--base-url", "ftp://x")]
)
def test_what_the_settings_would_refuse_makes_nothing(run: Run, tmp_path: Path, option: str, value: str) -> None:
    words = list(_WORDS)
    words[words.index(option) + 1] = value
    done = run("init", str(tmp_path / "new"), *words)
    assert done.code == 1 and option.strip("-").replace("-", "_") in done.err
    assert not (tmp_path / "new").exists()
