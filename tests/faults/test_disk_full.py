"""A disk without room, under each part of a deployment: clear words, nothing acknowledged lost, and on by itself."""

import http.client
import os
import queue
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.faults.disks import disk
from tests.faults.servers import until
from tests.service.test_founding import SETTINGS
from tests.sites import FixedClock, Site, report
from tocsin.cli import main
from tocsin.cli.phone import Phone
from tocsin.client.calls import make_report
from tocsin.formats.wire import decode_answer, decode_call
from tocsin.journal.archive import make_archive
from tocsin.journal.verify import verify
from tocsin.model.calls import ReportCall, SentKey, Verdict
from tocsin.model.claims import report_id
from tocsin.model.errors import Unavailable
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, day_of
from tocsin.service.clock import SystemClock
from tocsin.service.deployment import Deployment
from tocsin.service.founding import found
from tocsin.service.key_folder import KeyFolder
from tocsin.service.rebuild import Rebuilt, rebuild
from tocsin.stores.place_folder import FolderPlace
from tocsin.web.problems import Problem

pytestmark = pytest.mark.faults


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("kilobytes", [4, 16, 40, 60, 80, 100])
def test_founding(tmp_path: Path, kilobytes: int) -> None:
    """Wherever the room ends: nothing is left behind, and with room the same command works."""
    with disk(tmp_path / "small", kilobytes) as small:
        top = small.place / "deployment"
        with pytest.raises(Unavailable, match=r"free some"):
            found(top, SETTINGS, FixedClock())
        assert names(small.place) == set()
        small.resize(1000)
        found(top, SETTINGS, FixedClock())
        Deployment(top, FixedClock()).close()


def test_a_new_day_key(tmp_path: Path) -> None:
    """Tried every few seconds: no try may leave a file, or the inodes go as well."""
    clock = FixedClock()
    KeyFolder.create(tmp_path / "keys", day_of(clock.now()), ())
    with disk(tmp_path / "keys", 100) as small:
        keys = KeyFolder(small.place)
        before = names(small.place)
        small.fill()
        for _ in range(3):
            with pytest.raises(Unavailable, match=r"days/\d+ can't be written: No space left on device; free some"):
                keys.make_days_ahead(day_of(clock.now() + DAY_SECONDS))
        assert names(small.place) == before | {"filler"}
        os.truncate(small.place / "filler", 0)
        keys.make_days_ahead(day_of(clock.now() + DAY_SECONDS))


def test_a_phone(tmp_path: Path) -> None:
    """What it held it holds still, and no try leaves a file."""
    key = SentKey(bytes(16), 2_900_000, 144)
    first, second = (
        make_report(
            [key], code=None, onset_day=None, withdrawal_secret=bytes([n]) * 32, continuation_secret=bytes([n]) * 32
        )
        for n in (1, 2)
    )
    with disk(tmp_path / "phone", 100) as small:
        phone = Phone(small.place)
        phone.keep_report(first)
        before = names(small.place)
        small.fill()
        for _ in range(3):
            with pytest.raises(Unavailable, match=r"No space left on device.*make room"):
                phone.keep_report(second)
        assert names(small.place) == before | {"filler"}
        assert phone.require_report()[1] == first
        small.free()
        phone.keep_report(second)
        assert phone.require_report()[1] == second


class Served:
    """`tocsin serve` as a process, and a phone that posts to it."""

    def __init__(self, top: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tocsin", "serve", "--data", str(top), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._port = int(self.says("http://127.0.0.1:").partition("http://127.0.0.1:")[2].split()[0])

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)

    def says(self, words: str) -> str:
        """The next line with these words in it; what comes before is passed over."""
        while True:
            line = self._lines.get(timeout=60)
            if words in line:
                return line

    def post(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        return self._ask("POST", "/v1/reports", body)

    def get(self, path: str) -> tuple[int, bytes]:
        return self._ask("GET", path, None)

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        with closing(connection):
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()


@contextmanager
def served(top: Path) -> Iterator[Served]:
    server = Served(top)
    try:
        yield server
    finally:
        server.kill()


def founded(top: Path, cards: int) -> list[str]:
    """A deployment at the present moment; its cards."""
    site = Site(top, FixedClock(SystemClock().now()), cards=cards)
    site.deployment.close()
    return site.cards


def lost(top: Path, taken: list[bytes]) -> int:
    """Reports that were acknowledged and are not in the journal, which is whole."""
    with closing(Deployment(top, SystemClock())) as deployment:
        verify(deployment.journal)
        performer = deployment.performer()
        performer.catch_up()
        calls = [decode_call(body) for body in taken]
        return sum(
            not isinstance(call, ReportCall) or report_id(call.tracking_id) not in performer.ledger.report_by_id
            for call in calls
        )


def test_the_journal_of_a_running_server(tmp_path: Path) -> None:
    """Full again and again while reports come, also while the log is written back into the database.

    Every answer is a receipt or *provisional*; nothing acknowledged is lost; with room the same calls are taken, by the
    same process. Public files are served all the while. Where the disk of the spool is full too, it is a 503.
    """
    top = tmp_path / "site"
    cards = founded(top, 240)
    now = SystemClock().now()
    bodies = [report(f"phone {serial}", card, 14, now).body for serial, card in enumerate(cards)]
    taken: list[bytes] = []
    kept = refused = 0
    (top / "spool").mkdir(mode=0o700)
    with disk(top / "journal", 8_000) as small, disk(top / "spool", 1_000) as other, served(top) as server:
        for number, body in enumerate(bodies):
            if number % 40 == 20:  # room for a few more groups, then none
                small.fill()
                os.truncate(small.place / "filler", (small.place / "filler").stat().st_size - (number % 7) * 50_000)
            if number == 100:
                other.fill()
            status, answer = server.post(body)
            if status == 503:
                refused += 1
                assert answer == Problem.NOT_NOW.body
                other.free()
            elif decode_answer(answer).verdict is Verdict.PROVISIONAL:
                kept += 1
            else:
                assert decode_answer(answer).verdict is Verdict.TAKEN
            if status == 503 or decode_answer(answer).verdict is Verdict.PROVISIONAL:
                assert server.get("/trust.json")[0] == 200
                small.free()
                until("it is taken", lambda body=body: decode_answer(server.post(body)[1]).verdict is Verdict.TAKEN)
            taken.append(body)
            if number % 40 == 39 and (small.place / "filler").exists():
                small.free()
        assert kept and refused == 1
        assert "has no room left" in server.says("answered provisional")
        server.kill()
        small.fill()
        assert main(["status", "--data", str(top)]) in (0, 1)  # starting on a full disk: words, or all is well
        small.free()
        assert lost(top, taken) == 0


def test_an_act_on_a_full_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    top = tmp_path / "site"
    founded(top, 10)
    with disk(top / "journal", 500) as small:
        small.fill()
        assert main(["pause", "--data", str(top), "--why", "trial"]) == 1
        assert "has no room left. Nothing was stored; free some space" in capsys.readouterr().err
        assert main(["journal", "verify", "--data", str(top)]) == 1
        assert "has no room left" in capsys.readouterr().err
        small.free()
        assert main(["pause", "--data", str(top), "--why", "trial"]) == 0
        assert main(["journal", "verify", "--data", str(top)]) == 0


@pytest.mark.parametrize("kilobytes_free", [0, 1, 3, 5, 9, 20])
def test_a_release(tmp_path: Path, kilobytes_free: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Case 46. Wherever the room ends, the head names only what is there; with room the same one ends what it began."""
    clock = FixedClock()
    site = Site(tmp_path / "site", clock)
    for serial in range(3):
        site.report(f"phone {serial}", serial, days=14)
    with disk(tmp_path / "site" / "bucket", 200) as small:
        clock.wait(QUARTER_SECONDS)
        publisher = site.deployment.publisher()
        publisher.publish()
        before = released(small.place)
        site.report("later", 9)
        clock.wait(QUARTER_SECONDS * 16)
        small.fill()
        os.truncate(small.place / "filler", (small.place / "filler").stat().st_size - 1024 * kilobytes_free)
        for _ in range(3):
            with pytest.raises(Unavailable, match="free some"):
                publisher.publish()
        assert released(small.place) == before
        assert main(["status", "--data", str(site.top)], clock) == 0
        assert "has" in capsys.readouterr().out
        small.free()
        assert publisher.publish() == 2
        assert list(small.place.rglob("v1/**/.*")) == []
    site.deployment.close()


def released(bucket: Path) -> bytes:
    return (bucket / "v1" / "head").read_bytes()


def test_files_that_may_grow_no_further(tmp_path: Path) -> None:
    """RLIMIT_FSIZE: the answer is the known 503, and the journal is whole."""
    top = tmp_path / "site"
    site = Site(top, FixedClock())
    taken = refused = 0
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        for serial in range(60):
            try:
                site.report(f"phone {serial}", serial)
                taken += 1
            except Unavailable as unavailable:
                assert "Nothing was stored" in str(unavailable)
                refused += 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert taken and refused
    for serial in range(taken, 60):
        site.report(f"phone {serial}", serial)
    assert site.performer.ledger.reports.count == 60
    assert verify(site.deployment.journal).sequence == 64
    site.deployment.close()


def test_a_rebuild(tmp_path: Path) -> None:
    """Wherever the room ends: without a journal nothing is left, and with room the same command works."""
    clock = FixedClock()
    site = Site(tmp_path / "old", clock)
    for serial in range(3):
        site.report(f"phone {serial}", serial)
    clock.wait(QUARTER_SECONDS)
    site.deployment.publisher().publish()
    archive = make_archive(FolderPlace(tmp_path / "archive"))
    archive.append(site.deployment.journal.read(0), 1)
    site.deployment.close()

    def again(top: Path) -> Rebuilt:
        return rebuild(top, lambda settings: archive, site.top / "keys", site.top / "tocsin.toml", clock)

    ended = set()
    with disk(tmp_path / "small", 1000) as small:
        top = small.place / "new"
        for kilobytes in (4, 16, 40, 60, 80, 100, 120, 140, 160, 180, 200, 240, 280):
            small.resize(kilobytes)
            try:
                ended.add("whole" if again(top).unfinished is None else "unfinished")
            except Unavailable as error:
                assert "free some" in str(error) or "room" in str(error)
                assert names(small.place) == set()
                ended.add("nothing")
            small.resize(1000)
            if not top.exists():
                assert again(top).unfinished is None
            with closing(Deployment(top, clock)) as deployment:
                deployment.publisher().restore()
                assert verify(deployment.journal).term == archive.tip().term
            shutil.rmtree(top)
    assert ended == {"nothing", "unfinished", "whole"}
