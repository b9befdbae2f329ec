"""A disk without room, under each part of a deployment: clear words, nothing acknowledged lost, and on by itself."""

import os
from pathlib import Path

import pytest

from tests.faults.disks import disk
from tests.service.test_founding import SETTINGS
from tests.sites import FixedClock
from tocsin.cli.phone import Phone
from tocsin.client.calls import make_report
from tocsin.model.calls import SentKey
from tocsin.model.errors import Unavailable
from tocsin.model.times import DAY_SECONDS, day_of
from tocsin.service.deployment import Deployment
from tocsin.service.founding import found
from tocsin.service.key_folder import KeyFolder

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
