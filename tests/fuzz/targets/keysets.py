"""The keyset file, and the state that a phone keeps of it. Each is tried as it is, and with the checksum put right."""

from collections.abc import Iterator
from hashlib import sha256

from tests.fuzz.target import Target, refused, vector_bytes
from tocsin.client.state import SyncState, decode_state, encode_state
from tocsin.formats.keyset import KeysetDump, decode_keyset, encode_delta, encode_dump
from tocsin.formats.set_digest import set_digest
from tocsin.model.keys import by_kind, key_ends
from tocsin.model.times import Instant

_FRONT_BYTES = 52
"""Of a state, before its keyset."""


def _summed(data: bytes) -> bytes:
    return data + sha256(data).digest()


def _read_keyset(data: bytes) -> None:
    as_it_is = refused(_check_keyset, data)
    if refused(_check_keyset, _summed(data)) and as_it_is:
        decode_keyset(data)


def _check_keyset(data: bytes) -> None:
    keyset = decode_keyset(data)
    if isinstance(keyset, KeysetDump):
        assert encode_dump(keyset) == data
        assert len(set_digest(keyset.region, keyset.keys)) == 32
        for records in keyset.keys.values():
            key_ends(records).max(initial=0)
    else:
        assert encode_delta(keyset) == data


def _read_state(data: bytes) -> None:
    as_it_is = refused(_check_state, data)
    mended = _summed(data[:_FRONT_BYTES] + _summed(data[_FRONT_BYTES:]))
    if refused(_check_state, mended) and as_it_is:
        decode_state(data)


def _check_state(data: bytes) -> None:
    assert encode_state(decode_state(data)) == data


def _keyset_seeds() -> Iterator[bytes]:
    for data in vector_bytes("keyset"):
        if data.startswith(b"TKS1"):
            yield data
            yield data[:-32]


def _state_seeds() -> Iterator[bytes]:
    state = SyncState(
        region="utopia",
        version=7,
        term=1,
        at=Instant(1_700_000_100),
        due_at=Instant(1_700_001_000),
        first_day=19_661,
        set_digest=set_digest("utopia", by_kind()),
        journal=bytes(32),
        keys=by_kind(),
    )
    data = encode_state(state)
    yield data
    yield from (data[:_FRONT_BYTES] + keyset for keyset in _keyset_seeds())


TARGETS = (
    Target(
        "keyset",
        ("tocsin.formats.keyset.decode_keyset",),
        _read_keyset,
        _keyset_seeds,
        words=(b"TKS1", b"\x00\x00\x00\x01", b"\xff\xff\xff\xff", b"\x7f"),
    ),
    Target("state", ("tocsin.client.state.decode_state",), _read_state, _state_seeds, words=(b"TKC1", b"TKS1")),
)
