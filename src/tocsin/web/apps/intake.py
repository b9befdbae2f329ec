"""The apps' one call, ``POST /v1/reports``: 4,096 bytes in, 1,024 bytes out, whatever they say.

What shows without reading the body is judged first, and may be told by a status. From the last byte of the body on all
calls go one way: into the group that the journal makes durable, and back on the grid. Source: ``docs/formats/http.md``.
"""

import asyncio
from contextlib import suppress
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from tocsin.formats.wire import ANSWER_BYTES, REQUEST_BYTES
from tocsin.model.errors import TocsinError, Unavailable
from tocsin.model.ports import Clock
from tocsin.model.times import day_of, floor_quarter
from tocsin.service.collect import Collector
from tocsin.service.key_folder import KeyFolder
from tocsin.service.perform import Arrival
from tocsin.web.addresses import caller_of_call
from tocsin.web.apps.grid import next_tick
from tocsin.web.problems import Problem, problem_response

ANSWER_HEADERS: Final = [
    (b"content-type", b"application/json"),
    (b"content-length", str(ANSWER_BYTES).encode()),
    (b"cache-control", b"no-store"),
]
"""The headers of every answer; the server adds the date."""
_MANY_DIGITS: Final = 20


class Intake:
    """The ASGI endpoint. `grid_seconds` 0 takes the answers off the grid: for measurements only."""

    def __init__(
        self, collector: Collector, keys: KeyFolder, clock: Clock, trusted_proxies: int, grid_seconds: float
    ) -> None:
        self._collector = collector
        self._keys = keys
        self._clock = clock
        self._trusted_proxies = trusted_proxies
        self._grid_seconds = grid_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one call. A client that hangs up before its last byte has sent none."""
        request = Request(scope, receive)
        problem = header_problem(request.headers) or self._closed()
        if problem is not None:
            await problem_response(problem)(scope, receive, send)
            return
        try:
            body = await _read(request)
        except ClientDisconnect:
            return
        if (problem := _length_problem(len(body))) is not None:
            await problem_response(problem)(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        arrived = loop.time()
        answer = await self._answer(body, scope, loop)
        leaves = next_tick(loop.time(), arrived, self._grid_seconds)
        await asyncio.sleep(leaves - loop.time())
        if answer is None:
            await problem_response(Problem.NOT_NOW)(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": ANSWER_HEADERS})
        await send({"type": "http.response.body", "body": answer})
        with suppress(Unavailable):  # a clock that jumped
            self._collector.telemetry.call_answered(round(leaves - arrived, 3), self._clock.now())

    async def _answer(self, body: bytes, scope: Scope, loop: asyncio.AbstractEventLoop) -> bytes | None:
        """The answer of the group; None, for all of it alike, if nothing could be stored."""
        try:
            now = self._clock.now()
            caller = caller_of_call((scope.get("client") or (None,))[0], scope["headers"], self._trusted_proxies)
            source = self._collector.sources.source(caller.own, caller.network, now)
            return await self._collector.answer(Arrival(body, floor_quarter(now), source), loop)
        except Unavailable:
            return None

    def _closed(self) -> Problem | None:
        """Whether calls can't be taken now, whatever they hold: too many wait, no key for today, a clock gone wrong."""
        try:
            open_now = self._collector.has_room and self._keys.has_day_key(day_of(self._clock.now()))
        except TocsinError:  # a clock that jumped, a key that is damaged
            open_now = False
        return None if open_now else Problem.NOT_NOW


def header_problem(headers: Headers) -> Problem | None:
    """What is wrong with a call as far as its headers tell, the first of it; None if nothing is."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return Problem.WRONG_TYPE
    if "content-encoding" in headers:
        return Problem.ENCODED
    length = headers.get("content-length", "").strip(" \t")
    if "transfer-encoding" in headers or not length:
        return Problem.LENGTH_REQUIRED
    if not (length.isascii() and length.isdigit()):
        return Problem.WRONG_LENGTH
    digits = length.lstrip("0")  # HTTP allows any number of zeros, and Python refuses to read so long a number
    return _length_problem(int(digits or "0")) if len(digits) < _MANY_DIGITS else Problem.TOO_LONG


def _length_problem(length: int) -> Problem | None:
    if length == REQUEST_BYTES:
        return None
    return Problem.TOO_LONG if length > REQUEST_BYTES else Problem.WRONG_LENGTH


async def _read(request: Request) -> bytes:
    """The body, given up as soon as it is longer than a call: whatever the headers said of it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > REQUEST_BYTES:
            break
    return bytes(body)
