"""Matching against Google's file and test, and against a plain restatement key by key, interval by interval."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from tests.client.gaen_vectors import CRYPTO, MATCHING
from tocsin.client.ephemeral_ids import ephemeral_ids
from tocsin.client.match import DP3T_SIGHTING, SIGHTING, Match, Sightings, match, match_dp3t
from tocsin.model.keys import DP3T_RECORD, RECORD, Records, dp3t_chain
from tocsin.model.times import Instant

DP3T = json.loads((Path(__file__).parents[1] / "vectors" / "dp3t_crypto.json").read_text(encoding="ascii"))
START = 2_880_000


def rpi(tek: bytes, interval: int) -> bytes:
    """Restated with the library's own HKDF, one block at a time."""
    rpik = HKDF(SHA256(), 16, None, b"EN-RPIK").derive(tek)
    padded = b"EN-RPI" + bytes(6) + interval.to_bytes(4, "little")
    return Cipher(algorithms.AES(rpik), modes.ECB()).encryptor().update(padded)


def keys(*rows: tuple[bytes, int, int]) -> Records:
    return np.array([(*row, 1, -128, 0) for row in rows], RECORD)


def sightings(rows: Sequence[tuple[bytes, int]]) -> Sightings:
    return np.array([(*row, bytes(4)) for row in rows], SIGHTING)


def tek(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_the_published_case_has_exactly_one_match() -> None:
    """google/exposure-notifications-internals, ``RoundTripTests``: 110 keys, one of them was near."""
    records = keys(*((bytes.fromhex(key), start, period) for key, start, period in MATCHING["keys"]))
    seen = sightings([(bytes.fromhex(MATCHING["rpi"]), MATCHING["interval"])])
    (found,) = match(records, seen)
    assert [records["key_data"][found.record].tobytes().hex()] == MATCHING["expected_matching_keys"]
    assert (found.sighting, found.interval) == (0, MATCHING["interval"])


def test_all_published_identifiers_match_their_key() -> None:
    records = keys((bytes.fromhex(CRYPTO["tek"]), CRYPTO["rolling_start_interval_number"], CRYPTO["rolling_period"]))
    seen = sightings([(bytes.fromhex(value), interval) for interval, value, _ in CRYPTO["rows"]])
    assert match(records, seen) == tuple(Match(0, place, row[0]) for place, row in enumerate(CRYPTO["rows"]))


@pytest.mark.parametrize(("distance", "counts"), [(-13, False), (-12, True), (0, True), (12, True), (13, False)])
def test_two_hours_either_side(distance: int, counts: bool) -> None:
    """In [j − 12, j + 13)."""
    seen = sightings([(rpi(tek(1), START + 50), START + 50 + distance)])
    assert bool(match(keys((tek(1), START, 144)), seen)) == counts


@pytest.mark.parametrize("period", [1, 100, 144])
def test_the_period_ends_a_key(period: int) -> None:
    """Case 17: the last interval of the period counts, the next does not, though its identifier can be derived."""
    seen = sightings([(rpi(tek(1), START + offset), START + offset) for offset in (-1, 0, period - 1, period)])
    found = match(keys((tek(1), START, period)), seen)
    assert {one.interval - START for one in found} == {0, period - 1}


def test_rows_are_told_right_beyond_the_first_batch() -> None:
    records = keys(*((tek(number), START + number % 3, 144) for number in range(1100)))
    near = (0, 511, 512, 1023, 1024, 1099)
    seen = sightings([(rpi(tek(number), START + 7), START + 7) for number in reversed(near)])
    assert match(records, seen) == tuple(
        Match(number, len(near) - 1 - place, START + 7) for place, number in enumerate(near)
    )


def test_one_identifier_seen_twice_is_two_sightings() -> None:
    """Whether the second is a replay is for the app to weigh."""
    seen = sightings([(rpi(tek(1), START), START), (rpi(tek(1), START), START + 5)])
    assert [one.sighting for one in match(keys((tek(1), START, 144)), seen)] == [0, 1]


def test_an_identifier_with_the_same_beginning_is_no_match() -> None:
    """The filter looks at 24 bits; the decision is made on all."""
    right = rpi(tek(1), START)
    assert not match(keys((tek(1), START, 144)), sightings([(right[:15] + bytes([right[15] ^ 1]), START)]))


def test_the_last_intervals_of_time_do_no_harm() -> None:
    """Case 15: the arithmetic does not overflow."""
    start = 2**32 - 100
    seen = sightings([(rpi(tek(1), 2**32 - 1), 2**32 - 1), (rpi(tek(1), 0), 0)])
    assert [one.interval for one in match(keys((tek(1), start, 144)), seen)] == [2**32 - 1]


def test_nothing_matches_nothing() -> None:
    assert match(keys(), sightings([(bytes(16), START)])) == ()
    assert match(keys((tek(1), START, 144)), sightings([])) == ()


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(1, 144)), max_size=4),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 170), st.integers(-15, 15)), max_size=6),
)
def test_matches_are_those_of_the_restatement(
    held: list[tuple[int, int, int]], near: list[tuple[int, int, int]]
) -> None:
    records = keys(*((tek(number), START + start, period) for number, start, period in held))
    seen = [(rpi(tek(number), START + at), START + at + late) for number, at, late in near]
    wanted = [
        Match(place, sighting, interval)
        for place, (number, start, period) in enumerate(held)
        for interval in range(START + start, START + start + period)
        for sighting, (seen_rpi, seen_at) in enumerate(seen)
        if interval - 12 <= seen_at < interval + 13 and seen_rpi == rpi(tek(number), interval)
    ]
    assert match(records, sightings(seen)) == tuple(wanted)


# --- DP-3T ----------------------------------------------------------------------------------------------------------

DAY = START // 144
LATER = Instant((DAY + 9) * 86_400)


def day_keys(count: int) -> Records:
    """One a day, from `DAY` on; of no chain, which matching does not ask for."""
    return np.array(
        [(bytes([number]) * 32, (DAY + number) * 144, 144, 1, -128, 0) for number in range(count)], DP3T_RECORD
    )


@pytest.mark.parametrize("case", DP3T["match"])
def test_the_published_cases(case: dict[str, Any]) -> None:
    """Of DP-3T's two SDKs. A key of a day after that of `sk` is published as that day's own."""
    later = case["days_after_sk"]
    key = dp3t_chain(bytes.fromhex(case["sk"]), later + 1)[-1]
    records = np.array([(key, (DAY + later) * 144, 144, 1, -128, 0)], DP3T_RECORD)
    seen = np.array([(bytes.fromhex(case["ephid"]), (DAY + later) * 144 + 50)], DP3T_SIGHTING)
    assert bool(match_dp3t(records, seen, LATER)) is case["match"]


@pytest.mark.parametrize(("interval", "counts"), [(-1, False), (0, True), (71, True), (143, True), (144, False)])
def test_an_ephid_counts_on_the_day_of_its_key(interval: int, counts: bool) -> None:
    """Whatever its place among those of the day: phones broadcast them in random order."""
    records = day_keys(1)
    for ephid in ephemeral_ids(records)[0].tolist()[::19]:
        seen = np.array([(ephid, DAY * 144 + interval)], DP3T_SIGHTING)
        assert match_dp3t(records, seen, LATER) == ((Match(0, 0, DAY * 144 + interval),) if counts else ())


@pytest.mark.parametrize(("late", "counts"), [(-1, False), (0, True)])
def test_an_ephid_that_could_be_derived_when_it_was_heard_counts_for_nothing(late: int, counts: bool) -> None:
    records = day_keys(1)
    seen = np.array([(ephemeral_ids(records)[0, 5].tobytes(), DAY * 144 + 71)], DP3T_SIGHTING)
    assert bool(match_dp3t(records, seen, Instant((DAY * 144 + 72) * 600 + late))) is counts


def test_ephids_of_several_keys_and_of_none() -> None:
    records = day_keys(4)
    ephids = ephemeral_ids(records)
    heard = [(ephids[2, 95].tobytes(), 2), (bytes(16), 0), (ephids[0, 0].tobytes(), 0), (ephids[2, 95].tobytes(), 2)]
    seen = np.array([(ephid, (DAY + day) * 144 + 9) for ephid, day in heard], DP3T_SIGHTING)
    assert [(found.record, found.sighting) for found in match_dp3t(records, seen, LATER)] == [(0, 2), (2, 0), (2, 3)]
    assert match_dp3t(records, seen[:0], LATER) == match_dp3t(records[:0], seen, LATER) == ()
