"""A bucket that is a local folder: the contract, crashes, disks that say no."""

import fcntl
import itertools
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contracts.bucket_contract import NAME, BucketContract, Store
from tocsin.model.errors import Unavailable
from tocsin.stores.folder import FolderBucket

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65_534


class FolderStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self) -> FolderBucket:
        return FolderBucket(self._folder)


class TestFolder(BucketContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return FolderStore(tmp_path / "bucket")


@pytest.fixture
def bucket(tmp_path: Path) -> FolderBucket:
    return FolderBucket(tmp_path)


def files(folder: Path) -> set[str]:
    """Every file below `folder`, those that start with a dot too."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_write_leaves_nothing_beside_it(bucket: FolderBucket) -> None:
    bucket.create(NAME, b"one")
    bucket.create(NAME, b"two")
    bucket.replace("v1/head", b"one", None)
    bucket.replace("v1/head", b"two", b"one")
    bucket.replace("v1/head", b"three", b"one")
    assert files(bucket.folder) == {NAME, "v1/head", ".lock"}


def test_files_are_for_everybody_to_read(bucket: FolderBucket) -> None:
    """They are public, and the web server in front may be another user."""
    before = os.umask(0o022)
    try:
        bucket.create(NAME, b"one")
        bucket.replace("v1/head", b"one", None)
    finally:
        os.umask(before)
    assert {(bucket.folder / name).stat().st_mode & 0o777 for name in (NAME, "v1/head")} == {0o644}


KILLED = """
import os, signal, sys
from pathlib import Path
from tocsin.stores.folder import FolderBucket
syncs = int(sys.argv[2])
fsync = os.fsync
def counted(descriptor):
    global syncs
    if syncs == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    syncs -= 1
    fsync(descriptor)
os.fsync = counted
bucket = FolderBucket(Path(sys.argv[1]))
if sys.argv[3] == "create":
    bucket.create("v1/object", b"new" * 1000)
else:
    bucket.replace("v1/head", b"new" * 1000, b"old")
"""


@pytest.mark.faults
@pytest.mark.parametrize(("act", "name"), [("create", "v1/object"), ("replace", "v1/head")])
def test_killed_at_any_sync(bucket: FolderBucket, act: str, name: str) -> None:
    """A name holds the old object or the whole new one; the same write may be repeated, and what was left is gone."""
    bucket.replace("v1/head", b"old", None)
    old = bucket.read(name)
    for syncs in itertools.count():
        ran = subprocess.run([sys.executable, "-c", KILLED, str(bucket.folder), str(syncs), act], cwd=ROOT, check=False)
        left = bucket.read(name)
        assert left in (old, b"new" * 1000)
        if ran.returncode == 0:
            break
        assert ran.returncode == -signal.SIGKILL
        if left != old:
            assert not bucket.replace(name, b"another", old)
            (bucket.folder / name).unlink()
            if old is not None:
                bucket.create(name, old)
    assert syncs >= 2
    assert files(bucket.folder) == {"v1/head", ".lock", name}


def test_what_a_crash_left_is_not_served_and_goes_with_the_next_write(bucket: FolderBucket) -> None:
    bucket.create("v1/other", b"")
    (bucket.folder / "v1" / ".object").write_bytes(b"half")
    assert bucket.read("v1/object") is None
    assert bucket.create("v1/object", b"whole")
    assert files(bucket.folder) == {"v1/other", "v1/object", ".lock"}


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was synced, in order."""
    paths: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: paths.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    return paths


def test_a_write_is_synced_before_it_has_its_name_and_its_folders_after(
    bucket: FolderBucket, synced: list[str]
) -> None:
    assert bucket.create(NAME, b"one")
    folder = os.path.realpath(bucket.folder)
    folders = [f"{folder}/v1/utopia/keyset", f"{folder}/v1/utopia", f"{folder}/v1", folder]
    assert synced == [f"{folder}/v1/utopia/keyset/.00ff", *folders]
    synced.clear()
    assert bucket.replace("v1/head", b"one", None)
    assert synced == [f"{folder}/v1/.head", f"{folder}/v1", folder]


def test_an_object_that_is_there_is_durable_too(bucket: FolderBucket, synced: list[str]) -> None:
    """Its maker may have been killed before it synced the folder, and the head would outlive the object."""
    bucket.create(NAME, b"one")
    before = synced.copy()
    synced.clear()
    assert not bucket.create(NAME, b"one")
    assert synced == before[1:]


@contextmanager
def files_of_at_most(most: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.faults
def test_no_room_on_the_disk(bucket: FolderBucket) -> None:
    """Files may grow to 1,000 bytes: longer ones are refused, the old head stands, and with room again all goes on."""
    bucket.replace("v1/head", b"old", None)
    big = b"x" * 100_000
    for _ in range(2):
        with files_of_at_most(1_000), pytest.raises(Unavailable, match="too large"):
            bucket.create(NAME, big)
        with files_of_at_most(1_000), pytest.raises(Unavailable):
            bucket.replace("v1/head", big, b"old")
        assert bucket.read(NAME) is None and bucket.read("v1/head") == b"old"
    assert bucket.create(NAME, big)
    assert bucket.replace("v1/head", big, b"old")
    assert files(bucket.folder) == {NAME, "v1/head", ".lock"}


MAY_NOT = """
import os, sys
from pathlib import Path
from tocsin.model.errors import Unavailable
from tocsin.stores.folder import FolderBucket
if os.geteuid() == 0:
    os.setgid({nobody}); os.setuid({nobody})
bucket = FolderBucket(Path(sys.argv[1]))
for use in (
    lambda: bucket.create("v1/object", b""),
    lambda: bucket.replace("v1/head", b"", b"old"),
    lambda: bucket.read("shut/head"),
):
    try:
        use()
    except Unavailable as unavailable:
        print(unavailable)
"""


@pytest.mark.faults
def test_what_may_not_be_written_or_read() -> None:
    """A folder that anybody may enter, since pytest's own is closed; a process that is not root, since root may all."""
    with tempfile.TemporaryDirectory() as place:
        bucket = FolderBucket(Path(place))
        bucket.replace("v1/head", b"old", None)
        bucket.create("shut/head", b"")
        for folder, mode in (("v1", 0o555), ("shut", 0o000), ("", 0o555)):
            (bucket.folder / folder).chmod(mode)
        try:
            ran = subprocess.run(
                [sys.executable, "-c", MAY_NOT.format(nobody=NOBODY), place], cwd=ROOT, capture_output=True, text=True
            )
        finally:
            for folder in ("", "v1", "shut"):
                (bucket.folder / folder).chmod(0o700)
        assert ran.stdout.count("Permission denied") == 3, ran.stdout + ran.stderr


def test_no_link_is_written_through(bucket: FolderBucket, tmp_path: Path) -> None:
    """Whoever may write into the bucket would else let us write anywhere."""
    outside = tmp_path.with_name(f"{tmp_path.name} outside")
    outside.mkdir()
    (outside / "file").write_text("mine")
    (bucket.folder / "v1").mkdir()
    (bucket.folder / "v1" / ".head").symlink_to(outside / "file")  # where the draft would be
    assert bucket.replace("v1/head", b"one", None)
    (bucket.folder / "v1" / "object").symlink_to(outside / "new")
    (bucket.folder / "linked").symlink_to(outside)
    for name in ("v1/object", "linked/object", "linked/below/object"):
        assert bucket.read(name) is None and bucket.length(name) is None
        with pytest.raises(Unavailable, match=r"place of a public file|leads out"):
            bucket.create(name, b"one")
    assert [path.name for path in outside.iterdir()] == ["file"] and (outside / "file").read_text() == "mine"
    assert bucket.strangers(lambda name: name == "v1/head") == ["linked", "v1/object"]


def test_the_bucket_itself_may_be_a_link(tmp_path: Path) -> None:
    """To another disk, say."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "bucket").symlink_to("disk")
    bucket = FolderBucket(tmp_path / "bucket")
    assert bucket.create(NAME, b"one") and bucket.read(NAME) == b"one"
    assert bucket.strangers(lambda name: name == NAME) == []


def test_a_pipe_is_not_waited_for(bucket: FolderBucket) -> None:
    (bucket.folder / "v1").mkdir()
    os.mkfifo(bucket.folder / "v1" / "head")
    assert bucket.read("v1/head") is None
    with pytest.raises(Unavailable, match="place of a public file"):
        bucket.create("v1/head", b"one")
    os.mkfifo(bucket.folder / "v1" / ".object")
    assert bucket.create("v1/object", b"one") and bucket.read("v1/object") == b"one"


def test_a_lock_that_is_held_for_too_long(tmp_path: Path) -> None:
    """By a publisher that stands still: the others say whom to look for, and go on once it is gone."""
    bucket = FolderBucket(tmp_path, lock_seconds=0.05)
    bucket.create(NAME, b"one")
    with (tmp_path / ".lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match=r"\.lock for too long"):
            bucket.replace("v1/head", b"one", None)
        assert bucket.read(NAME) == b"one", "reading needs no turn"
    assert bucket.replace("v1/head", b"one", None)


def test_a_write_that_fails_leaves_no_draft(bucket: FolderBucket) -> None:
    """Half of it would hold the room that is lacking."""
    with files_of_at_most(1_000), pytest.raises(Unavailable):
        bucket.create(NAME, bytes(100_000))
    assert files(bucket.folder) == {".lock"}


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "bucket").write_bytes(b"")
    bucket = FolderBucket(tmp_path / "bucket")
    with pytest.raises(Unavailable):
        bucket.create(NAME, b"")
