"""`tocsin sandbox`: a server for app developers that runs until it is stopped, with codes and errors of every kind."""

import logging
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tocsin.cli.reading import NUMBER
from tocsin.cli.sandbox_faults import HEADER, Faults
from tocsin.cli.sandbox_stage import STEP_SECONDS, Handouts, hurried_publisher, opened_sandbox
from tocsin.cli.serve import stop_signals
from tocsin.cli.terminal import InTerminal, Terminal
from tocsin.model.errors import Unavailable
from tocsin.model.ports import Clock
from tocsin.service.collect import Collector
from tocsin.service.deployment import Deployment
from tocsin.service.serve import PublisherLoop
from tocsin.web.apps.app import apps_application
from tocsin.web.problems import Problem, problem_response
from tocsin.web.server import WebServer

HOST: Final = "127.0.0.1"
PORT: Final = 8788
"""Beside the 8787 of a deployment."""
PREFIX: Final = "/sandbox/"


def main(
    *,
    port: Annotated[int, NUMBER, Parameter(validator=Number(gte=0, lte=65535))] = PORT,
    terminal: InTerminal,
) -> None:
    """Run a server to develop an app against, with made-up data, until stopped by Ctrl-C.

    It asks nothing, needs no network and leaves nothing behind. A version is published every few
    seconds, cards of every kind are to be had, and every error can be brought about: see
    docs/apps.md. It listens on this machine only; nothing that it hands out works anywhere else.

    Example: tocsin sandbox

    Parameters
    ----------
    port
        The port to listen on; 0 takes a free one.
    """
    with stop_signals() as stopped, running_sandbox(port, terminal.clock) as (base_url, handouts):
        _tell(terminal, base_url, handouts)
        stopped.wait()
    terminal.line("Stopped; nothing is left of it.")


@contextmanager
def running_sandbox(port: int, clock: Clock) -> Iterator[tuple[str, Handouts]]:
    """A sandbox that answers on this port, and publishes; its base URL and what it hands out."""
    base_url = f"http://{HOST}:{port or _free_port()}"
    folder = Path(tempfile.mkdtemp(prefix="tocsin-sandbox-"))
    try:
        with (
            opened_sandbox(folder / "deployment", base_url, clock) as (deployment, handouts),
            _serving(deployment, handouts),
            _publishing(deployment),
        ):
            yield base_url, handouts
    finally:
        shutil.rmtree(folder)


class _Desk:
    """Hands out codes and secrets below `PREFIX`; all else is for `application`."""

    def __init__(self, application: ASGIApp, handouts: Handouts) -> None:
        self._application = application
        self._handouts = handouts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if not path.startswith(PREFIX):
            await self._application(scope, receive, send)
            return
        kind, _, name = path.removeprefix(PREFIX).partition("/")
        ask = {"codes": self._handouts.code, "secrets": self._handouts.secret}.get(kind)
        found = ask(name) if ask is not None and scope["method"] == "GET" else None
        response = problem_response(Problem.NOT_FOUND) if found is None else PlainTextResponse(f"{found}\n")
        await response(scope, receive, send)


@contextmanager
def _serving(deployment: Deployment, handouts: Handouts) -> Iterator[None]:
    performer = deployment.performer()
    performer.catch_up()
    collector = Collector(performer)
    application = Faults(_Desk(apps_application(deployment, collector), handouts))
    port = int(deployment.settings.base_url.rpartition(":")[2])
    server = WebServer(application, HOST, port)
    complaints = logging.getLogger("uvicorn.error")
    complaints.disabled = True  # answers that are cut short on demand are no news
    collector.start()
    try:
        server.start()
        try:
            yield
        finally:
            server.stop()
    finally:
        collector.stop()
        complaints.disabled = False


@contextmanager
def _publishing(deployment: Deployment) -> Iterator[None]:
    publisher = hurried_publisher(deployment)
    publisher.publish()  # so that there is a head from the first request on
    loop = PublisherLoop(
        publisher,
        deployment.day_keeper(publisher.follower),
        deployment.eraser(publisher.follower),
        deployment.held_clock,
        STEP_SECONDS,
        lambda sentence: None,
    )
    loop.start()
    try:
        yield
    finally:
        loop.stop()


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        free: int = probe.getsockname()[1]
        return free


def _tell(terminal: Terminal, base_url: str, handouts: Handouts) -> None:
    """What a developer needs, to be copied as it is."""
    code = handouts.code("fresh")
    if code is None:
        raise Unavailable("there is no card left")
    terminal.line(f"A sandbox for apps: {base_url}")
    terminal.line(f"What an app trusts:  curl -s {base_url}/trust.json")
    terminal.line(f"A fresh card:        curl -s {base_url}{PREFIX}codes/fresh")
    terminal.line(f"Other codes:         the same with {', '.join(handouts.names[1:])}")
    terminal.line(f"A version every {STEP_SECONDS} seconds. Faults by the header {HEADER}. All of it: docs/apps.md")
    terminal.line(f"A report by hand:    sh examples/report-by-curl.sh {code} {base_url}")
    terminal.line("Stop with Ctrl-C.")
