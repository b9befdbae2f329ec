"""Raw HTTP over a socket: what was sent and what came back, byte by byte, with no client library in between."""

import re
import socket

from msgspec import Struct

TIMEOUT_SECONDS = 20
"""Only so that a test which hangs fails; nothing is measured against it."""


class Reply(Struct, frozen=True):
    """One HTTP response, its header section as it came."""

    raw_head: bytes
    body: bytes

    @property
    def status(self) -> int:
        return int(self.raw_head.split(b" ", 2)[1])

    @property
    def header_lines(self) -> list[tuple[str, str]]:
        lines = self.raw_head.decode("latin-1").split("\r\n")[1:]
        return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]

    @property
    def headers(self) -> dict[str, str]:
        assert len(dict(self.header_lines)) == len(self.header_lines), "a header stands twice"
        return dict(self.header_lines)

    @property
    def size(self) -> int:
        return len(self.raw_head) + len(b"\r\n\r\n") + len(self.body)


class Wire:
    """A connection that sends what it is given and reads one response at a time."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS, source_address=(source, 0))
        self._unread = b""

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reply(self, *, to_head: bool = False) -> Reply:
        """The next response."""
        while b"\r\n\r\n" not in self._unread:
            self._more()
        raw_head, self._unread = self._unread.split(b"\r\n\r\n", 1)
        length = re.search(rb"(?mi)^content-length: (\d+)\r?$", raw_head)
        assert length, raw_head
        wanted = 0 if to_head else int(length[1])
        while len(self._unread) < wanted:
            self._more()
        body, self._unread = self._unread[:wanted], self._unread[wanted:]
        return Reply(raw_head, body)

    def is_closed(self) -> bool:
        """Reads to the end: whether the server closed, with nothing more to say."""
        try:
            return self._unread == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _more(self) -> None:
        data = self.socket.recv(65_536)
        assert data, f"closed after {self._unread!r}"
        self._unread += data


def request_bytes(method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """A request, nothing added but the host."""
    lines = [f"{method} {path} HTTP/1.1", "Host: tocsin.example"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def call_bytes(body: bytes) -> bytes:
    """A call as an app makes it."""
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return request_bytes("POST", "/v1/reports", headers, body)


def ask(port: int, request: bytes, source: str = "127.0.0.1") -> Reply:
    """The response to one request on a connection of its own."""
    with Wire(port, source) as wire:
        wire.send(request)
        return wire.reply(to_head=request.startswith(b"HEAD "))
