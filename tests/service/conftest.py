"""What most tests of what runs need: a clock that stands, and a real deployment."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sites import FixedClock, Site


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def site(tmp_path: Path, clock: FixedClock) -> Iterator[Site]:
    made = Site(tmp_path / "site", clock)
    yield made
    made.deployment.close()
