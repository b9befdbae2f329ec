"""Which file system holds a folder, from tables as Linux writes them."""

from pathlib import Path

import pytest

from tocsin.journal.disk import file_system_type, in_memory, sync_folder
from tocsin.model.errors import Unavailable

MOUNTS = r"""/dev/sda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
tmpfs /run tmpfs rw,nosuid 0 0
tmpfs /dev/shm tmpfs rw 0 0
/dev/sdb1 /dev/shm/disk xfs rw 0 0
tmpfs /srv/a\040b ramfs rw 0 0
tmpfs /covered tmpfs rw 0 0
/dev/sdc1 /covered ext4 rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("/", "ext4"),
        ("/var/lib/tocsin", "ext4"),
        ("/runner", "ext4"),
        ("/run", "tmpfs"),
        ("/run/user/0", "tmpfs"),
        ("/dev/shm/disk/journal", "xfs"),
        ("/srv/a b/journal", "ramfs"),
        ("/covered/journal", "ext4"),
    ],
)
def test_the_deepest_and_latest_mount_counts(folder: str, found: str) -> None:
    assert file_system_type(Path(folder), MOUNTS) == found


def test_nothing_known_is_nothing_found() -> None:
    assert file_system_type(Path("/journal"), "") == ""


def test_shared_memory_is_in_memory() -> None:
    if not Path("/dev/shm").is_mount():
        pytest.skip("needs a system with shared memory at its usual place")
    assert in_memory(Path("/dev/shm/none/yet"))


def test_a_folder_that_is_not_there_can_t_be_synced(tmp_path: Path) -> None:
    sync_folder(tmp_path)
    with pytest.raises(Unavailable):
        sync_folder(tmp_path / "none")
