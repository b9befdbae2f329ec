"""What is due is erased on every machine, at its time and not before, whatever breaks off in between."""

import shutil

import pytest

from tests.sites import FixedClock, Site, loop_of
from tocsin.journal.sqlite import SqliteJournal
from tocsin.journal.verify import verify
from tocsin.ledger.state import Ledger
from tocsin.model.calls import Verdict
from tocsin.model.errors import Unavailable
from tocsin.model.events import Erased
from tocsin.model.times import DAY_SECONDS, KEPT_DAYS, QUARTER_SECONDS, Day, day_of
from tocsin.service.deployment import Deployment
from tocsin.service.erase import Eraser
from tocsin.service.follow import Follower

DUE_SECONDS = KEPT_DAYS * DAY_SECONDS


class Machine:
    """A deployment whose publisher goes round, day after day."""

    def __init__(self, deployment: Deployment, clock: FixedClock) -> None:
        self.deployment = deployment
        self.trouble: list[str | None] = []
        self.publisher = deployment.publisher()
        self.loop = loop_of(deployment, self.publisher, clock, self.trouble.append)
        self.clock = clock

    @property
    def ledger(self) -> Ledger:
        return self.publisher.ledger

    def live(self, seconds: int) -> None:
        """Time passes: a round a day, and one at the end."""
        until = self.clock.at + seconds
        while self.clock.at < until:
            self.clock.at = min(self.clock.at + DAY_SECONDS, until)
            self.loop.round()

    def has_content(self) -> list[Day]:
        """The days of which the journal holds content, a row each."""
        return [Day(int.from_bytes(e.content[:4])) for e in self.deployment.journal.read(0) if e.content is not None]


@pytest.fixture
def machine(site: Site, clock: FixedClock) -> Machine:
    return Machine(site.deployment, clock)


def first_day(site: Site) -> Day:
    return day_of(site.clock.at)


def test_a_day_is_erased_at_its_time_and_not_before(site: Site, machine: Machine) -> None:
    day, keys = first_day(site), site.deployment.keys
    site.report("ada", 0)
    site.clock.wait(-(site.clock.at % DAY_SECONDS) + QUARTER_SECONDS * 40)
    machine.live(DUE_SECONDS - 41 * QUARTER_SECONDS)  # 23:45 of day + 15
    assert keys.has_day_key(day) and machine.has_content() == [day] and not machine.ledger.erased_days
    machine.live(QUARTER_SECONDS)  # 00:00 of day + 16
    assert not keys.has_day_key(day) and machine.has_content() == []
    assert machine.ledger.erased_days == {day} and machine.trouble == []
    assert verify(site.deployment.journal) == site.deployment.journal.tip()
    assert site.track("ada") is Verdict.TOO_OLD
    assert not list((site.deployment.keys.folder / "days").glob(f"*{day}*"))


def test_nothing_is_erased_before_a_version_of_its_time_is_out(
    site: Site, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = first_day(site)
    machine.live(DUE_SECONDS - DAY_SECONDS)

    def fail() -> int:
        raise Unavailable("the bucket is away")

    with monkeypatch.context() as patched:
        patched.setattr(machine.publisher, "publish", fail)
        machine.live(3 * DAY_SECONDS)
        assert not machine.ledger.erased_days and site.deployment.keys.has_day_key(day)
    machine.loop.round()
    assert machine.ledger.erased_days == {day}


def test_after_an_absence_one_day_a_round_is_erased(site: Site, machine: Machine) -> None:
    day = first_day(site)
    machine.loop.round()
    site.clock.wait(DUE_SECONDS + 2 * DAY_SECONDS)
    for erased in range(1, 5):
        machine.loop.round()
        assert machine.ledger.erased_days == {day + number for number in range(min(erased, 3))}


def test_two_machines_at_the_same_second_erase_a_day_once(site: Site, machine: Machine, clock: FixedClock) -> None:
    """Case 53. Both have the key, and both destroy it; the other finds nothing to append."""
    copy = site.top.parent / "other keys"
    shutil.copytree(site.deployment.keys.folder, copy, copy_function=shutil.copy2)
    other = Deployment(site.top, clock)
    other.keys = type(other.keys)(copy)
    second = Machine(other, clock)
    site.report("ada", 0)
    day = first_day(site)
    machine.live(DUE_SECONDS - DAY_SECONDS)
    clock.wait(DAY_SECONDS)
    for each in (machine, second):
        each.publisher.publish()
    for each in (machine, second):  # both found it due before either appended
        eraser = Eraser(each.deployment.journal, each.deployment.keys, clock, each.publisher.follower)
        eraser.erase(each.ledger.version)
        assert not each.deployment.keys.has_day_key(day)
    follower = Follower(site.deployment.keys)
    bodies = [event.body for event in follower.follow(site.deployment.journal.read)]
    assert [body for body in bodies if isinstance(body, Erased)] == [Erased(day)]
    other.close()


class Crash(Exception):
    pass


@pytest.mark.parametrize("step", ["append", "destroy", "journal", "archive"])
def test_what_breaks_off_is_finished_by_the_next_process(
    site: Site, clock: FixedClock, machine: Machine, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash right before each step, and a new process."""
    day, archived = first_day(site), [first_day(site)]
    site.report("ada", 0)
    machine.live(DUE_SECONDS - DAY_SECONDS)
    clock.wait(DAY_SECONDS)
    machine.publisher.publish()
    parts = {"destroy": (type(site.deployment.keys), "destroy_days"), "journal": (SqliteJournal, "erase")}

    def crash(*anything: object) -> None:
        raise Crash

    def eraser(archive_fails: bool) -> Eraser:
        deployment, follower = site.deployment, Follower(site.deployment.keys)
        follower.catch_up(deployment.journal.read)
        archive = crash if archive_fails else archived.remove
        return Eraser(deployment.journal, deployment.keys, clock, follower, (archive,))

    with monkeypatch.context() as patched, pytest.raises(Crash):
        if step in parts:
            patched.setattr(*parts[step], crash)
        before = eraser(step == "archive")
        if step == "append":
            patched.setattr(before._follower, "catch_up", crash)
        before.erase(machine.ledger.version)
    again = eraser(archive_fails=False)
    again.erase(machine.ledger.version)
    assert not site.deployment.keys.has_day_key(day) and machine.has_content() == [] and archived == []
    again.erase(machine.ledger.version)  # and nothing is left to do: the archive would say so


def test_what_can_t_be_done_keeps_nothing_else_from_being_done(site: Site, clock: FixedClock, machine: Machine) -> None:
    """An archive that is away; the keys of later days are destroyed at their time all the same."""
    site.report("ada", 0)
    day, tried, deployment = first_day(site), list[Day](), site.deployment

    def away(day: Day) -> None:
        tried.append(day)
        raise Unavailable("the archive is away")

    eraser = Eraser(deployment.journal, deployment.keys, clock, machine.publisher.follower, (away,))
    machine.live(DUE_SECONDS - DAY_SECONDS)
    for _ in range(2):
        clock.wait(DAY_SECONDS)
        version = machine.publisher.publish()
        with pytest.raises(Unavailable, match="archive"):
            eraser.erase(version)
    assert machine.ledger.erased_days == {day, day + 1} and tried == [day, day, day + 1]
    assert machine.has_content() == []
    assert not any(deployment.keys.has_day_key(Day(day + number)) for number in range(2))


def test_a_key_that_comes_back_from_a_backup_is_destroyed_again(site: Site, machine: Machine) -> None:
    """And a clock that was set back makes none for a day that is erased."""
    day, keys = first_day(site), site.deployment.keys
    backup = (keys.folder / "days" / str(day)).read_bytes()
    site.report("ada", 0)
    machine.live(DUE_SECONDS)
    assert not keys.has_day_key(day)
    keys.put_day_key(day, backup)
    machine.loop.round()
    assert not keys.has_day_key(day)
    for made in list((keys.folder / "days").iterdir()):
        made.unlink()
    keys.make_days_ahead(day, machine.ledger.erased_days)
    assert not keys.has_day_key(day) and keys.has_day_key(Day(day + 1))


def test_the_ledgers_of_a_running_server_forget(site: Site, machine: Machine) -> None:
    site.report("ada", 0)
    machine.live(DUE_SECONDS)
    site.performer.catch_up()
    for ledger in (machine.ledger, site.performer.ledger):
        assert all(keys.count == 0 for keys in ledger.keys.values()) and not ledger.reports["sent"].tobytes().strip(
            b"\0"
        )
