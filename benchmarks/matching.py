"""What a phone does after a sync: match the keys of a set with what it heard, on one core."""

import statistics
import time
from typing import Final

import numpy as np

from benchmarks.site import MORNING
from benchmarks.table import Row
from benchmarks.wrk import Defect
from tocsin.client.ephemeral_ids import rolling_proximity_identifiers
from tocsin.client.match import SIGHTING, Sightings, match
from tocsin.model.keys import RECORD, Records, ReportType
from tocsin.model.times import INTERVALS_PER_DAY, day_of

KEYS: Final = 100_000
SIGHTINGS: Final = 10_000
TRUE_SIGHTINGS: Final = 100
ROUNDS: Final = 3


def measure() -> list[Row]:
    """One row. Raises `Defect` unless exactly the sightings that were planted are found."""
    random = np.random.default_rng(0)
    records = _records(random)
    sightings = _sightings(records, random)
    rates = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        found = match(records, sightings)
        rates.append(KEYS / (time.perf_counter() - began))
        if len(found) != TRUE_SIGHTINGS:
            raise Defect(f"{len(found)} of {TRUE_SIGHTINGS} sightings were found")
    return [
        Row(
            "match, one core",
            f"{KEYS:,} keys, {SIGHTINGS:,} sightings",
            f"{statistics.median(rates):,.0f} keys/s",
            f"{ROUNDS} runs: {min(rates):,.0f}–{max(rates):,.0f}",
            "≥ 100,000/s a core",
        )
    ]


def _records(random: np.random.Generator) -> Records:
    records = np.zeros(KEYS, RECORD)
    records["key_data"] = np.frombuffer(random.bytes(16 * KEYS), "V16")
    days = day_of(MORNING) - random.integers(1, 15, KEYS)
    records["rolling_start_interval_number"] = days * INTERVALS_PER_DAY
    records["rolling_period"] = INTERVALS_PER_DAY
    records["report_type"] = ReportType.CONFIRMED
    return records


def _sightings(records: Records, random: np.random.Generator) -> Sightings:
    """What nobody sent, all but the first few: those were of the first keys, in the middle of their days."""
    heard = np.zeros(SIGHTINGS, SIGHTING)
    heard["rolling_proximity_identifier"] = np.frombuffer(random.bytes(16 * SIGHTINGS), "V16")
    heard["interval"] = (day_of(MORNING) - random.integers(1, 15, SIGHTINGS)) * INTERVALS_PER_DAY
    near, noon = records[:TRUE_SIGHTINGS], INTERVALS_PER_DAY // 2
    heard["rolling_proximity_identifier"][:TRUE_SIGHTINGS] = rolling_proximity_identifiers(near)[:, noon]
    heard["interval"][:TRUE_SIGHTINGS] = near["rolling_start_interval_number"] + noon
    return heard
