"""What the tests of the codes share: the vectors."""

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def card_vectors() -> dict[str, Any]:
    """The vectors of ``docs/formats/card-code.md``."""
    path = Path(__file__).resolve().parents[1] / "vectors" / "card_code.json"
    vectors: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
    return vectors
