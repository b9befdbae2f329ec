"""The archive in a folder."""

from pathlib import Path

import pytest

from tests.contracts.archive_contract import ArchiveContract
from tocsin.stores.place import Place
from tocsin.stores.place_folder import FolderPlace


class TestInFolder(ArchiveContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return FolderPlace(tmp_path / "archive")
