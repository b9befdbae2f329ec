"""A measurement of refusals, or of retries, is a defect: the harness says so instead of printing a rate."""

import pytest

from benchmarks import wrk
from benchmarks.intake import Bench
from benchmarks.wrk import Defect, Load

pytestmark = pytest.mark.skipif(not wrk.is_here(), reason="wrk is not installed")
CALLS = 128


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"), CALLS)


def test_each_report_is_judged_and_stored(bench: Bench) -> None:
    run = bench.run("sqlite", bench.reports)
    assert sum(run.tallies[0].group_sizes) == CALLS
    assert run.rate > 0


def test_other_answers_than_expected_are_no_figure(bench: Bench) -> None:
    decoys_for_reports = Load(bench.decoys.bodies, CALLS, "taken")
    with pytest.raises(Defect, match="0 said taken"):
        bench.run("memory", decoys_for_reports)


def test_retries_are_no_figure(bench: Bench) -> None:
    twice = Load(bench.folder / "twice", CALLS, "taken")
    half = bench.halves[0].bodies.read_bytes()
    twice.bodies.write_bytes(half + half)
    with pytest.raises(Defect, match="are in the ledger"):
        bench.run("memory", twice)
