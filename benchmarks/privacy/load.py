"""The phones: calls at instants of their own over raw sockets, and what an observer beside the wire sees of each.

The kernel tells when the first byte of an answer came (``SO_TIMESTAMPNS``), so that what this process is busy with does
not blur it. Each connection comes from an address of its own; a share of the calls is made on a new connection, the
others on one that is kept. Order, instants and connections are drawn without a look at a call's kind.
"""

import collections
import gc
import http.client
import random
import re
import selectors
import socket
import struct
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from benchmarks.privacy.stock import Kind
from benchmarks.wrk import Defect
from tocsin.formats.wire import ANSWER_BYTES, REQUEST_BYTES

SEEN: Final = np.dtype(
    [
        ("kind", "u2"),
        ("sent_at", "i8"),
        ("seconds", "f8"),
        ("status", "u2"),
        ("bytes_up", "u2"),
        ("bytes_down", "u2"),
        ("first_bytes", "u2"),
        ("reads", "u1"),
        ("is_new", "?"),
    ]
)
"""What is seen of a call: its kind (which an observer does not see), nanoseconds since 1970 when its last byte was out,
seconds from then to the answer's first byte, status, bytes both ways, bytes that came first, in how many pieces all
came, whether the connection was new."""
Seen = npt.NDArray[np.void]

_TIMESTAMPS: Final = 35
"""``SO_TIMESTAMPNS`` and ``SCM_TIMESTAMPNS`` of Linux: socket(7)."""
_TIMESPEC: Final = struct.Struct("@ll")
_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(_TIMESPEC.size)
_READ_BYTES: Final = 65_536
_DATE: Final = re.compile(rb"(?m)^date: [^\r]*")
PATIENCE_SECONDS: Final = 30.0
REST_SECONDS: Final = 0.25
"""After a 503 a phone takes so long a rest, so that the others find a busy server and not one that is busy refusing."""


class Plan(Struct, frozen=True):
    """How calls are made: `rate` a second at random instants, None: each connection as soon as it is answered.

    `connections`: as many at once at most. `new_share`: of the calls, those on a connection of their own.
    """

    rate: float | None
    connections: int
    new_share: float = 0.25


class Watched(Struct, frozen=True, eq=False):
    """What was seen of all calls, in the order of their beginning; the forms of all answers; what watching cost.

    `forms`: for each kind the heads of its answers, dates taken out, and how many had each.
    """

    seen: Seen
    forms: dict[int, dict[bytes, int]]
    cpu_seconds: float
    wall_seconds: float


class _Line:
    """A connection, and the call that it is on."""

    def __init__(self, port: int, source: str) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMPS, 1)
        self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.call = -1
        self.request = b""
        self.received = b""


class Load:
    """Posts the calls of all kinds, each `calls` times, in an order that is drawn."""

    def __init__(self, port: int, kinds: Sequence[Kind], calls: int, plan: Plan, seed: int) -> None:
        self._port = port
        self._kinds = kinds
        self._plan = plan
        self._chance = random.Random(seed)
        order = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(kinds)), calls))
        self._order: list[int] = order.tolist()
        self._next_body = [0] * len(kinds)
        self._seen = np.zeros(len(self._order), SEEN)
        self._forms: dict[int, dict[bytes, int]] = {kind: collections.defaultdict(int) for kind in range(len(kinds))}
        self._selector = selectors.EpollSelector()
        self._idle: list[_Line] = []
        self._resting: collections.deque[float] = collections.deque()  # until when, of those that were told 503
        self._open = 0
        self._sources = 0
        self._begun = 0
        self._done = 0

    def run(self) -> Watched:
        """Makes all calls. Raises `Defect` if one is not answered, or not as its kind says."""
        self._use_up_allowances()
        gc.collect()
        gc.disable()  # a collection here would look like a pause there
        began, cpu = time.perf_counter(), time.process_time()
        try:
            if self._plan.rate is None:
                self._all_lines_always_busy()
            else:
                self._at_random_instants(self._plan.rate)
        finally:
            gc.enable()
            for key in list(self._selector.get_map().values()):
                key.data.socket.close()
            self._selector.close()
        forms = {kind: dict(heads) for kind, heads in self._forms.items()}
        return Watched(self._seen, forms, time.process_time() - cpu, time.perf_counter() - began)

    def _at_random_instants(self, rate: float) -> None:
        at = time.perf_counter()
        while self._done < len(self._order):
            now = time.perf_counter()
            while at <= now and self._may_begin(now):
                self._begin()
                at += self._chance.expovariate(rate)
            self._read_all(max(0.0, at - now) if self._begun < len(self._order) else PATIENCE_SECONDS)

    def _all_lines_always_busy(self) -> None:
        while self._done < len(self._order):
            now = time.perf_counter()
            while self._may_begin(now):
                self._begin()
            self._read_all(self._resting[0] - now if self._resting else PATIENCE_SECONDS)

    def _may_begin(self, now: float) -> bool:
        while self._resting and self._resting[0] <= now:
            self._resting.popleft()
        busy = self._begun - self._done + len(self._resting)
        return self._begun < len(self._order) and busy < self._plan.connections

    def _begin(self) -> None:
        wants_new = self._chance.random() < self._plan.new_share
        line = None if wants_new or not self._idle else self._idle.pop()
        is_new = line is None
        if line is None:
            self._make_room()
            line = self._new_line()
        call, self._begun = self._begun, self._begun + 1
        kind = self._order[call]
        bodies = self._kinds[kind].bodies
        body = bodies[self._next_body[kind] % len(bodies)]
        self._next_body[kind] += 1
        self._seen[call]["kind"] = kind
        self._post(line, call, self._request(kind, body), is_new)

    def _post(self, line: _Line, call: int, request: bytes, is_new: bool) -> None:
        line.call, line.request = call, request
        try:
            sent = line.socket.send(request)
        except OSError:
            self._post_again(line)
            return
        row = self._seen[call]
        row["sent_at"], row["bytes_up"], row["is_new"] = time.time_ns(), sent, is_new
        if sent != len(request):
            raise Defect("a call did not fit into the socket")

    def _post_again(self, line: _Line) -> None:
        """The connection had died of idling as the call was posted: the same call goes on a new one, as phones do."""
        self._close(line)
        self._post(self._new_line(), line.call, line.request, is_new=True)

    def _request(self, kind: int, body: bytes) -> bytes:
        """A call as a trusted proxy hands it on; all have one length, wherever they come from."""
        source = self._chance.choice(self._kinds[kind].sources or (self._new_source(),))
        return (
            f"POST /v1/reports HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {REQUEST_BYTES}\r\nX-Forwarded-For: {source}\r\n\r\n"
        ).encode() + body.ljust(REQUEST_BYTES)

    def _new_source(self) -> str:
        """An address that no call came from before: a wrong guess must not use up somebody else's allowance."""
        self._sources += 1
        high, low = divmod(self._sources, 156)
        return f"11.{100 + high // 156}.{100 + high % 156}.{100 + low}"

    def _use_up_allowances(self) -> None:
        """Has the kinds whose addresses are to be over their allowance call until each of these is."""
        for kind in self._kinds:
            for source in kind.sources:
                while not _verdict_at(self._port, source, kind.bodies[0]).startswith(_spelt(kind)):
                    pass

    def _make_room(self) -> None:
        """Closes the connection that idles longest, if there are as many as there may be."""
        if self._open >= self._plan.connections and self._idle:
            self._close(self._idle.pop(0))

    def _new_line(self) -> _Line:
        number = self._chance.randrange(1, 1 << 16)
        line = _Line(self._port, f"127.{1 + number % 200}.{number >> 8 & 255}.{1 + number % 250}")
        self._selector.register(line.socket, selectors.EVENT_READ, line)
        self._open += 1
        return line

    def _close(self, line: _Line) -> None:
        self._selector.unregister(line.socket)
        line.socket.close()
        self._open -= 1

    def _read_all(self, seconds: float) -> None:
        ready = self._selector.select(seconds)
        if not ready and seconds == PATIENCE_SECONDS:
            raise Defect("a call was not answered")
        for key, _ in ready:
            self._read(key.data)

    def _read(self, line: _Line) -> None:
        try:
            data, ancillary, _, _ = line.socket.recvmsg(_READ_BYTES, _ANCILLARY_BYTES)
        except OSError:
            data, ancillary = b"", []
        if line.call < 0:  # it idled too long, and the server says good-bye
            if data:
                raise Defect("an answer came that nobody asked for")
            self._idle.remove(line)
            self._close(line)
            return
        if not data:
            if line.received:
                raise Defect("a connection was closed within an answer")
            self._post_again(line)
            return
        row = self._seen[line.call]
        if not line.received:
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
            row["seconds"] = (seconds * 10**9 + nanoseconds - int(row["sent_at"])) / 1e9
            row["first_bytes"] = len(data)
        row["reads"] += 1
        line.received += data
        head, end, body = line.received.partition(b"\r\n\r\n")
        if end and len(body) >= _length(head):
            self._answered(line, head, body)

    def _answered(self, line: _Line, head: bytes, body: bytes) -> None:
        row = self._seen[line.call]
        kind = int(row["kind"])
        row["status"], row["bytes_down"] = int(head[9:12]), len(line.received)
        self._forms[kind][_DATE.sub(b"date: ", head)] += 1
        if row["status"] == 200:
            if len(body) != ANSWER_BYTES or not body.startswith(_spelt(self._kinds[kind])):
                raise Defect(f"{self._kinds[kind].name} was answered {body.rstrip()[:60]!r}")
        elif row["status"] == 503:
            self._resting.append(time.perf_counter() + REST_SECONDS)
        else:
            raise Defect(f"{self._kinds[kind].name} was answered {int(row['status'])}")
        self._done += 1
        line.call, line.received = -1, b""
        if b"connection: close" in head:
            self._close(line)
        else:
            self._idle.append(line)


def _spelt(kind: Kind) -> bytes:
    """How an answer to such a call begins."""
    return f'{{"verdict":"{kind.verdict}"'.encode()


def _verdict_at(port: int, source: str, body: bytes) -> bytes:
    """The answer to one call from this address."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    headers = {"Content-Type": "application/json", "X-Forwarded-For": source}
    try:
        connection.request("POST", "/v1/reports", body.ljust(REQUEST_BYTES), headers)
        return connection.getresponse().read()
    finally:
        connection.close()


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
