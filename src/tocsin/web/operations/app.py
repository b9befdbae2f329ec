"""Metrics, health and readiness: ``GET /metrics``, ``/health``, ``/ready``. Described in docs/operating/watching.md."""

from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.model.errors import Unavailable
from tocsin.model.ports import Clock
from tocsin.model.times import Instant
from tocsin.service.readiness import Readiness, Reason
from tocsin.service.telemetry import CONTENT_TYPE, Telemetry
from tocsin.web.last_resort import LastResort
from tocsin.web.problems import PROBLEM_TYPE, Problem, problem_response

_NO_STORE: Final = {"cache-control": "no-store"}


def operations_application(telemetry: Telemetry, readiness: Readiness, clock: Clock) -> Starlette:
    """The ASGI application for operators' machines."""

    def metrics(request: Request) -> Response:  # in a thread of its own: it looks at disks, which may hang
        try:
            now = clock.now()
        except Unavailable:  # then nothing more comes out than was out
            now = Instant(0)
        text = telemetry.scrape(now, [problem.code for problem in Problem])
        return Response(text, headers={"content-type": CONTENT_TYPE, **_NO_STORE})

    async def health(request: Request) -> Response:
        return _told(readiness.ails())

    async def ready(request: Request) -> Response:
        return _told(await readiness.refuses())

    application = Starlette(
        routes=[Route("/metrics", metrics), Route("/health", health), Route("/ready", ready)],
        middleware=[Middleware(LastResort)],
        exception_handlers={HTTPException: _routing_problem},
    )
    application.router.redirect_slashes = False
    return application


def _told(reason: Reason | None) -> Response:
    if reason is None:
        return Response(b'{"status":"ok"}', headers={"content-type": "application/json", **_NO_STORE})
    fields = {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": reason.sentence,
        "code": reason.code,
    }
    return Response(msgspec.json.encode(fields), 503, headers={"content-type": PROBLEM_TYPE, **_NO_STORE})


async def _routing_problem(request: Request, error: Exception) -> Response:
    wrong_method = isinstance(error, HTTPException) and error.status_code == Problem.WRONG_METHOD.status
    return problem_response(Problem.WRONG_METHOD if wrong_method else Problem.NOT_FOUND)
