"""The sandbox for app developers: faults on demand there, and nowhere else (T-I9); a report is taken once (E2)."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sites import Site, drawn, report
from tests.web.wire import Wire, ask, call_bytes, request_bytes
from tocsin.cli import sandbox_faults
from tocsin.cli.sandbox import running_sandbox
from tocsin.cli.sandbox_stage import Handouts
from tocsin.client.calls import decoy_call, track_call
from tocsin.formats.wire import decode_answer
from tocsin.model.base64url import decode
from tocsin.model.calls import Verdict
from tocsin.service.clock import SystemClock
from tocsin.web.server import running_server


@pytest.fixture(scope="module")
def sandbox() -> Iterator[tuple[int, Handouts]]:
    with running_sandbox(0, SystemClock()) as (base_url, handouts):
        yield int(base_url.rpartition(":")[2]), handouts


def with_fault(body: bytes, fault: str) -> bytes:
    """A call that asks for this fault."""
    return call_bytes(body).replace(b"\r\n", f"\r\n{sandbox_faults.HEADER}: {fault}\r\n".encode(), 1)


@pytest.mark.parametrize("fault", [*sandbox_faults.FAULTS, "cut-answer 3", "slow-answer 60", "nonsense"])
def test_production_knows_no_fault(site: Site, fault: str) -> None:
    """T-I9: no switch of a deployment leads to a fault: the header is one like any other."""
    with running_server(site.deployment, "127.0.0.1", 0, grid_seconds=0) as base_url:
        reply = ask(int(base_url.rpartition(":")[2]), with_fault(decoy_call(), fault))
        assert (reply.status, decode_answer(reply.body).verdict) == (200, Verdict.NOTED)
        assert ask(int(base_url.rpartition(":")[2]), request_bytes("GET", "/sandbox/codes/fresh")).status == 404


def test_only_the_sandbox_names_the_header_and_wraps_itself_in_it() -> None:
    """T-I9: what a deployment is served through imports none of it."""
    source = Path(sandbox_faults.__file__).parents[1]
    naming = {
        path.name
        for path in source.rglob("*.py")
        if re.search(r"sandbox_faults|x-tocsin-fault", path.read_text(), re.I)
    }
    assert naming == {"sandbox.py", "sandbox_faults.py"}


def _cuts(port: int, handouts: Handouts, places: range) -> None:
    for place in places:
        code = handouts.code("fresh")
        assert code
        pending = report(f"cut {place}", code, 1, SystemClock().now())
        with Wire(port) as wire:
            wire.send(call_bytes(pending.body))
            got = b""
            while len(got) < place:
                got += wire.socket.recv(place - len(got))
        again = ask(port, call_bytes(pending.body))
        assert decode_answer(again.body).verdict is Verdict.TAKEN, "and the code was not burnt by the first"
        other = report(f"other {place}", code, 1, SystemClock().now())
        assert decode_answer(ask(port, call_bytes(other.body)).body).verdict is Verdict.CODE_SPENT


def _answer_bytes(port: int) -> int:
    reply = ask(port, call_bytes(decoy_call()))
    return len(reply.raw_head) + 4 + len(reply.body)


def test_an_answer_cut_anywhere_leaves_exactly_one_report(sandbox: tuple[int, Handouts]) -> None:
    """E2: the connection ends after so many bytes of the answer; the repetition reads the same receipt."""
    port, handouts = sandbox
    _cuts(port, handouts, range(0, _answer_bytes(port) + 1, 101))


@pytest.mark.slow
def test_an_answer_cut_at_every_byte_leaves_exactly_one_report() -> None:
    """E2, byte by byte."""
    with running_sandbox(0, SystemClock()) as (base_url, handouts):
        port = int(base_url.rpartition(":")[2])
        _cuts(port, handouts, range(_answer_bytes(port) + 1))


@pytest.mark.parametrize("fault", ["not_now", "broken"])
@pytest.mark.parametrize("stored", ["", "-stored"])
def test_a_fault_with_and_without_the_report(sandbox: tuple[int, Handouts], fault: str, stored: str) -> None:
    port, handouts = sandbox
    name = f"{fault}{stored}"
    pending = report(name, handouts.code("fresh"), 1, SystemClock().now())
    assert ask(port, with_fault(pending.body, name)).status == {"not_now": 503, "broken": 500}[fault]
    tracked = decode_answer(ask(port, call_bytes(track_call(drawn(f"{name} w")))).body).verdict
    assert tracked is (Verdict.TAKEN if stored else Verdict.UNKNOWN)


def test_a_report_that_was_rolled_back_is_there_to_be_tracked(sandbox: tuple[int, Handouts]) -> None:
    port, _ = sandbox
    secret = ask(port, request_bytes("GET", "/sandbox/secrets/cut_off")).body.decode().strip()
    assert decode_answer(ask(port, call_bytes(track_call(decode(secret)))).body).verdict is Verdict.CUT_OFF


def test_it_ends_by_a_signal_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tocsin", "sandbox", "--port", "0"]
    environment = {"TMPDIR": str(tmp_path), "PATH": ""}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True) as run:
        assert run.stdout
        first = run.stdout.readline()
        assert first.startswith("A sandbox for apps: http://127.0.0.1:")
        while run.stdout.readline() != "Stop with Ctrl-C.\n":
            pass
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (0, "")
    assert "nothing is left" in out
    assert list(tmp_path.iterdir()) == []
