"""`tocsin serve` as a process."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Run
from tests.sites import FixedClock, Site
from tocsin.cli import main

_WORDS = ["--region", "xx", "--origin", "tocsin.example.org/xx", "--base-url", "http://127.0.0.1:8787"]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=lambda stop: stop.name)
def test_it_serves_and_stops_cleanly(tmp_path: Path, stop: signal.Signals) -> None:
    data = tmp_path / "deployment"
    assert main(["init", str(data), *_WORDS, "--single-machine"]) == 0
    command = [sys.executable, "-m", "tocsin", "serve", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None and server.stderr is not None
        found = re.search(r"serving on (\S+)", server.stdout.readline())
        assert found is not None
        pinned = httpx.get(f"{found[1]}/trust.json", trust_env=False)
        assert pinned.content == (data / "trust.json").read_bytes()
        server.send_signal(stop)
        out, err = server.communicate(timeout=30)
    assert (server.returncode, err) == (0, "")
    assert out.endswith("Stopped.\n")


@pytest.mark.parametrize(("by", "way_out"), [(-3600, "set it right"), (30 * 86_400, "--today DATE")])
def test_it_does_not_start_with_a_clock_in_doubt(
    site: Site, run: Run, clock: FixedClock, by: int, way_out: str
) -> None:
    """No day key is made by it either."""
    keys = sorted((site.deployment.folders.keys / "days").iterdir())
    clock.at += by
    done = run("serve", "--port", "0")
    assert (done.code, done.out) == (1, "") and way_out in done.err
    assert sorted((site.deployment.folders.keys / "days").iterdir()) == keys


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_is_none_is_not_understood(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", port]) == 2
    assert "--port" in capsys.readouterr().err


def test_an_address_that_is_taken_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    data = tmp_path / "deployment"
    assert main(["init", str(data), *_WORDS, "--single-machine"]) == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        capsys.readouterr()
        assert main(["serve", "--port", str(taken.getsockname()[1]), "--data", str(data)]) == 1
    assert "can't be listened on" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["a..b", "\u00fc" * 70, "no such host", "192.0.2.1"], ids=ascii)
def test_an_address_that_is_none_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], host: str) -> None:
    data = tmp_path / "deployment"
    assert main(["init", str(data), *_WORDS, "--single-machine"]) == 0
    capsys.readouterr()
    assert main(["serve", "--host", host, "--port", "0", "--data", str(data)]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "can't be listened on" in said.err


def test_what_keeps_it_from_starting_is_one_json_line_too(site: Site, run: Run, clock: FixedClock) -> None:
    clock.at += 30 * 86_400
    done = run("serve", "--port", "0", "--log-format", "json")
    line = json.loads(done.out)
    assert (done.code, done.err, done.out.count("\n")) == (1, "", 1)
    assert (line["event"], line["code"]) == ("failed", "unavailable") and "--today DATE" in line["sentence"]


def test_the_settings_say_how_it_writes(site: Site, run: Run, clock: FixedClock) -> None:
    settings = site.deployment.folders.settings
    settings.write_text(settings.read_text() + '\n[operations]\nlog_format = "json"\n', encoding="utf-8")
    clock.at += 30 * 86_400
    assert json.loads(run("serve", "--port", "0").out)["event"] == "failed"
    assert run("serve", "--port", "0", "--log-format", "text").out == ""


@pytest.mark.parametrize("listen", ["0.0.0.0:9787", "nonsense"])
def test_operators_figures_are_for_this_machine(site: Site, run: Run, listen: str) -> None:
    done = run("serve", "--port", "0", "--operations", listen)
    assert (done.code, done.out) == (1, "") and "--operations: listen" in done.err


def test_a_fault_of_any_command_is_told_by_its_place(tmp_path: Path) -> None:
    code = (
        "import sys, tocsin.cli as cli, tocsin.__main__ as entry\n"
        "sys.argv = ['tocsin', 'status']\n"
        "cli._run = lambda terminal, words: {}['find-me']\n"
        "entry.run()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("tocsin: a fault in tocsin itself (KeyError at tocsin/cli/__init__.py:")
    assert "find-me" not in done.stderr and done.stderr.count("\n") == 1
