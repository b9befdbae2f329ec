"""Addresses are hashed under a key that is gone after half a day, and can't be found again without it (T-P4)."""

from tests.sites import MORNING
from tocsin.model.times import Instant
from tocsin.service.sources import KEY_SECONDS, SOURCE_BYTES, Source, Sources

ADDRESS = bytes([192, 0, 2, 7])


def test_one_address_is_one_source_while_the_key_lives() -> None:
    sources = Sources()
    first = sources.source(ADDRESS, ADDRESS, MORNING)
    assert first == sources.source(ADDRESS, ADDRESS, Instant(MORNING + KEY_SECONDS - 1))
    assert first != sources.source(bytes([192, 0, 2, 8]), ADDRESS, MORNING)
    assert {len(first.own), len(first.network)} == {SOURCE_BYTES}
    assert first.own != first.network
    assert ADDRESS not in first.own + first.network


def test_two_processes_name_one_address_differently() -> None:
    assert Sources().source(ADDRESS, ADDRESS, MORNING) != Sources().source(ADDRESS, ADDRESS, MORNING)


def test_after_the_rotation_a_known_address_is_another_source() -> None:  # T-P4
    sources = Sources()
    before = sources.source(ADDRESS, ADDRESS, MORNING)
    assert sources.source(ADDRESS, ADDRESS, Instant(MORNING + KEY_SECONDS)) != before
    assert sources.source(ADDRESS, ADDRESS, MORNING) != before  # nor is it found by setting the clock back


def test_a_key_is_dropped_also_when_nobody_calls() -> None:
    sources = Sources()
    sources.source(ADDRESS, ADDRESS, MORNING)
    kept = vars(sources).copy()
    sources.forget(Instant(MORNING + KEY_SECONDS - 1))
    assert vars(sources) == kept
    sources.forget(Instant(MORNING + KEY_SECONDS))
    assert set(vars(sources).values()) == {None}


def test_a_source_holds_nothing_else() -> None:
    assert Source.__struct_fields__ == ("own", "network")
