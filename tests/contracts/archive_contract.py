"""What an archive promises (`tocsin.journal.archive`), wherever it lies, as one suite.

A place's test module derives a class from `ArchiveContract` and gives it the fixture `place`: a new one for each test.
"""

import hashlib
import threading
from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from msgspec.structs import replace

from tocsin.journal.archive import Archive, ArchiveBroken, make_archive, open_archive
from tocsin.journal.archive_table import events_of
from tocsin.journal.encoding import NO_DIGEST, NewEvent, StoredEvent, number_event
from tocsin.journal.port import Broken, Tip
from tocsin.model.claims import Claim
from tocsin.model.errors import Refused
from tocsin.model.events import Founded, Withdrawn
from tocsin.model.times import QUARTER_SECONDS, day_of
from tocsin.stores.place import Place

QUARTER = 1_797_150_600
TODAY = day_of(QUARTER)
SECRET = b"what a content must not leave behind "


def content(number: int, day: int) -> bytes:
    """A content of `day` that tells itself apart: sealed, it would be noise."""
    return day.to_bytes(4, "big") + SECRET + b"%d" % number


def story(
    count: int, each_seconds: int = QUARTER_SECONDS, late: Iterable[int] = (), known_by: int = 0
) -> list[StoredEvent]:
    """So many events, each so much later than the one before; those of the numbers `late` hold content of the day
    before theirs. Stories that differ in `known_by` differ in their second event."""
    events: list[StoredEvent] = []
    previous = NO_DIGEST
    for number in range(1, count + 1):
        at = QUARTER + (number - 1) * QUARTER_SECONDS
        if number == 1:
            new = NewEvent(Founded("xx-test", "A" * 43))
        else:
            claim = Claim(b"\1" + hashlib.sha256(b"%d" % number).digest())
            new = NewEvent(Withdrawn(number + known_by), content(number, day_of(at) - (number in set(late))), (claim,))
        events.append(number_event(new, previous, number, at))
        previous = events[-1].digest
    return events


def filled(place: Place, events: Sequence[StoredEvent], page: int = 10) -> Archive:
    """An archive of these events, so many a commit."""
    archive = make_archive(place)
    for at in range(0, len(events), page):
        archive.append(events[at : at + page], 1)
    return archive


def everything(archive: Archive, after: int = 0) -> list[StoredEvent]:
    return [event for page in archive.read(after) for event in page]


def contents_left(place: Place, day: int) -> list[str]:
    """The data files, dead ones too, that hold a content of `day`; their pages are compressed, so they are opened."""
    names = [file.name for file in place.found() if file.name.endswith(".parquet") and file.name.startswith("day=")]
    return [
        name
        for name in names
        if any((event.content or b"").startswith(content(0, day)[:-1]) for event in events_of(place.read(name) or b""))
    ]


class ArchiveContract:
    @pytest.fixture
    def place(self) -> Place:
        raise NotImplementedError

    def test_there_is_none_at_first_and_an_empty_one_then(self, place: Place) -> None:
        with pytest.raises(Refused) as refused:
            open_archive(place)
        assert refused.value.code == "no_archive"
        assert make_archive(place).tip() == Tip() == open_archive(place).tip() == make_archive(place).prove()
        assert everything(open_archive(place)) == []

    def test_what_was_archived_is_read_as_it_was(self, place: Place) -> None:
        events = story(35, late=[20])
        archive = filled(place, events)
        last = events[-1]
        assert archive.tip() == Tip(35, last.digest, last.recorded_at)
        again = open_archive(place)
        assert again.tip() == archive.tip() == again.prove()
        assert everything(again) == events
        assert everything(again, 17) == events[17:]
        assert everything(again, 35) == []

    def test_events_that_do_not_follow_are_not_taken(self, place: Place) -> None:
        events, others = story(5), story(5, known_by=1)
        archive = filled(place, events[:2])
        for bad in (events[3:], [events[3], events[2]], [replace(events[2], body=b"{}")], others[2:]):
            with pytest.raises(Broken) as broken:
                archive.append(bad, 1)
            assert broken.value.sequence == 3
        assert everything(open_archive(place)) == events[:2]

    def test_what_is_there_is_passed_over(self, place: Place) -> None:
        events = story(5)
        archive = filled(place, events[:3])
        before = archive.held()
        assert archive.append(events[:3], 1).sequence == 3
        assert archive.held() == before
        assert archive.append(events, 1).sequence == 5
        assert everything(archive) == events

    def test_of_two_archivers_one_wins_and_the_other_finds_it_done(self, place: Place) -> None:
        """A second writer of the archive does no harm."""
        events = story(20)
        filled(place, events[:1])
        racers = [open_archive(place) for _ in range(4)]
        together = threading.Barrier(4)
        tips: list[Tip] = []

        def run(archive: Archive) -> None:
            together.wait()
            for at in range(1, 20, 3):
                tips.append(archive.append(events[at : at + 3], 1))

        threads = [threading.Thread(target=run, args=(archive,)) for archive in racers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(tips) == 28 and max(tip.sequence for tip in tips) == 20
        assert everything(open_archive(place)) == events
        assert open_archive(place).prove().sequence == 20

    def test_who_has_a_lower_term_is_refused(self, place: Place) -> None:
        """What a forgotten old primary writes is refused."""
        events = story(6)
        old = filled(place, events[:2])
        new = open_archive(place)
        new.raise_term(2)
        for act in (lambda: old.append(events[2:], 1), lambda: old.raise_term(1)):
            with pytest.raises(Refused) as refused:
                act()
            assert refused.value.code == "old_term"
        assert new.append(events[2:4], 2).term == 2
        assert new.append(events[4:], 5).term == 5
        with pytest.raises(Refused):
            new.append(story(7)[6:], 2)
        assert open_archive(place).tip().term == 5
        assert everything(old) == events

    def test_a_term_raised_between_look_and_commit_is_seen(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """The look at the term and the commit are one compare-and-swap."""
        events = story(4)
        old, new = filled(place, events[:2]), open_archive(place)
        create = type(place).create

        def create_late(self: Place, name: str, data: bytes) -> bool:
            new.raise_term(2)
            return create(self, name, data)

        monkeypatch.setattr(type(place), "create", create_late)
        with pytest.raises(Refused) as refused:
            old.append(events[2:], 1)
        assert refused.value.code == "old_term"
        assert everything(open_archive(place)) == events[:2]

    def test_a_day_is_put_together_and_reads_the_same(self, place: Place) -> None:
        events = story(300)
        archive, reader = filled(place, events, 7), open_archive(place)
        pages = reader.read()
        first = next(pages)
        today = [file for file in archive._files() if file.day == TODAY]
        assert len(today) > 5
        assert archive.held().loose_days == tuple(sorted({day_of(event.recorded_at) for event in events}))
        assert archive.compact(TODAY)
        assert not archive.compact(TODAY)
        assert len([file for file in archive._files() if file.day == TODAY]) == 1
        assert TODAY not in archive.held().loose_days
        assert [*first, *(event for page in pages for event in page)] == events, "a reader that had begun"
        assert everything(open_archive(place), 3) == events[3:]
        assert archive.prove() == archive.tip() and archive.tip().sequence == 300

    def test_a_large_day_is_put_together_and_erased_piece_by_piece(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Memory is that of a piece: a server does this while it takes calls, on the day after a surge too."""
        events = story(96, late=[60])
        archive = filled(place, events, 2)
        sizes = [file.length for file in archive._files() if file.day == TODAY]
        monkeypatch.setattr("tocsin.journal.archive.TOGETHER_BYTES", sum(sizes) // 4)
        monkeypatch.setattr("tocsin.journal.archive_files.RUN_BYTES", 1)
        monkeypatch.setattr("tocsin.journal.archive_files.RUN_FILES", 1)
        assert archive.compact(TODAY)
        files = [file for file in archive._files() if file.day == TODAY]
        assert 3 <= len(files) < len(sizes)
        assert all(one.last < next_one.first for one, next_one in pairwise(files)), "each has a span of its own"
        assert everything(open_archive(place)) == events
        gone = sum((event.content or b"")[:4] == TODAY.to_bytes(4, "big") for event in events)
        assert archive.erase(TODAY) == gone and archive.erase(TODAY) == 0
        assert not contents_left(place, TODAY)
        assert open_archive(place).prove().sequence == 96

    def test_an_erased_day_leaves_no_byte_and_stays_provable(self, place: Place) -> None:
        """What is erased is erased in the archive too, late events and dead files included."""
        events = story(150, late=[100])
        archive = filled(place, events, 20)
        gone = {event.sequence for event in events if (event.content or b"")[:4] == TODAY.to_bytes(4, "big")}
        assert 100 in gone and 50 < len(gone) < 100
        assert archive.compact(TODAY)
        assert len(contents_left(place, TODAY)) > 4, "dead files hold it still"
        assert archive.erase(TODAY) == len(gone)
        assert archive.erase(TODAY) == 0
        assert not contents_left(place, TODAY) and contents_left(place, TODAY + 1)
        kept = [replace(event, content=None) if event.sequence in gone else event for event in events]
        assert everything(open_archive(place)) == kept
        assert open_archive(place).prove().sequence == 150
        archive.append(story(151, late=[100])[150:], 1)
        assert archive.tip().sequence == 151

    def test_no_content_and_no_digest_comes_into_the_log(self, place: Place) -> None:
        events = story(250)
        archive = filled(place, events, 2)
        archive.compact(TODAY)
        archive.erase(TODAY)
        log = {file.name: place.read(file.name) or b"" for file in place.found() if file.name.startswith("_delta_log")}
        assert any("checkpoint.parquet" in name for name in log)
        text = b"".join(data for name, data in log.items() if name.endswith(".json"))
        assert b"numRecords" in text and SECRET not in text
        for event in events:
            for secret in (event.digest, event.content_digest, event.body):
                assert secret not in text and secret.hex().encode() not in text

    def test_what_is_missing_is_named(self, place: Place) -> None:
        events = story(30)
        archive = filled(place, events)
        second = next(file.name for file in archive._files() if file.first == 11)
        place.remove([second])
        with pytest.raises(ArchiveBroken) as broken:
            archive.prove()
        assert broken.value.sequence == 11 and "event 11" in str(broken.value)
        assert archive.tip().sequence == 30, "the tip is not concerned"
