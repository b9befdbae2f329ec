"""The command line through its real entry, on a real deployment, with a clock that stands."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from tests.sites import FixedClock, Site
from tocsin.cli import main
from tocsin.client.trust import encode_trust, parse_trust
from tocsin.web.server import running_server


class Done(Struct, frozen=True):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed for a program."""
        return json.loads(self.out)

    @property
    def words(self) -> str:
        """What it printed, as one line: wrapping is not what a test is about."""
        return re.sub(r"\s+", " ", self.out)


Run = Callable[..., Done]


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "deployment"


@pytest.fixture
def site(data: Path, clock: FixedClock) -> Iterator[Site]:
    """A deployment with provider 1 and its active batch 1 of 100 cards."""
    made = Site(data, clock)
    yield made
    made.deployment.close()


@pytest.fixture
def run(data: Path, clock: FixedClock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `tocsin` with these words on the deployment in `data`."""
    monkeypatch.setenv("TOCSIN_DATA", str(data))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def run_words(*words: str) -> Done:
        capsys.readouterr()
        code = main(words, clock)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run_words


@pytest.fixture
def trust(site: Site, tmp_path: Path) -> Iterator[Path]:
    """The trust file of a server that runs for `site`, on a free port."""
    path = tmp_path / "trust-here.json"
    with running_server(site.deployment, "127.0.0.1", 0, grid_seconds=0) as base_url:
        pinned = parse_trust(site.deployment.folders.trust.read_bytes())
        here = replace(pinned, reports_url=f"{base_url}/v1/reports", bucket_url=base_url)
        path.write_bytes(encode_trust(here))
        yield path
