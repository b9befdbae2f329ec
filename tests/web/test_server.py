"""Starting and stopping: a free port, a taken one, and nobody left without an answer."""

import resource
import socket
import threading

import pytest

from tests.sites import Site
from tests.web.wire import Wire, ask, call_bytes, request_bytes
from tocsin.client.calls import decoy_call
from tocsin.formats.wire import decode_answer
from tocsin.model.calls import Verdict
from tocsin.model.errors import Unavailable
from tocsin.web.connection import MAX_CONNECTIONS
from tocsin.web.server import WebServer, running_server


def test_a_free_port_is_taken_and_told(site: Site) -> None:
    with running_server(site.deployment, "127.0.0.1", 0) as base_url:
        assert base_url.startswith("http://127.0.0.1:")
        assert ask(int(base_url.rpartition(":")[2]), request_bytes("GET", "/trust.json")).status == 200
    with pytest.raises(ConnectionRefusedError):
        Wire(int(base_url.rpartition(":")[2]))


def test_as_many_files_may_be_open_as_there_may_be_connections(site: Site) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * MAX_CONNECTIONS:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        with running_server(site.deployment, "127.0.0.1", 0):
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > MAX_CONNECTIONS
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_one_deployment_is_served_twice_in_turn_and_threads_are_not_left(site: Site) -> None:
    before = set(threading.enumerate())
    for _ in range(2):
        with running_server(site.deployment, "127.0.0.1", 0):
            pass
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not left & {"web", "collector"}


def test_a_taken_port_is_said_in_our_words(site: Site) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(Unavailable, match="another server"),
        running_server(site.deployment, "127.0.0.1", other.getsockname()[1]),
    ):
        pass


def test_a_call_that_waits_is_answered_while_the_server_stops(site: Site) -> None:
    with running_server(site.deployment, "127.0.0.1", 0) as base_url:
        wire = Wire(int(base_url.rpartition(":")[2]))
        request = call_bytes(decoy_call())
        wire.send(request[:-1])
        wire.send(request[-1:])
        ask(int(base_url.rpartition(":")[2]), call_bytes(decoy_call()))  # by now the server has the first call
    with wire:
        assert decode_answer(wire.reply().body).verdict is Verdict.NOTED


def test_an_application_that_can_not_be_loaded_does_not_hang_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    async def application(scope: object, receive: object, send: object) -> None:
        pass

    server = WebServer(application, "127.0.0.1", 0)
    monkeypatch.setattr(server._server, "run", lambda sockets: None)
    with pytest.raises(Unavailable, match="did not start"):
        server.start()
    server.stop()


def test_an_ipv6_address_is_written_in_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")

    async def application(scope: object, receive: object, send: object) -> None:
        pass

    try:
        server = WebServer(application, "::1", 0)
    except Unavailable:
        pytest.skip("this machine has no IPv6 loopback")
    assert server.base_url == f"http://[::1]:{server.port}"
    server.start()
    server.stop()
