"""Clients that are slow, endless or many: each costs little (T-D1, T-D3–T-D5). What they say: `test_hostile`."""

import contextlib
import hashlib
import socket
import threading

import pytest
from msgspec.structs import replace

from tests.sites import Site, report
from tests.web.wire import TIMEOUT_SECONDS, Wire, ask, call_bytes, request_bytes
from tocsin.client.calls import decoy_call
from tocsin.formats.leaf import Profile, object_name
from tocsin.formats.wire import decode_answer
from tocsin.model.calls import Verdict
from tocsin.web import connection, server
from tocsin.web.connection import Connection
from tocsin.web.problems import Problem
from tocsin.web.server import running_server

GOOD = {"Content-Type": "application/json", "Content-Length": "4096"}
AT_ONCE = 0.05


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "RECEIVE_SECONDS", AT_ONCE)
    monkeypatch.setattr(server, "IDLE_SECONDS", AT_ONCE)


SLOW = {
    "nothing at all": [],
    "half a request line": [b"GET /v1/he"],
    "half the headers": [b"GET /v1/head HTTP/1.1\r\nHost: x\r\n"],
    "half a body": [request_bytes("POST", "/v1/reports", GOOD), b" " * 100],
    "empty lines": [b"\r\n"],
    "a next request never ended": [request_bytes("GET", "/nothing"), b"GET /v1/he"],
    "a next request that came along, without its body": [
        request_bytes("GET", "/nothing") + request_bytes("POST", "/v1/reports", GOOD)
    ],
}


@pytest.mark.parametrize("pieces", SLOW.values(), ids=SLOW.keys())
def test_a_client_that_never_comes_to_an_end_is_closed(impatient: None, port: int, pieces: list[bytes]) -> None:
    with Wire(port) as wire:
        for piece in pieces:
            wire.send(piece)
        assert_closes(wire)


def test_an_empty_line_after_an_answer_buys_no_time(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "RECEIVE_SECONDS", AT_ONCE)
    with Wire(port) as wire:
        wire.send(request_bytes("GET", "/nothing"))
        wire.reply()
        wire.send(b"\r\n")
        assert wire.is_closed()


def test_a_byte_now_and_then_buys_no_time(impatient: None, port: int) -> None:  # T-D3
    with Wire(port) as wire:
        wire.send(request_bytes("POST", "/v1/reports", GOOD))
        wire.socket.settimeout(AT_ONCE / 10)
        for _ in range(4000):  # bytes, a tenth of the deadline apart: closed long before a body is whole
            try:
                wire.send(b" ")
                if wire.socket.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("a byte now and then is waited for")


def assert_closes(wire: Wire) -> None:
    """Reads until the server closes; fails by the socket's own timeout if it does not."""
    with contextlib.suppress(ConnectionResetError):
        while wire.socket.recv(65_536):
            pass


def test_slow_clients_hold_up_nobody(site: Site, port: int) -> None:  # T-D3
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            wire = stack.enter_context(Wire(port))
            wire.send(request_bytes("POST", "/v1/reports", GOOD) + b"{")
        reply = ask(port, call_bytes(report("ada", site.cards[0], 3, site.clock.now()).body))
        assert decode_answer(reply.body).verdict is Verdict.TAKEN


def test_a_reader_that_takes_nothing_is_let_go(site: Site, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = threading.Event()

    connection_lost = Connection.connection_lost

    def watched(self: Connection, exc: Exception | None) -> None:
        connection_lost(self, exc)
        lost.set()

    monkeypatch.setattr(connection, "SEND_SECONDS", AT_ONCE)
    monkeypatch.setattr(Connection, "connection_lost", watched)
    data = bytes(64 * 2**20)  # more than the buffers of two sockets hold
    name = object_name("utopia", Profile.KEYSET, hashlib.sha256(data).digest())
    site.deployment.bucket.create(name, data)
    with Wire(port) as wire:
        wire.send(request_bytes("GET", f"/{name}"))
        assert lost.wait(TIMEOUT_SECONDS)


def test_a_source_has_a_limit_of_its_own_and_others_come_in(site: Site) -> None:  # T-D3
    settings = replace(site.deployment.settings, connections_per_source=3)
    site.deployment.settings = settings
    with running_server(site.deployment, "127.0.0.1", 0, grid_seconds=0) as base_url, contextlib.ExitStack() as stack:
        port = int(base_url.rpartition(":")[2])
        wires = [stack.enter_context(Wire(port)) for _ in range(3)]
        for wire in wires:
            wire.send(call_bytes(decoy_call()))
            assert wire.reply().status == 200
        with Wire(port) as fourth:
            reply = fourth.reply()
            assert (reply.status, reply.body) == (503, Problem.NOT_NOW.body)
            assert reply.headers["connection"] == "close"
            assert fourth.is_closed()
        assert ask(port, call_bytes(decoy_call()), source="127.0.0.2").status == 200
        wires[0].send(request_bytes("GET", "/nothing", {"Connection": "close"}))
        wires[0].reply()
        assert wires[0].is_closed()  # and so there is room for one
        assert ask(port, call_bytes(decoy_call())).status == 200


def test_behind_a_proxy_all_come_from_one_address_and_none_is_refused_for_it(site: Site) -> None:
    site.deployment.settings = replace(site.deployment.settings, connections_per_source=3, trusted_proxies=1)
    with running_server(site.deployment, "127.0.0.1", 0, grid_seconds=0) as base_url, contextlib.ExitStack() as stack:
        for _ in range(20):
            wire = stack.enter_context(Wire(int(base_url.rpartition(":")[2])))
            wire.send(call_bytes(decoy_call()))
            assert wire.reply().status == 200


def test_more_connections_than_allowed_are_told_so(port: int, monkeypatch: pytest.MonkeyPatch) -> None:  # T-D1
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 2)
    with Wire(port) as first, Wire(port) as second:
        for wire in (first, second):
            wire.send(call_bytes(decoy_call()))
            assert wire.reply().status == 200
        with Wire(port) as third:
            reply = third.reply()
            assert (reply.status, reply.body) == (503, Problem.NOT_NOW.body)
            assert reply.headers["connection"] == "close"
            assert third.is_closed()
    assert ask(port, call_bytes(decoy_call())).status == 200


# --- too much --------------------------------------------------------------------------------------------------------


def test_10_mb_are_refused_and_not_read(standing_port: int) -> None:  # case 57, T-D4
    with Wire(standing_port) as wire:
        wire.send(request_bytes("POST", "/v1/reports", GOOD | {"Content-Length": "10485760"}))
        assert wire.reply().body == Problem.TOO_LONG.body
        assert_cut_off(wire, b" " * 65_536)


def test_endless_chunks_are_refused_and_cut_off(standing_port: int) -> None:  # T-D4
    with Wire(standing_port) as wire:
        headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        wire.send(request_bytes("POST", "/v1/reports", headers))
        assert wire.reply().body == Problem.LENGTH_REQUIRED.body
        assert_cut_off(wire, b"10000\r\n" + b" " * 65_536 + b"\r\n")


@pytest.mark.parametrize(
    "tail", [b"1;" + b"e" * 65_536, b"0\r\n" + b"x: y\r\n" * 20_000], ids=["chunk extension", "trailers"]
)
def test_endless_matter_that_is_no_body_is_cut_off(standing_port: int, tail: bytes) -> None:
    with Wire(standing_port) as wire:
        wire.send(request_bytes("GET", "/v1/head", {"Transfer-Encoding": "chunked"}) + tail)
        with contextlib.suppress(ConnectionResetError):
            wire.reply()
        assert_cut_off(wire, tail)


def assert_cut_off(wire: Wire, piece: bytes) -> None:
    """The server closes long before it was sent 256 MiB."""
    with pytest.raises(OSError):
        for _ in range(2**28 // len(piece)):
            wire.send(piece)


def test_a_body_a_little_too_long_is_refused_and_the_connection_goes_on(standing_port: int) -> None:
    with Wire(standing_port) as wire:
        wire.send(request_bytes("POST", "/v1/reports", GOOD | {"Content-Length": "5000"}, b" " * 5000))
        assert wire.reply().status == 413
        wire.send(call_bytes(decoy_call()))
        assert wire.reply().status == 200


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /v1/head HTTP/1.1\r\n" + b"x: y\r\n" * 100_000 + b"\r\n",
        b"GET /v1/head HTTP/1.1\r\nx: " + b"y" * 17_000 + b"\r\n\r\n",
        b"GET /v1/head HTTP/1.1\r\n" + b"x" * 2**20,
        b"GET /v1/head?" + b"x" * 17_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["many", "a long value", "an endless name", "a long query"],
)
def test_headers_have_a_limit(standing_port: int, request_head: bytes) -> None:  # T-D4
    with Wire(standing_port) as wire:
        with contextlib.suppress(OSError):  # the server may close while this is still being sent
            wire.send(request_head)
        assert wire.reply().body == Problem.BAD_REQUEST.body


def test_headers_within_the_limit_are_taken(standing_port: int) -> None:
    assert ask(standing_port, request_bytes("GET", "/trust.json", {"x": "y" * 16_000})).status == 200


# --- lies ------------------------------------------------------------------------------------------------------------


def test_a_length_that_says_too_much_stores_nothing(site: Site, port: int) -> None:
    before = site.deployment.journal.tip()
    body = report("ada", site.cards[0], 3, site.clock.now()).body
    with Wire(port) as wire:
        wire.send(request_bytes("POST", "/v1/reports", GOOD, body[:-1]))
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.is_closed()
    assert site.deployment.journal.tip() == before


def test_calls_in_a_row_are_answered_in_their_order(site: Site, port: int) -> None:
    now = site.clock.now()
    first = report("ada", site.cards[0], 3, now).body
    with Wire(port) as wire:
        wire.send(call_bytes(first) + call_bytes(decoy_call()) + call_bytes(b" " * 4096))
        verdicts = [decode_answer(wire.reply().body).verdict for _ in range(3)]
    assert verdicts == [Verdict.TAKEN, Verdict.NOTED, Verdict.MALFORMED]
