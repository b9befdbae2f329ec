"""Every answer that is not what was asked for: one table, fixed texts (RFC 9457, ``application/problem+json``).

A problem speaks only of what shows without reading a body. Nothing that was sent is ever repeated in one.
"""

from enum import Enum
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.responses import Response

PROBLEM_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 60
"""After this a client may come again; it adds chance of its own, so that not all come at once."""
_NO_STORE: Final = "no-store"
_NOT_THERE: Final = "public, max-age=5"  # short: what is not there may come, and a cache must not keep it away


class Problem(Enum):
    """The rows of the table: a stable code, the status, a sentence for the person who writes the client."""

    BAD_REQUEST = ("bad_request", 400, "This is not HTTP/1.1 as this server reads it, or its headers are too long.")
    WRONG_LENGTH = ("wrong_length", 400, "The body of a call has exactly 4096 bytes: pad it with spaces.")
    NOT_FOUND = ("not_found", 404, "There is nothing of this name here.")
    WRONG_METHOD = ("wrong_method", 405, "This method has no meaning here; the header Allow lists those that have.")
    LENGTH_REQUIRED = ("length_required", 411, "A call is sent with Content-Length: 4096, and not in chunks.")
    TOO_LONG = ("too_long", 413, "The body of a call has exactly 4096 bytes; this one is longer.")
    WRONG_TYPE = ("wrong_type", 415, "A call is sent with Content-Type: application/json.")
    ENCODED = ("encoded", 415, "A call is sent as it is, without Content-Encoding.")
    BROKEN = ("broken", 500, "The server failed. Nothing is known of what it did: repeat the same call later.")
    NOT_NOW = ("not_now", 503, "Not now. Repeat the same call later, at a moment of your own.")

    def __init__(self, code: str, status: int, sentence: str) -> None:
        self.code = code
        self.status = status
        self.sentence = sentence
        self.fields = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": sentence,
            "code": code,
        }
        self.body = msgspec.json.encode(self.fields)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to it; whoever sends it adds the date, and ``Allow`` where a method was wrong."""
        headers = {
            "content-type": PROBLEM_TYPE,
            "content-length": str(len(self.body)),
            "cache-control": _NOT_THERE if self is Problem.NOT_FOUND else _NO_STORE,
        }
        if self is Problem.NOT_NOW:
            headers["retry-after"] = str(RETRY_SECONDS)
        return headers


PROBLEM_OF: Final = {problem.body: problem for problem in Problem}
"""Which problem a body is."""


def problem_response(problem: Problem) -> Response:
    """`problem`, ready to be sent."""
    return Response(problem.body, problem.status, problem.headers)


PROBLEM_SCHEMA: Final = {
    "type": "object",
    "additionalProperties": False,
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"const": "about:blank"},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer", "description": "The status of the answer."},
        "detail": {"type": "string", "description": "A fixed sentence for the person who writes the client."},
        "code": {"enum": [problem.code for problem in Problem], "description": "Stable; for programs."},
    },
}
"""JSON Schema (2020-12) of a problem's body."""
