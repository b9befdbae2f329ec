"""Collectors that do what a real one does only on a bad day, and a server around any of them."""

from asyncio import AbstractEventLoop
from collections.abc import Iterator
from contextlib import contextmanager

from tests.sites import Site
from tocsin.model.errors import Unavailable
from tocsin.service.collect import Collector
from tocsin.service.perform import Arrival
from tocsin.web.apps.app import apps_application
from tocsin.web.server import WebServer


class FullCollector(Collector):
    """Has no room."""

    @property
    def has_room(self) -> bool:
        return False


class AwayCollector(Collector):
    """Its journal is away."""

    async def answer(self, arrival: Arrival, loop: AbstractEventLoop) -> bytes:
        raise Unavailable("the journal is away")


class BuggyCollector(Collector):
    """Fails as nobody foresaw, with a text that holds what was sent."""

    async def answer(self, arrival: Arrival, loop: AbstractEventLoop) -> bytes:
        raise RuntimeError(arrival.body.decode())


@contextmanager
def served(site: Site, collector: type[Collector]) -> Iterator[int]:
    """The port at which `site` answers through a collector of this kind."""
    door = collector(site.performer)
    door.start()
    server = WebServer(apps_application(site.deployment, door, grid_seconds=0), "127.0.0.1", 0)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()
        door.stop()
