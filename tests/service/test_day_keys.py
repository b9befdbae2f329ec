"""Several machines have the same day keys, days before they are needed, or say so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sites import FixedClock, Site, loop_of
from tocsin.journal.content import day_key_fingerprint
from tocsin.model.calls import Verdict
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.times import DAY_SECONDS, Day, day_of
from tocsin.service.day_keys import DayKeeper, KeyState, days_lacking, exported, take
from tocsin.service.deployment import Deployment
from tocsin.service.follow import Follower
from tocsin.service.key_folder import DAYS_AHEAD, KeyFolder


class Second:
    """Another machine: the same journal, a key folder of its own without day keys."""

    def __init__(self, site: Site, clock: FixedClock) -> None:
        self.deployment = Deployment(site.top, clock)
        folder = site.top.parent / "second keys"
        (folder / "days").mkdir(parents=True, mode=0o700)
        (folder / "gaen").mkdir(mode=0o700)
        folder.chmod(0o700)
        for name in ("issuing-1", "head"):
            (folder / name).write_bytes((site.deployment.keys.folder / name).read_bytes())
            (folder / name).chmod(0o600)
        self.keys = self.deployment.keys = KeyFolder(folder)
        self.follower = Follower(self.keys)
        self.keeper = DayKeeper(self.deployment.journal, self.keys, clock, self.follower, makes=False)


@pytest.fixture
def second(site: Site, clock: FixedClock) -> Iterator[Second]:
    made = Second(site, clock)
    yield made
    made.deployment.close()


def maker(site: Site) -> Follower:
    """The follower of the machine that makes the keys, which has looked ahead."""
    follower = Follower(site.deployment.keys)
    DayKeeper(site.deployment.journal, site.deployment.keys, site.clock, follower, makes=True).look_ahead()
    return follower


def test_keys_are_named_before_they_are_needed(site: Site) -> None:
    ledger, today = maker(site).ledger, day_of(site.clock.at)
    keys = {day: site.deployment.keys.day_key(Day(day)) for day in range(today, today + DAYS_AHEAD + 1)}
    assert ledger.day_keys == {day: day_key_fingerprint(key or b"", Day(day)) for day, key in keys.items()}
    assert not days_lacking(ledger, site.deployment.keys, today)
    sequence = site.deployment.journal.tip().sequence
    maker(site)
    assert site.deployment.journal.tip().sequence == sequence, "once"


def test_a_machine_that_makes_none_gets_them(site: Site, second: Second, clock: FixedClock) -> None:
    today = day_of(clock.at)
    ledger = maker(site).ledger
    with pytest.raises(Unavailable, match=r"missing.*export.*503"):
        second.keeper.look_ahead()
    assert set(days_lacking(second.follower.ledger, second.keys, today).values()) == {KeyState.MISSING}
    for day, key in exported(ledger, site.deployment.keys, today).items():
        assert take(second.follower.ledger, second.keys, day, key)
        assert not take(second.follower.ledger, second.keys, day, key), "again: it is there"
    second.keeper.look_ahead()
    assert not days_lacking(second.follower.ledger, second.keys, today)
    site.report("ada", 0)
    second.follower.catch_up(second.deployment.journal.read)
    assert second.follower.ledger.reports["rows"].tolist() == [3]
    clock.wait(DAY_SECONDS)
    maker(site)
    second.keeper.look_ahead()
    assert list(days_lacking(second.follower.ledger, second.keys, Day(today + 1))) == [today + 1 + DAYS_AHEAD]


def test_another_key_than_the_journal_names_is_none(site: Site, second: Second, clock: FixedClock) -> None:
    """Nothing is sealed under it, and what it does not open is out of reach and not damaged."""
    today = day_of(clock.at)
    second.keys.put_day_key(today, bytes(range(32)))
    maker(site)
    site.report("ada", 0)
    performer = second.deployment.performer()
    site.performer, ours = performer, site.performer
    with pytest.raises(Unavailable, match="another one than the journal names"):
        site.report("ben", 1)
    with pytest.raises(Unavailable, match="another one in this key folder"):
        second.keeper.look_ahead()
    assert days_lacking(second.follower.ledger, second.keys, today)[today] is KeyState.OTHER
    assert second.follower.ledger.sealed_days == {today}
    right = site.deployment.keys.day_key(today)
    assert right is not None and take(second.follower.ledger, second.keys, today, right), "in the place of the other"
    site.report("ben", 1)
    site.performer = ours
    assert site.track("ben") is Verdict.TAKEN and not performer.ledger.sealed_days


def test_two_machines_that_make_keys_agree_on_those_of_the_first(site: Site, second: Second, clock: FixedClock) -> None:
    """A slip of the settings: the second one has wrong keys, and says so before anything is sealed under them."""
    today = day_of(clock.at)
    second.keys.make_days_ahead(today)
    maker(site)
    slip = DayKeeper(second.deployment.journal, second.keys, clock, second.follower, makes=True)
    with pytest.raises(Unavailable, match="another one"):
        slip.look_ahead()
    assert set(days_lacking(second.follower.ledger, second.keys, today).values()) == {KeyState.OTHER}
    clock.wait(DAY_SECONDS)
    maker(site)
    with pytest.raises(Unavailable):
        slip.look_ahead()
    assert not second.keys.has_day_key(Day(today + 1 + DAYS_AHEAD)), "none is made that another has named"


def test_what_is_not_taken(site: Site, second: Second, clock: FixedClock) -> None:
    today, ledger = day_of(clock.at), maker(site).ledger
    right = site.deployment.keys.day_key(today)
    assert right is not None
    unnamed = Day(today + DAYS_AHEAD + 1)
    take(ledger, second.keys, unnamed, right)
    ledger.erased_days.add(today - 20)
    for day, key, code in [
        (today, bytes(32), "other_day_key"),
        (Day(today - 20), bytes(32), "day_erased"),
        (unnamed, bytes(32), "other_day_key"),
    ]:
        with pytest.raises(Refused) as refusal:
            take(ledger, second.keys, day, key)
        assert refusal.value.code == code
    with pytest.raises(Invalid):
        take(ledger, second.keys, Day(unnamed + 1), bytes(31))
    assert second.keys.day_key(unnamed) == right


def test_the_loop_of_each_machine_sees_to_it(site: Site, second: Second, clock: FixedClock, tmp_path: Path) -> None:
    trouble: list[str | None] = []
    loop_of(site.deployment, site.deployment.publisher(), clock, trouble.append).round()
    assert trouble == [] and (site.deployment.keys.folder / "days" / str(day_of(clock.at) + DAYS_AHEAD)).exists()
