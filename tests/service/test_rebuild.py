"""A deployment that is lost comes back from the archive and the key folder, and the old one can do no more harm."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.sites import PROMPT, FixedClock, Site, report
from tocsin.formats.wire import decode_answer
from tocsin.journal import sqlite
from tocsin.journal.archive import Archive, make_archive, open_archive
from tocsin.journal.encoding import NewEvent, StoredEvent, decode_body, number_event
from tocsin.journal.port import PAGE_EVENTS, Broken, Durability, Tip
from tocsin.model.calls import Verdict
from tocsin.model.errors import Invalid, Refused, TocsinError, Unavailable
from tocsin.model.times import QUARTER_SECONDS, day_of, floor_quarter
from tocsin.publication.in_force import missing
from tocsin.publication.release import released
from tocsin.service.deployment import Deployment, head_verifier
from tocsin.service.perform import Arrival
from tocsin.service.rebuild import Rebuilt, rebuild
from tocsin.stores.place_folder import FolderPlace

STEP = 4 * 3600


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def site(tmp_path: Path, clock: FixedClock) -> Iterator[Site]:
    """The old deployment: reports of two days, a withdrawal, many versions, all of it archived."""
    site = Site(tmp_path / "old", clock, PROMPT)
    publisher = site.deployment.publisher()
    for serial in range(9):
        site.report(f"phone {serial}", serial)
        clock.wait(STEP)
        site.deployment.keys.make_days_ahead(day_of(clock.at))
        publisher.publish()
    site.withdraw("phone 1")
    clock.wait(QUARTER_SECONDS)
    publisher.publish()
    archive_all(site, tmp_path)
    yield site
    site.deployment.close()


def archive_all(site: Site, folder: Path, term: int = 1) -> Archive:
    archive = make_archive(FolderPlace(folder / "archive"))
    archive.append(site.deployment.journal.read(archive.tip().sequence), term)
    return archive


def opened(folder: Path) -> Archive:
    return open_archive(FolderPlace(folder / "archive"))


def rebuilt(site: Site, folder: Path, name: str = "new") -> Rebuilt:
    return rebuild(
        folder / name,
        lambda settings: opened(folder),
        site.top / "keys",
        site.top / "tocsin.toml",
        site.clock,
    )


def objects(top: Path) -> dict[str, bytes]:
    """What anybody is served of the deployment in `top`."""
    bucket = top / "bucket"
    files = (path for path in bucket.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(bucket)): path.read_bytes() for path in files}


def lacking(deployment: Deployment) -> list[str]:
    leaf = released(deployment.bucket, head_verifier(deployment.settings, deployment.keys)).leaf
    assert leaf is not None
    return missing(leaf, deployment.bucket)


def test_everything_comes_back(site: Site, tmp_path: Path) -> None:
    told = rebuilt(site, tmp_path)
    old, new = site.deployment, Deployment(tmp_path / "new", site.clock)
    assert told.unfinished is None
    assert new.journal.read(0) == old.journal.read(0)
    claims = [claim for event in old.journal.read(0) for claim in event.claims]
    assert new.journal.holders(claims) == old.journal.holders(claims)
    assert new.journal.tip().term == opened(tmp_path).tip().term == 2
    was, now = objects(site.top), objects(tmp_path / "new")
    assert now.items() <= was.items() and now["v1/head"] == was["v1/head"]
    assert lacking(new) == [] and now["v1/utopia/gaen/index.txt"] == was["v1/utopia/gaen/index.txt"]
    for name in ("tocsin.toml", "trust.json"):
        assert (tmp_path / "new" / name).read_bytes() == (site.top / name).read_bytes()
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "new" / "keys").rglob("*")}
    assert modes == {0}
    new.close()


def test_life_goes_on(site: Site, tmp_path: Path) -> None:
    """An old card is good, a used one is not; who reported before can look and take back."""
    rebuilt(site, tmp_path)
    new = Deployment(tmp_path / "new", site.clock)
    site.performer = new.performer()
    site.report("ida", 50)
    spent = report("eve", site.cards[0], 3, site.clock.now())
    [answer] = site.performer.answer([Arrival(spent.body, floor_quarter(site.clock.now()))])
    assert decode_answer(answer).verdict is Verdict.CODE_SPENT
    assert site.track("phone 0") is Verdict.TAKEN
    assert site.withdraw("phone 0") is Verdict.WITHDRAWN
    site.clock.wait(QUARTER_SECONDS)
    newest = released(site.deployment.bucket, head_verifier(new.settings, new.keys)).version
    assert new.publisher().publish() == newest + 1
    leaf = released(new.bucket, head_verifier(new.settings, new.keys)).leaf
    assert leaf is not None and leaf.term == 2
    new.close()


class Kept:
    """An archive that holds what a test puts there."""

    def __init__(self, events: Sequence[StoredEvent], term: int = 1) -> None:
        self.events = list(events)
        self.term = term
        self.late: list[StoredEvent] = []
        """What somebody archives right before the term is raised."""

    def tip(self) -> Tip:
        last = self.events[-1]
        return Tip(last.sequence, last.digest, last.recorded_at, self.term)

    def read(self, after: int = 0) -> Iterator[list[StoredEvent]]:
        wanted = [event for event in self.events if event.sequence > after]
        for at in range(0, len(wanted), 7):
            yield wanted[at : at + 7]

    def raise_term(self, term: int) -> None:
        self.events += self.late
        self.term = max(self.term, term)


def refused(site: Site, folder: Path, archive: Kept, error: type[TocsinError], keys: Path | None = None) -> TocsinError:
    """Why a rebuild is refused; nothing is left of it, and the term is as it was."""
    before = archive.term
    with pytest.raises(error) as why:
        rebuild(
            folder / "new", lambda settings: archive, keys or site.top / "keys", site.top / "tocsin.toml", site.clock
        )
    assert not (folder / "new").exists()
    assert archive.term == before
    return why.value


def test_a_gap_and_a_broken_chain_are_named(site: Site, tmp_path: Path) -> None:
    events = site.deployment.journal.read(0)
    gap = refused(site, tmp_path, Kept(events[:9] + events[10:]), Broken)
    assert isinstance(gap, Broken) and gap.sequence == 10
    changed = replace(events[11], recorded_at=events[11].recorded_at + QUARTER_SECONDS)
    broken = refused(site, tmp_path, Kept([*events[:11], changed, *events[12:]]), Broken)
    assert isinstance(broken, Broken) and broken.sequence == 12
    replayed = number_event(
        NewEvent(decode_body(events[5].kind, events[5].body), events[5].content, events[5].claims),
        events[-1].digest,
        events[-1].sequence + 1,
        events[-1].recorded_at,
    )
    with pytest.raises(Broken) as twice:  # the chain holds; only the index of claims shows it
        rebuild(
            tmp_path / "new",
            lambda settings: Kept([*events, replayed]),
            site.top / "keys",
            site.top / "tocsin.toml",
            site.clock,
        )
    assert twice.value.sequence == len(events) + 1 and not (tmp_path / "new").exists()


@pytest.mark.parametrize("part", ["days", "issuing-1", "head"])
def test_keys_of_another_deployment_are_refused(site: Site, tmp_path: Path, part: str) -> None:
    """Each kind of key, alone: what it would do is different, and as bad. The head's shows where the bucket is left."""
    other = Site(tmp_path / "other", FixedClock(), PROMPT)
    keys = shutil.copytree(site.top / "keys", tmp_path / "keys")
    for path in (keys / part).glob("*") if part == "days" else [keys / part]:
        if (found := other.top / "keys" / path.relative_to(keys)).exists():
            path.write_bytes(found.read_bytes())
    archive = Kept(site.deployment.journal.read(0))
    if part == "head":
        shutil.copytree(site.top / "bucket", tmp_path / "new" / "bucket")
        with pytest.raises(Refused) as why:
            rebuild(tmp_path / "new", lambda settings: archive, keys, site.top / "tocsin.toml", site.clock)
        assert archive.term == 1 and [path.name for path in (tmp_path / "new").iterdir()] == ["bucket"]
        assert why.value.code == "keys_do_not_fit"
        shutil.rmtree(tmp_path / "new" / "bucket")
        shutil.copy(site.top / "trust.json", tmp_path / "new")  # or where the trust file is
        with pytest.raises(Refused) as why:
            rebuild(tmp_path / "new", lambda settings: archive, keys, site.top / "tocsin.toml", site.clock)
    else:
        why_not = refused(site, tmp_path, archive, Refused, keys)
        assert isinstance(why_not, Refused) and why_not.code == "keys_do_not_fit"
    other.deployment.close()


def test_a_lost_day_key_is_no_erasure(site: Site, tmp_path: Path) -> None:
    keys = shutil.copytree(site.top / "keys", tmp_path / "keys")
    (keys / "days" / str(day_of(site.clock.at))).unlink()
    assert "missing from the key folder" in str(
        refused(site, tmp_path, Kept(site.deployment.journal.read(0)), Unavailable, keys)
    )


def test_keys_that_others_can_read_are_refused(site: Site, tmp_path: Path) -> None:
    keys = shutil.copytree(site.top / "keys", tmp_path / "keys")
    (keys / "head").chmod(0o644)
    why = refused(site, tmp_path, Kept(site.deployment.journal.read(0)), Refused, keys)
    assert isinstance(why, Refused) and why.code == "loose_modes"


def test_a_folder_in_use_is_left_alone(site: Site, tmp_path: Path) -> None:
    rebuilt(site, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "new").rglob("*") if path.is_file()}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    for name in ("new", "mine"):
        with pytest.raises(Refused) as why:
            rebuilt(site, tmp_path, name)
        assert why.value.code == "not_empty"
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert {path: at for path, at in after.items() if path.suffix != ".sqlite-shm"} == before
    assert opened(tmp_path).tip().term == 2


def test_an_archive_that_is_behind_the_public_head_is_refused(site: Site, tmp_path: Path) -> None:
    """An older copy of it: phones hold a version that it does not know."""
    shutil.copytree(site.top / "bucket", tmp_path / "new" / "bucket")
    archive = Kept(site.deployment.journal.read(0)[:-2])
    with pytest.raises(Invalid, match="older copy"):
        rebuild(tmp_path / "new", lambda settings: archive, site.top / "keys", site.top / "tocsin.toml", site.clock)
    assert archive.term == 1


class Vanishing(Kept):
    """An archive that is gone in the middle of being read."""

    def read(self, after: int = 0) -> Iterator[list[StoredEvent]]:
        yield next(super().read(after))
        raise Unavailable("the archive is away")


def test_an_archive_that_is_gone_in_the_middle_leaves_nothing_behind(site: Site, tmp_path: Path) -> None:
    refused(site, tmp_path, Vanishing(site.deployment.journal.read(0)), Unavailable)
    rebuilt(site, tmp_path)


class Fenceless(Kept):
    """An archive that can be read, and whose term nobody can raise now."""

    def raise_term(self, term: int) -> None:
        raise Unavailable("the archive is away")


def test_what_does_not_stop_the_old_primary_is_no_rebuild(site: Site, tmp_path: Path) -> None:
    refused(site, tmp_path, Fenceless(site.deployment.journal.read(0)), Unavailable)


def test_what_is_left_is_taken_over(site: Site, tmp_path: Path) -> None:
    """The public files survived, with a head of a higher term than the archive says; settings were put there."""
    new = tmp_path / "new"
    shutil.copytree(site.top / "bucket", new / "bucket")
    shutil.copy(site.top / "tocsin.toml", new)
    before = objects(site.top)
    rebuild(new, lambda settings: opened(tmp_path), site.top / "keys", None, site.clock)
    assert objects(new) == before
    with pytest.raises(Refused, match="settings"):
        rebuild(tmp_path / "third", lambda settings: opened(tmp_path), site.top / "keys", None, site.clock)
    assert not (tmp_path / "third").exists()


def test_what_is_archived_until_the_term_is_raised_comes_along(site: Site, tmp_path: Path) -> None:
    events = site.deployment.journal.read(0)
    archive = Kept(events[:-3])
    archive.late = events[-3:]
    told = rebuild(tmp_path / "new", lambda settings: archive, site.top / "keys", site.top / "tocsin.toml", site.clock)
    assert (told.tip.sequence, told.tip.digest, told.tip.term) == (len(events), events[-1].digest, 2)


def test_a_second_rebuild_has_a_higher_term_still(site: Site, tmp_path: Path) -> None:
    assert rebuilt(site, tmp_path).tip.term == 2
    assert rebuilt(site, tmp_path, "newer").tip.term == 3


# --- the old primary that nobody stopped ------------------------------------------------------------------------------


def test_the_old_primary_archives_nothing_any_more(site: Site, tmp_path: Path) -> None:
    rebuilt(site, tmp_path)
    site.report("ida", 50)
    with pytest.raises(Refused) as why:
        archive_all(site, tmp_path)
    assert why.value.code == "old_term"


def test_the_old_primary_puts_out_nothing_over_the_new_head(site: Site, tmp_path: Path) -> None:
    """Both share the public files; the new one has put out its first version."""
    rebuilt(site, tmp_path)
    new = Deployment(tmp_path / "new", site.clock)
    new.bucket = site.deployment.bucket
    site.clock.wait(QUARTER_SECONDS)
    new.publisher().publish()
    head = objects(site.top)["v1/head"]
    site.report("ida", 50)
    site.clock.wait(QUARTER_SECONDS)
    with pytest.raises(Invalid):  # the new one's version is none of its journal's
        site.deployment.publisher().publish()
    assert objects(site.top)["v1/head"] == head
    new.close()


def test_the_old_primary_puts_out_nothing_in_a_bucket_of_its_own(site: Site, tmp_path: Path) -> None:
    """Nothing that it reads there tells of the new one: the archive does."""
    rebuilt(site, tmp_path)
    old = site.with_archive(str(tmp_path / "archive"))
    before = objects(site.top)
    site.report("ida", 50)
    site.clock.wait(QUARTER_SECONDS)
    with pytest.raises(Refused) as why:
        old.publisher().publish()
    assert why.value.code == "old_term" and objects(site.top)["v1/head"] == before["v1/head"]
    assert opened(tmp_path).tip().term == 2


# --- erased days ------------------------------------------------------------------------------------------------------


def test_files_of_which_keys_are_erased_are_told(tmp_path: Path, clock: FixedClock) -> None:
    """Five weeks: what is in force comes back identical, though many of its days are erased."""
    site = Site(tmp_path / "old", clock, PROMPT)
    publisher = site.deployment.publisher()
    for serial in range(36):
        site.deployment.keys.make_days_ahead(day_of(clock.at))
        site.report(f"phone {serial}", serial)
        for _ in range(6):
            clock.wait(STEP)
            publisher.publish()
    for day in range(day_of(clock.at) - 17, day_of(clock.at) - 40, -1):
        (site.top / "keys" / "days" / str(day)).unlink(missing_ok=True)
    archive_all(site, tmp_path)
    told = rebuilt(site, tmp_path)
    new = Deployment(tmp_path / "new", site.clock)
    was, now = objects(site.top), objects(tmp_path / "new")
    assert now.items() <= was.items() and now["v1/head"] == was["v1/head"]
    assert now["v1/utopia/gaen/index.txt"] == was["v1/utopia/gaen/index.txt"]
    assert lacking(new) == [] and told.unfinished is None
    new.close()
    site.deployment.close()


def test_a_version_that_is_erased_is_told_and_the_next_one_takes_its_place(site: Site, tmp_path: Path) -> None:
    """Everything stood still for twenty days."""
    site.clock.wait(20 * 86_400)
    for path in (site.top / "keys" / "days").iterdir():
        if int(path.name) < day_of(site.clock.at) - 16:
            path.unlink()
    today = day_of(site.clock.at)
    told = rebuild(
        tmp_path / "new",
        lambda settings: opened(tmp_path),
        site.top / "keys",
        site.top / "tocsin.toml",
        site.clock,
        today,
    )
    assert told.unfinished is not None and "takes its place" in told.unfinished
    new = Deployment(tmp_path / "new", site.clock, today)
    with pytest.raises(Unavailable, match="can't be made again"):  # the deltas of then, by name
        new.publisher().publish()
    assert released(new.bucket, head_verifier(new.settings, new.keys)).version == told.version + 1
    assert {name.split("/")[2] for name in lacking(new)} == {"gaen"}
    new.close()


def test_a_journal_into_which_nothing_came_is_not_served(site: Site, tmp_path: Path) -> None:
    """What a rebuild leaves that is killed: nothing may be recorded in it."""
    top = shutil.copytree(site.top, tmp_path / "half")
    shutil.rmtree(top / "journal")
    (top / "journal").mkdir(mode=0o700)
    sqlite.create(top / "journal" / "journal.sqlite", durability=Durability.WAIVED).close()
    with pytest.raises(Invalid, match="empty"):
        Deployment(top, site.clock)


def test_the_journal_is_read_once(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After it is loaded: what earlier versions made is made on the way, and not by a second reading of everything."""
    begun: list[int] = []
    read = sqlite.SqliteJournal.read

    def counted(journal: sqlite.SqliteJournal, after: int, limit: int = PAGE_EVENTS) -> list[StoredEvent]:
        if limit > 1:  # the founding event alone is looked at besides
            begun.append(after)
        return read(journal, after, limit)

    monkeypatch.setattr(sqlite.SqliteJournal, "read", counted)
    rebuilt(site, tmp_path)
    assert begun.count(0) == 1
    with closing(Deployment(tmp_path / "new", site.clock)) as new:
        assert lacking(new) == []
