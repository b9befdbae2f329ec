"""The archive, planted: behind, ahead of an older copy, of a later term, away, and in a bucket without conditions."""

import os
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.faults.object_store import ObjectStore
from tests.service.doctor.conftest import Examine
from tests.sites import Site, by
from tocsin.journal.archive import open_archive
from tocsin.model.times import QUARTER_SECONDS
from tocsin.rules.issuance import add_provider
from tocsin.service.archiver import LATE_SECONDS, Archiver
from tocsin.stores.place import place_at


def _archiver(site: Site, url: str) -> Archiver:
    archiver = site.with_archive(url).archiver
    assert archiver is not None
    return archiver


def _act(site: Site, name: str) -> None:
    site.deployment.performer().act(lambda ledger, now: add_provider(ledger, name, by(name)))


def test_one_that_follows_and_one_that_is_behind(site: Site, tmp_path: Path, examined: Examine) -> None:
    archiver = _archiver(site, str(tmp_path / "archive"))
    archiver.catch_up()
    assert examined() == {}
    _act(site, "B")
    site.clock.wait(LATE_SECONDS - site.clock.now() % QUARTER_SECONDS)
    assert examined() == {}
    site.clock.wait(1)
    assert "lacks 1 of" in examined()["archive_behind"]


def test_a_folder_that_is_not_there(site: Site, tmp_path: Path, examined: Examine) -> None:
    """Its disk is not mounted, say: it is not made."""
    site.with_archive(str(tmp_path / "archive"))
    assert set(examined()) == {"archive_unfit"} and not (tmp_path / "archive").exists()


def test_an_archive_that_has_more_than_an_older_copy(site: Site, tmp_path: Path, examined: Examine) -> None:
    archiver = _archiver(site, str(tmp_path / "archive"))
    archiver.catch_up()
    site.deployment.close()
    journal = site.deployment.folders.journal
    shutil.copytree(journal.parent, tmp_path / "older")
    _act(site, "B")
    archiver.catch_up()
    site.deployment.close()
    shutil.rmtree(journal.parent)
    shutil.copytree(tmp_path / "older", journal.parent)
    assert "older copy" in examined()["second_writer"]


def test_an_archive_of_a_later_term(site: Site, tmp_path: Path, examined: Examine) -> None:
    _archiver(site, str(tmp_path / "archive")).catch_up()
    open_archive(place_at(str(tmp_path / "archive"))).raise_term(2)
    assert "of term 2" in examined()["second_writer"]


@pytest.mark.faults
def test_a_bucket_without_conditional_put(site: Site, object_store: ObjectStore, examined: Examine) -> None:
    with object_store.careless() as careless, careless.opened():
        site.with_archive(careless.new_url())
        assert "If-None-Match" in examined()["archive_unfit"]


@pytest.mark.faults
def test_a_bucket_that_keeps_them_and_is_then_away(site: Site, object_store: ObjectStore, examined: Examine) -> None:
    with object_store.opened():
        _archiver(site, object_store.new_url()).catch_up()
        assert examined() == {}
        with patch.dict(os.environ, AWS_ENDPOINT_URL="http://127.0.0.1:1"):
            found = examined()
    assert set(found) == {"archive_away"} and "secret" not in found["archive_away"]
