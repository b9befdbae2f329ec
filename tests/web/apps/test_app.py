"""The routes: which there are, who may ask for them, and what every one answers where there is nothing (case 31)."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.routing import Route

from tests.sites import Site
from tests.web.wire import ask, request_bytes
from tocsin.service.collect import Collector
from tocsin.web.apps.app import apps_application
from tocsin.web.last_resort import LastResort
from tocsin.web.problems import Problem

PUBLIC = {
    "/v1/reports": {"POST"},
    "/v1/head": {"GET", "HEAD"},
    "/v1/{region}/gaen/index.txt": {"GET", "HEAD"},
    "/v1/{region}/{profile}/{hash}": {"GET", "HEAD"},
    "/trust.json": {"GET", "HEAD"},
    "/openapi.json": {"GET", "HEAD"},
}
"""Everything that anyone may ask for without saying who they are. A new route belongs here, or behind a sign-in."""
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]


def test_every_route_is_a_public_one(site: Site) -> None:  # case 31
    routes = apps_application(site.deployment, Collector(site.performer)).routes
    assert all(isinstance(route, Route) for route in routes)
    assert {route.path: route.methods for route in routes if isinstance(route, Route)} == PUBLIC


def test_every_method_that_a_route_does_not_have_is_refused_with_those_it_has(standing_port: int) -> None:
    for path, methods in PUBLIC.items():
        for method in set(METHODS) - methods:
            reply = ask(standing_port, request_bytes(method, path.format(region="xx", profile="keyset", hash="0" * 64)))
            assert reply.status == 405, (method, path)
            assert reply.headers["allow"] == ", ".join(sorted(methods))
            assert reply.body == (b"" if method == "HEAD" else Problem.WRONG_METHOD.body)


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/v1/head/", "//v1/head", "/v1/reports/", "/V1/head", "/docs", "/healthz", "/.well-known/x"],
)
def test_what_is_not_there_is_not_found_and_never_a_redirect(standing_port: int, path: str) -> None:
    reply = ask(standing_port, request_bytes("GET", path))
    assert (reply.status, reply.body) == (404, Problem.NOT_FOUND.body)
    assert reply.headers["cache-control"] == "public, max-age=5"
    assert "location" not in reply.headers


def test_nothing_sets_a_cookie_names_the_server_or_invites_other_origins(standing_port: int) -> None:  # T-L10
    for path in ["/v1/head", "/trust.json", "/openapi.json", "/nothing", "/v1/reports"]:
        headers = ask(
            standing_port, request_bytes("GET", path, {"Cookie": "a=b", "Origin": "https://example.org"})
        ).headers
        assert headers.keys() <= {"date", "content-type", "content-length", "cache-control", "allow"}, path


def test_an_answer_that_breaks_off_says_nothing_of_why(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise OSError("find-me")

    async def ignore(message: Any) -> None:
        pass

    with pytest.raises(RuntimeError) as raised:
        asyncio.run(LastResort(broken)({"type": "http"}, cast(Any, None), ignore))
    assert raised.value.__suppress_context__
    assert "OSError" in caplog.text and "find-me" not in caplog.text


def test_the_table_of_problems_is_on_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "formats" / "http.md").read_text(encoding="utf-8")
    for problem in Problem:
        assert f"| {problem.status} | `{problem.code}` |" in page
