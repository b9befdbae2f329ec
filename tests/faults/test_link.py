"""The piece of network that other tests hang up leaves nothing open itself."""

import gc
import socket
import warnings
from contextlib import ExitStack, suppress

from tests.faults.link import LOCALHOST, Link


def test_a_caller_who_is_not_through_yet_is_hung_up() -> None:
    with ExitStack() as stack, warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        deaf = stack.enter_context(socket.create_server((LOCALHOST, 0), backlog=0))
        port = deaf.getsockname()[1]
        waiting = [stack.enter_context(socket.socket()) for _ in range(4)]
        for one in waiting:  # they fill its queue, so that the next one is neither taken nor refused
            one.setblocking(False)
            one.connect_ex((LOCALHOST, port))
        with Link(port) as link:
            caller = stack.enter_context(socket.create_connection((LOCALHOST, link.port), timeout=10.0))
            last = stack.enter_context(socket.create_connection((LOCALHOST, link.port), timeout=10.0))
        for one in (caller, last):
            with suppress(ConnectionResetError):
                assert one.recv(1) == b""
        gc.collect()
    assert [str(one.message) for one in heard if issubclass(one.category, ResourceWarning)] == []
