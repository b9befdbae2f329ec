"""What looks for differences on the wire finds those that are there, and none that are not; nobody runs it blind."""

import time
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from benchmarks.privacy.conditions import CONDITIONS, LEAST_CALLS, Condition, Result, observe
from benchmarks.privacy.load import SEEN, Plan, Seen
from benchmarks.privacy.server import Seams
from benchmarks.privacy.stock import DECOY, Kind, make_stock
from benchmarks.privacy.tables import complaints, markdown
from benchmarks.privacy.told import compare, corrected, null_spread, power
from tocsin.model.times import Instant

PLAN = Plan(400.0, 64)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Kind]]:
    site = tmp_path_factory.mktemp("privacy") / "site"
    return site, make_stock(site, LEAST_CALLS, Instant(int(time.time())))


@pytest.fixture(scope="module")
def observed(stock: tuple[Path, list[Kind]]) -> Result:
    """All kinds against a real server in a process of its own, as the product runs it."""
    site, kinds = stock
    return observe(Condition("trial", "a few", PLAN), site, kinds, LEAST_CALLS, "a machine")


def test_every_kind_is_answered_as_it_says_and_in_one_form(observed: Result, stock: tuple[Path, list[Kind]]) -> None:
    """Cases 32 and 33: one status, one count of bytes each way, one list of headers in one order for all kinds."""
    kinds = stock[1]
    assert kinds[0].name == DECOY and len({kind.name for kind in kinds}) == len(kinds)
    sizes, head = observed.forms
    assert sizes.startswith("200: ") and sizes.endswith(f"{len(kinds)} kinds")
    assert head.startswith("HTTP/1.1 200 OK · date:  · content-type: application/json · content-length: 1024")
    assert head.endswith(f"{len(kinds)} kinds")
    assert [one.calls for one in observed.kinds[:-1]] == [LEAST_CALLS] * len(kinds)


def test_an_outage_shows_in_no_form(stock: tuple[Path, list[Kind]]) -> None:
    """Cases 32 and 33: while the journal is away all kinds look as they do on other days."""
    site, kinds = stock
    trial = Condition("trial", "a few", PLAN, Seams(is_away=True))
    sizes, head = observe(trial, site, kinds, LEAST_CALLS, "a machine").forms
    assert sizes.startswith("200: ") and sizes.endswith(f"{len(kinds)} kinds") and head.endswith(f"{len(kinds)} kinds")


def test_the_tables_have_a_row_a_kind(observed: Result, stock: tuple[Path, list[Kind]]) -> None:
    tables = markdown([observed])
    assert all(f"| {kind.name} |" in tables for kind in stock[1][1:])


def test_answers_that_differ_in_form_are_complained_of(observed: Result) -> None:
    sizes, head = observed.forms
    for forms in ([sizes, "200: 4,235 bytes up, 1,160 down, 1 kinds", head], [sizes, head, f"{head} · more"]):
        found = complaints([replace(observed, forms=forms)])
        assert any("differ in form" in complaint for complaint in found)


def _seen(chance: np.random.Generator, count: int = 4_000) -> Seen:
    seen = np.zeros(count, SEEN)
    seen["seconds"] = 0.05 + chance.exponential(0.001, count)
    seen["status"], seen["reads"] = 200, chance.integers(1, 3, count)
    seen["sent_at"] = chance.integers(0, 10**10, count)
    return seen


def test_what_is_alike_is_not_told_apart_and_what_is_not_is() -> None:
    chance = np.random.default_rng(3)
    decoys, alike, later, other_pieces = (_seen(chance) for _ in range(4))
    later["seconds"] += 0.0002
    other_pieces["reads"] = 1
    assert compare("alike", alike, decoys).p_distance > 0.01 and compare("alike", alike, decoys).p_auc > 0.01
    assert compare("later", later, decoys).p_distance < 1e-6
    told = compare("other pieces", other_pieces, decoys)
    assert told.auc > 0.7 and told.p_auc < 1e-6 and told.p_distance > 0.01


def test_the_spread_of_the_area_is_measured_and_never_below_that_of_ranks() -> None:
    assert 1.0 <= null_spread(_seen(np.random.default_rng(6), 4_000), 500) < 2.0


def test_more_503_for_one_kind_is_told() -> None:
    chance = np.random.default_rng(4)
    decoys, turned_away = _seen(chance), _seen(chance)
    decoys["status"][:100], turned_away["status"][:200] = 503, 503
    assert compare("turned away", turned_away, decoys).p_not_now < 1e-6
    assert compare("decoys", decoys, decoys).p_not_now > 0.5


def test_the_power_that_is_stated_is_there() -> None:
    """A difference a little above what is stated is told, one of a tenth of it is not."""
    chance = np.random.default_rng(5)
    pool, calls, tests = _seen(chance, 10_000), 2_000, 100
    stated = power(pool, calls, tests, tick_seconds=0.05)
    assert 0 < stated.shift < stated.deviation and 0.01 < stated.later_share < 0.2 and 0.5 < stated.auc < 0.56

    def p(shift: float) -> float:
        one, other = _seen(chance, calls), _seen(chance, calls)
        one["seconds"] += shift
        return compare("shifted", one, other).p_distance

    assert p(2 * stated.shift) < 0.05 / tests < p(stated.shift / 10)


def test_holm() -> None:
    """S. Holm, A simple sequentially rejective multiple test procedure, 1979."""
    assert corrected([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert corrected([0.6, 0.9]) == [1.0, 1.0]


@pytest.mark.slow
def test_a_leak_is_seen(stock: tuple[Path, list[Kind]]) -> None:
    """A server that answers decoys before the group: even few calls show it."""
    site, kinds = stock
    leak = next(one for one in CONDITIONS if one.seams.is_hasty)
    assert leak.seams == Seams(grid_seconds=0, is_hasty=True)
    result = observe(replace(leak, share=1.0), site, kinds, 200, "a machine")
    assert complaints([result]) == []
    clean = observe(replace(leak, seams=Seams(grid_seconds=0), share=1.0), site, kinds, 200, "a machine")
    assert all(told.p_distance > 1e-4 for told in clean.kinds[1:])
