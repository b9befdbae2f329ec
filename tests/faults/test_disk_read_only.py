"""A disk that turned read-only, as the kernel makes one that fails: said by name, at the start and while running."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.disks import disk
from tests.faults.servers import until
from tests.faults.test_disk_full import founded, served
from tests.sites import FixedClock, Site, report
from tocsin.cli import main
from tocsin.formats.wire import decode_answer
from tocsin.model.calls import Verdict
from tocsin.model.errors import Unavailable
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, day_of
from tocsin.service.clock import SystemClock
from tocsin.service.deployment import Deployment

pytestmark = pytest.mark.faults


def test_the_journal_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    top = tmp_path / "site"
    founded(top, 10)
    with disk(top / "journal", 1_000) as broken:
        broken.read_only()
        for command in (["serve"], ["status"], ["publish"], ["pause", "--why", "trial"]):
            assert main([*command, "--data", str(top)]) == 1
            told = capsys.readouterr().err
            assert str(top / "journal") in told and "read-only" in told, (command, told)
        broken.writable()
        assert main(["status", "--data", str(top)]) == 0


def test_the_journal_of_a_running_server(tmp_path: Path) -> None:
    """Calls go into the spool. The folder is laid over itself, since its files are open for writing."""
    top = tmp_path / "site"
    cards = founded(top, 10)
    now = SystemClock().now()
    with disk(top / "journal", 4_000) as broken, served(top) as server:
        first = server.post(report("one", cards[0], 2, now).body)
        assert decode_answer(first[1]).verdict is Verdict.TAKEN
        broken.detach_read_only()
        kept = server.post(report("two", cards[1], 2, now).body)
        assert decode_answer(kept[1]).verdict is Verdict.PROVISIONAL
        assert "answered provisional" in server.says("read-only")
        assert server.get("/trust.json")[0] == 200
        broken.attach()
        two = report("two", cards[1], 2, now).body
        until("it is delivered", lambda: decode_answer(server.post(two)[1]).verdict is Verdict.TAKEN)


def test_the_bucket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clock = FixedClock()
    site = Site(tmp_path / "site", clock)
    site.report("ada", 0)
    with disk(site.top / "bucket", 1_000) as broken:
        publisher = site.deployment.publisher()
        clock.wait(QUARTER_SECONDS)
        publisher.publish()
        clock.wait(QUARTER_SECONDS)
        broken.read_only()
        with pytest.raises(Unavailable, match=r"bucket/v1/.*Read-only file system; look why"):
            publisher.publish()
        assert main(["status", "--data", str(site.top)], clock) == 0
        assert "bucket can't be written" in " ".join(capsys.readouterr().out.split())
        assert site.deployment.bucket.read("v1/head") is not None, "phones are served"
        broken.writable()
        assert publisher.publish() == 2
    site.deployment.close()


def test_the_keys(tmp_path: Path) -> None:
    """Reports are taken while there are keys; the message names the key that can't be made."""
    clock = FixedClock()
    site = Site(tmp_path / "site", clock)
    with disk(site.top / "keys", 1_000) as broken:
        broken.read_only()
        clock.wait(DAY_SECONDS)
        refused = pytest.raises(Unavailable, match=r"keys/days/\d+ can't be written: Read-only")
        with closing(Deployment(site.top, clock)) as deployment, refused:
            deployment.keys.make_days_ahead(day_of(clock.now()))
        site.report("ada", 0)
        broken.writable()
        site.deployment.keys.make_days_ahead(day_of(clock.now()))
    site.deployment.close()
