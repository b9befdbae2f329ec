"""Addresses are hashed under a key that is gone after half a day, and can't be found again without it (T-P4)."""

import threading
from typing import Any

from tests.sites import MORNING
from tocsin.model.times import Instant
from tocsin.service.sources import CLOCK_SECONDS, KEY_SECONDS, SOURCE_BYTES, Source, Sources

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
    assert [name for name, value in vars(sources).items() if value is not None] == ["_lock"]


def test_a_thread_whose_clock_is_a_moment_behind_drops_no_fresh_key() -> None:
    sources = Sources()
    made = sources.source(ADDRESS, ADDRESS, Instant(MORNING + 1))
    sources.forget(MORNING)
    assert sources.source(ADDRESS, ADDRESS, Instant(MORNING + 1)) == made
    sources.forget(Instant(MORNING + 1 - CLOCK_SECONDS - 1))
    assert sources.source(ADDRESS, ADDRESS, Instant(MORNING + 1)) != made


class Interrupted(Sources):
    """While it forgets, another thread asks for a source, and has a tenth of a second for it."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Source] = []
        self.caller = threading.Thread(target=lambda: self.made.append(self.source(ADDRESS, ADDRESS, MORNING)))

    def _valid_key(self, now: Instant) -> Any:
        found = super()._valid_key(now)
        if threading.current_thread() is threading.main_thread() and not self.caller.ident:
            self.caller.start()
            self.caller.join(0.1)  # it waits for us if all is well, and is done long before if nothing holds it
        return found


def test_a_key_that_is_made_while_another_thread_forgets_is_kept() -> None:
    sources = Interrupted()
    sources.forget(MORNING)
    sources.caller.join()
    assert [sources.source(ADDRESS, ADDRESS, MORNING)] == sources.made


def test_a_source_holds_nothing_else() -> None:
    assert Source.__struct_fields__ == ("own", "network")
