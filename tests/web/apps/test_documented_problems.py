"""Every problem that the document names is produced, path by path, and what is produced is named: E3 of users.md."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.routing import Router

from tests.sites import Site
from tests.web.wire import Reply, Wire, ask, request_bytes
from tocsin.web import connection
from tocsin.web.apps.openapi import openapi_document
from tocsin.web.problems import PROBLEM_OF

DOCUMENT = openapi_document("http://127.0.0.1:8787")
CALL = "/v1/reports"
PATHS = list(DOCUMENT["paths"])
GOOD = {"Content-Type": "application/json", "Content-Length": "4096"}
WAYS: list[dict[str, str]] = [
    {},
    {"Content-Type": "application/json"},
    GOOD | {"Content-Encoding": "gzip"},
    GOOD | {"Content-Length": "1"},
    GOOD | {"Content-Length": "5000"},
]
"""Calls of which only the headers are sent: each shows what is wrong."""


def documented(path: str) -> set[str]:
    """The codes that the operations of a path name."""
    found: set[str] = set()
    for method, operation in DOCUMENT["paths"][path].items():
        if method != "parameters":
            found |= {code for response in operation["responses"].values() for code in examples(response)}
    return found


def examples(response: Any) -> set[str]:
    content = response.get("content", {}).get("application/problem+json", {})
    return set(content.get("examples", {}))


def code_of(reply: Reply) -> str:
    return PROBLEM_OF[reply.body].code


def real(path: str) -> str:
    return path.replace("{region}", "utopia").replace("{profile}", "keyset").replace("{hash}", "0" * 64)


def test_a_path_names_what_it_answers_and_no_more(port: int, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    produced: dict[str, set[str]] = {path: set() for path in PATHS}

    def each(request: Callable[[str], bytes]) -> None:
        for path in PATHS:
            produced[path].add(code_of(ask(port, request(path))))

    for headers in WAYS:
        produced[CALL].add(code_of(ask(port, request_bytes("POST", CALL, headers))))
    site.deployment.folders.trust.unlink()
    for path in PATHS:
        reply = ask(port, request_bytes("GET", real(path)))
        if reply.status >= 400:  # nothing is published yet: no file is there but this document
            produced[path].add(code_of(reply))
    each(lambda path: request_bytes("DELETE", real(path)))
    each(lambda path: f"GET {real(path)} HTTP/1.1\r\nbad header\r\n\r\n".encode())
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 0)
    for path in PATHS:
        with Wire(port) as wire:
            produced[path].add(code_of(wire.reply()))
    monkeypatch.undo()

    async def broken(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(Router, "__call__", broken)
    each(lambda path: request_bytes("POST" if path == CALL else "GET", real(path), GOOD if path == CALL else {}))
    assert produced == {path: documented(path) for path in PATHS}
