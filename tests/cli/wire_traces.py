"""Phones that live for a fortnight in memory, by the reference client's own code, and what an observer sees of each."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Struct

from tests.client.bucket_simulator import TRUST
from tests.sites import MORNING, FixedClock, report
from tocsin.cli import calling
from tocsin.cli.phone import Phone, Stage
from tocsin.cli.terminal import Terminal
from tocsin.client.calls import PendingReport
from tocsin.client.schedule import Errand
from tocsin.formats.wire import decode_call, encode_answer
from tocsin.model.calls import Answer, Call, KeyVerdict, ReportCall, Verdict
from tocsin.model.errors import Unavailable
from tocsin.model.times import DAY_SECONDS

FORTNIGHT_SECONDS = 14 * DAY_SECONDS
REPORT = report("ada", "C000-401D-0G1X-9K7Y-SZJZ", 3, MORNING)
Chance = Callable[[], float]


class Seen(Struct, frozen=True):
    """One connection, as an observer of the wire sees it: when, to whom, bytes up and down; none down: no answer."""

    at: int
    url: str
    up: int
    down: int


class MemoryPhone(Phone):
    """A phone whose files are in memory."""

    def __init__(self, stage: Stage | None = None) -> None:
        super().__init__(Path("a phone in memory"))
        self._files: dict[str, bytes] = {}
        if stage is not None:
            self.keep_report(REPORT)
            self.move_report(Stage.STORED, stage)

    def damage_report(self) -> None:
        for stage in Stage:
            if stage.value in self._files:
                self._files[stage.value] = b"damaged"

    def _rename(self, before: str, after: str) -> None:
        self._files[after] = self._files.pop(before)

    def _remove(self, name: str) -> None:
        self._files.pop(name, None)

    def _read(self, name: str) -> bytes | None:
        return self._files.get(name)

    def _write(self, name: str, data: bytes) -> None:
        self._files[name] = data


class World:
    """One phone, its owner, its timer, the clock, and a server that answers as it is told; all its posts are seen."""

    def __init__(
        self,
        phone: Phone,
        chance: Chance,
        answers: Callable[[Call], Verdict] = lambda call: Verdict.NOTED,
        is_away: Callable[[int], bool] = lambda now: False,
    ) -> None:
        self.phone = phone
        self.seen: list[Seen] = []
        self.errands: list[Errand] = []
        self.clock = FixedClock()
        self._terminal = Terminal(self.clock)
        self._chance = chance
        self._answers = answers
        self._is_away = is_away

    def run(self, monkeypatch: pytest.MonkeyPatch, seconds: int, wakes_each: int = 60) -> None:
        """Lets so much time pass. The timer wakes the phone when a call is due, to the next of its own ticks."""
        end = self.clock.at + seconds
        with monkeypatch.context() as patched:
            self._enter(patched)
            while True:
                try:
                    turn = calling.take_turn(self.phone, TRUST, self._terminal)
                    next_at = turn.next_call_at
                    if turn.errand is not None:
                        self.errands.append(Errand[turn.errand.upper()])
                except Unavailable:
                    next_at = calling.schedule_of(self.phone, self._terminal).due_at
                next_at = max(-(-next_at // wakes_each) * wakes_each, self.clock.at)
                if next_at >= end:
                    self.clock.at = end
                    return
                self.clock.at = next_at

    def report_now(self, monkeypatch: pytest.MonkeyPatch, pending: PendingReport = REPORT) -> None:
        """The owner reports, at this moment."""
        with monkeypatch.context() as patched:
            self._enter(patched)
            self.phone.keep_report(pending)
            self.phone.mark_posted()
            answer = calling.call(self.phone, TRUST, pending.body, self._terminal)
            calling.settle(self.phone, Errand.REPEAT, answer)

    def _enter(self, patched: pytest.MonkeyPatch) -> None:
        patched.setattr(calling, "chance", self._chance)
        patched.setattr(calling, "post", self._post)

    def _post(self, url: str, body: bytes) -> bytes:
        if self._is_away(self.clock.at):
            self.seen.append(Seen(self.clock.at, url, len(body), 0))
            raise Unavailable("away")
        call = decode_call(body)
        verdict = self._answers(call)
        keys = len(call.keys) if isinstance(call, ReportCall) and verdict is Verdict.TAKEN else 0
        answer = encode_answer(Answer(verdict, (KeyVerdict.TAKEN,) * keys))
        self.seen.append(Seen(self.clock.at, url, len(body), len(answer)))
        return answer
