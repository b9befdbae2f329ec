"""Every decoder of foreign bytes, under seeds, findings, and bytes that Hypothesis makes of them. Needs no atheris."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.found import FOUND
from tests.fuzz.targets import TARGETS

NAMES = sorted(TARGETS)


@cache
def seeds(name: str) -> tuple[bytes, ...]:
    target = TARGETS[name]
    return tuple(dict.fromkeys(seed[: target.most_bytes] for seed in target.seeds())) or (b"",)


@st.composite
def mutants(draw: st.DrawFn, name: str) -> bytes:
    """A seed, changed in up to four places: bytes overwritten, cut out, put in, repeated, or a word of the format."""
    data = bytearray(draw(st.sampled_from(seeds(name))))
    pieces = st.binary(max_size=8)
    if TARGETS[name].words:
        pieces |= st.sampled_from(TARGETS[name].words)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        data[start:end] = draw(pieces | st.just(bytes(data[start:end]) * 2))
    return bytes(data)


@pytest.mark.parametrize("name", NAMES)
def test_some_seed_is_taken_and_some_way_of_refusing_is_gone(name: str) -> None:
    taken = [TARGETS[name].takes(seed) for seed in seeds(name)]
    assert any(taken) or name == "trust_file", "no seed is taken: what lies behind the first check is never reached"


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_any_bytes_are_taken_or_refused(name: str, data: st.DataObject) -> None:
    TARGETS[name].takes(data.draw(st.binary(max_size=300) | mutants(name)))


@pytest.mark.parametrize(("name", "found"), [(name, found) for name in FOUND for found in FOUND[name]])
def test_what_was_found_stays_mended(name: str, found: str) -> None:
    TARGETS[name].takes(bytes.fromhex(found))
