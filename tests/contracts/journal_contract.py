"""What every engine of the journal promises (`tocsin.journal.port`), as one suite.

An engine's test module derives a class from `JournalContract` and gives it the fixture `engine`.
"""

import hashlib
import threading
from collections.abc import Sequence
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.journal.vectors import JOURNAL
from tocsin.journal.encoding import (
    NO_DIGEST,
    NewEvent,
    StoredEvent,
    UnknownKind,
    decode_body,
    event_digest,
    number_event,
)
from tocsin.journal.port import RETIRED, Broken, ClaimTaken, Journal, Tip
from tocsin.journal.verify import verify
from tocsin.model.claims import Claim
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.events import Founded, Withdrawn
from tocsin.model.times import DAY_SECONDS, Day, Instant

NOW = Instant(1_797_150_617)
QUARTER = 1_797_150_600
FOUNDED = NewEvent(Founded("xx-test", "A" * 43))
TODAY = NOW // DAY_SECONDS
IMPATIENT_SECONDS = 0.05


class Engine(Protocol):
    """How to come by journals of one engine; each test has its own place for one."""

    def create(self) -> Journal:
        """A new and empty one."""
        ...

    def open(self) -> Journal:
        """The same one once more, as another process would."""
        ...


def claim(name: object, claim_class: int = 3) -> Claim:
    """A claim that is the same for the same name only."""
    return Claim(bytes([claim_class]) + hashlib.sha256(repr(name).encode()).digest())


def fact(number: int, *claims: Claim, content: bytes | None = None) -> NewEvent:
    """An event that tells itself apart by `number`."""
    return NewEvent(Withdrawn(number), content, claims)


def add(journal: Journal, *events: NewEvent, now: Instant = NOW) -> list[StoredEvent]:
    """`events`, appended as one group."""
    with journal.group(now) as group:
        return [group.append(event) for event in events]


def sealed(day: int) -> bytes:
    """A content as it is stored: the UTC day of its key before bytes that only this key would open."""
    return day.to_bytes(4, "big") + b"sealed" * 20


def sealed_under(event: StoredEvent) -> int | None:
    """The day of an event's content."""
    return None if event.content is None else int.from_bytes(event.content[:4], "big")


class Abandoned(Exception):
    """What a caller raises in the middle of a group."""


class JournalContract:
    @pytest.fixture
    def engine(self) -> Engine:
        raise NotImplementedError

    @pytest.fixture
    def journal(self, engine: Engine) -> Journal:
        return engine.create()

    # --- numbering, chain, time ---

    def test_a_new_journal_is_empty(self, journal: Journal) -> None:
        assert journal.tip() == Tip(0, NO_DIGEST, 0, 1, 0)
        assert journal.read(0) == []
        assert verify(journal) == journal.tip()

    def test_events_are_numbered_from_one_and_read_in_order(self, journal: Journal) -> None:
        first = add(journal, FOUNDED, fact(2, claim(2), content=b"sealed"))
        second = add(journal, fact(3))
        assert [event.sequence for event in first + second] == [1, 2, 3]
        assert journal.read(0) == first + second
        assert journal.read(1) == [*first[1:], *second]
        assert journal.read(0, 2) == first
        assert journal.read(3) == []
        assert journal.tip().sequence == 3 and journal.tip().digest == second[0].digest
        assert verify(journal) == journal.tip()

    def test_the_tip_moves_with_each_append(self, journal: Journal) -> None:
        with journal.group(NOW) as group:
            assert group.tip == journal.tip()
            for event in (FOUNDED, fact(2)):
                stored = group.append(event)
                assert group.tip == Tip(stored.sequence, stored.digest, QUARTER, 1, 0)
            assert journal.tip().sequence == 0  # nobody else sees what is not committed
            assert journal.read(0) == []
        assert journal.tip() == group.tip

    def test_a_group_reads_what_it_appends_to_and_its_own_members(self, journal: Journal) -> None:
        earlier = add(journal, FOUNDED)
        with journal.group(NOW) as group:
            assert group.read(0) == earlier
            own = group.append(fact(2))
            assert group.read(0) == [*earlier, own]
            assert group.read(1, 1) == [own]

    def test_recorded_at_is_the_quarter_hour_and_never_falls(self, journal: Journal) -> None:
        times = [
            add(journal, event, now=Instant(now))[0].recorded_at
            for event, now in [
                (FOUNDED, NOW),
                (fact(2), QUARTER + 900),
                (fact(3), QUARTER + 899),
                (fact(4), NOW + 1800),
            ]
        ]
        assert times == [QUARTER, QUARTER + 900, QUARTER + 900, QUARTER + 1800]

    def test_found_by_sequence_whatever_the_dates(self, journal: Journal) -> None:
        """Case 14: written at 23:59:58, numbered at 00:00:03."""
        midnight = 20_800 * 86_400
        add(journal, FOUNDED, now=Instant(midnight + 3))
        late = add(journal, fact(2), now=Instant(midnight - 2))[0]
        assert late.recorded_at == midnight
        assert journal.read(1) == [late]

    def test_a_clock_that_is_behind_may_not_append(self, journal: Journal) -> None:
        add(journal, FOUNDED)
        with pytest.raises(Unavailable, match="clock"), journal.group(Instant(QUARTER - 301)):
            raise AssertionError("the group must not begin")
        add(journal, fact(2), now=Instant(QUARTER - 300))
        assert journal.tip().sequence == 2

    # --- groups: whole or not at all; always something to sync ---

    def test_a_group_without_events_beats(self, journal: Journal) -> None:
        add(journal, FOUNDED)
        before = journal.tip()
        add(journal)
        add(journal)
        assert journal.tip() == Tip(1, before.digest, before.recorded_at, 1, 2)
        add(journal, fact(2))
        assert journal.tip().beats == 2

    def test_a_refused_event_leaves_a_group_that_still_beats(self, journal: Journal) -> None:
        add(journal, FOUNDED, fact(2, claim("card")))
        with journal.group(NOW) as group, pytest.raises(ClaimTaken):
            group.append(fact(3, claim("card")))
        assert (journal.tip().sequence, journal.tip().beats) == (2, 1)

    def test_if_the_block_raises_nothing_is_stored(self, journal: Journal) -> None:
        add(journal, FOUNDED)
        before = journal.tip()
        with pytest.raises(Abandoned), journal.group(NOW) as group:
            group.append(fact(2, claim("card")))
            raise Abandoned
        assert journal.tip() == before
        assert len(journal.read(0)) == 1
        assert add(journal, fact(2, claim("card")))[0].sequence == 2  # the claim is free, the number not lost
        assert verify(journal) == journal.tip()

    def test_a_group_that_is_over_takes_nothing(self, journal: Journal) -> None:
        with journal.group(NOW) as group:
            group.append(FOUNDED)
        for use in (lambda: group.append(fact(2)), lambda: group.read(0), lambda: group.claimed(claim(1))):
            with pytest.raises(Unavailable):
                use()
        with pytest.raises(Abandoned), journal.group(NOW) as group:
            raise Abandoned
        with pytest.raises(Unavailable):
            group.append(fact(2))
        assert journal.tip().sequence == 1

    def test_an_event_that_has_no_bytes_leaves_the_group_as_it_was(self, journal: Journal) -> None:
        with journal.group(NOW) as group:
            group.append(FOUNDED)
            for bad in (NewEvent(Founded("\ud800", "")), fact(2, claim(1), claim(1)), fact(2, Claim(b"short"))):
                with pytest.raises(Invalid):
                    group.append(bad)
            group.append(fact(2))
        assert verify(journal).sequence == 2

    # --- claims ---

    def test_claims_are_held_for_ever(self, journal: Journal, engine: Engine) -> None:
        add(journal, FOUNDED, fact(2, claim("b"), claim("a")))
        other = engine.open()
        with other.group(NOW) as group:
            assert group.claimed(claim("a")) == group.claimed(claim("b")) == 2
            assert group.claimed(claim("c")) is None
            with pytest.raises(ClaimTaken) as taken:
                group.append(fact(3, claim("c"), claim("a")))
            assert (taken.value.claim, taken.value.sequence, taken.value.code) == (claim("a"), 2, "claim_taken")
            assert group.claimed(claim("c")) is None  # nothing was written for the refused event
            assert group.append(fact(3, claim("c"))).sequence == 3

    def test_members_of_a_group_see_each_others_claims(self, journal: Journal) -> None:
        with journal.group(NOW) as group:
            group.append(FOUNDED)
            group.append(fact(2, claim("card")))
            assert group.claimed(claim("card")) == 2
            with pytest.raises(ClaimTaken) as taken:
                group.append(fact(3, claim("card")))
            assert taken.value.sequence == 2

    def test_claims_that_were_told_ahead_are_answered_as_if_they_were_not(self, journal: Journal) -> None:
        add(journal, FOUNDED, fact(2, claim("held")))
        with journal.group(NOW) as group:
            group.expect([])
            group.expect([claim("held"), claim("free"), claim("mine"), claim("free")])
            group.expect(iter([claim("held")]))
            assert [group.claimed(claim(name)) for name in ("held", "free", "mine", "untold")] == [2, None, None, None]
            assert group.append(fact(3, claim("mine"), claim("untold"))).sequence == 3
            group.expect([claim("mine"), claim("free")])
            assert [group.claimed(claim(name)) for name in ("mine", "untold", "free")] == [3, 3, None]
            for name in ("held", "mine"):
                with pytest.raises(ClaimTaken):
                    group.append(fact(4, claim("free"), claim(name)))
            assert group.append(fact(4, claim("free"))).sequence == 4
        assert journal.holders([claim("held"), claim("mine"), claim("free")]) == [2, 3, 4]

    def test_the_lowest_class_is_answered_first(self, journal: Journal) -> None:
        """A retry (class 1) must read its receipt, not hear that its own code is spent (class 3)."""
        add(journal, FOUNDED, fact(2, claim("card", 3)), fact(3, claim("report", 1)))
        with journal.group(NOW) as group, pytest.raises(ClaimTaken) as taken:
            group.append(fact(4, claim("card", 3), claim("report", 1)))
        assert taken.value.claim == claim("report", 1)

    def test_the_claim_index_is_that_of_the_events(self, journal: Journal) -> None:
        add(journal, FOUNDED, fact(2, claim("a"), claim("b")), fact(3, claim("c")))
        rows = sorted([(claim("a"), 2), (claim("b"), 2), (claim("c"), 3)])
        assert journal.claim_rows(Claim(b""), 10) == rows
        assert journal.claim_rows(rows[0][0], 1) == rows[1:2]
        assert journal.holders([claim("c"), claim("none"), claim("a")]) == [3, None, 2]

    # --- several at once ---

    def test_another_opener_sees_what_is_committed(self, journal: Journal, engine: Engine) -> None:
        other = engine.open()
        stored = add(journal, FOUNDED, fact(2))
        assert other.read(0) == stored
        assert other.tip() == journal.tip()
        more = add(other, fact(3))
        assert journal.read(2) == more

    def test_while_a_group_is_open_others_wait_until_their_deadline(self, journal: Journal, engine: Engine) -> None:
        add(journal, FOUNDED)
        other = engine.open()
        with journal.group(NOW) as group:
            group.append(fact(2))
            with pytest.raises(Unavailable, match="writers"), other.group(NOW, IMPATIENT_SECONDS):
                raise AssertionError("two groups at once")
            assert other.read(0) == journal.read(0)  # but reading does not wait
        assert add(other, fact(3))[0].sequence == 3

    def test_threads_of_one_process_share_a_journal(self, journal: Journal) -> None:
        add(journal, FOUNDED)
        won: list[int] = []

        def write(worker: int) -> None:
            for turn in range(10):
                with journal.group(NOW, 30) as group:
                    group.append(fact(worker, claim((worker, turn))))
                    try:
                        group.append(fact(worker, claim(("contested", turn))))
                        won.append(turn)
                    except ClaimTaken:
                        pass
                journal.read(journal.tip().sequence - 1)

        workers = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert sorted(won) == list(range(10))
        assert verify(journal).sequence == 1 + 40 + 10

    # --- moving to another engine ---

    def test_a_retired_journal_takes_no_more_and_can_be_read(self, journal: Journal, engine: Engine) -> None:
        events = add(journal, FOUNDED, fact(2, claim(1)))
        other = engine.open()
        other.tip()
        with journal.group(NOW) as group:
            group.retire()
        for writer in (journal, other, engine.open()):
            with pytest.raises(Unavailable, match="goes on there"), writer.group(NOW):
                raise AssertionError("the group must not begin")
        assert other.read(0) == events and verify(other).beats == RETIRED

    def test_a_group_that_fails_retires_nothing(self, journal: Journal) -> None:
        add(journal, FOUNDED)
        with pytest.raises(Abandoned), journal.group(NOW) as group:
            group.retire()
            raise Abandoned
        add(journal, fact(2))

    # --- restoring ---

    def test_load_restores_every_byte(self, journal: Journal) -> None:
        assert journal.load(iter(JOURNAL)) == journal.tip()
        assert journal.read(0) == JOURNAL
        assert verify(journal).digest == JOURNAL[-1].digest
        assert add(journal, fact(14), now=Instant(JOURNAL[-1].recorded_at))[0].sequence == len(JOURNAL) + 1
        assert verify(journal).sequence == len(JOURNAL) + 1

    def test_load_takes_kinds_of_later_versions(self, journal: Journal, engine: Engine) -> None:
        founded = add(journal, FOUNDED)[0]
        digest = event_digest(founded.digest, 2, QUARTER, "merged", b"{}", NO_DIGEST, ())
        later = StoredEvent(2, QUARTER, "merged", b"{}", None, NO_DIGEST, (), digest)
        rebuilt = engine.create()
        rebuilt.load([founded, later])
        assert rebuilt.read(1) == [later]
        assert verify(rebuilt).sequence == 2
        with pytest.raises(UnknownKind):
            decode_body(later.kind, later.body)

    def test_load_takes_all_or_nothing(self, journal: Journal) -> None:
        for events in (JOURNAL[1:], JOURNAL[:4] + JOURNAL[5:], [*JOURNAL[:3], JOURNAL[4], JOURNAL[3]]):
            with pytest.raises(Broken):
                journal.load(events)
            assert journal.tip() == Tip()
            assert journal.read(0) == []

    def test_load_names_the_event_that_claims_what_is_held(self, journal: Journal) -> None:
        """No engine wrote that, so the chain alone would let it pass."""
        events: list[StoredEvent] = []
        for new in (FOUNDED, fact(2, claim(1)), fact(3, claim(0), claim(1)), fact(4, claim(2))):
            previous = events[-1].digest if events else NO_DIGEST
            events.append(number_event(new, previous, len(events) + 1, QUARTER))
        with pytest.raises(Broken) as broken:
            journal.load(events)
        assert broken.value.sequence == 3
        assert journal.tip() == Tip() and journal.holders([claim(0), claim(2)]) == [None, None]

    def test_load_wants_an_empty_journal(self, journal: Journal) -> None:
        add(journal, FOUNDED)
        with pytest.raises(Invalid, match="not empty"):
            journal.load(JOURNAL)
        assert journal.tip().sequence == 1

    # --- erasing ---

    def test_erasing_a_day_takes_its_content_and_nothing_else(self, journal: Journal, engine: Engine) -> None:
        before = self.with_content(journal, [TODAY, TODAY - 1, TODAY, None, TODAY - 256])
        assert journal.erase(Day(TODAY)) == 2
        assert journal.read(0) == [
            replace(event, content=None) if sealed_under(event) == TODAY else event for event in before
        ]
        assert engine.open().read(0) == journal.read(0)
        assert verify(journal) == journal.tip() and journal.tip().digest == before[-1].digest
        assert journal.holders([claim(0)]) == [2]  # and its claim is held for ever
        with pytest.raises(ClaimTaken):
            add(journal, fact(9, claim(0)))

    def test_erasing_again_finds_nothing_to_do(self, journal: Journal, engine: Engine) -> None:
        """Case 53, at the journal: two instances erase the same day."""
        self.with_content(journal, [TODAY, TODAY])
        assert (journal.erase(Day(TODAY)), engine.open().erase(Day(TODAY)), journal.erase(Day(TODAY))) == (2, 0, 0)
        assert journal.erase(Day(TODAY + 1)) == 0

    def test_an_empty_journal_has_nothing_to_erase(self, journal: Journal) -> None:
        assert journal.erase(Day(TODAY)) == 0

    def test_what_is_received_late_is_erased_with_its_day(self, journal: Journal) -> None:
        """A report may be recorded days after the day that it is sealed under, and never before that day."""
        add(journal, FOUNDED)
        for days, number in [(0, 1), (3, 2), (3, 3)]:
            content = sealed(TODAY if number < 3 else TODAY + 3)
            add(journal, fact(number, content=content), now=Instant(NOW + days * DAY_SECONDS))
        assert journal.erase(Day(TODAY)) == 2
        assert [event.content is None for event in journal.read(0)] == [True, True, True, False]

    def test_a_long_day_is_erased_in_steps_between_which_others_append(self, journal: Journal) -> None:
        self.with_content(journal, [TODAY] * 1_201)
        erasing = threading.Thread(target=journal.erase, args=[Day(TODAY)])
        erasing.start()
        for number in range(20):
            add(journal, fact(number))
        erasing.join()
        assert not any(event.content for event in journal.read(0, 2_000))
        assert verify(journal).sequence == 1 + 1_201 + 20

    @staticmethod
    def with_content(journal: Journal, days: Sequence[int | None]) -> list[StoredEvent]:
        """A journal whose events from the second on hold content that is sealed under these days, or none."""
        events = [
            fact(number, claim(number), content=None if day is None else sealed(day)) for number, day in enumerate(days)
        ]
        return add(journal, FOUNDED, *events)

    # --- any history ---

    def test_any_history_is_that_of_a_plain_list(self, engine: Engine) -> None:
        """Groups of events with a few claims, against a dictionary."""

        @settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
        @given(st.lists(st.lists(st.sets(st.integers(0, 12), max_size=3), max_size=4), max_size=6))
        def holds(history: list[list[set[int]]]) -> None:
            journal = engine.create()
            add(journal, FOUNDED)
            held: dict[Claim, int] = {}
            for members in history:
                with journal.group(NOW) as group:
                    for names in members:
                        claims = sorted(claim(name) for name in names)
                        taken = next((wanted for wanted in claims if wanted in held), None)
                        if taken is None:
                            stored = group.append(fact(0, *claims))
                            held |= dict.fromkeys(claims, stored.sequence)
                        else:
                            with pytest.raises(ClaimTaken) as refusal:
                                group.append(fact(0, *claims))
                            assert (refusal.value.claim, refusal.value.sequence) == (taken, held[taken])
            assert journal.claim_rows(Claim(b""), 100) == sorted(held.items())
            assert verify(journal) == journal.tip()
            journal.close()

        holds()
