"""The archiver beside its like, a publisher that waits for it, and what a crash between two steps leaves behind."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.service.journals import Meddled
from tests.service.test_publish import Failing, published
from tests.sites import FixedClock, Site
from tocsin.journal import sqlite
from tocsin.journal.archive import Archive, make_archive, open_archive
from tocsin.journal.encoding import StoredEvent
from tocsin.journal.port import Durability, Journal
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, day_of
from tocsin.service.archiver import Archiver
from tocsin.service.archiving import RETRY_SECONDS, ArchiverLoop, Behind
from tocsin.service.deployment import signing_keys
from tocsin.service.publish import Publisher
from tocsin.stores.place import Place, place_at
from tocsin.stores.place_folder import FolderPlace

FOUNDED = 4
"""Events of a site to which nobody has reported."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return FolderPlace(tmp_path / "archive")


def archiver_of(site: Site, place: Place, journal: Journal | None = None) -> Archiver:
    return Archiver(journal or site.deployment.journal, site.clock, lambda: make_archive(place))


def archived(place: Place) -> list[StoredEvent]:
    return [event for page in open_archive(place).read() for event in page]


def journal_of(site: Site) -> list[StoredEvent]:
    return site.deployment.journal.read(0)


def publisher_of(site: Site, archive_up_to: Callable[[int], None], bucket: Failing | None = None) -> Publisher:
    deployment = site.deployment
    keys = signing_keys(deployment.settings, deployment.keys)
    policy, where = deployment.settings.policy, bucket or deployment.bucket
    return Publisher(deployment.journal, deployment.keys, site.clock, policy, where, keys, archive_up_to=archive_up_to)


def heads(site: Site) -> bytes | None:
    return site.deployment.bucket.read("v1/head")


# --- archiving --------------------------------------------------------------------------------------------------------


def test_the_archive_is_brought_up_to_the_journal(site: Site, place: Place) -> None:
    archiver = archiver_of(site, place)
    assert archiver.behind_events() == FOUNDED
    tip = archiver.catch_up()
    assert archived(place) == journal_of(site) and tip.sequence == FOUNDED and archiver.behind_events() == 0
    for serial in range(3):
        site.report(f"ada {serial}", serial)
    archiver.archive_up_to(FOUNDED)
    assert len(archived(place)) == FOUNDED, "that much is there, and nobody is asked"
    archiver.archive_up_to(FOUNDED + 1)
    assert archived(place) == journal_of(site)
    files = open_archive(place).held().files
    archiver.catch_up()
    assert open_archive(place).held().files == files


def test_archivers_of_several_processes_do_no_harm_to_each_other(site: Site, place: Place) -> None:
    archivers = [archiver_of(site, place) for _ in range(3)]

    def run(archiver: Archiver) -> None:
        for _ in range(10):
            archiver.catch_up()

    threads = [threading.Thread(target=run, args=(archiver,)) for archiver in archivers]
    for thread in threads:
        thread.start()
    for serial in range(10):
        site.report(f"ada {serial}", serial, days=1)
    for thread in threads:
        thread.join()
    archivers[0].catch_up()
    assert archived(place) == journal_of(site)
    assert open_archive(place).prove().sequence == FOUNDED + 10


def test_what_the_journal_can_not_promise_is_not_archived(site: Site, place: Place) -> None:
    """An engine may show an event that no other machine has yet: only what was there before a durable group goes."""
    archiver_of(site, place).catch_up()
    site.report("ada", 0)
    journal = Meddled(site.deployment.journal)
    journal.failing = ["lost"]
    archiver = archiver_of(site, place, journal)
    with pytest.raises(Unavailable):
        archiver.catch_up()
    assert len(archived(place)) == FOUNDED
    journal.first = [lambda: site.report("bob", 1)]
    assert archiver.catch_up().sequence == FOUNDED + 2 and archived(place) == journal_of(site)


def test_an_archive_of_another_journal_is_not_written(tmp_path: Path, site: Site, place: Place) -> None:
    archiver_of(Site(tmp_path / "other", site.clock), place).catch_up()
    before = archived(place)
    for act in (archiver_of(site, place).catch_up, archiver_of(site, place).refuse_unfit):
        with pytest.raises(Invalid, match="is not this journal's"):
            act()
    assert archived(place) == before != journal_of(site)


def test_an_older_copy_of_the_journal_is_found_out(tmp_path: Path, site: Site, place: Place) -> None:
    older = sqlite.create(tmp_path / "older.sqlite", durability=Durability.WAIVED)
    older.load(journal_of(site))
    site.report("ada", 0)
    archiver_of(site, place).catch_up()
    with pytest.raises(Invalid, match="older copy"):
        archiver_of(site, place, older).catch_up()
    older.close()


def test_a_journal_of_an_older_term_is_refused_and_one_of_a_newer_rules(
    tmp_path: Path, site: Site, place: Place
) -> None:
    archiver_of(site, place).catch_up()
    rebuilt = sqlite.create(tmp_path / "rebuilt.sqlite", term=2, durability=Durability.WAIVED)
    rebuilt.load(journal_of(site))
    assert archiver_of(site, place, rebuilt).catch_up().sequence == FOUNDED
    assert open_archive(place).tip().term == 2
    site.report("ada", 0)
    with pytest.raises(Refused) as refused:
        archiver_of(site, place).catch_up()
    assert refused.value.code == "old_term"
    assert len(archived(place)) == FOUNDED
    rebuilt.close()


def test_a_long_journal_goes_in_several_commits(site: Site, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for serial in range(6):
        site.report(f"ada {serial}", serial, days=1)
    monkeypatch.setattr("tocsin.service.archiver.COMMIT_EVENTS", 4)
    monkeypatch.setattr("tocsin.journal.sqlite.PAGE_EVENTS", 2)
    journal = site.deployment.journal
    monkeypatch.setattr(journal, "read", lambda after, limit=2, read=journal.read: read(after, limit))
    archiver_of(site, place).catch_up()
    monkeypatch.undo()
    assert archived(place) == journal_of(site) and open_archive(place).held().files == 3


# --- a version waits for it -------------------------------------------------------------------------------------------


def test_nothing_is_put_out_before_its_event_is_archived(site: Site, place: Place) -> None:
    archiver = archiver_of(site, place)
    seen: list[tuple[int, int]] = []

    class Watching(Failing):
        def create(self, name: str, data: bytes) -> bool:
            seen.append((published(site)[-1][0], open_archive(place).tip().sequence))
            return super().create(name, data)

    site.report("ada", 0)
    site.clock.wait(QUARTER_SECONDS)
    bucket = Watching(site.deployment.folders.bucket)
    assert publisher_of(site, archiver.archive_up_to, bucket).publish() == 1
    assert seen and all(decided <= archived for decided, archived in seen)


def test_while_the_archive_is_away_versions_wait_and_reports_are_taken(site: Site, place: Place) -> None:
    away = True

    def up_to(sequence: int) -> None:
        if away:
            raise Unavailable("the archive is away")
        archiver.archive_up_to(sequence)

    archiver = archiver_of(site, place)
    publisher = publisher_of(site, up_to)
    site.clock.wait(QUARTER_SECONDS)
    for turn in range(2):
        with pytest.raises(Unavailable, match="archive is away"):
            publisher.publish()
        site.report(f"ada {turn}", turn)
    assert heads(site) is None and len(published(site)) == 1
    away = False
    site.clock.wait(QUARTER_SECONDS)
    assert publisher.publish() == 2
    assert archived(place)[:-1] == journal_of(site)[:-1]


@pytest.mark.parametrize("step", [*range(12)])
def test_a_crash_at_any_step_is_repaired_by_the_next_publisher(site: Site, place: Place, step: int) -> None:
    """Between deciding and archiving, between archiving and each step of the release."""
    site.report("ada", 0)
    site.clock.wait(QUARTER_SECONDS)
    bucket = Failing(site.deployment.folders.bucket)
    bucket.steps = step - 1

    def crashing(sequence: int) -> None:
        if step == 0:
            raise Unavailable("killed before it was archived")
        archiver_of(site, place).archive_up_to(sequence)

    with suppress(Unavailable):
        publisher_of(site, crashing, bucket).publish()
    assert bool(heads(site)) is (step > 8), "the head is the last but for the index"
    second = publisher_of(site, archiver_of(site, place).archive_up_to)
    assert second.publish() == 1 and heads(site) is not None
    assert [sequence for sequence, _ in published(site)] == [open_archive(place).tip().sequence]


# --- the thread -------------------------------------------------------------------------------------------------------


class Flaky:
    """An archive that is away for so many openings."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.away = 0

    def __call__(self) -> Archive:
        if self.away:
            self.away -= 1
            raise Unavailable("the archive is away")
        return make_archive(self.place)


class Watched:
    """A loop and what it told."""

    def __init__(self, site: Site, place: Place) -> None:
        self.flaky = Flaky(place)
        self.trouble: list[str | None] = []
        self.behind: list[Behind] = []
        self.replaced: list[str] = []
        archiver = Archiver(site.deployment.journal, site.clock, self.flaky)
        self.loop = ArchiverLoop(
            archiver, site.clock, 60, self.trouble.append, self.behind.append, self.replaced.append
        )


def test_trouble_is_told_once_and_over_once_and_how_far_behind(site: Site, place: Place, clock: FixedClock) -> None:
    watched = Watched(site, place)
    watched.flaky.away = 4  # each round tries again to put days together, and nothing is opened twice
    began = clock.now()
    assert watched.loop.round() == RETRY_SECONDS
    clock.wait(300)
    assert watched.loop.round() == RETRY_SECONDS
    assert watched.trouble == ["the archive is away"]
    assert watched.behind[-1] == Behind(FOUNDED, began) and watched.behind[-1].seconds(clock.now()) == 300
    watched.flaky.away = 0
    assert watched.loop.round() == 60
    assert watched.trouble == ["the archive is away", None]
    assert watched.behind[-1] == Behind(0, clock.now())


def test_who_takes_calls_is_told_that_a_higher_term_rules(site: Site, place: Place) -> None:
    """And of no lesser trouble: no call is refused because the archive is away."""
    watched = Watched(site, place)
    watched.flaky.away = 2
    watched.loop.round()
    watched.flaky.away = 0
    watched.loop.round()
    assert watched.trouble == ["the archive is away", None] and watched.replaced == []
    open_archive(place).raise_term(2)
    watched.loop.round()
    assert len(watched.replaced) == 1 and "term 2" in watched.replaced[0]


def test_the_files_of_a_day_that_is_over_are_put_together(site: Site, place: Place, clock: FixedClock) -> None:
    watched = Watched(site, place)
    for serial in range(4):
        site.report(f"ada {serial}", serial)
        watched.loop.round()
    today = day_of(clock.now())
    assert open_archive(place).held().loose_days == (today,)
    clock.wait(DAY_SECONDS)
    site.report("eve", 9)
    watched.loop.round()
    assert open_archive(place).held().loose_days == ()
    assert archived(place) == journal_of(site)
    assert watched.trouble == []


def test_a_fault_does_not_end_the_thread(site: Site, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(site, place)
    monkeypatch.setattr(Archiver, "catch_up", lambda self: 1 / 0)
    assert watched.loop.round() == RETRY_SECONDS
    [told] = watched.trouble
    assert told is not None and "ZeroDivisionError" in told


def test_it_runs_until_it_is_stopped(site: Site, place: Place) -> None:
    watched = Watched(site, place)
    done = threading.Event()
    watched.loop._looked = lambda behind: done.set()
    watched.loop.start()
    assert done.wait(30)
    watched.loop.stop()
    assert archived(place) == journal_of(site)


# --- a deployment -----------------------------------------------------------------------------------------------------


def test_a_deployment_with_an_archive_publishes_from_it(site: Site, archive_url: str) -> None:
    deployment = site.with_archive(archive_url)
    deployment.refuse_unfit_archive()
    site.clock.wait(QUARTER_SECONDS)
    assert deployment.publisher().publish() == 1
    assert archived(place_at(archive_url)) == deployment.journal.read(0)
    assert replace(open_archive(place_at(archive_url)).tip(), beats=0) == replace(deployment.journal.tip(), beats=0)
