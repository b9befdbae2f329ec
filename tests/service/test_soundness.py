"""What looking tells of folders and files: each disk once, each folder that can't be written, each file in force."""

import os

import pytest

from tests.sites import FixedClock, Site
from tocsin.model.times import QUARTER_SECONDS
from tocsin.service.soundness import LOW_BYTES, look_at_bucket, look_at_disks


def disk(blocks: int, free: int) -> os.statvfs_result:
    """A disk of so many blocks of 4 kB."""
    return os.statvfs_result((4096, 4096, blocks, free, free, 1000, 1000, 1000, 0, 255))


@pytest.mark.parametrize(
    ("blocks", "free", "low"),
    [
        (1000, 0, True),
        (1000, 149, True),
        (1000, 150, False),
        (100 * LOW_BYTES // 4096, LOW_BYTES // 4096 - 1, True),
        (100 * LOW_BYTES // 4096, LOW_BYTES // 4096, False),
    ],
)
def test_a_low_disk_is_told_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, blocks: int, free: int, low: bool
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "statvfs", lambda folder: disk(blocks, free))
        found = look_at_disks(site.deployment.folders)
    assert [each.free_bytes for each in found] == ([free * 4096] if low else [])


def test_a_folder_that_is_gone_can_not_be_written(site: Site) -> None:
    site.deployment.folders.bucket.rename(site.top / "elsewhere")
    [found] = [each for each in look_at_disks(site.deployment.folders) if each.free_bytes is None]
    assert found.folder == str(site.deployment.folders.bucket)


def test_a_bucket_without_a_head_has_nothing_to_lose(site: Site, clock: FixedClock) -> None:
    assert look_at_bucket(site.deployment).trouble is None
    clock.wait(QUARTER_SECONDS)
    site.deployment.publisher().publish()
    found = look_at_bucket(site.deployment)
    assert (found.out.version, found.trouble, found.lost, found.strangers) == (1, None, (), ())
    (site.deployment.folders.bucket / "v1" / "head").write_bytes(b"")
    found = look_at_bucket(site.deployment)
    assert found.trouble is not None and "damaged" in found.trouble
