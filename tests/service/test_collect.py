"""The queue before the journal: who shares a group, and what one call, one caller or one fault can do to the others."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.sites import FixedClock, Site, drawn, report
from tocsin.client.calls import tracking_id
from tocsin.formats.wire import decode_answer
from tocsin.ledger.state import Ledger
from tocsin.model.calls import Verdict
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.times import floor_quarter
from tocsin.rules import intake
from tocsin.rules.judgement import Judgement
from tocsin.service import collect
from tocsin.service.collect import MAX_GROUP, MAX_WAITING, Collector
from tocsin.service.perform import Arrival, Performer
from tocsin.service.telemetry import Telemetry

PATIENCE_SECONDS = 30


class Stub(Performer):
    """Answers each call with its own body, once it is let."""

    def __init__(self) -> None:
        self.telemetry = Telemetry()
        self.groups: list[int] = []
        self.began = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.followed = threading.Semaphore(0)
        self.forgot = threading.Event()
        self.error: Exception | None = None
        self.following_error: Exception | None = None
        self.is_full = False

    @property
    def has_room(self) -> bool:
        return not self.is_full

    def forget_sources(self) -> None:
        self.forgot.set()

    def catch_up(self) -> None:
        self.followed.release()
        if self.following_error is not None:
            raise self.following_error

    def answer(self, arrivals: Sequence[Arrival]) -> list[bytes]:
        self.groups.append(len(arrivals))
        self.began.set()
        assert self.may_go_on.wait(PATIENCE_SECONDS)
        if self.error is not None:
            raise self.error
        return [arrival.body for arrival in arrivals]


@pytest.fixture
def stub() -> Stub:
    return Stub()


@pytest.fixture
def collector(stub: Stub) -> Iterator[Collector]:
    made = Collector(stub)
    made.start()
    yield made
    stub.may_go_on.set()
    if made._thread.is_alive():
        made.stop()


def arrival(number: int) -> Arrival:
    return Arrival(b"%d" % number, floor_quarter(0))


def run(work: Callable[[asyncio.AbstractEventLoop], Awaitable[object]]) -> object:
    """What `work` comes to, in a loop of its own."""

    async def within() -> object:
        return await work(asyncio.get_running_loop())

    return asyncio.run(within())


async def behind(collector: Collector, stub: Stub, count: int) -> list[bytes | BaseException]:
    """The answers to `count` calls that come while a first one is being made durable."""
    loop = asyncio.get_running_loop()
    stub.may_go_on.clear()
    first = asyncio.ensure_future(collector.answer(arrival(0), loop))
    await asyncio.sleep(0)
    assert await asyncio.to_thread(stub.began.wait, PATIENCE_SECONDS)
    others = [asyncio.ensure_future(collector.answer(arrival(number), loop)) for number in range(1, count)]
    await asyncio.sleep(0)
    stub.may_go_on.set()
    return await asyncio.gather(first, *others, return_exceptions=True)


def test_who_comes_while_a_group_is_made_durable_shares_the_next(collector: Collector, stub: Stub) -> None:
    said = asyncio.run(behind(collector, stub, 20))
    assert said == [b"%d" % number for number in range(20)]
    assert stub.groups == [1, 19]


def test_a_group_has_an_end(collector: Collector, stub: Stub) -> None:
    """However many wait, the journal's tip is given back after so many; none is left out, none answered twice."""
    said = asyncio.run(behind(collector, stub, 2 * MAX_GROUP + 11))
    assert said == [b"%d" % number for number in range(2 * MAX_GROUP + 11)]
    assert stub.groups == [1, MAX_GROUP, MAX_GROUP, 10]


@pytest.mark.parametrize("error", [Unavailable("away"), Invalid("damaged"), Refused("code", "no")])
def test_a_group_that_fails_tells_each_of_its_callers(collector: Collector, stub: Stub, error: Exception) -> None:
    stub.error = error
    said = asyncio.run(behind(collector, stub, 5))
    assert [type(answer) for answer in said] == [Unavailable] * 5
    stub.error = None
    assert run(lambda loop: collector.answer(arrival(7), loop)) == b"7"


def test_a_fault_of_ours_does_not_end_the_thread(
    collector: Collector, stub: Stub, caplog: pytest.LogCaptureFixture
) -> None:
    """Case 40: the log names the fault's type, and nothing that came with it."""
    stub.error = KeyError("a secret")
    said = asyncio.run(behind(collector, stub, 3))
    assert [type(answer) for answer in said] == [Unavailable] * 3
    assert stub.groups == [1, 2, 1, 1], "each is tried alone"
    stub.error = None
    assert run(lambda loop: collector.answer(arrival(7), loop)) == b"7"
    assert "KeyError" in caplog.text and "secret" not in caplog.text


@pytest.mark.parametrize("error", [Unavailable("away"), KeyError("a secret"), MemoryError()])
def test_a_fault_in_following_does_not_end_the_thread(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(collect, "FOLLOW_SECONDS", 0.001)
    stub.following_error = error
    collector = Collector(stub)
    collector.start()
    for _ in range(2):
        assert stub.followed.acquire(timeout=PATIENCE_SECONDS)
    assert stub.forgot.wait(PATIENCE_SECONDS), "callers are forgotten all the same"
    assert run(lambda loop: collector.answer(arrival(7), loop)) == b"7"
    collector.stop()
    assert ("following" in caplog.text) is not isinstance(error, Unavailable)
    assert "secret" not in caplog.text


def test_a_caller_that_hung_up_is_in_nobodys_way(collector: Collector, stub: Stub) -> None:
    async def hang_up() -> list[bytes]:
        loop = asyncio.get_running_loop()
        stub.may_go_on.clear()
        calls = [asyncio.ensure_future(collector.answer(arrival(number), loop)) for number in range(3)]
        await asyncio.sleep(0)
        calls[1].cancel()
        await asyncio.sleep(0)
        stub.may_go_on.set()
        return [await calls[0], await calls[2]]

    assert asyncio.run(hang_up()) == [b"0", b"2"]


def test_a_loop_that_ended_is_in_nobodys_way(collector: Collector, stub: Stub) -> None:
    async def leave() -> None:
        stub.may_go_on.clear()
        call = asyncio.ensure_future(collector.answer(arrival(0), asyncio.get_running_loop()))
        await asyncio.sleep(0)
        call.cancel()

    asyncio.run(leave())
    stub.may_go_on.set()
    assert run(lambda loop: collector.answer(arrival(7), loop)) == b"7"


def test_a_disk_that_hangs_keeps_nobody_waiting(
    collector: Collector, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "ANSWER_SECONDS", 0.01)
    stub.may_go_on.clear()
    with pytest.raises(Unavailable, match="too long"):
        run(lambda loop: collector.answer(arrival(0), loop))


def test_the_operator_hears_why_and_that_it_goes_on(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "TROUBLE_SECONDS", 0)
    told: list[str | None] = []
    collector = Collector(stub, told.append)
    collector.start()
    for error in (Unavailable("no room"), Unavailable("no room"), None, None):
        stub.error = error
        if error is None:
            run(lambda loop: collector.answer(arrival(0), loop))
        else:
            with pytest.raises(Unavailable):
                run(lambda loop: collector.answer(arrival(0), loop))
    collector.stop()
    assert told == ["no room", None]


def test_stopping_answers_all_that_wait(collector: Collector, stub: Stub) -> None:
    async def stop() -> list[bytes]:
        loop = asyncio.get_running_loop()
        stub.may_go_on.clear()
        calls = [asyncio.ensure_future(collector.answer(arrival(number), loop)) for number in range(MAX_GROUP + 5)]
        await asyncio.sleep(0)
        stopping = asyncio.ensure_future(asyncio.to_thread(collector.stop))
        stub.may_go_on.set()
        await stopping
        return [await call for call in calls]

    assert asyncio.run(stop()) == [b"%d" % number for number in range(MAX_GROUP + 5)]
    assert not collector.has_room


def test_room(stub: Stub) -> None:
    """Case 29: what there is no room for is told so before its body is read; one that does not run has none."""
    collector = Collector(stub)
    assert not collector.has_room
    stub.may_go_on.clear()
    collector.start()
    assert collector.has_room

    async def fill() -> None:
        loop = asyncio.get_running_loop()
        calls = [asyncio.ensure_future(collector.answer(arrival(0), loop))]
        await asyncio.sleep(0)
        assert await asyncio.to_thread(stub.began.wait, PATIENCE_SECONDS)
        calls += [asyncio.ensure_future(collector.answer(arrival(n), loop)) for n in range(MAX_WAITING - 1)]
        await asyncio.sleep(0)
        assert collector.has_room
        stub.is_full = True  # its spool, say
        assert not collector.has_room
        stub.is_full = False
        calls.append(asyncio.ensure_future(collector.answer(arrival(0), loop)))
        await asyncio.sleep(0)
        assert not collector.has_room
        stub.may_go_on.set()
        await asyncio.gather(*calls)
        assert collector.has_room

    asyncio.run(fill())
    collector.stop()


def test_a_poisonous_call_does_not_shut_out_its_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule fails at one call of a group: that one is told to try again, all others are taken, once each."""
    site = Site(tmp_path / "site", FixedClock())
    judge = intake.judge

    def fragile(ledger: Ledger, call: Any, *rest: Any) -> Judgement:
        if getattr(call, "tracking_id", None) == tracking_id(drawn("phone 2 w")):
            raise ZeroDivisionError
        return judge(ledger, call, *rest)

    monkeypatch.setattr(intake, "judge", fragile)
    now = floor_quarter(site.clock.now())
    arrivals = [Arrival(report(f"phone {n}", site.cards[n], 1, now).body, now) for n in range(5)]
    collector = Collector(site.performer)

    async def send() -> list[bytes | BaseException]:
        loop = asyncio.get_running_loop()
        calls = [asyncio.ensure_future(collector.answer(one, loop)) for one in arrivals]
        await asyncio.sleep(0)
        collector.start()
        return await asyncio.gather(*calls, return_exceptions=True)

    said = asyncio.run(send())
    collector.stop()
    assert isinstance(said.pop(2), Unavailable)
    assert [decode_answer(answer).verdict for answer in said if isinstance(answer, bytes)] == [Verdict.TAKEN] * 4
    assert site.performer.ledger.reports.count == 4
    site.deployment.close()


@pytest.mark.parametrize("error", [Invalid("this call can't be stored"), ZeroDivisionError()])
def test_what_one_call_raises_is_told_to_that_one_alone(stub: Stub, error: Exception) -> None:
    """Whatever it is, unless the journal is away or broken: that concerns all of a group."""
    answer = stub.answer

    def fragile(arrivals: Sequence[Arrival]) -> list[bytes]:
        said = answer(arrivals)
        if b"2" in said:
            raise error
        return said

    stub.answer = fragile  # type: ignore[method-assign]
    collector = Collector(stub)
    collector.start()
    said = asyncio.run(behind(collector, stub, 5))
    collector.stop()
    assert isinstance(said.pop(2), Unavailable)
    assert said == [b"0", b"1", b"3", b"4"]
