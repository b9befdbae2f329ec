"""Answers leave on the grid: by the pure function, and by the call itself under a clock that only waiting moves."""

import asyncio
import selectors
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sites import Site
from tocsin.client.calls import decoy_call
from tocsin.model.errors import Unavailable
from tocsin.service.collect import Collector
from tocsin.service.perform import Arrival
from tocsin.service.sources import Sources
from tocsin.service.telemetry import Telemetry
from tocsin.web.apps.grid import GRID_SECONDS, next_tick
from tocsin.web.apps.intake import Intake

STEP = 1 / 16
"""A step and instants that floats hold exactly."""
sixteenths_of_steps = st.integers(0, 10_000).map(lambda n: n * STEP / 16)


@given(arrived=sixteenths_of_steps, waited=sixteenths_of_steps)
def test_the_first_tick_at_or_after_ready_but_one_at_least(arrived: float, waited: float) -> None:
    tick = next_tick(arrived + waited, arrived, STEP)
    steps = (tick - arrived) / STEP
    assert steps == int(steps) >= 1
    assert tick >= arrived + waited
    assert steps == 1 or tick - STEP < arrived + waited


def test_ready_on_a_tick_leaves_on_that_tick() -> None:
    assert [next_tick(n * STEP, 0.0, STEP) / STEP for n in (0, 1, 2)] == [1, 1, 2]


def test_no_grid_leaves_when_ready() -> None:
    assert next_tick(7.3, 7.0, 0) == 7.3


class _WaitingSelector(selectors.SelectSelector):
    """Time passes while there is nothing to do, and then at once."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everyone waits for ever"
        self.now += timeout
        return super().select(0)


class _WarpLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = _WaitingSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


class _SlowCollector:
    """Answers after so many seconds; None: the journal stays away after the same wait."""

    has_room = True

    def __init__(self, seconds: float, answer: bytes | None) -> None:
        self._seconds = seconds
        self._answer = answer

    sources = Sources()
    telemetry = Telemetry()

    async def answer(self, arrival: Arrival, loop: asyncio.AbstractEventLoop) -> bytes:
        await asyncio.sleep(self._seconds)
        if self._answer is None:
            raise Unavailable("away")
        return self._answer


@pytest.mark.parametrize("made_in, ticks", [(0.0, 1), (0.012, 1), (0.049, 1), (0.051, 2), (0.12, 3), (2.0001, 41)])
@pytest.mark.parametrize("answer", [b" " * 1024, None], ids=["answered", "away"])
def test_the_call_counts_the_grid_from_its_last_byte(
    site: Site, made_in: float, ticks: int, answer: bytes | None
) -> None:
    collector = cast(Collector, _SlowCollector(made_in, answer))
    intake = Intake(collector, site.deployment.keys, site.clock, 0, GRID_SECONDS)
    loop = _WarpLoop()
    last_byte_at = left_at = 0.0
    body = decoy_call()

    async def receive() -> dict[str, Any]:
        nonlocal last_byte_at
        if last_byte_at == 0.0:
            await asyncio.sleep(1.234)  # a slow sender: counted by nobody
            last_byte_at = loop.time()
            return {"type": "http.request", "body": body, "more_body": False}
        raise AssertionError("read past the end")

    async def send(message: Any) -> None:
        nonlocal left_at
        left_at = left_at or loop.time()

    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"4096")],
    }
    try:
        loop.run_until_complete(intake(scope, cast(Any, receive), send))
    finally:
        loop.close()
    assert left_at - last_byte_at == pytest.approx(ticks * GRID_SECONDS, abs=1e-9)
