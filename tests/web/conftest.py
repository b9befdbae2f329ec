"""A real deployment behind a real server on a port of its own; answers leave when they are ready."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sites import FixedClock, Site
from tocsin.web.server import running_server


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site", FixedClock())


@pytest.fixture
def port(site: Site) -> Iterator[int]:
    """Where `site` answers."""
    with running_server(site.deployment, "127.0.0.1", 0, grid_seconds=0) as base_url:
        yield int(base_url.rpartition(":")[2])


@pytest.fixture(scope="session")
def standing_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where a site answers that no test changes or moves the clock of."""
    site = Site(tmp_path_factory.mktemp("standing") / "site", FixedClock())
    with running_server(site.deployment, "127.0.0.1", 0, grid_seconds=0) as base_url:
        yield int(base_url.rpartition(":")[2])
