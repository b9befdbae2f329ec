"""The trust file: its one form, and every impossible fact refused."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, derive_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace

from tests.client.bucket_simulator import LOG_KEY, TRUST, verifier
from tocsin.client.trust import encode_trust, parse_trust
from tocsin.model.errors import Invalid


def other_curve() -> str:
    public = derive_private_key(4711, SECP384R1()).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_a_key_that_always_signed_is_written_as_clients_of_the_last_release_read_it() -> None:
    """They take three fields, and no trust file with a fourth."""
    [key] = TRUST.gaen_keys
    announced = replace(key, verification_key_version="v9", signs_from=900)
    both = replace(TRUST, gaen_keys=(announced, key))
    pem = key.pem
    assert json.loads(encode_trust(both))["gaen_keys"] == [["310", "v9", pem, 900], ["310", "v1", pem]]
    assert parse_trust(encode_trust(both)) == both


def test_written_trust_reads_back() -> None:
    assert parse_trust(encode_trust(TRUST)) == TRUST
    assert TRUST.verifiers == (verifier(LOG_KEY),)


@pytest.mark.parametrize(
    "change",
    [
        {"origin": ""},
        {"origin": "two\nlines"},
        {"origin": None},
        {"vkeys": []},
        {"vkeys": ["tocsin.example/utopia+00000000+AQAA"]},
        {"vkeys": "x"},
        {"region": "Utopia"},
        {"freshness_seconds": 0},
        {"freshness_seconds": "86400"},
        {"reports_url": "reports.tocsin.example"},
        {"bucket_url": "file:///bucket"},
        {"bucket_url": "https://bucket.tocsin.example/"},
        {"gaen_keys": [["310", "v1"]]},
        {"gaen_keys": [["310", "v1", "no key"]]},
        {"gaen_keys": [["310", "v1", other_curve()]]},
        {"more": 1},
    ],
    ids=lambda change: json.dumps(change)[:40],
)
def test_impossible_facts_are_refused(change: dict[str, Any]) -> None:
    facts = json.loads(encode_trust(TRUST))
    with pytest.raises(Invalid):
        parse_trust(json.dumps(facts | change).encode())


@pytest.mark.parametrize("name", ["origin", "vkeys", "region", "freshness_seconds", "reports_url", "gaen_keys"])
def test_every_fact_is_needed(name: str) -> None:
    facts = json.loads(encode_trust(TRUST))
    del facts[name]
    with pytest.raises(Invalid):
        parse_trust(json.dumps(facts).encode())


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[" * 100_000, b"null", b"{}"], ids=["empty", "binary", "deep", "null", "{}"]
)
def test_what_is_no_trust_file_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        parse_trust(data)
