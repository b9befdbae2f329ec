"""Whether kinds can be told apart by what was seen, and what difference would have been seen.

Two tests, each kind against decoys: Kolmogorov and Smirnov's on the time to the first byte, and a classifier (boosted
trees) on time, place in the run, size and number of the pieces, and whether the connection was new, which is asked
about calls that it was not trained with. Kinds are given to places at random, so where nothing is told by them each
test's p is even. All p of a table are corrected together (Holm). Power: the least that, put into one of two samples of
the same calls, makes the first of these tests speak in four cases of five at the corrected level.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from scipy.stats import chi2_contingency, ks_2samp, norm
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from benchmarks.privacy.load import Seen

LEVEL: Final = 0.05
"""Of all tests of one table together."""
POWER: Final = 0.8
FOLDS: Final = 3
ROUNDS: Final = 50
"""Samples that are changed and tested, for each difference tried."""
STEPS: Final = 10
NULL_ROUNDS: Final = 30
_WITH_TIME: Final = ("seconds", "sent_at", "first_bytes", "reads", "is_new")

Seconds = npt.NDArray[np.float64]


class Comparison(Struct, frozen=True):
    """One kind of calls against decoys."""

    name: str
    calls: int
    not_now: int
    """Answers with status 503."""
    p50: float
    p99: float
    p999: float
    """Seconds to the first byte."""
    distance: float
    """Greatest distance between the two distributions of time."""
    p_distance: float
    auc: float
    p_auc: float
    p_not_now: float


class Power(Struct, frozen=True):
    """What would have been seen with a chance of four in five: the least later arrival of all answers, in seconds and
    in standard deviations of their times, and the least share of answers that leave one tick later."""

    deviation: float
    shift: float
    later_share: float
    auc: float


def compare(name: str, some: Seen, decoys: Seen, spread: float = 1.0) -> Comparison:
    """The calls of one kind, or of several, against decoys; p not yet corrected. `spread`: by `null_spread`."""
    one, other = _seconds(some), _seconds(decoys)
    found = ks_2samp(one, other, method="asymp")
    auc = _area(some, decoys)
    p50, p99, p999 = np.percentile(one, [50, 99, 99.9])
    return Comparison(
        name=name,
        calls=len(some),
        not_now=_not_now(some),
        p50=float(p50),
        p99=float(p99),
        p999=float(p999),
        distance=float(found.statistic),
        p_distance=float(found.pvalue),
        auc=auc,
        p_auc=float(norm.sf((auc - 0.5) / (spread * _auc_deviation(len(some), len(decoys))))),
        p_not_now=_p_not_now(some, decoys),
    )


def null_spread(seen: Seen, calls: int, seed: int = 1) -> float:
    """How much wider than that of a rank sum the area's distribution is where there is nothing to tell; at least 1.

    A classifier that is trained on a part and asked about the rest strays more: two samples are drawn from all calls,
    whatever their kind, again and again.
    """
    chance = np.random.default_rng(seed)
    calls = min(calls, len(seen) // 2)
    areas = []
    for _ in range(NULL_ROUNDS):
        drawn = seen[chance.choice(len(seen), 2 * calls, replace=False)]
        areas.append(_area(drawn[:calls], drawn[calls:]))
    strayed = float(np.sqrt(np.mean((np.array(areas) - 0.5) ** 2)))
    return max(1.0, strayed / _auc_deviation(calls, calls))


def corrected(p: Sequence[float]) -> list[float]:
    """These p as one family (Holm): each is below `LEVEL` no more often than that in all, if nothing is there."""
    order = np.argsort(p)
    raised = np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(p), 0, -1)).clip(max=1.0)
    result = np.empty(len(p))
    result[order] = raised
    return [float(value) for value in result]


def power(seen: Seen, calls: int, tests: int, tick_seconds: float, spread: float = 1.0, seed: int = 1) -> Power:
    """What would have been seen between two samples of so many calls each, in a table of so many tests."""
    seconds, level = _seconds(seen), LEVEL / tests
    chance = np.random.default_rng(seed)
    calls = min(calls, len(seconds) // 2)
    deviation = float(seconds.std())
    finds = partial(_detected, seconds, calls, level, chance)
    return Power(
        deviation=deviation,
        shift=_least(lambda shift: finds(shift, 1.0), 1e-7, max(10 * deviation, 1e-3)),
        later_share=_least(lambda share: finds(tick_seconds or deviation, share), 1e-3, 1.0),
        auc=0.5 + spread * _auc_deviation(calls, calls) * float(norm.isf(level) + norm.isf(1 - POWER)),
    )


def _seconds(seen: Seen) -> Seconds:
    """Times of the answers that said something."""
    times: Seconds = seen["seconds"][seen["status"] == 200]
    return times


def _not_now(seen: Seen) -> int:
    return int((seen["status"] != 200).sum())


def _p_not_now(some: Seen, decoys: Seen) -> float:
    """Whether 503 is as frequent in both."""
    away = [_not_now(some), _not_now(decoys)]
    if not any(away):
        return 1.0
    there = [len(some) - away[0], len(decoys) - away[1]]
    return float(chi2_contingency([away, there]).pvalue) if any(there) else 1.0


def _area(some: Seen, decoys: Seen) -> float:
    """The area under the curve of a classifier for calls that it has not seen."""
    both = np.concatenate([some, decoys])
    features = np.column_stack([both[name].astype(np.float64) for name in _WITH_TIME])
    labels = np.repeat([1, 0], [len(some), len(decoys)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=1)
    trees = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=15, early_stopping=False, random_state=1)
    scores = [
        float(roc_auc_score(labels[test], trees.fit(features[train], labels[train]).decision_function(features[test])))
        for train, test in folds.split(features, labels)
    ]
    return float(np.mean(scores))


def _auc_deviation(one: int, other: int) -> float:
    """Standard deviation of the area where there is nothing to tell (Mann and Whitney)."""
    return float(np.sqrt((one + other + 1) / (12 * one * other)))


def _detected(
    seconds: Seconds, calls: int, level: float, chance: np.random.Generator, shift: float, share: float
) -> float:
    """How often the test speaks if this share of one sample comes later by `shift`."""
    heard = 0
    for _ in range(ROUNDS):
        drawn = chance.choice(seconds, 2 * calls, replace=False)
        one, other = drawn[:calls].copy(), drawn[calls:]
        one[chance.random(calls) < share] += shift
        heard += ks_2samp(one, other, method="asymp").pvalue < level
    return heard / ROUNDS


def _least(detected: Callable[[float], float], low: float, high: float) -> float:
    """The least difference that is detected often enough, between these two, by halving the ratio."""
    for _ in range(STEPS):
        middle = (low * high) ** 0.5
        if detected(middle) >= POWER:
            high = middle
        else:
            low = middle
    return high
