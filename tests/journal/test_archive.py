"""The archive in a folder, and in a real object store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.archive_contract import ArchiveContract
from tests.faults.object_store import ObjectStore
from tocsin.stores.place import Place, place_at
from tocsin.stores.place_folder import FolderPlace


class TestInFolder(ArchiveContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return FolderPlace(tmp_path / "archive")


class TestInBucket(ArchiveContract):
    @pytest.fixture
    def place(self, object_store: ObjectStore) -> Iterator[Place]:
        with object_store.opened():
            yield place_at(object_store.new_url())
