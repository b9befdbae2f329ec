"""`tocsin rebuild` and `tocsin drill rebuild`, as a person types them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.faults.object_store import ObjectStore
from tests.sites import FixedClock, Site
from tocsin.journal.archive import open_archive
from tocsin.model.errors import Refused
from tocsin.model.times import QUARTER_SECONDS
from tocsin.service.deployment import Deployment
from tocsin.stores.place_folder import FolderPlace


@pytest.fixture
def archived(site: Site, clock: FixedClock, tmp_path: Path) -> Iterator[Deployment]:
    """The deployment with an archive that has all of it: three reports, a version out."""
    folder = tmp_path / "archive"
    with (site.top / "tocsin.toml").open("a") as settings:
        settings.write(f'\n[archive]\nurl = "{folder}"\n')
    for serial in range(3):
        site.report(f"phone {serial}", serial)
    clock.wait(4 * 3600 + QUARTER_SECONDS)
    deployment = Deployment(site.top, clock)
    deployment.publisher().publish()
    assert deployment.archiver is not None
    deployment.archiver.catch_up()
    yield deployment
    deployment.close()


def listing(top: Path) -> dict[Path, int]:
    """All there is, with when it was changed; what SQLite keeps beside its file comes and goes."""
    return {
        path: path.stat().st_mtime_ns
        for path in top.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def test_everything_is_rebuilt_and_told(
    run: Run, site: Site, archived: Deployment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new"
    keys = shutil.copytree(site.top / "keys", tmp_path / "sealed")
    words = ("rebuild", "--archive", str(tmp_path / "archive"), "--keys", str(keys), "--data", str(new))
    assert "put it into" in run(*words).err
    assert not new.exists()
    done = run(*words, "--settings", str(site.top / "tocsin.toml"), "--json")
    assert done.code == 0, done.err
    tip = archived.journal.tip()
    assert (done.json["sequence"], done.json["digest"], done.json["term"]) == (tip.sequence, tip.digest.hex(), 2)
    assert done.json["parts"][0]["name"] == "archive read" and done.json["unfinished"] is None
    assert run("journal", "verify", "--data", str(new)).code == 0
    again = run(*words)
    assert again.code == 1 and "not empty" in again.err


def test_from_a_bucket(run: Run, site: Site, clock: FixedClock, object_store: ObjectStore, tmp_path: Path) -> None:
    url = object_store.new_url()
    with object_store.opened():
        deployment = site.with_archive(url)
        site.report("ada", 0)
        assert deployment.archiver is not None
        deployment.archiver.catch_up()
        words = ("--archive", url, "--keys", str(site.top / "keys"), "--settings", str(site.top / "tocsin.toml"))
        done = run("rebuild", *words, "--data", str(tmp_path / "new"), "--json")
        assert done.code == 0, done.err
        tip = deployment.journal.tip()
        assert (done.json["sequence"], done.json["digest"], done.json["term"]) == (tip.sequence, tip.digest.hex(), 2)
        assert run("drill", "rebuild", "--data", str(tmp_path / "new"), "--archive", url).code == 0
        with pytest.raises(Refused, match="term 2"):
            deployment.archiver.catch_up()


def test_the_drill_compares_and_changes_nothing(run: Run, archived: Deployment, tmp_path: Path) -> None:
    before = listing(tmp_path)
    done = run("drill", "rebuild", "--json")
    assert done.code == 0, done.json
    assert all(check["fault"] is None and not check["skipped"] for check in done.json["checks"]), done.json
    assert listing(tmp_path) == before
    assert open_archive(FolderPlace(tmp_path / "archive")).tip().term == 1
    assert "came back" in run("drill", "rebuild").words


def test_the_drill_fails_where_the_public_files_differ(run: Run, archived: Deployment, tmp_path: Path) -> None:
    [name, *_] = (archived.folders.bucket / "v1" / "utopia" / "keyset").iterdir()
    name.write_bytes(b"other")
    done = run("drill", "rebuild", "--json")
    assert done.code == 1 and not done.json["passed"]
    assert [check["name"] for check in done.json["checks"] if check["fault"]] == ["public files the same"]
    assert list(archived.folders.top.glob(".drill-*")) == []


def test_the_drill_fails_where_a_used_card_would_be_good_again(
    run: Run, archived: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another issuing secret than the one that the cards were made with: found before anything is compared."""
    (archived.folders.keys / "issuing-1").write_bytes(bytes(32))
    done = run("drill", "rebuild", "--json")
    assert done.code == 1 and done.json["error"] == "keys_do_not_fit"


def test_without_an_archive_there_is_no_drill(run: Run, site: Site) -> None:
    done = run("drill", "rebuild", "--json")
    assert (done.code, done.json["error"]) == (1, "no_archive")
