"""The web server: an ASGI application on a socket, in a thread of its own, with nothing logged of any request."""

import asyncio
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, cast

import uvicorn
from starlette.types import ASGIApp

from tocsin.model.errors import Unavailable
from tocsin.model.ports import Clock
from tocsin.service import telemetry as metric
from tocsin.service.collect import Collector
from tocsin.service.deployment import Deployment
from tocsin.service.readiness import Readiness
from tocsin.service.settings import Settings
from tocsin.service.telemetry import Telemetry
from tocsin.web.apps.app import apps_application
from tocsin.web.apps.grid import GRID_SECONDS
from tocsin.web.connection import MAX_CONNECTIONS, Connection, State
from tocsin.web.crowd import Crowd
from tocsin.web.operations.app import operations_application

BACKLOG: Final = 2048
"""Connections that may wait to be accepted."""
IDLE_SECONDS: Final = 5
"""How long a connection is kept open for a next request."""
STOP_SECONDS: Final = 5
"""How long a server that stops waits for what it has begun."""
SEND_BUFFER_BYTES: Final = 262_144
"""What the kernel keeps for one reader, about. Left alone it keeps 4 MiB: too much for a crowd that does not read."""
OTHER_FILES: Final = 512
"""Open files besides connections and the file that each may be fetching: the journal's and the loop's."""


class WebServer:
    """A server for `application`. It listens from the start, so `base_url` is true also for port 0."""

    def __init__(
        self, application: ASGIApp, host: str, port: int, *, connections_per_source: int | None = None
    ) -> None:
        """`connections_per_source` None: no limit of a source's own.

        Raises `Unavailable` if the address can't be listened on.
        """
        self._socket = _listen(host, port)
        bound_host, self.port = self._socket.getsockname()[:2]
        self.base_url = f"http://{f'[{bound_host}]' if ':' in bound_host else bound_host}:{self.port}"
        self._server = _Server(
            uvicorn.Config(
                application,
                http=cast(type[asyncio.Protocol], partial(Connection, crowd=Crowd(connections_per_source))),
                loop="uvloop",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="error",  # uvicorn's warnings are one line a bad request, for anyone to write
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=True,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def told(self, telemetry: Telemetry) -> None:
        """Tells `telemetry` of connections, and of the problems sent to those that never reach the application."""
        self._server.server_state = State(telemetry.problem_sent)
        telemetry.watch(metric.CONNECTIONS, lambda: metric.in_whole_tens(len(self._server.server_state.connections)))

    def start(self) -> None:
        """Serves from now on. Raises `Unavailable` if the server does not come up."""
        _allow_open_files(2 * MAX_CONNECTIONS + OTHER_FILES)
        self._thread.start()
        self._server.settled.wait()
        if not self._server.started:
            raise Unavailable("the web server did not start")

    def stop(self) -> None:
        """Takes no more requests, answers those that it has, and ends the thread."""
        self._server.should_exit = True
        self._thread.join()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()
            self._server.settled.set()


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it has come up, or failed to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.settled.set()


@contextmanager
def running_server(
    deployment: Deployment,
    host: str,
    port: int,
    *,
    grid_seconds: float = GRID_SECONDS,
    collector: Collector | None = None,
) -> Iterator[str]:
    """`deployment` answering its apps on this address; port 0 takes a free one. Yields the base URL, no slash behind.

    Everything runs in threads; what was begun is answered before it ends. `collector`: one whose performer has read the
    journal already, not started. Raises `Unavailable` if the address is taken or the journal can't be read.
    """
    if collector is None:
        performer = deployment.performer()
        performer.catch_up()
        collector = Collector(performer)
    server = WebServer(
        apps_application(deployment, collector, grid_seconds=grid_seconds),
        host,
        port,
        connections_per_source=_connections_per_source(deployment.settings),
    )
    server.told(collector.telemetry)
    collector.start()
    try:
        server.start()
        try:
            yield server.base_url
        finally:
            server.stop()
    finally:
        collector.stop()


def _connections_per_source(settings: Settings) -> int | None:
    """None behind a proxy: there all connections are the proxy's, and callers are its to count."""
    limit = settings.connections_per_source
    return limit if isinstance(limit, int) and settings.trusted_proxies == 0 else None


@contextmanager
def running_operations(telemetry: Telemetry, readiness: Readiness, clock: Clock, host: str, port: int) -> Iterator[str]:
    """Metrics, health and readiness on this address. Yields its base URL. Raises `Unavailable` if it is taken."""
    server = WebServer(operations_application(telemetry, readiness, clock), host, port)
    server.start()
    try:
        yield server.base_url
    finally:
        server.stop()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        host.encode("idna")  # what can't be a host's name makes `create_server` leave its socket open
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError):
        raise Unavailable(
            f"port {port} of {host} can't be listened on: is another server running, and is this an address of ours?"
        ) from None
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # what is accepted inherits it
    return listening


def _allow_open_files(wanted: int) -> None:
    """Raises this process's own limit as far as it may: the usual 1,024 are fewer than the connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
