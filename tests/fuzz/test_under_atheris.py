"""A short run of every target under atheris, always the same, so that `make fuzz` works on the day it is needed."""

import importlib.util
from pathlib import Path

import pytest

from tests.fuzz.__main__ import main
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

RUNS = 1000

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is for CPython up to 3.13 on Linux, x86-64"
)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_thousand_runs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = main([name, "--runs", str(RUNS), "--folder", str(tmp_path)])
    assert ended == 0, capsys.readouterr().out + (tmp_path / f"{name}.log").read_text(errors="replace")[-3000:]
    assert "0 findings" in capsys.readouterr().out


def test_a_finding_repeated_fails_as_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(data: bytes) -> None:
        raise KeyError("nobody catches this")

    monkeypatch.setitem(TARGETS, "turn", Target("turn", (), read, list))
    held = tmp_path / "found"
    held.write_bytes(b"x")
    with pytest.raises(KeyError):
        main(["turn", "--again", str(held)])


def test_words_that_are_not_understood(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing"]) == 2
    assert "no such target; there are: call, answer" in capsys.readouterr().err
