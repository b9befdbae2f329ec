"""The spool, planted: reports that wait for too long, that can't be delivered, that fill it; a file that is none."""

from collections.abc import Iterator

import pytest

from tests.service.doctor.conftest import Examine
from tests.sites import Site
from tocsin.model.claims import Claim
from tocsin.model.times import floor_quarter
from tocsin.service.doctor import spool as spool_check
from tocsin.stores.spool import MOST_ATTEMPTS, Spool


@pytest.fixture
def spool(site: Site) -> Iterator[Spool]:
    folder = site.deployment.folders.spool.parent
    folder.mkdir(mode=0o700, exist_ok=True)
    made = Spool(site.deployment.folders.spool)
    with made.group() as group:
        group.add(floor_quarter(site.clock.now()), (Claim(bytes(33)),), b"sealed")
    yield made
    made.close()


def test_a_report_that_waits_for_ten_minutes(site: Site, spool: Spool, examined: Examine) -> None:
    assert examined() == {}
    site.clock.wait(spool_check.LONG_SECONDS - site.clock.now() % 900)
    assert examined() == {}
    site.clock.wait(1)
    assert "for the journal (1, the oldest" in examined()["spool_waiting"]


def test_one_that_can_not_be_delivered(spool: Spool, examined: Examine) -> None:
    for _ in range(MOST_ATTEMPTS):
        spool.failed(1)
    assert "can't be delivered" in examined()["spool_waiting"]


def test_one_that_fills_up(spool: Spool, examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_check, "FULL_SHARE", 0)
    assert "half full" in examined()["spool_waiting"]


def test_a_file_that_is_none(site: Site, spool: Spool, examined: Examine) -> None:
    spool.close()
    for path in site.deployment.folders.spool.parent.glob("spool.sqlite-*"):
        path.unlink()
    site.deployment.folders.spool.write_bytes(b"not a database" * 500)
    assert "spool.sqlite" in examined()["spool_unusable"]
