"""`tocsin serve` as a process, and 500 clients that want to hold it up: it lets go of them, and grows by little.

How long it waits is shortened (`tests.faults.hurried`); what is asserted is order and memory, no time.
"""

import contextlib
import hashlib
import re
import select
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.faults.servers import Server, until
from tests.sites import FixedClock, Site, report
from tests.web.wire import ask, call_bytes
from tocsin.client.calls import decoy_call
from tocsin.formats.leaf import Profile, object_name
from tocsin.formats.wire import decode_answer
from tocsin.model.calls import Verdict
from tocsin.service.clock import SystemClock

CLIENTS = 500
SOON = 5
"""Seconds after which the server lets go: long enough for one report in between, on a busy machine too."""
NEVER = 600
HEAD = b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4096\r\n"
FULL_HEAD = HEAD + b"".join(b"x%02d: %s\r\n" % (number, b"y" * 150) for number in range(95))
"""As much as the headers of one request may have."""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site", FixedClock(SystemClock().now()))


@pytest.fixture
def serve(site: Site, tmp_path: Path) -> Callable[[int], Server]:
    """Starts a server that waits so many seconds."""
    site.deployment.close()

    def started(seconds: int) -> Server:
        words = ["tests.faults.hurried", str(seconds), "serve", "--port", "0", "--data", str(site.top)]
        return Server(tmp_path / "said", words)

    return started


@contextlib.contextmanager
def clients(port: int, first: Sequence[bytes]) -> Iterator[list[socket.socket]]:
    """Connections that have sent these bytes, in turns."""
    with contextlib.ExitStack() as stack:
        opened = []
        for number in range(CLIENTS):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # else the kernel holds gigabytes for them
            client.connect(("127.0.0.1", port))
            client.sendall(first[number % len(first)])
            opened.append(client)
        yield opened


def verdict(site: Site, port: int, serial: int) -> Verdict:
    """What an honest report is told."""
    body = report(f"phone {serial}", site.cards[serial], 3, site.clock.now()).body
    return decode_answer(ask(port, call_bytes(body)).body).verdict


def peak_kib(server: Server) -> int:
    """The most memory that the process has had at once (proc(5): VmHWM)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text())
    assert found is not None
    return int(found[1])


def still_open(sockets: list[socket.socket]) -> list[socket.socket]:
    """Those that the server has not closed; one byte more is sent on each."""
    poll = select.poll()
    for each in sockets:
        poll.register(each, select.POLLIN | select.POLLRDHUP)
    gone = {number for number, _ in poll.poll(0)}
    left = [each for each in sockets if each.fileno() not in gone]
    for each in left:
        with contextlib.suppress(OSError):
            each.send(b"y")
    return left


@pytest.mark.faults
def test_500_slow_senders_are_let_go_and_a_report_in_their_midst_is_taken(  # T-D3
    site: Site, serve: Callable[[int], Server]
) -> None:
    """Headers and bodies, a byte at a time: none buys time by a byte, and an honest report waits for none of them."""
    server = serve(SOON)
    with clients(server.port, [HEAD, HEAD + b"\r\n{", b"P", b"\r\n"]) as slow:
        assert verdict(site, server.port, 0) is Verdict.TAKEN
        assert still_open(slow), "there was no midst: the report took longer than the server waits"
        left = [slow]

        def all_are_gone() -> bool:
            left[0] = still_open(left[0])
            return not left[0]

        until("slow senders are let go", all_are_gone)
    assert verdict(site, server.port, 1) is Verdict.TAKEN
    server.stop()


@pytest.mark.faults
@pytest.mark.parametrize(
    ("first", "kib_each"),
    [
        ([FULL_HEAD, FULL_HEAD + b"\r\n" + b" " * 4095], 64),
        ([b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 65000\r\n\r\n" + b"x" * 60_000], 64),
        ([HEAD.replace(b"Content-Length: 4096", b"Transfer-Encoding: chunked") + b"\r\n" + b"1\r\nx\r\n" * 10_000], 64),
        ([b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2000], 64),
    ],
    ids=["half-sent calls", "half-sent bodies that nobody wants", "chunks", "a crowd of requests ahead"],
)
def test_500_half_sent_requests_cost_little_memory(  # T-D4
    site: Site, serve: Callable[[int], Server], first: Sequence[bytes], kib_each: int
) -> None:
    """`docs/formats/http.md` §4 states the bound."""
    server = serve(NEVER)
    assert server.verdict(decoy_call()) is Verdict.NOTED
    before = peak_kib(server)
    with clients(server.port, first):
        assert verdict(site, server.port, 0) is Verdict.TAKEN
        assert peak_kib(server) - before < CLIENTS * kib_each


@pytest.mark.faults
def test_500_readers_that_never_read_cost_little_memory_and_are_let_go(  # T-D3
    site: Site, serve: Callable[[int], Server]
) -> None:
    data = bytes(2**22)  # more than the buffers of two sockets hold
    name = object_name("utopia", Profile.KEYSET, hashlib.sha256(data).digest())
    site.deployment.bucket.create(name, data)
    server = serve(SOON)
    asked = b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % name.encode()
    assert ask(server.port, asked.replace(b"GET", b"HEAD")).status == 200
    before = peak_kib(server)
    with clients(server.port, [asked + FULL_HEAD + b"\r\n" + decoy_call()]) as readers:
        assert verdict(site, server.port, 0) is Verdict.TAKEN
        open_files = Path(f"/proc/{server.process.pid}/fd")
        until("readers are let go", lambda: len(list(open_files.iterdir())) < CLIENTS // 2)
        assert peak_kib(server) - before < CLIENTS * 256
        assert len(readers) == CLIENTS
    assert verdict(site, server.port, 1) is Verdict.TAKEN
    server.stop()
