"""Requests that two servers could read in two ways, or that are no HTTP: one answer each, or 400 and the end (T-D7).

Each case is what is sent and every byte that comes back, the date aside. After it a whole request follows on the same
connection, which is answered if and only if the connection goes on: so no part of a case was taken for a request.
"""

import contextlib
import re

import pytest

from tests.web.wire import Wire
from tocsin.client.calls import decoy_call
from tocsin.formats.wire import encode_answer
from tocsin.model.calls import Answer, Verdict

BODY = decoy_call()
CALL = b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: 4096\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
GET = b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n"
END = b"\r\n"
INNER = b"GET /trust.json HTTP/1.1\r\nHost: x\r\n\r\n"
"""What a smuggler hides in a body; its answer would begin ``HTTP/1.1 200 OK``."""
LAST = b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def problem(status: bytes, code: bytes, title: bytes, detail: bytes, *headers: bytes) -> bytes:
    body = b'{"type":"about:blank","title":"%s","status":%s,"detail":"%s","code":"%s"}' % (
        title,
        status,
        detail,
        code,
    )
    lines = [
        b"HTTP/1.1 %s %s" % (status, title),
        b"date: -",
        b"content-type: application/problem+json",
        b"content-length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join([*lines, b"", body])


NO_STORE, FOR_5_SECONDS, CLOSE = b"cache-control: no-store", b"cache-control: public, max-age=5", b"connection: close"

BAD = problem(
    b"400",
    b"bad_request",
    b"Bad Request",
    b"This is not HTTP/1.1 as this server reads it, or its headers are too long.",
    NO_STORE,
    CLOSE,
)
NOT_FOUND = problem(b"404", b"not_found", b"Not Found", b"There is nothing of this name here.", FOR_5_SECONDS)
CHUNKS = problem(
    b"411",
    b"length_required",
    b"Length Required",
    b"A call is sent with Content-Length: 4096, and not in chunks.",
    NO_STORE,
)
SHORT = problem(
    b"400", b"wrong_length", b"Bad Request", b"The body of a call has exactly 4096 bytes: pad it with spaces.", NO_STORE
)
LONG_DETAIL = b"The body of a call has exactly 4096 bytes; this one is longer."
LONG = problem(b"413", b"too_long", b"Request Entity Too Large", LONG_DETAIL, NO_STORE)
ENCODED = problem(
    b"415", b"encoded", b"Unsupported Media Type", b"A call is sent as it is, without Content-Encoding.", NO_STORE
)
NOTED = (
    b"HTTP/1.1 200 OK\r\ndate: -\r\ncontent-type: application/json\r\ncontent-length: 1024\r\n"
    b"cache-control: no-store\r\n\r\n"
) + encode_answer(Answer(Verdict.NOTED))
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def closing(answer: bytes) -> bytes:
    """The same answer, the last one of its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head + b"\r\nconnection: close\r\n\r\n" + body


def headless(answer: bytes) -> bytes:
    """The answer to HEAD."""
    return answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


REFUSED = {
    "CL.TE": CALL + LENGTH + CHUNKED + END + b"0\r\n\r\n" + INNER,
    "TE.CL": CALL + CHUNKED + LENGTH + END + b"0\r\n\r\n" + INNER,
    "CL.0 and TE": CALL + b"Content-Length: 0\r\n" + CHUNKED + END + b"0\r\n\r\n" + INNER,
    "TE.TE": CALL + CHUNKED + CHUNKED + END + b"0\r\n\r\n" + INNER,
    "TE twice in a line": CALL + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + INNER,
    "TE not at the end": CALL + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + INNER,
    "TE and CL, hidden by a tab": CALL + LENGTH + b"Transfer-Encoding:\tchunked\r\n\r\n" + INNER,
    "TE hidden by a vertical tab": CALL + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + INNER,
    "TE hidden by a space": CALL + LENGTH + b"Transfer-Encoding : chunked\r\n\r\n" + INNER,
    "TE hidden by a fold": CALL + LENGTH + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + INNER,
    "TE spelt oddly, and CL": CALL + LENGTH + b"Transfer-Encoding: xchunked\r\n\r\n" + INNER,
    "two lengths": CALL + LENGTH + b"Content-Length: 4\r\n\r\n" + INNER,
    "one length twice": CALL + LENGTH + LENGTH + END + BODY,
    "a list of lengths": CALL + b"Content-Length: 4096, 4096\r\n\r\n" + BODY,
    "a signed length": CALL + b"Content-Length: +4096\r\n\r\n" + BODY,
    "a negative length": CALL + b"Content-Length: -1\r\n\r\n" + INNER,
    "an empty length": CALL + b"Content-Length: \r\n\r\n" + INNER,
    "a hexadecimal length": CALL + b"Content-Length: 0x1000\r\n\r\n" + BODY,
    "a length beyond 64 bits": CALL + b"Content-Length: 18446744073709555712\r\n\r\n" + BODY,
    "a length in foreign digits": CALL + "Content-Length: ٤٠٩٦\r\n\r\n".encode() + BODY,
    "obs-fold": GET + b"X: a\r\n b\r\n\r\n",
    "a fold before the first header": b"GET /v1/nothing HTTP/1.1\r\n Host: x\r\n\r\n",
    "bare LF throughout": (GET + END).replace(b"\r\n", b"\n"),
    "bare LF at the end": GET + b"\n",
    "bare CR": GET + b"X: a\rb\r\n\r\n",
    "CR CR LF": GET + b"X: a\r\r\n\r\n",
    "NUL in a value": GET + b"X: a\0b\r\n\r\n",
    "NUL in a name": GET + b"X\0: a\r\n\r\n",
    "NUL in the target": b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a control character in a value": GET + b"X: a\x01b\r\n\r\n",
    "space before the colon": GET + b"X : y\r\n\r\n",
    "no name": GET + b": y\r\n\r\n",
    "no colon": GET + b"nonsense\r\n\r\n",
    "no Host": b"GET /v1/nothing HTTP/1.1\r\n\r\n",
    "two Hosts": GET + b"Host: y\r\n\r\n",
    "101 headers": GET + b"X: y\r\n" * 100 + END,
    "a space in the target": b"GET /v1/no thing HTTP/1.1\r\nHost: x\r\n\r\n",
    "tabs in the request line": b"GET\t/v1/nothing\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes in the target that are not ASCII": b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown method": b"MARKER /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n",
    "a method in lower case": b"get /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n" + INNER,
    "HTTP/0.9 by name": b"GET /v1/nothing HTTP/0.9\r\n\r\n",
    "HTTP/0.9": b"GET /v1/nothing\r\n\r\n",
    "HTTP/1.2": b"GET /v1/nothing HTTP/1.2\r\nHost: x\r\n\r\n",
    "HTTP/2.0 by name": b"GET /v1/nothing HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/9.9": b"GET /v1/nothing HTTP/9.9\r\nHost: x\r\n\r\n",
    "http/1.1": b"GET /v1/nothing http/1.1\r\nHost: x\r\n\r\n",
    "HTTP/2 with prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "h2c": CALL
    + LENGTH
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    + BODY,
    "websocket": GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n" + INNER,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
"""What is answered by `BAD` alone, and closed."""


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_is_refused_by_one_answer_and_closed(standing_port: int, sent: bytes) -> None:
    assert all_that_comes_back(standing_port, sent) == BAD


ANSWERED = {
    "a call": (CALL + LENGTH + END + BODY, NOTED),
    "three requests in a row": ((GET + END) * 2 + CALL + LENGTH + END + BODY, NOT_FOUND * 2 + NOTED),
    "empty lines before it": (b"\r\n\r\n" + GET + END, NOT_FOUND),
    "100 headers": (GET + b"X: y\r\n" * 99 + END, NOT_FOUND),
    "any byte in a value": (GET + b"X: a\xffb\r\n\r\n", NOT_FOUND),
    "absolute-form": (b"GET http://y/v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n", NOT_FOUND),
    "asterisk-form": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", NOT_FOUND),
    "a length among spaces and tabs": (CALL + b"Content-Length: \t 4096 \t\r\n\r\n" + BODY, NOTED),
    "a length with a nought in front": (CALL + b"Content-Length: 04096\r\n\r\n" + BODY, NOTED),
    "a length under another name": (CALL + b"Content_Length: 4096\r\n\r\n", CHUNKS),
    "the length a little short": (CALL + b"Content-Length: 4095\r\n\r\n" + BODY[:-1], SHORT),
    "the length a little long": (CALL + b"Content-Length: 4097\r\n\r\n" + BODY + b" ", LONG),
    "a body of a GET": (GET + b"Content-Length: 37\r\n\r\n" + b"x" * 37, NOT_FOUND),
    "a request as the body of a HEAD": (
        (GET + b"Content-Length: %d\r\n\r\n" % len(INNER)).replace(b"GET", b"HEAD") + INNER,
        headless(NOT_FOUND),
    ),
    "chunks": (CALL + CHUNKED + END + b"1000;ext=1\r\n" + BODY + b"\r\n0\r\n\r\n", CHUNKS),
    "chunks, compressed": (CALL + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", CHUNKS),
    "trailers": (CALL + CHUNKED + END + b"0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n", CHUNKS),
    "Expect": (CALL + LENGTH + b"Expect: 100-continue\r\n\r\n" + BODY, CONTINUE + NOTED),
    "Expect, refused without the body": (CALL + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", SHORT),
    "Expect of something unknown": (CALL + LENGTH + b"Expect: gold\r\n\r\n" + BODY, NOTED),
    **{
        f"compressed by {coding}": (CALL + LENGTH + f"Content-Encoding: {coding}\r\n\r\n".encode() + BODY, ENCODED)
        for coding in ("gzip", "x-gzip", "deflate", "br", "zstd", "compress", "identity", "gzip, gzip", "unheard-of")
    },
}
"""What is answered, one answer for each request, and the connection goes on."""


@pytest.mark.parametrize(("sent", "answers"), ANSWERED.values(), ids=ANSWERED.keys())
def test_each_request_has_one_answer(standing_port: int, sent: bytes, answers: bytes) -> None:
    assert all_that_comes_back(standing_port, sent) == answers + closing(NOT_FOUND)


LAST_ONES = {
    "close": (GET + b"Connection: close\r\n\r\n" + INNER, closing(NOT_FOUND)),
    "HTTP/1.0": ((CALL + LENGTH + END + BODY).replace(b"HTTP/1.1", b"HTTP/1.0"), closing(NOTED)),
    "HTTP/1.0 without Host": (b"GET /v1/nothing HTTP/1.0\r\n\r\n" + INNER, closing(NOT_FOUND)),
    "HTTP/1.0, to be kept alive": (b"GET /v1/nothing HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", closing(NOT_FOUND)),
    "HTTP/1.0 in chunks": ((CALL + CHUNKED).replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n0\r\n\r\n", closing(CHUNKS)),
    "RTSP": (b"DESCRIBE /v1/nothing RTSP/1.0\r\n\r\n" + INNER, closing(NOT_FOUND)),
    "another coding than chunked": (CALL + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n' + INNER, closing(CHUNKS)),
    "identity": (CALL + b"Transfer-Encoding: identity\r\n\r\n" + INNER, closing(CHUNKS)),
    "a chunk's size in C": (GET + CHUNKED + END + b"0x1\r\nx\r\n0\r\n\r\n" + INNER, closing(NOT_FOUND)),
    "a chunk's size beyond 64 bits": (GET + CHUNKED + END + b"1" + b"0" * 16 + b"\r\nx" + INNER, closing(NOT_FOUND)),
    "a chunk longer than it says": (GET + CHUNKED + END + b"1\r\nxyz\r\n0\r\n\r\n" + INNER, closing(NOT_FOUND)),
    "a chunk that ends in a bare LF": (GET + CHUNKED + END + b"1\nx\n0\n\n" + INNER, closing(NOT_FOUND)),
    "a length among the trailers": (GET + CHUNKED + END + b"0\r\n" + LENGTH + END + INNER, closing(NOT_FOUND)),
    "a length that says too little": (
        CALL + LENGTH + END + BODY + b"left over\r\n\r\n" + INNER,
        closing(NOTED),
    ),
    "nonsense behind a request": (GET + END + b"nonsense\r\n\r\n" + INNER, closing(NOT_FOUND)),
    "more requests than may wait": ((GET + END) * 30, NOT_FOUND * 8 + closing(NOT_FOUND)),
}
"""What is answered, and then the connection ends: nothing behind it is looked at."""


@pytest.mark.parametrize(("sent", "answers"), LAST_ONES.values(), ids=LAST_ONES.keys())
def test_what_is_answered_and_closed(standing_port: int, sent: bytes, answers: bytes) -> None:
    assert all_that_comes_back(standing_port, sent) == answers


def all_that_comes_back(port: int, sent: bytes) -> bytes:
    """Every byte that the server says to `sent` and to one whole request behind it, dates aside, until it closes."""
    received = b""
    with Wire(port) as wire, contextlib.suppress(ConnectionResetError):  # closed before all of this was read
        wire.send(sent + LAST)
        while piece := wire.socket.recv(65_536):
            received += piece
    return re.sub(rb"(?m)^date: [^\r]+", b"date: -", received)
