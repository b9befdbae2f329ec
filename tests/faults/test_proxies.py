"""The proxies of ``docs/operating/limits.md``, as they stand there, before a real server (T-D3, T-D7).

Needs nginx or HAProxy on the path; each is skipped where it is not there. Only addresses and TLS are changed.
"""

import contextlib
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.servers import until
from tests.flows.test_sources import Caller, served
from tests.sites import Site
from tests.web.test_hostile import ANSWERED, LAST_ONES, REFUSED
from tests.web.wire import ask, call_bytes, request_bytes
from tocsin.client.calls import decoy_call
from tocsin.formats.wire import decode_answer
from tocsin.model.calls import Verdict

PAGE = Path(__file__).parents[2] / "docs/operating/limits.md"


def shown(name: str) -> str:
    """The configuration under ``name:`` on the page."""
    _, _, behind = PAGE.read_text(encoding="utf-8").partition(f"\n{name}:\n\n")
    lines = re.match(r"(?: {4}.*\n|\n)+", behind)
    assert lines is not None
    return lines[0]


def nginx(folder: Path, port: int, server_port: int) -> list[str]:
    text = shown("nginx").replace("listen 443 ssl;", f"listen 127.0.0.1:{port};").replace(":8787", f":{server_port}")
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"daemon off;\npid {folder}/pid;\nerror_log {folder}/errors;\nevents {{}}\n"
    (folder / "nginx.conf").write_text(f"{head}http {{\n{paths}{text}}}\n")
    return ["-e", f"{folder}/errors", "-c", f"{folder}/nginx.conf"]


def haproxy(folder: Path, port: int, server_port: int) -> list[str]:
    text = re.sub(r"bind .*", f"bind 127.0.0.1:{port}", shown("HAProxy")).replace(":8787", f":{server_port}")
    (folder / "haproxy.cfg").write_text(re.sub(r"(?m)^ {4}", "", text))
    return ["-db", "-f", f"{folder}/haproxy.cfg"]


PROXIES: dict[str, Callable[[Path, int, int], list[str]]] = {"nginx": nginx, "haproxy": haproxy}


@pytest.fixture(params=PROXIES)
def behind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Site, int]]:
    """A site, and the port of a proxy before its server."""
    command = shutil.which(request.param)
    if command is None:
        pytest.skip(f"{request.param} is not installed (Debian: apt-get install {request.param})")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    folder = tmp_path / "proxy"
    folder.mkdir()
    with served(tmp_path / "site", 1) as (site, server_port):
        arguments = PROXIES[request.param](folder, port, server_port)
        with (folder / "said").open("wb") as said:
            process = subprocess.Popen([command, *arguments], stdout=said, stderr=said)
        try:
            until(f"{request.param} listens", lambda: process.poll() is not None or listens(port))
            assert process.poll() is None, (folder / "said").read_text()
            yield site, port
        finally:
            process.terminate()
            process.wait()


def listens(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@pytest.mark.faults
def test_callers_are_told_apart_and_what_they_write_is_not_believed(behind: tuple[Site, int]) -> None:  # T-D7
    site, port = behind
    Caller(site, port).uses_up_its_allowance()
    assert Caller(site, port, "192.0.2.1").is_stopped
    assert Caller(site, port, "192.0.2.1", "192.0.2.2, 192.0.2.3").is_stopped
    assert not Caller(site, port, peer="127.0.0.2").is_stopped
    assert Caller(site, port).tell(site.cards[0], "by card") is Verdict.TAKEN


@pytest.mark.faults
def test_nothing_hidden_in_a_request_is_answered_to_somebody_else(behind: tuple[Site, int]) -> None:  # T-D7
    _, port = behind
    attacks = [*REFUSED.values(), *(sent for sent, _ in (ANSWERED | LAST_ONES).values())]
    for sent in attacks:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as attacker:
            attacker.sendall(sent)
            attacker.settimeout(0.05)
            while attacker.recv(65_536):
                pass
        for _ in range(2):
            assert ask(port, request_bytes("GET", "/v1/nothing")).status == 404, sent
            reply = ask(port, call_bytes(decoy_call()))
            assert decode_answer(reply.body).verdict is Verdict.NOTED, sent
