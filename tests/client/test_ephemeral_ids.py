"""GAEN's cryptography against the numbers that Google published: RPIK, AEMK, 144 RPIs, 144 AEMs."""

import json
from pathlib import Path

import numpy as np

from tests.client.gaen_vectors import CRYPTO, GAEN, MATCHING
from tocsin.client.ephemeral_ids import (
    associated_encrypted_metadata_key,
    crypt_metadata,
    ephemeral_ids,
    rolling_proximity_identifier_key,
    rolling_proximity_identifiers,
)
from tocsin.formats.gaen.reader import decode_export
from tocsin.model.keys import DP3T_RECORD, RECORD, Records, dp3t_chain
from tocsin.model.times import INTERVAL_SECONDS

DP3T = json.loads((Path(__file__).parents[1] / "vectors" / "dp3t_crypto.json").read_text(encoding="ascii"))
TEK = bytes.fromhex(CRYPTO["tek"])


def key(diagnosis_key: bytes, start: int, period: int = 144) -> Records:
    return np.array([(diagnosis_key, start, period, 1, -128, 0)], RECORD)


def test_derived_keys() -> None:
    assert rolling_proximity_identifier_key(TEK).hex() == CRYPTO["rpik"]
    assert associated_encrypted_metadata_key(TEK).hex() == CRYPTO["aemk"]


def test_all_identifiers_of_a_key() -> None:
    start = CRYPTO["rolling_start_interval_number"]
    assert start == CRYPTO["unix_time"] // INTERVAL_SECONDS
    rows = [
        [start + offset, rpi.hex()]
        for offset, rpi in enumerate(rolling_proximity_identifiers(key(TEK, start))[0].tolist())
    ]
    assert rows == [row[:2] for row in CRYPTO["rows"]] and len(rows) == 144


def test_all_metadata_of_a_key_both_ways() -> None:
    metadata = bytes.fromhex(CRYPTO["metadata"])
    for _, rpi, aem in CRYPTO["rows"]:
        assert crypt_metadata(TEK, bytes.fromhex(rpi), metadata).hex() == aem
        assert crypt_metadata(TEK, bytes.fromhex(rpi), bytes.fromhex(aem)) == metadata


def test_keys_with_several_starts_keep_their_rows() -> None:
    start = CRYPTO["rolling_start_interval_number"]
    other = bytes.fromhex(MATCHING["tek"])
    both = np.concatenate([key(other, MATCHING["interval"]), key(TEK, start), key(TEK, start - 1)], dtype=RECORD)
    rpis = rolling_proximity_identifiers(both)
    assert rpis[0, 0].tobytes().hex() == MATCHING["rpi"]
    assert rpis[1, 0].tobytes().hex() == rpis[2, 1].tobytes().hex() == CRYPTO["rows"][0][1]


def test_no_keys_no_identifiers() -> None:
    assert rolling_proximity_identifiers(np.empty(0, RECORD)).shape == (0, 144)


def test_the_vectors_are_those_recorded(shared: Path) -> None:
    """What stands here was carried over unchanged."""
    recorded = json.loads((shared / "data" / "gaen" / "vectors.json").read_text())
    rows = [[row["interval"], row["rpi"], row["aem"]] for row in recorded["crypto"]["rows"]]
    assert rows == CRYPTO["rows"]
    assert all(recorded["crypto"][name] == CRYPTO[name] for name in ("tek", "rpik", "aemk", "metadata"))
    assert all(recorded["matching"][name] == MATCHING[name] for name in ("tek", "interval", "rpi"))
    assert recorded["sources"][GAEN["repository"]] == GAEN["commit"]
    near = decode_export(bytes.fromhex(recorded["matching"]["export_bin_hex"])).keys
    fields = ("key_data", "rolling_start_interval_number", "rolling_period")
    assert [[key.hex(), *numbers] for key, *numbers in near[list(fields)].tolist()] == MATCHING["keys"]
    padded = recorded["crypto"]["rows"][0]["padded_data"]
    assert padded == (b"EN-RPI" + bytes(6) + CRYPTO["rows"][0][0].to_bytes(4, "little")).hex()


# --- DP-3T, against the tests of its own projects ---------------------------------------------------------------------


def day_key(sk: str) -> Records:
    return np.array([(bytes.fromhex(sk), 2_880_000, 144, 1, -128, 0)], DP3T_RECORD)


def test_a_chain_of_day_keys() -> None:
    chain = [bytes.fromhex(key) for key in DP3T["chain"]]
    assert dp3t_chain(chain[0], len(chain)) == chain
    assert dp3t_chain(chain[0], 1) == chain[:1]


def test_the_first_ephids_of_a_day() -> None:
    for case in DP3T["ephids_unshuffled"]:
        found = [ephid.hex() for ephid in ephemeral_ids(day_key(case["sk"]))[0].tolist()]
        assert found[: len(case["first_ephids"])] == case["first_ephids"]


def test_all_ephids_of_a_day() -> None:
    for case in DP3T["ephid_sets"]:
        assert [ephid.hex() for ephid in ephemeral_ids(day_key(case["sk"]))[0].tolist()] == case["ephids"]
        assert len(case["ephids"]) == 96
