"""A phone's stored state: what was stored, or `Invalid`."""

import hashlib
import random

import pytest

from tests.client.bucket_simulator import TRUST, BucketSimulator, row
from tocsin.client.state import SyncState, decode_state, encode_state
from tocsin.client.sync import sync
from tocsin.formats.keyset import encode_delta
from tocsin.model.errors import Invalid


def held() -> tuple[BucketSimulator, SyncState]:
    bucket = BucketSimulator()
    bucket.publish([row(1), row(2, age_days=5), row(3)])
    return bucket, sync(None, TRUST, bucket.leaf.at, bucket.fetch)


def test_a_stored_state_is_the_state_and_goes_on() -> None:
    bucket, state = held()
    stored = encode_state(state)
    again = decode_state(stored)
    for field in state.__struct_fields__:
        value, wanted = getattr(again, field), getattr(state, field)
        if field == "keys":
            assert [table.tobytes() for table in value.values()] == [table.tobytes() for table in wanted.values()]
        else:
            assert value == wanted
    assert encode_state(again) == stored
    bucket.publish([row(1), row(9)])
    assert sync(again, TRUST, bucket.leaf.at, bucket.fetch).version == 2


def test_every_damage_is_seen() -> None:
    stored = encode_state(held()[1])
    for bit in random.Random(2).sample(range(len(stored) * 8), 200):
        damaged = bytearray(stored)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Invalid):
            decode_state(bytes(damaged))
    for length in range(0, len(stored), 7):
        with pytest.raises(Invalid):
            decode_state(stored[:length])


def test_another_file_is_no_state() -> None:
    bucket, state = held()
    front = encode_state(state)[:52]
    for body in (b"TKC2" + encode_state(state)[4:-32], front + encode_delta(bucket.delta(0, 1))):
        with pytest.raises(Invalid):
            decode_state(body + hashlib.sha256(body).digest())
