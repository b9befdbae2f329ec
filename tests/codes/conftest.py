"""What the tests of the codes share: the vectors."""

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def card_vectors() -> dict[str, Any]:
    """The vectors of ``docs/formats/card-code.md``."""
    return _vectors("card_code")


@pytest.fixture(scope="session")
def phone_vectors() -> dict[str, Any]:
    """The vectors of ``docs/formats/phone-code.md``."""
    return _vectors("phone_code")


def _vectors(name: str) -> dict[str, Any]:
    path = Path(__file__).resolve().parents[1] / "vectors" / f"{name}.json"
    vectors: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
    return vectors
