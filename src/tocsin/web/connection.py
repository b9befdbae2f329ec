"""One connection: uvicorn's, with the limits that it lacks, so that a slow or endless client costs little.

- The bytes of a request are all there within `RECEIVE_SECONDS` of its first, or of the connection's start.
- Request line and headers together have `MAX_HEADER_BYTES` at most, in `MAX_HEADERS` lines; a whole request has
  `MAX_REQUEST_BYTES`.
- A reader that takes nothing for `SEND_SECONDS` is let go.
- More than `MAX_CONNECTIONS` at once, or than one caller may have (`web.crowd`), are told so and closed.
- Of requests that come before the ones before them are answered, `MAX_AHEAD` wait.

What can't be read as HTTP/1.1 is answered with the fixed problem ``bad_request``, then the connection is closed.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from tocsin.model.errors import Invalid
from tocsin.web.addresses import caller_of_peer
from tocsin.web.crowd import Crowd
from tocsin.web.problems import Problem

RECEIVE_SECONDS: Final = 10.0
"""From the first byte of a request to its last; generous for 5 kB over a bad mobile network."""
SEND_SECONDS: Final = 30.0
"""For 64 KiB, or for what is left when the connection closes."""
MAX_HEADER_BYTES: Final = 16_384
MAX_HEADERS: Final = 100
"""Of one request, trailers included: each costs some hundred bytes of memory, however short it is."""
MAX_AHEAD: Final = 8
"""Requests that may wait for the answer before them; each costs some kilobytes, and may be as short as a line."""
MAX_REQUEST_BYTES: Final = 65_536
"""A call is 4 KiB; the rest is read, and dropped, only so that its sender comes to read why it was refused."""
MAX_CONNECTIONS: Final = 4_096


class State(ServerState):
    """uvicorn's, which also hears of the problems that no application has sent."""

    def __init__(self, problem_sent: Callable[[str], None]) -> None:
        super().__init__()
        self.problem_sent = problem_sent


class Connection(HttpToolsProtocol):
    """uvicorn's protocol class with limits: a timer while a request comes in, a timer while the reader is slow."""

    _receiving: asyncio.TimerHandle | None = None
    _sending: asyncio.TimerHandle | None = None
    _in_headers = False
    _request_bytes = 0
    _entered: bytes | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        crowd: Crowd,
    ) -> None:
        """As uvicorn makes it, and the `crowd` that this connection is one of."""
        super().__init__(config, server_state, app_state, _loop)
        self._crowd = crowd

    # --- a connection's life ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._await_request()
        caller = caller_of_peer(self.client[0] if self.client else None).own
        if len(self.connections) <= MAX_CONNECTIONS and self._crowd.enter(caller):
            self._entered = caller
        else:
            self._refuse(Problem.NOT_NOW)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._await_request()
        self._request_bytes += len(data)
        super().data_received(data)
        if self._receiving is None:
            return
        if self._in_headers and self._request_bytes > MAX_HEADER_BYTES:
            self.send_400_response("")
        elif self._request_bytes > MAX_REQUEST_BYTES:
            self.loop.call_soon(self._close)  # after the application, which may be about to say why

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop(self._receiving)
        self._stop(self._sending)
        if self._entered is not None:
            self._crowd.leave(self._entered)
        super().connection_lost(exc)

    # --- a request's life, as the parser tells it ---

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_AHEAD:
            raise Invalid("too many requests ahead of their answers")  # which the parser takes for a bad request
        self._in_headers = True
        self._request_bytes = 0
        self._await_request()  # also if it comes in one packet with the end of the one before
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            raise Invalid("too many headers")

    def on_headers_complete(self) -> None:
        self._in_headers = False
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEADER_BYTES:
            raise Invalid("the headers are too long")
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0"):  # the latter is what many a proxy speaks to the server behind it
            raise Invalid("another version")
        if version == "1.1" and sum(name == b"host" for name, _ in self.headers) != 1:
            raise Invalid("not one Host")  # RFC 9112, section 3.2
        if self.parser.should_upgrade():  # the parser would take the body for another protocol's bytes
            raise Invalid("another protocol")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stop(self._receiving)
        self._receiving = None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        cycle = cast(RequestResponseCycle | None, self.cycle)  # None before the first request
        if cycle is None or cycle.response_complete:
            self._refuse(Problem.BAD_REQUEST)
        else:
            cycle.keep_alive = False  # what came before the nonsense is answered, then it closes

    # --- an answer's life ---

    def pause_writing(self) -> None:
        self._await_reader()
        super().pause_writing()

    def resume_writing(self) -> None:
        if not self.transport.is_closing():
            self._stop(self._sending)
            self._sending = None
        super().resume_writing()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:  # and no later request has taken its place
            self.cycle.body = bytearray()  # what was sent of a body that nobody wanted
        if self.transport.is_closing():  # the client, or the problem, wanted no further request
            self._await_reader()

    def _refuse(self, problem: Problem) -> None:
        """Answers before there is a request to hand on, and closes."""
        if self.transport.is_closing():
            return
        if isinstance(self.server_state, State):
            self.server_state.problem_sent(problem.code)
        headers = [(name.encode(), value.encode()) for name, value in problem.headers.items()]
        lines = [*self.server_state.default_headers, *headers, (b"connection", b"close")]
        self.transport.write(
            STATUS_LINE[problem.status]
            + b"".join(name + b": " + value + b"\r\n" for name, value in lines)
            + b"\r\n"
            + problem.body
        )
        self._close()

    def _close(self) -> None:
        self.transport.close()
        self._await_reader()

    def _await_request(self) -> None:
        if self._receiving is None:
            self._receiving = self.loop.call_later(RECEIVE_SECONDS, self.transport.abort)

    def _await_reader(self) -> None:
        if self._sending is None:
            self._sending = self.loop.call_later(SEND_SECONDS, self.transport.abort)

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
