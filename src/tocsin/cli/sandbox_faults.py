"""Faults on demand, for the sandbox alone: an application around the real one, which no deployment is served through.

A request that names a fault in the header ``X-Tocsin-Fault`` meets it; any other goes through untouched. The table for
app developers is in ``docs/apps.md``.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.formats.wire import encode_answer
from tocsin.model.calls import Answer, Verdict
from tocsin.web.apps.intake import ANSWER_HEADERS
from tocsin.web.problems import Problem, problem_response

HEADER: Final = "X-Tocsin-Fault"
MOST: Final = 60_000
"""The largest number that a fault takes: bytes or seconds."""

_Fault = Callable[[ASGIApp, int, Scope, Receive, Send], Awaitable[None]]


class Faults:
    """`application`, but for requests that name a fault: ``NAME`` or ``NAME N``."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = Headers(scope=scope).get(HEADER)
        if wanted is None:
            await self._application(scope, receive, send)
            return
        name, _, number = wanted.partition(" ")
        fault = FAULTS.get(name)
        if fault is None or not (number or "0").isdecimal() or len(number) > 5 or int(number or 0) > MOST:
            await PlainTextResponse(f"{HEADER}: one of {', '.join(FAULTS)}\n", 400)(scope, receive, send)
            return
        await fault(self._application, int(number or 0), scope, receive, send)


def _problem(problem: Problem) -> _Fault:
    """Nothing is stored, and `problem` is the answer."""

    async def fault(application: ASGIApp, number: int, scope: Scope, receive: Receive, send: Send) -> None:
        await _read(receive)
        await problem_response(problem)(scope, receive, send)

    return fault


def _stored(problem: Problem) -> _Fault:
    """The call is taken as ever, and then `problem` is the answer."""

    async def fault(application: ASGIApp, number: int, scope: Scope, receive: Receive, send: Send) -> None:
        async def unsent(message: Message) -> None:
            pass

        await application(scope, receive, unsent)
        await problem_response(problem)(scope, receive, send)

    return fault


def _verdict(verdict: Verdict) -> _Fault:
    """Nothing is stored, and `verdict` is the answer."""

    async def fault(application: ASGIApp, number: int, scope: Scope, receive: Receive, send: Send) -> None:
        await _read(receive)
        await send({"type": "http.response.start", "status": 200, "headers": ANSWER_HEADERS})
        await send({"type": "http.response.body", "body": encode_answer(Answer(verdict))})

    return fault


async def _cut(application: ASGIApp, number: int, scope: Scope, receive: Receive, send: Send) -> None:
    """The request is served as ever; of the body of its answer `number` bytes arrive, then the connection is cut."""
    left = number

    async def sent(message: Message) -> None:
        nonlocal left
        if message["type"] == "http.response.body":
            body = message.get("body", b"")[:left]
            left -= len(body)
            message = {"type": "http.response.body", "body": body, "more_body": True}
        await send(message)

    await application(scope, receive, sent)  # and returns without an end: the server closes the connection


async def _slow(application: ASGIApp, number: int, scope: Scope, receive: Receive, send: Send) -> None:
    """The request is served as ever; its answer leaves `number` seconds late."""

    async def late(message: Message) -> None:
        if message["type"] == "http.response.start":
            await asyncio.sleep(number)
        await send(message)

    await application(scope, receive, late)


async def _read(receive: Receive) -> None:
    """Reads the body to its end, so that the client comes to read the answer."""
    while (await receive()).get("more_body", False):
        pass


FAULTS: Final[dict[str, _Fault]] = {
    **{problem.code: _problem(problem) for problem in (Problem.NOT_NOW, Problem.BROKEN)},
    **{f"{problem.code}-stored": _stored(problem) for problem in (Problem.NOT_NOW, Problem.BROKEN)},
    **{verdict.value: _verdict(verdict) for verdict in (Verdict.PROVISIONAL, Verdict.OVER_ALLOWANCE, Verdict.TOO_OLD)},
    "cut-answer": _cut,
    "slow-answer": _slow,
}
"""By name: what no request can bring about by itself, or not within minutes."""
