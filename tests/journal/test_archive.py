"""The archive in a folder, and in a real object store."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.archive_contract import TODAY, ArchiveContract, everything, filled, story
from tests.faults.object_store import ObjectStore
from tocsin.journal.archive import open_archive
from tocsin.journal.archive_table import new_files
from tocsin.model.errors import Unavailable
from tocsin.stores.place import Place, place_at
from tocsin.stores.place_folder import FolderPlace


class Dying(FolderPlace):
    """A folder whose writer dies right after its next file."""

    dies = False

    def create(self, name: str, data: bytes) -> bool:
        made = super().create(name, data)
        if self.dies:
            raise Unavailable("killed")
        return made


class TestInFolder(ArchiveContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return FolderPlace(tmp_path / "archive")

    def test_a_writer_that_dies_between_file_and_commit_leaves_what_the_next_one_takes(self, tmp_path: Path) -> None:
        events, place = story(6), Dying(tmp_path)
        archive = filled(place, events[:2])
        place.dies = True
        with pytest.raises(Unavailable):
            archive.append(events[2:], 1)
        place.dies = False
        assert everything(archive) == events[:2] and len(list(tmp_path.glob("day=*/*"))) == 2
        open_archive(place).append(events[2:], 1)
        assert everything(archive) == events and len(list(tmp_path.glob("day=*/*"))) == 2

    def test_what_a_dead_writer_left_is_erased_too(self, tmp_path: Path) -> None:
        """Its file holds the same contents as the ones that were committed; it is named by no version."""
        events, place = story(6), FolderPlace(tmp_path)
        archive = filled(place, events[:5], 2)
        dead, ahead = new_files(events[1:4])[0], new_files(events[5:])[0]
        for file in (dead, ahead):
            place.create(file.name, file.data)
            os.utime(tmp_path / file.name, (0, 0))
        (tmp_path / f"day={TODAY}" / ".draft").write_bytes(dead.data)
        os.utime(tmp_path / f"day={TODAY}" / ".draft", (0, 0))
        young = new_files(events[:3])[0]
        place.create(young.name, young.data)
        archive.erase(TODAY)
        left = {file.name for file in place.found()}
        assert dead.name not in left and f"day={TODAY}/.draft" not in left
        assert young.name in left, "its writer may be alive"
        assert ahead.name in left, "who archives these events makes the same file, and may be about to"
        assert archive.append(events[5:], 1).sequence == 6

    def test_a_log_entry_that_a_power_cut_left_empty_does_no_harm(self, tmp_path: Path) -> None:
        events, place = story(6), FolderPlace(tmp_path)
        filled(place, events[:2])
        (tmp_path / "_delta_log" / f"{2:020d}.json").touch()
        again = open_archive(place)
        assert again.append(events[2:], 1).sequence == 6
        assert everything(open_archive(place)) == events


class TestInBucket(ArchiveContract):
    @pytest.fixture
    def place(self, object_store: ObjectStore) -> Iterator[Place]:
        with object_store.opened():
            yield place_at(object_store.new_url())
