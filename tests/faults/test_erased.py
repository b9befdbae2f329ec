"""The proof of retention: what was reported is in plain nowhere at any time, and after its day is erased nothing of it
is left that anything left could open.

A deployment with an archive, a copy, a spool and a checkpoint lives through sixteen days under a test clock; then every
byte that it has is searched, and with its journal in PostgreSQL every byte of three servers. The search is shown to
find what a step left behind, one step at a time.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import replace

from tests.faults.cluster import Cluster, running_cluster
from tests.faults.needles import Found, Needles, Planted, spellings
from tests.faults.object_store import ObjectStore
from tests.sites import IN_A_FILE, FixedClock, Site, drawn, loop_of, report
from tocsin.journal import sqlite, sqlite_backup
from tocsin.journal.archive import Archive
from tocsin.journal.content import Opener, encode_content
from tocsin.journal.encoding import NO_DIGEST
from tocsin.journal.port import Durability, Journal
from tocsin.journal.sqlite import SqliteJournal
from tocsin.journal.verify import verify
from tocsin.model.calls import Verdict
from tocsin.model.keys import KeyKind
from tocsin.model.times import DAY_SECONDS, KEPT_DAYS, Day, day_of, floor_quarter
from tocsin.service.archiver import open_archive
from tocsin.service.day_keys import exported
from tocsin.service.deployment import Deployment
from tocsin.service.follow import Follower
from tocsin.service.journal_choice import JournalChoice
from tocsin.service.key_folder import KeyFolder
from tocsin.service.perform import Arrival
from tocsin.stores.place import place_at

REPORTS = 3


class Marked(Struct, frozen=True):
    """What was reported on the first day: values as they were sent, contents as they were sealed, the day's key."""

    day: Day
    plain: tuple[Planted, ...]
    sealed: tuple[Planted, ...]
    key: Planted


class Home:
    """A deployment whose days go by."""

    def __init__(self, top: Path, journal: JournalChoice = IN_A_FILE, archive: str = "") -> None:
        self.clock = FixedClock()
        self.site = Site(top, self.clock, journal=journal)
        self.deployment: Deployment = self.site.with_archive(archive or str(top / "archive"))
        self.site.name_day_keys()
        self.top = top
        self.trouble: list[str | None] = []

    def mark(self) -> Marked:
        """Reports, in the journal and in the archive; one more in the spool; a copy of the journal."""
        day = day_of(self.clock.at)
        for number in range(REPORTS):
            self.site.report(f"marked {number}", number)
        spooled = report("spooled", self.site.cards[REPORTS], 3, self.clock.at)
        arrival = Arrival(spooled.body, floor_quarter(self.clock.at))
        self.site.performer.keep([arrival], self.deployment.spool(), self.clock.now())
        if self.deployment.settings.journal == IN_A_FILE:
            sqlite_backup.back_up(self.deployment.folders.journal, self.top / "backup" / "journal.sqlite")
        follower = Follower(self.deployment.keys)
        follower.catch_up(self.deployment.journal.read)
        self.deployment.checkpoints.write(follower.ledger, follower.tip)
        assert self.deployment.archiver is not None
        self.deployment.archiver.catch_up()
        return self._marked(day)

    def _marked(self, day: Day) -> Marked:
        names = [*(f"marked {number}" for number in range(REPORTS)), "spooled"]
        plain = [Planted("key", drawn(f"{name} {ago}", 16), ("bucket",)) for name in names for ago in range(1, 4)]
        sealed, opener = [], Opener(self.deployment.keys)
        for stored in self.deployment.journal.read(0):
            content = opener.event(stored).content
            if stored.content is not None and content is not None:
                sealed.append(Planted("sealed", stored.content[4:]))
                plain.append(Planted("content", encode_content(content)[:43]))
                plain.append(Planted("sent", content.sent))
        assert len(sealed) == REPORTS
        key = self.deployment.keys.day_key(day)
        assert key is not None
        return Marked(day, tuple(plain), tuple(sealed), Planted("day key", key))

    def live(self, days: int) -> None:
        """A round a day, with the archive kept up."""
        loop = loop_of(self.deployment, self.deployment.publisher(), self.clock, self.trouble.append)
        for _ in range(days):
            self.clock.wait(DAY_SECONDS)
            loop.round()

    def found(self, *planted: Planted) -> dict[str, set[str]]:
        """In which folders values of each kind lie."""
        found: dict[str, set[str]] = {}
        for each in Needles(planted).found_below(self.top):
            found.setdefault(each.planted.kind, set()).add(folder_of(each))
        return found


def folder_of(found: Found) -> str:
    return found.file.removeprefix("the name ").split("/")[0]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "home")
    (made.top / "backup").mkdir(mode=0o700)
    yield made
    made.deployment.close()


def opened(journal: Journal, keys: KeyFolder) -> int:
    """How many contents of a journal the keys of a folder open, trying each key on each."""
    opener = Opener(keys)
    return sum(opener.event(stored).content is not None for stored in journal.read(0))


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        yield cluster


def nodes_with(three: Cluster, *planted: Planted) -> dict[str, set[str]]:
    """On which servers values of each kind lie, in any file of theirs: tables, write-ahead log, whatever there is."""
    found: dict[str, set[str]] = {}
    for name, node in three.nodes.items():
        for path in node.data.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                for each in planted:
                    if any(text in data for _, text in spellings(each.value)):
                        found.setdefault(each.kind, set()).add(name)
    return found


def test_on_the_disks_of_three_servers_nothing_is_left_that_can_be_opened(tmp_path: Path, three: Cluster) -> None:
    """Of a primary and two standbys every byte is searched. Dead rows and the log keep sealed content for a time."""
    three.new_database("tocsin")
    home = Home(tmp_path / "home", JournalChoice(engine="postgresql", url=three.url("tocsin")))
    marked = home.mark()
    three.settle()
    everywhere = set(three.nodes)
    assert nodes_with(three, *marked.plain, *marked.sealed, marked.key) == {"sealed": everywhere}, "the search can find"
    home.live(KEPT_DAYS)
    three.settle()
    for node in three.nodes.values():
        with node.connect() as connection:
            connection.execute("CHECKPOINT")
    assert home.trouble == [] and home.found(*marked.plain, *marked.sealed, marked.key) == {}
    assert nodes_with(three, *marked.plain, marked.key) == {}
    journal, keys = home.deployment.journal, home.deployment.keys
    assert not any(event.content for event in journal.read(0)) and verify(journal) == journal.tip()
    opener, ids = Opener(keys), [event for event in journal.read(0) if event.kind == "reported"]
    for event, sealed in zip(ids, marked.sealed, strict=True):  # as whoever has a disk would put it back
        assert opener.event(replace(event, content=marked.day.to_bytes(4, "big") + sealed.value)).content is None
    home.deployment.close()


def test_no_object_of_an_archive_in_a_bucket_has_it(tmp_path: Path, object_store: ObjectStore) -> None:
    """Sealed content is rewritten there too; what the store itself keeps of removed objects is sealed."""
    with object_store.opened():
        url = object_store.new_url()
        home = Home(tmp_path / "home", archive=url)
        (home.top / "backup").mkdir(mode=0o700)
        marked = home.mark()

        def objects_with(*planted: Planted) -> set[str]:
            place = place_at(url)
            objects = [place.read(each.name) or b"" for each in place.found()]
            assert len(objects) > 1
            return {each.kind for each in planted if any(each.value in data for data in objects)}

        assert objects_with(*marked.plain, *marked.sealed, marked.key) == {"sealed"}, "the search can find"
        home.live(KEPT_DAYS)
        assert home.trouble == [] and objects_with(*marked.plain, *marked.sealed, marked.key) == set()
        home.deployment.close()


def copy_of(home: Home) -> SqliteJournal:
    return sqlite.open(home.top / "backup" / "journal.sqlite", Durability.WAIVED)


def test_marked_keys_expire_and_are_nowhere(home: Home) -> None:
    """Case 40, over time: in plain nowhere from the first moment on, and sealed in copies only in the end."""
    marked = home.mark()
    assert home.found(*marked.plain) == {}
    assert home.found(*marked.sealed) == {"sealed": {"journal", "archive", "backup"}}, "the search can find"
    assert home.found(marked.key) == {"day key": {"keys"}}
    home.live(KEPT_DAYS)
    assert home.trouble == [] and home.found(*marked.plain, *marked.sealed, marked.key) == {"sealed": {"backup"}}

    journal, keys = home.deployment.journal, home.deployment.keys
    copy = copy_of(home)
    assert any(event.content for event in copy.read(0)) and opened(copy, keys) == 0, "what is left can't be opened"
    copy.close()
    saved = home.deployment.checkpoints.newest(journal.read)
    assert saved is not None and saved[0].reports.count == REPORTS and saved[0].keys[KeyKind.GAEN].count == 0
    assert verify(journal) == journal.tip()
    archived = [event for page in open_archive(home.deployment.settings.archive).read() for event in page]
    assert archived == journal.read(0)[: len(archived)] and len(archived) > REPORTS
    assert sum(event.content_digest != NO_DIGEST and event.content is None for event in archived) == REPORTS
    follower = Follower(keys)
    follower.catch_up(journal.read)
    assert follower.ledger.reports.count == REPORTS and marked.day in follower.ledger.erased_days
    assert marked.day not in exported(follower.ledger, keys, day_of(home.clock.at))
    home.site.performer.catch_up()
    assert home.site.track("marked 0") is Verdict.TOO_OLD


@pytest.mark.parametrize(
    ("spoilt", "left"),
    [
        ("key", {"sealed": {"backup"}, "day key": {"keys"}}),
        ("journal", {"sealed": {"backup", "journal"}}),
        ("log", {"sealed": {"backup", "journal"}}),
        ("archive", {"sealed": {"backup", "archive"}}),
    ],
)
def test_the_search_finds_what_a_step_leaves(
    home: Home, spoilt: str, left: dict[str, set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = home.mark()
    parts = {
        "key": (KeyFolder, "destroy_days"),
        "journal": (SqliteJournal, "erase"),
        "log": (SqliteJournal, "_empty_log"),
        "archive": (Archive, "erase"),
    }
    with monkeypatch.context() as patched:
        patched.setattr(*parts[spoilt], lambda *anything: 0)
        home.live(KEPT_DAYS)
        assert home.found(*marked.plain, *marked.sealed, marked.key) == left
    if spoilt == "key":
        copy = copy_of(home)
        assert opened(copy, home.deployment.keys) == REPORTS, "a key that is kept opens the copy"
        saved = home.deployment.checkpoints.newest(home.deployment.journal.read)
        assert saved is not None and saved[0].keys[KeyKind.GAEN].count == 3 * REPORTS, "and the checkpoint"
        copy.close()
