"""Two samples of phones, the ill and the well, each by chance of its own: no test tells one from the other (T-P3).

`test_calling` shows that the same chance gives the same calls. Here the one thing that an owner times is in it too: a
report sent at once, by day. What the tests would have seen is told by samples that are made to differ.
"""

import random
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import ks_2samp
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_score

from tests.cli.wire_traces import FORTNIGHT_SECONDS, MemoryPhone, Seen, World
from tests.sites import MORNING
from tocsin.cli.phone import Stage
from tocsin.model.calls import Call, ReportCall, TrackCall, Verdict, WithdrawCall
from tocsin.model.times import DAY_SECONDS, day_start

PHONES = 700
"""Of each sample."""
LEVEL = 0.001
"""A single seeded run; a level below which no honest pair of samples of the six features comes by chance."""
Trace = Sequence[Seen]
Features = npt.NDArray[np.float64]


def _well(monkeypatch: pytest.MonkeyPatch, seed: int) -> Trace:
    world = World(MemoryPhone(), random.Random(seed).random)
    world.run(monkeypatch, FORTNIGHT_SECONDS)
    return world.seen


def _ill(monkeypatch: pytest.MonkeyPatch, seed: int) -> Trace:
    """Reports by day at a moment of the owner's, provisional for two days, asked after daily, withdrawn in the end."""
    chance = random.Random(seed)
    reported_at = chance.randrange(1, 9) * DAY_SECONDS + chance.randrange(8 * 3600, 20 * 3600)
    world: World

    def answers(call: Call) -> Verdict:
        match call:
            case ReportCall():
                waits = world.clock.now() < day_start(MORNING // DAY_SECONDS) + reported_at + 2 * DAY_SECONDS
                return Verdict.PROVISIONAL if waits else Verdict.TAKEN
            case TrackCall():
                return Verdict.TAKEN
            case WithdrawCall():
                return Verdict.WITHDRAWN
            case _:
                return Verdict.NOTED

    phone = MemoryPhone()
    world = World(phone, chance.random, answers)
    before = day_start(MORNING // DAY_SECONDS) + reported_at - MORNING
    world.run(monkeypatch, before)
    world.report_now(monkeypatch)
    world.run(monkeypatch, 4 * DAY_SECONDS)
    known = phone.report()
    if known is not None and known[0] is Stage.TAKEN:
        phone.move_report(Stage.TAKEN, Stage.WITHDRAWING)
    world.run(monkeypatch, FORTNIGHT_SECONDS - before - 4 * DAY_SECONDS)
    return world.seen


def _repeats_at_once(trace: Trace, seed: int) -> Trace:
    """What an app does that repeats its report by itself: a quarter-hour later, twice."""
    chance = random.Random(seed)
    at = chance.choice(trace).at
    more = [Seen(at + 900 * n, trace[0].url, trace[0].up, trace[0].down) for n in (1, 2)]
    return sorted([*trace, *more], key=lambda seen: seen.at)


def _calls_more_often(share: float) -> Callable[[Trace, int], Trace]:
    """Calls added to a trace: so many of those it has."""

    def changed(trace: Trace, seed: int) -> Trace:
        chance = random.Random(seed)
        more = [
            Seen(MORNING + chance.randrange(FORTNIGHT_SECONDS), one.url, one.up, one.down)
            for one in trace
            if chance.random() < share
        ]
        return sorted([*trace, *more], key=lambda seen: seen.at)

    return changed


def _features(traces: Sequence[Trace]) -> Features:
    """Of each phone: number of calls, gaps (shortest, mean, longest), share of calls by day, hour of the last call."""
    rows = []
    for trace in traces:
        at = np.array([seen.at for seen in trace])
        gaps = np.diff(at)
        by_day = np.mean((at % DAY_SECONDS >= 8 * 3600) & (at % DAY_SECONDS < 20 * 3600))
        rows.append([len(at), gaps.min(), gaps.mean(), gaps.max(), by_day, at[-1] % DAY_SECONDS])
    return np.array(rows, float)


def _least_p(one: Features, other: Features) -> float:
    """The least p of the two-sample tests of Kolmogorov and Smirnov, one a feature, times their number (Bonferroni)."""
    columns = range(one.shape[1])
    return min(float(ks_2samp(one[:, column], other[:, column]).pvalue) for column in columns) * len(columns)


def _auc(one: Features, other: Features) -> float:
    """How well a classifier tells phones of one sample from those of the other: 0.5 is not at all."""
    told = HistGradientBoostingClassifier(max_iter=50, random_state=1)
    labels = np.repeat([0, 1], [len(one), len(other)])
    return float(np.mean(cross_val_score(told, np.concatenate([one, other]), labels, cv=5, scoring="roc_auc")))


AUC_LIMIT = 0.5 + 3.3 * (2 * PHONES / 12) ** 0.5 / PHONES
"""0.5 and 3.3 standard deviations of the rank statistic where there is no difference (Mann and Whitney)."""


@pytest.fixture(scope="module")
def traces() -> tuple[list[Trace], list[Trace]]:
    """The well, and the ill, by draws of their own."""
    monkeypatch = pytest.MonkeyPatch()
    well = [_well(monkeypatch, seed) for seed in range(PHONES)]
    ill = [_ill(monkeypatch, 1_000_000 + seed) for seed in range(PHONES)]
    return well, ill


def test_all_calls_have_one_host_and_one_size(traces: tuple[list[Trace], list[Trace]]) -> None:
    """T-P7: no address is asked for that a well phone does not ask for; case 32."""
    for sample in traces:
        seen = {(one.url, one.up, one.down) for trace in sample for one in trace}
        assert len(seen) == 1 and {(up, down) for _, up, down in seen} == {(4096, 1024)}


def _told_apart(one: Features, other: Features) -> bool:
    return _least_p(one, other) < LEVEL or _auc(one, other) > AUC_LIMIT


def test_no_test_tells_the_ill_from_the_well(traces: tuple[list[Trace], list[Trace]]) -> None:
    well, ill = traces
    assert not _told_apart(_features(well), _features(ill))


@pytest.mark.parametrize("change", [_repeats_at_once, _calls_more_often(0.06)], ids=["two repeats", "6 % more calls"])
def test_what_the_tests_would_have_seen(
    traces: tuple[list[Trace], list[Trace]], change: Callable[[Trace, int], Trace]
) -> None:
    """Their power: by two repeats that follow a report by themselves, or by 3.4 calls more in 56, they tell them."""
    well, ill = traces
    changed = [change(trace, seed) for seed, trace in enumerate(ill)]
    assert _told_apart(_features(well), _features(changed))
