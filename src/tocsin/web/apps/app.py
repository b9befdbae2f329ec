"""The anonymous half of the server: its routes, and what every one of them has in common."""

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.service.collect import Collector
from tocsin.service.deployment import Deployment
from tocsin.web.apps.files import JSON, TRUST_CACHING, Files
from tocsin.web.apps.grid import GRID_SECONDS
from tocsin.web.apps.intake import Intake
from tocsin.web.apps.openapi import openapi_document
from tocsin.web.last_resort import LastResort
from tocsin.web.problems import Problem, problem_response


def apps_application(deployment: Deployment, collector: Collector, *, grid_seconds: float = GRID_SECONDS) -> Starlette:
    """The ASGI application for apps, over a collector that was started. `grid_seconds` 0: answers leave when ready."""
    files = Files(deployment.bucket, deployment.settings.region, deployment.folders.trust)
    document = msgspec.json.encode(openapi_document(deployment.settings.base_url))

    intake = Intake(collector, deployment.keys, deployment.clock, deployment.settings.trusted_proxies, grid_seconds)

    async def openapi(request: Request) -> Response:
        return Response(document, headers={"content-type": JSON, "cache-control": TRUST_CACHING})

    application = Starlette(
        routes=[
            Route("/v1/reports", intake, methods=["POST"]),
            Route("/v1/head", files.head),
            Route("/v1/{region}/gaen/index.txt", files.index),
            Route("/v1/{region}/{profile}/{hash}", files.object),
            Route("/trust.json", files.trust),
            Route("/openapi.json", openapi),
        ],
        middleware=[Middleware(LastResort, problem_sent=collector.telemetry.problem_sent)],
        exception_handlers={HTTPException: _routing_problem},
    )
    application.router.redirect_slashes = False  # a redirect would repeat the Host header
    return application


async def _routing_problem(request: Request, error: Exception) -> Response:
    """No such route, or not with this method."""
    if not isinstance(error, HTTPException) or error.status_code != Problem.WRONG_METHOD.status:
        return problem_response(Problem.NOT_FOUND)
    response = problem_response(Problem.WRONG_METHOD)
    allowed = (error.headers or {}).get("Allow", "")
    response.headers["allow"] = ", ".join(sorted(allowed.split(", ")))
    return response
