"""A clock held against the journal's last event: behind it, far ahead of it, and a person who names the date."""

import pytest

from tests.sites import MORNING, FixedClock, Site
from tocsin.client.calls import decoy_call
from tocsin.journal.port import MAX_CLOCK_LAG_SECONDS
from tocsin.model.calls import Verdict
from tocsin.model.errors import Unavailable
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, Day, day_of
from tocsin.service.deployment import Deployment
from tocsin.service.held_clock import MAX_LEAD_SECONDS, HeldClock

YEAR_SECONDS = 365 * DAY_SECONDS


@pytest.mark.parametrize("by", [0, 1, -1, -MAX_CLOCK_LAG_SECONDS, MAX_LEAD_SECONDS])
def test_a_clock_within_reason_is_believed(site: Site, clock: FixedClock, by: int) -> None:
    clock.at = MORNING + by
    assert site.deployment.held_clock.now() == MORNING + by


@pytest.mark.parametrize("by", [-MAX_CLOCK_LAG_SECONDS - 1, -QUARTER_SECONDS, -DAY_SECONDS, -YEAR_SECONDS, -MORNING])
def test_a_clock_behind_the_journal_records_nothing_until_it_is_right(site: Site, clock: FixedClock, by: int) -> None:
    """The message has the date to compare with, and both readings; nobody can order it away."""
    clock.at = MORNING + by
    told = HeldClock(clock, site.deployment.journal, day_of(clock.at))
    for held in (site.deployment.held_clock, told):
        with pytest.raises(
            Unavailable, match=r"behind the journal.* 2026-02-16 09:00 UTC: set it right; if it is right"
        ):
            held.now()
    before = site.deployment.journal.tip()
    for work in (lambda: site.answer(decoy_call()), site.deployment.publisher().publish):
        with pytest.raises(Unavailable, match="behind"):
            work()
    assert site.deployment.journal.tip() == before
    clock.at = MORNING - MAX_CLOCK_LAG_SECONDS
    assert site.answer(decoy_call()).verdict is Verdict.NOTED


@pytest.mark.parametrize("by", [MAX_LEAD_SECONDS + 1, YEAR_SECONDS, 10**10, 10**15])
def test_a_clock_far_ahead_records_nothing_until_it_is_right(site: Site, clock: FixedClock, by: int) -> None:
    clock.at = MORNING + by
    before = site.deployment.journal.tip()
    for work in (lambda: site.answer(decoy_call()), lambda: site.track("x"), site.deployment.publisher().publish):
        with pytest.raises(Unavailable, match=r"days ahead of the journal.* 2026-02-16 09:00 UTC: .*--today DATE"):
            work()
    assert site.deployment.journal.tip() == before
    clock.at = MORNING
    assert site.answer(decoy_call()).verdict is Verdict.NOTED


@pytest.mark.parametrize(("named", "believed"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_the_date_that_a_person_names_must_be_the_clocks(
    site: Site, clock: FixedClock, named: int, believed: bool
) -> None:
    """The day before or after is taken for the same: where that person is it may be so."""
    clock.at = MORNING + 30 * DAY_SECONDS
    today = Day(day_of(clock.at) + named)
    again = Deployment(site.top, clock, today)
    if believed:
        assert again.publisher().publish() == 1
        assert site.deployment.held_clock.now() == clock.at, "from now on everybody believes it"
    else:
        with pytest.raises(Unavailable, match="ahead"):
            again.publisher().publish()
    again.close()


def test_a_date_that_stays_in_a_unit_file_is_no_standing_permission(site: Site, clock: FixedClock) -> None:
    today = day_of(clock.at)
    again = Deployment(site.top, clock, today)
    clock.at += YEAR_SECONDS
    with pytest.raises(Unavailable, match="365 days ahead"):
        again.publisher().publish()
    again.close()


def test_a_site_that_runs_is_never_in_doubt(site: Site, clock: FixedClock) -> None:
    """Each version is an event: a month without one report."""
    publisher = site.deployment.publisher()
    for _ in range(15):
        clock.wait(2 * DAY_SECONDS)
        publisher.publish()
    assert publisher.ledger.version == 15
