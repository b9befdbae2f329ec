"""The vectors that are kept are those that their generators make: ``make vectors`` leaves no diff."""

import pytest

from tests.vectors import make


@pytest.mark.parametrize("name", make.names())
def test_kept_vectors_are_what_the_generator_makes(name: str) -> None:
    assert make.path_of(name).read_text(encoding="ascii") == make.made(name)
