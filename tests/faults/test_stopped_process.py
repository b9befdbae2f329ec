"""A `tocsin serve` that stands still and is continued, as by ``kill -STOP`` and ``kill -CONT``: a paused container, a
machine that swaps, a debugger. Its peer over the same folder goes on or says why not; nothing is done twice."""

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.seamed import BEFORE_GROUP, BEFORE_HEAD, IN_GROUP
from tests.faults.servers import Load, Server, until
from tests.faults.test_processes_beside_each_other import set_clock
from tests.sites import PROMPT, FixedClock, Site, report
from tocsin.client.state import SyncState
from tocsin.client.sync import sync
from tocsin.client.trust import parse_trust
from tocsin.formats.wire import decode_answer
from tocsin.journal.verify import verify
from tocsin.model.calls import Verdict
from tocsin.publication.release import released
from tocsin.service.deployment import head_verifier

pytestmark = pytest.mark.faults

CARDS = 2048


class Pair:
    """A deployment and two servers over it, `left` (which stops) and `right`. Their clock is a file."""

    def __init__(self, folder: Path, cards: int) -> None:
        self.top = folder / "site"
        self.clock = FixedClock()
        self.site = Site(self.top, self.clock, PROMPT, cards)
        set_clock(self.top, self.clock.at)
        self.right, self.left = (Server.seamed(self.top, folder / name) for name in ("right", "left"))
        assert self.right.port != self.left.port
        self.phone: SyncState | None = None

    def wait(self, seconds: int) -> None:
        """Time passes for both."""
        self.clock.wait(seconds)
        set_clock(self.top, self.clock.at)

    def stop_left_at(self, place: str) -> None:
        """When it next comes there, it stands still."""
        (self.top / f"stop-left-{place}").touch()

    def until_left_stands(self) -> None:
        until("a process that stands still", lambda: self.left.is_stopped)

    def go_on(self) -> None:
        self.left.send(signal.SIGCONT)

    @contextmanager
    def left_comes_first(self) -> Iterator[None]:
        """For this while `right` stands still, so that it is not the faster one."""
        self.right.send(signal.SIGSTOP)
        until("a peer that stands still", lambda: self.right.is_stopped)
        yield
        self.right.send(signal.SIGCONT)

    def body(self, serial: int) -> bytes:
        return report(f"phone {serial}", self.site.cards[serial], 2, self.clock.at).body

    @property
    def version(self) -> int:
        """The newest version that is out, as a phone sees it, which refuses to go back."""
        out = released(
            self.site.deployment.bucket, head_verifier(self.site.deployment.settings, self.site.deployment.keys)
        )
        if out.leaf is None:
            return 0
        trust, bucket = parse_trust((self.top / "trust.json").read_bytes()), self.top / "bucket"
        self.phone = sync(self.phone, trust, self.clock.at, lambda name, most: (bucket / name).read_bytes())
        return self.phone.version

    def end(self, reports: int) -> None:
        """Both end well; the journal holds so many reports, and each version was put out once."""
        for server in (self.left, self.right):
            server.stop()
            assert "a fault in tocsin" not in server.err and "Traceback" not in server.err
        verify(self.site.deployment.journal)
        performer = self.site.deployment.performer()
        performer.catch_up()
        ledger = performer.ledger
        assert ledger.reports.count == reports
        used = list(zip(ledger.reports["batch"].tolist(), ledger.reports["serial"].tolist(), strict=True))
        assert len(used) == len(set(used)), "a card was used twice"
        assert [version.version for version in ledger.versions] == list(range(1, len(ledger.versions) + 1))
        out = self.left.versions + self.right.versions
        assert len(out) == len(set(out)), "a version was put out twice"
        assert self.version == len(ledger.versions)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path, 100)
    yield made
    _end(made)


def _end(pair: Pair) -> None:
    for server in (pair.left, pair.right):
        server.kill()
    pair.site.deployment.close()


class Caller(threading.Thread):
    """A phone that sends one call and waits for the answer."""

    def __init__(self, server: Server, body: bytes) -> None:
        super().__init__()
        self._server = server
        self._body = body
        self.answer: bytes | None = None
        self.start()

    def run(self) -> None:
        with suppress(OSError):  # the connection broke: no answer
            self.answer = self._server.call(self._body)


def test_one_that_stands_still_while_it_holds_the_journal(pair: Pair) -> None:
    """The peer keeps calls in the spool after its deadline, and tells the operator whom to look for. The call that was
    in flight is answered in the end; repeated at the peer, it reads the same receipt, and is stored once."""
    body, other = pair.body(0), pair.body(1)
    pair.stop_left_at(IN_GROUP)
    caller = Caller(pair.left, body)
    pair.until_left_stands()
    assert pair.right.verdict(other) is Verdict.PROVISIONAL
    assert pair.right.verdict(body) is Verdict.PROVISIONAL, "nobody knows yet whether it will be stored"
    until("a word to the operator", lambda: "answered provisional" in pair.right.err)
    assert "lslocks" in pair.right.err
    pair.go_on()
    caller.join()
    assert caller.answer is not None and decode_answer(caller.answer).verdict is Verdict.TAKEN
    until("what was kept is stored", lambda: pair.right.verdict(other) is Verdict.TAKEN)
    assert pair.right.call(body) == caller.answer == pair.left.call(body)
    assert pair.right.verdict(other) is Verdict.TAKEN
    pair.end(reports=2)


def test_one_that_is_ended_while_it_stands_still_frees_the_journal(pair: Pair) -> None:
    """Nothing of its group is stored; the caller, who got no answer, repeats the same call."""
    body = pair.body(0)
    pair.stop_left_at(IN_GROUP)
    caller = Caller(pair.left, body)
    pair.until_left_stands()
    pair.left.kill()
    caller.join()
    assert caller.answer is None
    assert pair.right.verdict(body) is Verdict.TAKEN
    verify(pair.site.deployment.journal)


def test_one_that_stands_still_longer_than_its_reading_of_the_clock_is_good_for(pair: Pair) -> None:
    """It read the clock, and asks for the journal an hour later: its group is refused and kept, and delivered then."""
    body = pair.body(0)
    pair.stop_left_at(BEFORE_GROUP)
    caller = Caller(pair.left, body)
    pair.until_left_stands()
    pair.wait(3600)
    until("a version", lambda: pair.version == 1)
    pair.go_on()
    caller.join()
    assert caller.answer is not None and decode_answer(caller.answer).verdict is Verdict.PROVISIONAL
    until("what was kept is stored", lambda: pair.left.verdict(body) is Verdict.TAKEN)
    pair.end(reports=1)


def test_one_that_stands_still_before_the_head_puts_no_older_one_back(pair: Pair) -> None:
    """Case 52. The peer puts the same version out, and two more; continued, the other finds that it was overtaken."""
    assert pair.right.verdict(pair.body(0)) is Verdict.TAKEN
    with pair.left_comes_first():
        pair.stop_left_at(BEFORE_HEAD)
        pair.wait(900)
        pair.until_left_stands()
        assert pair.version == 0
    until("the same version, by the peer", lambda: pair.version == 1)
    for version in (2, 3):
        pair.wait(900)
        until("the next version, by the peer", lambda v=version: pair.version == v)
    pair.go_on()
    pair.wait(900)
    until("one more, by whomever", lambda: pair.version == 4)
    pair.end(reports=1)


def test_one_that_stands_still_between_plan_and_append_plans_again(pair: Pair) -> None:
    """The peer decides that version meanwhile: it is not decided a second time."""
    with pair.left_comes_first():
        pair.stop_left_at(BEFORE_GROUP)
        pair.wait(900)
        pair.until_left_stands()
    until("the version, by the peer", lambda: pair.version == 1)
    pair.go_on()
    pair.wait(900)
    until("the next version", lambda: pair.version == 2)
    pair.end(reports=0)


def _stand_still_under_load(pair: Pair, moments: random.Random, seconds: float, times: int, phones_each: int) -> None:
    """Both take calls; `left` stands still from any moment on, until its peer was seen to go on, or to refuse."""
    bodies = [pair.body(serial) for serial in range(CARDS)]
    load, own = Load(bodies[times:]), bodies[:times]
    phones = load.start(pair.left.port, phones_each) + load.start(pair.right.port, phones_each)
    for body in own:
        time.sleep(moments.uniform(0.05, 0.3))
        pair.left.send(signal.SIGSTOP)
        pair.until_left_stands()
        stopped_at, taken, kept = time.monotonic(), len(load.taken), len(load.kept)
        until("the peer goes on, or keeps", lambda t=taken, k=kept: len(load.taken) > t + 4 or len(load.kept) > k)
        time.sleep(max(0.0, stopped_at + seconds - time.monotonic()))
        pair.go_on()
        until("it goes on itself", lambda b=body: pair.left.verdict(b) is Verdict.TAKEN)
    while not load.waiting.empty():  # no more of them
        load.waiting.get_nowait()
    for phone in phones:
        phone.join()
    assert load.other == []
    answers = dict(load.taken)
    for body in load.kept:
        until("what was kept is stored", lambda b=body: pair.right.verdict(b) is Verdict.TAKEN)
    for body in load.cut_off:  # by phones that did not wait for so long: stored or not, they repeat their call
        assert pair.right.verdict(body) is Verdict.TAKEN
    some = list(answers)[:: len(answers) // 50 + 1]
    assert [pair.right.call(body) for body in some] == [answers[body] for body in some]
    pair.wait(900)
    until("a version", lambda: pair.version >= 1)
    pair.end(reports=len(answers.keys() | load.kept | set(load.cut_off)) + times)


def test_one_that_stands_still_at_any_moment_under_load(tmp_path: Path) -> None:
    pair = Pair(tmp_path, CARDS)
    try:
        _stand_still_under_load(pair, random.Random(4), 0, 6, phones_each=4)
    finally:
        _end(pair)


@pytest.mark.slow
def test_one_that_stands_still_for_a_minute_under_load(tmp_path: Path) -> None:
    pair = Pair(tmp_path, CARDS)
    try:
        _stand_still_under_load(pair, random.Random(), 60, 1, phones_each=1)  # for a minute there are cards enough
    finally:
        _end(pair)
