"""What a running server tells of itself: the one place that names every metric, its labels and its unit.

Nothing here knows a code, a key, an address or a fine time: verdicts come out by the quarter-hour, how long calls took
by the ten, and no label's value comes from outside (``docs/decisions/0036-metrics-seen-late.md``).
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector as FamilySource

from tocsin.model.calls import Verdict
from tocsin.model.times import Instant, floor_quarter
from tocsin.service.held_back import CROWD, HeldBack

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Of Prometheus's text format."""


class Kind(StrEnum):
    """How a metric is to be read."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Seen(StrEnum):
    """When a change of a figure comes out."""

    QUARTER = "at the end of the quarter-hour"
    CROWD = "with nine others, at the latest at the end of the quarter-hour"
    MINUTE = "within a minute"
    LIVE = "at once"


class Metric(Struct, frozen=True):
    """One metric; its unit is in its name, `label` is the only label it has, `bounds` are a histogram's."""

    name: str
    kind: Kind
    seen: Seen
    help: str
    label: str | None = None
    bounds: tuple[float, ...] = ()


def _bounds(*upper: float) -> tuple[float, ...]:
    return (*upper, float("inf"))


BUILD: Final = Metric("tocsin_build_info", Kind.GAUGE, Seen.LIVE, "1; the version that runs.", "version")
ANSWERED: Final = Metric(
    "tocsin_calls_answered_total", Kind.COUNTER, Seen.QUARTER, "Calls answered, decoys too, by verdict.", "verdict"
)
CALL_SECONDS: Final = Metric(
    "tocsin_call_seconds",
    Kind.HISTOGRAM,
    Seen.CROWD,
    "From a call's last byte to its answer, whatever it is, in steps of the answers' grid.",
    bounds=_bounds(0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10),
)
GROUP_CALLS: Final = Metric(
    "tocsin_group_calls",
    Kind.HISTOGRAM,
    Seen.CROWD,
    "Calls that shared one sync of the journal.",
    bounds=_bounds(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
GROUP_SECONDS: Final = Metric(
    "tocsin_group_seconds",
    Kind.HISTOGRAM,
    Seen.CROWD,
    "How long a group took to be judged and durable; its count is that of syncs.",
    bounds=_bounds(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
PROBLEMS: Final = Metric(
    "tocsin_problems_total", Kind.COUNTER, Seen.LIVE, "Requests answered with a problem, by its code.", "code"
)
CALLS_WAITING: Final = Metric(
    "tocsin_calls_waiting", Kind.GAUGE, Seen.LIVE, "Calls that wait for the next group, in whole tens."
)
SPOOL_SHARE: Final = Metric(
    "tocsin_spool_share", Kind.GAUGE, Seen.LIVE, "How full the spool is, in whole tenths; at 1 calls are refused."
)
CONNECTIONS: Final = Metric("tocsin_connections", Kind.GAUGE, Seen.LIVE, "Open connections of apps, in whole tens.")
TROUBLE: Final = Metric(
    "tocsin_trouble", Kind.GAUGE, Seen.LIVE, "1 while this part of the server says what is in its way.", "part"
)
CLOCK_TRUSTED: Final = Metric("tocsin_clock_trusted", Kind.GAUGE, Seen.LIVE, "0: nothing is recorded.")
DISK_FREE: Final = Metric(
    "tocsin_disk_free_bytes",
    Kind.GAUGE,
    Seen.LIVE,
    "Room left for a folder, in whole MiB; -1: unwritable.",
    "folder",
)
PUBLISHED_AT: Final = Metric(
    "tocsin_publication_timestamp_seconds", Kind.GAUGE, Seen.MINUTE, "Instant of the newest version that is out."
)
DUE_AT: Final = Metric(
    "tocsin_publication_due_timestamp_seconds", Kind.GAUGE, Seen.MINUTE, "Instant at which the next version is due."
)
VERSION_OUT: Final = Metric("tocsin_publication_version", Kind.GAUGE, Seen.MINUTE, "The newest version that is out.")
VERSION_DECIDED: Final = Metric(
    "tocsin_publication_decided_version", Kind.GAUGE, Seen.MINUTE, "The newest version in the journal."
)
LIVE_KEYS: Final = Metric("tocsin_published_keys", Kind.GAUGE, Seen.MINUTE, "Keys of the public set.")
DAYS_AHEAD: Final = Metric(
    "tocsin_day_keys_ahead_days", Kind.GAUGE, Seen.MINUTE, "Days to come whose key is there; -1: not even today's is."
)
DAY_KEYS_LOST: Final = Metric("tocsin_day_keys_lost", Kind.GAUGE, Seen.MINUTE, "Day keys that have to be restored.")
SPOOL_RECORDS: Final = Metric(
    "tocsin_spool_records", Kind.GAUGE, Seen.QUARTER, "Calls that wait in the spool, in whole tens."
)
SPOOL_OLDEST_AT: Final = Metric(
    "tocsin_spool_oldest_timestamp_seconds",
    Kind.GAUGE,
    Seen.QUARTER,
    "The quarter-hour in which the oldest of them came; 0 where there are fewer than ten.",
)
SPOOL_SET_ASIDE: Final = Metric(
    "tocsin_spool_set_aside", Kind.GAUGE, Seen.QUARTER, "Calls in the spool that could not be delivered."
)
EVENTS: Final = Metric("tocsin_journal_events", Kind.GAUGE, Seen.QUARTER, "Events of the journal.")
TIP_AT: Final = Metric(
    "tocsin_journal_tip_timestamp_seconds", Kind.GAUGE, Seen.QUARTER, "The quarter-hour of the journal's last event."
)
ARCHIVE_BEHIND_SECONDS: Final = Metric(
    "tocsin_archive_behind_seconds", Kind.GAUGE, Seen.MINUTE, "For how long the archive has not been level."
)
ARCHIVE_BEHIND_EVENTS: Final = Metric(
    "tocsin_archive_behind_events", Kind.GAUGE, Seen.MINUTE, "Events that the archive lacks, in whole tens."
)
REPORTS: Final = Metric(
    "tocsin_reports",
    Kind.GAUGE,
    Seen.QUARTER,
    "Reports: all of them, and what became of them; a withdrawn one may be cut off too.",
    "state",
)
PROVIDER_REPORTS: Final = Metric(
    "tocsin_provider_reports",
    Kind.GAUGE,
    Seen.QUARTER,
    "Reports of the last whole UTC day by provider, in whole tens; below ten there is no line.",
    "provider",
)
WAITING_REPORTS: Final = Metric("tocsin_waiting_reports", Kind.GAUGE, Seen.QUARTER, "Reports that wait to go out.")
WAITING_KEYS: Final = Metric("tocsin_waiting_keys", Kind.GAUGE, Seen.QUARTER, "Keys that wait to go out.")
HELD_KEYS: Final = Metric("tocsin_held_keys", Kind.GAUGE, Seen.QUARTER, "Keys whose release instant is to come.")
PAUSED: Final = Metric("tocsin_additions_paused", Kind.GAUGE, Seen.QUARTER, "1: a person has paused additions.")
OBJECTIONS: Final = Metric("tocsin_objections", Kind.GAUGE, Seen.QUARTER, "Revocations and rollbacks that stand.")
QUARANTINES: Final = Metric("tocsin_quarantines", Kind.GAUGE, Seen.QUARTER, "Quarantines that wait for a person.")
PROVIDERS: Final = Metric("tocsin_providers", Kind.GAUGE, Seen.QUARTER, "Providers.", "state")
BATCHES: Final = Metric("tocsin_code_batches", Kind.GAUGE, Seen.QUARTER, "Code batches by their state.", "state")

METRICS: Final = tuple(metric for metric in globals().values() if isinstance(metric, Metric))
"""All of them."""

Values = Mapping[str, float]
"""A figure for each value of the metric's label; "" where it has none."""
Measured = Mapping[Metric, Values]


class Telemetry:
    """The figures of one server. Safe for any number of threads; nothing in it waits for a disk.

    Who records says what time it is; who reads does too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._verdicts: HeldBack[str] = HeldBack()
        self._timings: HeldBack[tuple[str, float]] = HeldBack(CROWD)
        """By metric and upper bound; under the bound `_SUM` their sum, in thousandths."""
        self._problems: Counter[str] = Counter()
        self._measured: dict[Metric, Values] = {}
        self._live: dict[Metric, Callable[[], Values]] = {}

    def group_durable(self, verdicts: Sequence[Verdict], seconds: float, now: Instant) -> None:
        """A group of calls has these verdicts and took so long.

        It comes out with the crowd of the calls that apps made: the server's own probes hide nobody.
        """
        quarter = floor_quarter(now)
        with self._lock:
            self._verdicts.add(Counter(str(verdict) for verdict in verdicts), len(verdicts), quarter)
            counts = _observed(GROUP_CALLS, len(verdicts)) + _observed(GROUP_SECONDS, seconds)
            self._timings.add(counts, 0, quarter)

    def call_answered(self, seconds: float, now: Instant) -> None:
        """An answer left so long after its call's last byte."""
        with self._lock:
            self._timings.add(_observed(CALL_SECONDS, seconds), 1, floor_quarter(now))

    def problem_sent(self, code: str) -> None:
        """A request was answered with a problem."""
        with self._lock:
            self._problems[code] += 1

    def measure(self, measured: Measured) -> None:
        """These figures stand until they are measured again."""
        with self._lock:
            self._measured |= measured

    def watch(self, metric: Metric, read: Callable[[], Values]) -> None:
        """`metric` is read anew for each scrape. What can't be read then has no line."""
        with self._lock:
            self._live[metric] = read

    def scrape(self, now: Instant, problems: Iterable[str]) -> bytes:
        """Everything that may be seen at `now`, in Prometheus's text format. `problems`: all codes there are."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Families(self._families(floor_quarter(now), problems)))
        return generate_latest(registry)

    def _families(self, quarter: Instant, problems: Iterable[str]) -> list[Family]:
        with self._lock:
            verdicts, timings = Counter(self._verdicts.seen(quarter)), Counter(self._timings.seen(quarter))
            told: dict[Metric, Values] = dict(self._measured)
            told[PROBLEMS] = {code: self._problems[code] for code in problems}
            live = list(self._live.items())
        told[ANSWERED] = {str(verdict): verdicts[str(verdict)] for verdict in Verdict}
        for metric, read in live:
            told[metric] = _read(read)
        return [
            _histogram(metric, timings) if metric.kind is Kind.HISTOGRAM else _family(metric, told[metric])
            for metric in METRICS
            if metric.kind is Kind.HISTOGRAM or metric in told
        ]


def in_whole_tens(count: int) -> Values:
    """A number seen at once, without the few that one call makes on a quiet night."""
    return {"": count // CROWD * CROWD}


def _read(read: Callable[[], Values]) -> Values:
    try:
        return read()
    except Exception:  # whatever is broken there: the other figures are needed now
        return {}


_SUM: Final = -1.0
"""Stands for a bound where a histogram's sum is kept, in thousandths: sums of floats would not be exact."""


def _observed(metric: Metric, value: float) -> Counter[tuple[str, float]]:
    bound = metric.bounds[bisect_left(metric.bounds, value)]
    return Counter({(metric.name, bound): 1, (metric.name, _SUM): round(value * 1000)})


def _histogram(metric: Metric, counts: Mapping[tuple[str, float], int]) -> Family:
    family, total, buckets = HistogramMetricFamily(metric.name, metric.help), 0, []
    for bound in metric.bounds:
        total += counts.get((metric.name, bound), 0)
        buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), float(total)))
    family.add_metric((), buckets, counts.get((metric.name, _SUM), 0) / 1000)
    return family


def _family(metric: Metric, values: Values) -> Family:
    family_of = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = family_of(metric.name.removesuffix("_total"), metric.help, labels=[metric.label] if metric.label else [])
    for value, figure in values.items():
        family.add_metric([value] if metric.label else [], figure)
    return family


class _Families(FamilySource):
    """What prometheus_client registers: families that are made already."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Family]:
        return iter(self._families)
