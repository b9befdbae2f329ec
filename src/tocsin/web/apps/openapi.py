"""The interface for apps as an OpenAPI 3.1 document, made from what the code itself reads, writes and refuses."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from tocsin import __version__
from tocsin.formats.gaen.index import INDEX_CACHING, INDEX_TYPE
from tocsin.formats.leaf import Profile
from tocsin.formats.wire import ANSWER_BYTES, REQUEST_BYTES, answer_schema, encode_call, request_schema
from tocsin.model.calls import ContinueId, DecoyCall, ReportCall, SentKey, TrackCall, TrackingId, WithdrawCall
from tocsin.web.apps.files import HEAD_CACHING, JSON, OBJECT_CACHING, OCTETS, TEXT, TRUST_CACHING, ZIP
from tocsin.web.problems import PROBLEM_SCHEMA, PROBLEM_TYPE, RETRY_SECONDS, Problem

_Json = dict[str, Any]

EVERYWHERE: Final = (Problem.BAD_REQUEST, Problem.WRONG_METHOD, Problem.BROKEN, Problem.NOT_NOW)
CALL_PROBLEMS: Final = (
    *EVERYWHERE,
    Problem.WRONG_LENGTH,
    Problem.LENGTH_REQUIRED,
    Problem.TOO_LONG,
    Problem.WRONG_TYPE,
    Problem.ENCODED,
)
FILE_PROBLEMS: Final = (*EVERYWHERE, Problem.NOT_FOUND)
_INDEX: Final = ([INDEX_TYPE], INDEX_CACHING)
_OBJECT_TYPES: Final = (OCTETS, ZIP, TEXT)

_CALLS: Final[dict[str, ReportCall | TrackCall | WithdrawCall | DecoyCall]] = {
    "report": ReportCall(
        TrackingId(bytes(32)), ContinueId(bytes(32)), (SentKey(bytes(16), 2_650_320, 144),), "C123-4567-89AB-CDEF-GH94"
    ),
    "track": TrackCall(TrackingId(bytes(32))),
    "withdraw": WithdrawCall(bytes(32)),
    "decoy": DecoyCall(),
}
_CALL_EXAMPLES: Final = {name: {"value": msgspec.json.decode(encode_call(call))} for name, call in _CALLS.items()}
"""One for each act; an app draws its secrets, and hashes them (the page of the call says how)."""

_CALL_TEXT: Final = (
    f"Every call has exactly {REQUEST_BYTES} bytes and every answer exactly {ANSWER_BYTES}: one JSON object, then"
    " spaces (U+0020). A call that was read is answered 200, whatever it says; any other status speaks only of what"
    " shows without reading it. Not chunked, not compressed, nothing in the URL."
)


def openapi_document(base_url: str) -> _Json:
    """The document for a server that apps reach at `base_url`."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "tocsin for apps",
            "version": __version__,
            "summary": "Report diagnosis keys, follow or withdraw a report, fetch signed publications.",
            "description": "Anonymous: no account, no cookie. The files are public and may come from any cache.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url.rstrip("/")}],
        "security": [],
        "paths": {
            "/v1/reports": {"post": _call()},
            "/v1/head": _file("Head", "The signed head: what the newest version is.", [TEXT], HEAD_CACHING),
            "/v1/{region}/{profile}/{hash}": {
                "parameters": _object_parameters(),
                **_file(
                    "Object", "A dump, a delta or a list of files, named by a head.", _OBJECT_TYPES, OBJECT_CACHING
                ),
            },
            "/v1/{region}/gaen/index.txt": {
                "parameters": _object_parameters()[:1],
                **_file("Index", "The GAEN files of the newest 14 days, for clients that know no head.", *_INDEX),
            },
            "/trust.json": _file("Trust", "What an app is built with, for comparison.", [JSON], TRUST_CACHING),
            "/openapi.json": _file("Openapi", "This document.", [JSON], TRUST_CACHING, EVERYWHERE),  # always there
        },
        "components": {
            "schemas": {"Call": request_schema(), "Answer": answer_schema(), "Problem": PROBLEM_SCHEMA},
        },
    }


def _call() -> _Json:
    return {
        "operationId": "call",
        "summary": "The one call: report, track, withdraw, or a decoy among them.",
        "description": _CALL_TEXT,
        "parameters": [_length_header(REQUEST_BYTES) | {"in": "header", "name": "Content-Length", "required": True}],
        "requestBody": {
            "required": True,
            "description": f"Exactly {REQUEST_BYTES} bytes, padded with spaces.",
            "content": {
                JSON: {
                    "schema": {"$ref": "#/components/schemas/Call"},
                    "examples": _CALL_EXAMPLES,
                }
            },
        },
        "responses": {
            "200": {
                "description": f"The verdict. Exactly {ANSWER_BYTES} bytes, padded with spaces.",
                "headers": {
                    "Content-Length": _length_header(ANSWER_BYTES),
                    "Cache-Control": _fixed_header("no-store"),
                },
                "content": {
                    JSON: {
                        "schema": {"$ref": "#/components/schemas/Answer"},
                        "example": {"verdict": "noted", "keys": []},
                    }
                },
            },
            **_problems(CALL_PROBLEMS),
        },
    }


def _file(
    name: str, summary: str, content_types: Iterable[str], caching: str, told: Iterable[Problem] = FILE_PROBLEMS
) -> _Json:
    """The two methods of a file."""
    headers = {"Cache-Control": _fixed_header(caching)}
    content: _Json = {content_type: {} for content_type in content_types}
    problems = _problems(told)
    return {
        "get": {
            "operationId": f"get{name}",
            "summary": summary,
            "responses": {"200": {"description": summary, "headers": headers, "content": content}, **problems},
        },
        "head": {
            "operationId": f"head{name}",
            "summary": f"The headers alone. {summary}",
            "responses": {"200": {"description": summary, "headers": headers}, **problems},
        },
    }


def _object_parameters() -> list[_Json]:
    patterns = {
        "region": ("[a-z0-9-]{1,32}", "The deployment's region."),
        "profile": ("|".join(Profile), "The form in which the public set goes out."),
        "hash": ("[0-9a-f]{64}", "SHA-256 of the object, or of the export.bin in it, in lower-case hexadecimal."),
    }
    return [
        {
            "in": "path",
            "name": name,
            "required": True,
            "description": text,
            "schema": {"type": "string", "pattern": f"^(?:{pattern})$"},
        }
        for name, (pattern, text) in patterns.items()
    ]


def _problems(problems: Iterable[Problem]) -> _Json:
    """The answers by status; two problems of one status share an entry."""
    by_status: defaultdict[int, list[Problem]] = defaultdict(list)
    for problem in problems:
        by_status[problem.status].append(problem)
    return {str(status): _problem_response(rows) for status, rows in sorted(by_status.items())}


def _problem_response(rows: list[Problem]) -> _Json:
    headers = {"Cache-Control": _fixed_header(rows[0].headers["cache-control"])}
    if Problem.NOT_NOW in rows:
        headers["Retry-After"] = _fixed_header(str(RETRY_SECONDS))
    if Problem.WRONG_METHOD in rows:
        headers["Allow"] = {"schema": {"type": "string"}}
    return {
        "description": " ".join(row.sentence for row in rows),
        "headers": headers,
        "content": {
            PROBLEM_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {row.code: {"value": row.fields} for row in rows},
            }
        },
    }


def _length_header(length: int) -> _Json:
    return {"schema": {"type": "integer", "const": length}}


def _fixed_header(value: str) -> _Json:
    return {"schema": {"type": "string", "const": value}}
