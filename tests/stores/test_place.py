"""Places of a table's files: how they are named, what opens them, and which stores are refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.disks import disk
from tests.faults.object_store import SECRET, ObjectStore
from tocsin.model.errors import Invalid, TocsinError, Unavailable
from tocsin.stores.place import Place, place_at
from tocsin.stores.place_folder import FolderPlace
from tocsin.stores.place_s3 import access

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "folder":
        yield place_at(str(tmp_path / "a place"))
    else:
        store: ObjectStore = request.getfixturevalue("object_store")
        with store.opened():
            yield place_at(store.new_url())


def test_a_file_is_made_once(place: Place) -> None:
    place.refuse_unfit()
    place.refuse_unfit()
    assert place.read("day=1/one") is None
    assert place.create("day=1/one", b"one") and not place.create("day=1/one", b"another")
    assert place.create("two", b"")
    assert place.read("day=1/one") == b"one" and place.read("two") == b""
    found = {file.name: file for file in place.found()}
    assert found.keys() - {"_probe"} == {"day=1/one", "two"}
    assert found["day=1/one"].length == 3 and found["day=1/one"].written_at > 1_700_000_000
    place.settle(["two", "no such file"])
    place.remove(["two", "no such file"])
    place.remove(["two"])
    assert place.read("two") is None


@pytest.mark.faults
def test_a_folder_on_a_full_disk_is_not_filled_with_drafts(tmp_path: Path) -> None:
    """The archive tries again every few seconds, and with more events each time: each try has another name."""
    with disk(tmp_path / "small", 100) as small:
        place = FolderPlace(small.place)
        place.create("day=1/one", b"one")
        small.fill()
        for number in range(3):
            with pytest.raises(Unavailable, match="No space left on device; free some"):
                place.create(f"day=1/{number}", bytes(5_000))
        assert {file.name for file in place.found()} == {"day=1/one", "filler"}
        small.free()
        assert place.create("day=1/two", bytes(5_000))


def test_how_places_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_at("/srv/a").uri == place_at("file:///srv/a").uri == "/srv/a"
    assert place_at("file:///srv/a%20b").uri == "/srv/a b"
    assert place_at("s3://bucket").uri == place_at("s3://bucket/").uri == "s3://bucket"
    assert place_at("s3://bucket/a/b/").uri == "s3://bucket/a/b"


@pytest.mark.parametrize(
    "url",
    ["", "a/folder", "file://host/srv", "s3:///prefix", "https://host/a", "gs://bucket", "s3://me:pass@bucket/a"],
)
def test_what_names_no_place_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(Invalid) as invalid:
        place_at(url)
    assert "pass" not in str(invalid.value)


def test_what_opens_a_bucket_comes_from_a_file_of_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "archive.env"
    path.write_text(f"# of the archive\n\nAWS_ACCESS_KEY_ID = me\nAWS_SECRET_ACCESS_KEY={SECRET}=\n", encoding="utf-8")
    path.chmod(0o640)
    with pytest.raises(Invalid, match="chmod 600"):
        access(path)
    path.chmod(0o600)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    assert access(path)["AWS_ACCESS_KEY_ID"] == "me" and access(path)["AWS_SECRET_ACCESS_KEY"] == f"{SECRET}="
    assert access(None)["AWS_ACCESS_KEY_ID"] == "another"
    path.write_text(f"password={SECRET}\n", encoding="utf-8")
    with pytest.raises(Invalid, match="line 1") as invalid:
        access(path)
    assert SECRET not in str(invalid.value)
    with pytest.raises(Invalid, match="No such file"):
        access(tmp_path / "absent")


@pytest.mark.parametrize("name", ["AWS_S3_ALLOW_UNSAFE_RENAME", "AWS_CONDITIONAL_PUT"])
def test_nothing_is_written_where_two_could_be_first(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "true")
    with pytest.raises(Invalid, match=name):
        place_at("s3://bucket/prefix")


def test_plain_http_must_be_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    with pytest.raises(Invalid, match="AWS_ALLOW_HTTP"):
        place_at("s3://bucket/prefix")


def test_a_store_that_ignores_conditions_is_refused(object_store: ObjectStore) -> None:
    with object_store.careless() as careless, careless.opened():
        place = place_at("s3://bucket/prefix")
        with pytest.raises(Invalid, match="If-None-Match"):
            place.refuse_unfit()


def test_a_bucket_that_keeps_old_versions_is_told_from_others(object_store: ObjectStore, tmp_path: Path) -> None:
    with object_store.opened():
        for url, kept in (
            (object_store.new_url(), False),
            (object_store.versioned_url(), True),
            (str(tmp_path), False),
        ):
            place = place_at(url)
            place.refuse_unfit()
            assert place.keeps_versions() is kept


def test_a_store_that_is_away_or_closed_says_no_secret(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with object_store.opened():
        url = object_store.new_url()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stranger")
        closed = place_at(url)
        monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
        away = place_at(url)
    for place, words in ((closed, "it refuses what opens it"), (away, "does not answer")):
        with pytest.raises(Unavailable, match=words) as unavailable:
            place.refuse_unfit()
        assert SECRET not in told(unavailable.value) and "stranger" not in told(unavailable.value)
        assert SECRET not in repr(place)


def test_a_folder_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match=r"file.*Not a directory|file.*exists"):
        FolderPlace(tmp_path / "file").refuse_unfit()


def told(error: TocsinError) -> str:
    """What a log could have of it, its causes included."""
    parts = [str(error)]
    cause = error.__cause__
    while cause is not None:
        parts.append(str(cause))
        cause = cause.__cause__
    return " ".join(parts)
