"""The flood is measured whole, or not at all."""

from pathlib import Path

import pytest

from benchmarks import flood, wrk

pytestmark = pytest.mark.skipif(not wrk.is_here(), reason="wrk is not installed")


def test_a_small_flood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"JUNK": 200, "ALONE": 5, "ROUNDS": 1}.items():
        monkeypatch.setattr(flood, name, value)
    [row] = flood.measure(tmp_path)
    assert "none lost" in row.figure and "×" in row.comparison
