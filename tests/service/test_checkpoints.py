"""Checkpoints: a start begins with the newest that is right, and never with one that is not; they spare time only."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.alike import state
from tests.sites import FixedClock, Site, drawn
from tocsin.journal.encoding import StoredEvent
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Unavailable
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, day_of
from tocsin.service import checkpoint_file, checkpoints
from tocsin.service.checkpoints import Checkpoints
from tocsin.service.deployment import Deployment
from tocsin.service.follow import Follower
from tocsin.service.key_folder import KeyFolder


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Reports of two days, of which one is withdrawn, and a version."""
    made = Site(tmp_path / "site", FixedClock())
    made.report("phone 0", 0)
    made.clock.wait(DAY_SECONDS)
    made.deployment.keys.make_days_ahead(day_of(made.clock.at))
    made.report("phone 1", 1)
    made.report("phone 2", 2)
    made.deployment.publisher().publish()
    made.withdraw("phone 1")
    made.performer.catch_up()
    yield made
    made.deployment.close()


def written(site: Site) -> Path:
    """The file of a checkpoint of all there is by now."""
    follower = site.performer.follower
    follower.catch_up(site.deployment.journal.read)
    site.deployment.checkpoints.write(follower.ledger, follower.tip)
    return max(site.deployment.folders.checkpoints.glob("0*"))


class Begun:
    """A start of this deployment: the ledger it leads to, and what it has read of the journal."""

    def __init__(self, deployment: Deployment) -> None:
        self._journal = deployment.journal
        self.read_from: list[int] = []
        follower = Follower(_anew(deployment), Checkpoints(deployment.folders.checkpoints, _anew(deployment)).newest)
        follower.catch_up(self._read)
        self.ledger = follower.ledger

    def _read(self, after: int) -> list[StoredEvent]:
        self.read_from.append(after)
        return self._journal.read(after)


def _anew(deployment: Deployment) -> KeyFolder:
    """The keys that are in the folder at this moment, none from before."""
    return KeyFolder(deployment.folders.keys)


def folded(deployment: Deployment) -> Ledger:
    """The ledger, read from event 1 on."""
    follower = Follower(_anew(deployment))
    follower.catch_up(deployment.journal.read)
    return follower.ledger


def test_a_start_reads_what_came_behind_the_newest(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    at = site.performer.ledger.sequence
    written(site)
    site.report("phone 3", 3)
    site.withdraw("phone 2")
    begun = Begun(site.deployment)
    assert state(begun.ledger) == state(folded(site.deployment))
    assert min(begun.read_from) == at - 1, "the last event alone is looked at again"
    assert not caplog.records


def test_a_twin(site: Site) -> None:
    """Of a follower that has read the journal a copy; of one that began with a checkpoint one that does so itself."""
    read, whole = site.deployment.journal.read, folded(site.deployment)
    assert state(site.performer.follower.twin().ledger) == state(whole)
    written(site)
    begun = site.deployment.follower()
    begun.catch_up(read)
    twin = begun.twin()
    assert twin.tip.sequence == 0
    twin.catch_up(read)
    assert state(twin.ledger) == state(begun.ledger) == state(whole)


def test_nothing_of_a_report_stands_in_it_in_plain(site: Site) -> None:
    plain = written(site).read_bytes()
    assert site.deployment.folders.checkpoints.stat().st_mode & 0o777 == 0o700
    assert drawn("phone 0 1", 16) not in plain and drawn("phone 2 3", 16) not in plain
    keys = site.performer.ledger.keys.values()
    assert not any(record["key_data"].tobytes() in plain for table in keys for record in table["record"])


def test_every_byte_counts(site: Site) -> None:
    """Whatever is changed or cut off, it is passed over."""
    path = written(site)
    whole = path.read_bytes()
    saved, read = Checkpoints(path.parent, site.deployment.keys), site.deployment.journal.read
    assert saved.newest(read) is not None
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        assert saved.newest(read) is None, place
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert saved.newest(read) is None, length
    path.write_bytes(whole + b"\0")
    assert saved.newest(read) is None


def test_an_older_one_takes_the_place_of_a_damaged_one(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    older = written(site)
    site.report("phone 3", 3)
    newer = written(site)
    newer.write_bytes(newer.read_bytes()[:-1])
    begun = Begun(site.deployment)
    assert state(begun.ledger) == state(folded(site.deployment))
    assert min(begun.read_from) == int(older.stem) - 1
    [warning] = caplog.records
    assert str(newer) in warning.getMessage() and warning.levelno == logging.WARNING


def test_one_of_another_deployment(site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = Site(tmp_path / "other", FixedClock())
    for serial in range(4):
        other.report(f"phone {serial}", serial)
    theirs, ours = written(other), site.deployment.folders.checkpoints
    ours.mkdir()
    shutil.copy(theirs, ours / theirs.name)
    assert state(Begun(site.deployment).ledger) == state(folded(site.deployment))
    assert "another journal" in caplog.text
    other.deployment.close()


def test_one_that_somebody_made_without_our_keys(site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of our own journal, which whoever has the disk can read; but sealed under keys of his own."""
    other = Site(tmp_path / "other", FixedClock())
    follower = site.performer.follower
    forger = Checkpoints(site.deployment.folders.checkpoints, other.deployment.keys)
    forged = follower.ledger.copy()
    forged.paused = True
    forger.write(forged, follower.tip)
    assert not Begun(site.deployment).ledger.paused
    assert "does not open" in caplog.text
    other.deployment.close()


@pytest.mark.parametrize("newer", ["layout", "version"])
def test_one_of_another_version(
    site: Site, newer: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        if newer == "layout":
            patched.setattr(checkpoint_file, "LAYOUT", checkpoint_file.LAYOUT + 1)
        else:
            patched.setattr(checkpoint_file, "__version__", "99.0.0")
        if newer == "version":
            patched.setattr(checkpoints, "__version__", "99.0.0")
        path = written(site)
    begun = Begun(site.deployment)
    assert min(begun.read_from) == 0 and state(begun.ledger) == state(folded(site.deployment))
    assert str(path) in caplog.text


def test_a_journal_set_back(site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The checkpoint knows more than the journal: it is not believed more."""
    folder = site.deployment.folders.journal.parent
    shutil.copytree(folder, tmp_path / "before")
    site.report("phone 3", 3)
    written(site)
    site.deployment.close()
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "before", folder)
    back = Deployment(site.top, site.clock)
    assert state(Begun(back).ledger) == state(folded(back))
    assert "later state" in caplog.text
    back.close()


def test_a_day_key_that_is_lost_and_found(site: Site) -> None:
    """As where the journal is read anew: nothing is done until it is back, and then everything is there."""
    written(site)
    key = site.deployment.folders.keys / "days" / str(day_of(site.clock.at))
    away = key.rename(key.with_name("away"))
    begun = Begun(site.deployment)
    assert begun.ledger.sealed_days == {day_of(site.clock.at)} == folded(site.deployment).sealed_days
    assert begun.ledger.reports["erased"].tolist() == [False, True, True]
    keys = _anew(site.deployment)
    follower = Follower(keys, Checkpoints(site.deployment.folders.checkpoints, keys).newest)
    follower.catch_up(site.deployment.journal.read)
    with pytest.raises(Unavailable, match="missing from the key folder"):
        follower.refuse_lost_keys(site.clock.now())
    away.rename(key)
    follower.catch_up(site.deployment.journal.read)
    assert state(follower.ledger) == state(folded(site.deployment))


def test_one_that_was_written_while_a_key_was_away(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    key = site.deployment.folders.keys / "days" / str(day_of(site.clock.at))
    away = key.rename(key.with_name("away"))
    keys = _anew(site.deployment)
    follower = Follower(keys)
    follower.catch_up(site.deployment.journal.read)
    Checkpoints(site.deployment.folders.checkpoints, keys).write(follower.ledger, follower.tip)
    away.rename(key)
    assert state(Begun(site.deployment).ledger) == state(folded(site.deployment))
    assert "a day key was away" in caplog.text


def test_at_most_two_are_kept(site: Site) -> None:
    folder = site.deployment.folders.checkpoints
    names = []
    for serial in range(3, 7):
        site.report(f"phone {serial}", serial)
        names.append(written(site).name)
        (folder / f".{names[-1]}").write_bytes(b"half of one, left by a process that was killed")
    (folder / "a note").write_bytes(b"somebody's own")
    site.report("phone 7", 7)
    names.append(written(site).name)
    assert {path.name for path in folder.iterdir()} == {*names[-2:], "a note"}


def test_when_one_is_due(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once many events came, at most one a quarter-hour, and when a day is gone that the newest has."""
    monkeypatch.setattr(checkpoints, "EVENTS_BEHIND", 5)
    follower, read, saved = site.deployment.follower(), site.deployment.journal.read, site.deployment.checkpoints

    def names() -> list[int]:
        follower.catch_up(read)
        saved.keep_up(follower)
        return sorted(int(path.stem) for path in site.deployment.folders.checkpoints.glob("*"))

    first = site.performer.ledger.sequence
    assert names() == [first] == names()
    for serial in range(3, 8):
        site.report(f"phone {serial}", serial)
    assert names() == [first], "of the same quarter-hour"
    site.clock.wait(QUARTER_SECONDS)
    site.withdraw("phone 3")
    assert names() == [first, first + 6]
    site.clock.wait(QUARTER_SECONDS)
    site.withdraw("phone 4")
    assert names() == [first, first + 6], "a single event behind"


def test_a_disk_that_says_no_is_a_warning(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(checkpoints, "EVENTS_BEHIND", 1)
    site.deployment.folders.checkpoints.write_bytes(b"a file where the folder should be")
    follower = site.deployment.follower()
    follower.catch_up(site.deployment.journal.read)
    site.deployment.checkpoints.keep_up(follower)
    assert "can't be written" in caplog.text and str(site.deployment.folders.checkpoints) in caplog.text
