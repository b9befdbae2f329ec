"""Calls while the journal is away: what they are told, what is kept; that all is delivered, once and in order."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.service.journals import OutOfReach
from tests.sites import PROMPT, Site, by, drawn, report
from tocsin.client.calls import continue_call, decoy_call, track_call, withdraw_call
from tocsin.formats.wire import ANSWER_BYTES, decode_answer, decode_call
from tocsin.journal.encoding import decode_body
from tocsin.journal.verify import verify
from tocsin.model import base64url
from tocsin.model.calls import ReportCall, Verdict
from tocsin.model.errors import Unavailable
from tocsin.model.events import Declined, Reported, Target, Withdrawn
from tocsin.model.times import DAY_SECONDS, KEPT_DAYS, day_of, floor_quarter
from tocsin.rules import corrections
from tocsin.service.collect import Collector
from tocsin.service.held_clock import HeldClock
from tocsin.service.keep import Keeper
from tocsin.service.perform import Arrival, Performer
from tocsin.service.reach import Reach
from tocsin.service.readiness import Readiness, Reason
from tocsin.stores.spool import Record, Spool

TAKEN, PROVISIONAL = Verdict.TAKEN, Verdict.PROVISIONAL


class Server:
    """What `tocsin serve` performs calls with, at one of the sites of a deployment; each has a spool of its own."""

    def __init__(self, site: Site, spool: Path, most: int = 100) -> None:
        self.site = site
        self.journal = OutOfReach(site.deployment.journal)
        self.spool = Spool(spool, most)
        self.told: list[str | None] = []
        self.start()

    def start(self) -> None:
        """Starts anew, as after a crash."""
        self.spool.close()
        clock = HeldClock(self.site.clock, self.journal)
        self.performer = Performer(self.journal, self.site.deployment.keys, clock, PROMPT)
        self.performer.catch_up()
        self.reach = Reach(self.journal, clock)
        self.keeper = Keeper(self.performer, self.spool, self.reach, clock, self.told.append)

    def say(self, *bodies: bytes) -> list[Verdict]:
        """What these calls are told, which come in one group."""
        now = floor_quarter(self.site.clock.now())
        said = self.keeper.answer([Arrival(body, now) for body in bodies])
        assert [len(answer) for answer in said] == [ANSWER_BYTES] * len(bodies)
        return [decode_answer(answer).verdict for answer in said]

    def cut_off(self) -> None:
        self.journal.is_away = True

    def back(self) -> None:
        """The journal is back, and what is in the spool is delivered."""
        self.journal.is_away = False
        self.reach.look()
        self.keeper.catch_up()

    def call(self, name: str, serial: int, days: int = 3) -> bytes:
        return report(name, self.site.cards[serial], days, self.site.clock.now()).body

    def recorded(self, *kinds: type) -> list[str]:
        """The kinds of the journal's events of these kinds, in order."""
        bodies = [decode_body(event.kind, event.body) for event in self.site.deployment.journal.read(0)]
        return [body.kind for body in bodies if isinstance(body, kinds or (Reported, Withdrawn, Declined))]


@pytest.fixture
def server(site: Site, tmp_path: Path) -> Iterator[Server]:
    made = Server(site, tmp_path / "spool" / "spool.sqlite")
    yield made
    made.spool.close()


def test_a_report_is_kept_and_delivered(server: Server) -> None:
    """Case 51: provisional while the journal is away, also when it is repeated; taken once it is back."""
    ada = server.call("ada", 0)
    server.cut_off()
    assert server.say(ada) == server.say(ada) == [PROVISIONAL]
    assert server.say(track_call(drawn("ada w"))) == [PROVISIONAL]
    assert server.spool.records() == 1
    server.back()
    assert server.spool.records() == 0
    assert server.say(ada, track_call(drawn("ada w"))) == [TAKEN, TAKEN]
    assert server.recorded() == ["reported"]
    verify(server.site.deployment.journal)


def test_the_journal_is_asked_for_nothing_while_it_is_away(server: Server) -> None:
    """One group finds out; the others wait for no deadline."""
    server.cut_off()
    server.say(decoy_call())
    asked = server.journal.asked
    server.say(server.call("ada", 0), decoy_call())
    server.keeper.catch_up()
    server.keeper.forget_sources()
    assert server.journal.asked == asked
    assert server.reach.is_lost
    assert server.told == ["the journal is away"]


def test_all_that_would_be_refused_is_refused(server: Server) -> None:
    """As far as this site can know: the ledger stands where it stood."""
    known = server.call("known", 5)
    server.say(known)
    server.cut_off()
    assert server.say(
        bytes(4096),
        decoy_call(),
        server.call("x", 1, days=0),
        report("x", "C123-4567-89AB-CDEF-GH94", 1, server.site.clock.now()).body,
        server.call("x", 5),
        known,
        server.call("known", 6),
        track_call(drawn("known w")),
        track_call(drawn("nobody w")),
        withdraw_call(drawn("nobody w")),
    ) == [
        Verdict.MALFORMED,
        Verdict.NOTED,
        Verdict.NO_KEY_LEFT,
        Verdict.CODE_UNKNOWN,
        Verdict.CODE_SPENT,
        TAKEN,
        Verdict.MISMATCH,
        TAKEN,
        Verdict.UNKNOWN,
        Verdict.UNKNOWN,
    ]
    assert server.spool.records() == 0


def test_one_record_a_code(server: Server) -> None:
    """Rows S1–S3."""
    server.cut_off()
    assert server.say(server.call("ada", 0), server.call("bob", 0), server.call("ada", 0, days=2)) == [
        PROVISIONAL,
        Verdict.CODE_SPENT,
        Verdict.MISMATCH,
    ]
    assert server.say(server.call("carl", 0)) == [Verdict.CODE_SPENT]
    assert server.spool.records() == 1


def test_a_continuation_is_told_to_come_again(server: Server) -> None:
    """Row S4: nothing is kept of it; an app repeats it after `unknown`."""
    server.say(server.call("ada", 0))
    more = continue_call(
        [], code=server.site.cards[1], onset_day=None, continuation_secret=drawn("ada c"),
        next_continuation_secret=drawn("ada d"),
    )  # fmt: skip
    server.cut_off()
    assert server.say(more.body) == [Verdict.UNKNOWN]
    assert server.spool.records() == 0


def test_a_withdrawal_goes_behind_its_report(server: Server) -> None:
    """Rows S5–S7."""
    server.cut_off()
    server.say(server.call("ada", 0))
    withdrawal = withdraw_call(drawn("ada w"))
    assert server.say(withdrawal, withdrawal, track_call(drawn("ada w"))) == [PROVISIONAL] * 3
    assert server.spool.records() == 2
    server.back()
    assert server.recorded() == ["reported", "withdrawn"]
    assert server.say(withdrawal, track_call(drawn("ada w"))) == [Verdict.WITHDRAWN] * 2


def test_a_withdrawal_of_what_is_stored_is_kept(server: Server) -> None:
    server.say(server.call("ada", 0))
    server.cut_off()
    assert server.say(withdraw_call(drawn("ada w")), track_call(drawn("ada w"))) == [PROVISIONAL] * 2
    server.back()
    assert server.recorded() == ["reported", "withdrawn"]


@pytest.mark.parametrize("failing", ["lost", "stored"])
def test_a_commit_of_unknown_outcome(server: Server, failing: str) -> None:
    """Case 51: reported failed, and stored or not: the record is delivered under the same claims, and there is one."""
    server.journal.failing = [failing]
    assert server.say(server.call("ada", 0), server.call("bob", 1)) == [PROVISIONAL] * 2
    server.back()
    assert server.recorded() == ["reported", "reported"]
    assert server.say(server.call("ada", 0)) == [TAKEN]


def test_two_sites_keep_one_code(server: Server, tmp_path: Path) -> None:
    """The first delivered wins; the other's tracking says spent, at any site and after a new reading (C19, T7, T8)."""
    other = Server(server.site, tmp_path / "other" / "spool.sqlite")
    for one in (server, other):
        one.cut_off()
    assert server.say(server.call("ada", 0)) == other.say(other.call("bob", 0)) == [PROVISIONAL]
    other.back()
    server.back()
    assert server.recorded() == ["reported", "declined"]
    for one in (server, other):
        one.start()
        assert one.say(track_call(drawn("ada w")), track_call(drawn("bob w")), one.call("ada", 0)) == [
            Verdict.CODE_SPENT,
            TAKEN,
            Verdict.CODE_SPENT,
        ]
        assert one.say(withdraw_call(drawn("ada w"))) == [Verdict.WITHDRAWN]
    assert server.recorded() == ["reported", "declined"], "nothing to withdraw"
    assert server.say(server.call("carl", 1)) == [TAKEN]


def test_what_was_cut_off_meanwhile_is_declined(server: Server) -> None:
    """Row S9; the code is not spent by it."""
    server.cut_off()
    server.say(server.call("ada", 0))
    server.site.performer.act(lambda ledger, now: corrections.revoke(ledger, Target(batch=1), None, now, by("revoke")))
    server.back()
    assert server.recorded() == ["declined"]
    assert server.say(track_call(drawn("ada w"))) == [Verdict.CODE_CUT_OFF]


def test_a_report_counts_from_when_it_came(server: Server) -> None:
    """Row S8: an outage of a day makes no code expire and no key too old."""
    server.cut_off()
    server.say(server.call("ada", 0, days=14))
    server.site.clock.wait(DAY_SECONDS)
    server.back()
    server.site.performer.catch_up()
    ledger = server.site.performer.ledger
    assert ledger.reports["rows"].tolist() == [14]
    assert ledger.reports["received_at"].tolist() == [floor_quarter(server.site.clock.at - DAY_SECONDS)]


# --- its limits -------------------------------------------------------------------------------------------------------


def test_one_code_ten_thousand_times(server: Server) -> None:
    """T-D2: a flood of one code, of used codes and of repetitions is one record; it is delivered once."""
    server.say(server.call("used", 9))
    server.cut_off()
    ada, used = server.call("ada", 0), server.call("thief", 9)
    for _ in range(40):
        server.say(*[ada, used, server.call("eve", 0)] * 84)
    assert server.spool.records() == 1
    server.back()
    assert server.recorded() == ["reported", "reported"]


def test_filled_to_its_limit(site: Site, tmp_path: Path) -> None:
    """T-D2: then all calls are refused unread, nothing is corrupt, and what was kept is delivered once."""
    server = Server(site, tmp_path / "spool.sqlite", most=3)
    server.cut_off()
    assert server.say(server.call("a", 0), server.call("b", 1)) == [PROVISIONAL] * 2
    with pytest.raises(Unavailable, match="full"):
        server.say(decoy_call(), server.call("c", 2), server.call("d", 3))
    assert server.spool.records() == 2, "all of a group or nothing"
    assert server.keeper.has_room
    assert server.say(server.call("c", 2)) == [PROVISIONAL]
    assert not server.keeper.has_room
    assert b"tocsin_spool_share 1.0" in server.keeper.telemetry.scrape(site.clock.now(), ())
    assert server.say(decoy_call()) == [Verdict.NOTED], "who came in before is answered"
    server.journal.is_away = False
    server.start()
    assert not server.keeper.has_room
    assert server.say(server.call("a", 0)) == [TAKEN]
    assert server.keeper.has_room
    assert server.recorded() == ["reported"] * 3
    server.spool.close()


# --- what it can't do -------------------------------------------------------------------------------------------------


def test_without_the_day_s_key_nothing_is_kept(server: Server) -> None:
    """Whether the journal is there or not: 503, for a decoy as well."""
    server.cut_off()
    server.say(decoy_call())
    server.site.clock.wait(30 * DAY_SECONDS)
    (server.site.deployment.folders.keys / "days" / str(day_of(server.site.clock.at))).unlink(missing_ok=True)
    server.performer._follower.ledger.recorded_at = server.site.clock.at
    for body in (decoy_call(), server.call("ada", 0)):
        with pytest.raises(Unavailable):
            server.say(body)
    assert server.spool.records() == 0


@pytest.mark.parametrize("seconds", [-1000, 4 * DAY_SECONDS], ids=["behind", "ahead"])
def test_a_clock_that_is_wrong_keeps_nothing(server: Server, seconds: int) -> None:
    """Held against the journal as it last stood; the journal being there, it is not taken for being away."""
    server.site.clock.wait(seconds)
    for is_away in (False, True):
        server.journal.is_away = is_away
        with pytest.raises(Unavailable, match=r"clock|away"):
            server.say(decoy_call())
    assert not server.reach.is_lost


def test_a_journal_that_was_never_read(site: Site, tmp_path: Path) -> None:
    """Nothing is judged by an empty ledger: every code would be unknown."""
    server = Server(site, tmp_path / "spool.sqlite")
    server.performer._follower.forget()
    server.cut_off()
    with pytest.raises(Unavailable, match="away"):
        server.say(decoy_call())
    server.spool.close()


def test_a_failed_group_leaves_a_ledger_to_judge_by(server: Server) -> None:
    """With a withdrawal, a continuation and questions in it: all is taken back, and nothing is read anew."""
    server.say(server.call("ada", 0), server.call("bob", 1))
    ledger = server.performer.ledger
    more = continue_call(
        [], code=None, onset_day=None, continuation_secret=drawn("bob c"), next_continuation_secret=drawn("bob d")
    )
    server.journal.failing = ["lost"]
    bodies = [server.call("carl", 2), withdraw_call(drawn("ada w")), more.body, track_call(drawn("carl w"))]
    assert server.say(*bodies) == [PROVISIONAL, PROVISIONAL, Verdict.UNKNOWN, PROVISIONAL]
    assert server.performer.ledger is ledger
    assert server.say(track_call(drawn("bob w"))) == [TAKEN]


def test_both_disks_fail(server: Server, tmp_path: Path) -> None:
    """503, and the journal's own words to the operator; with the spool lost the journal alone goes on."""
    server.say(decoy_call())
    server.spool.close()
    (tmp_path / "spool").rename(tmp_path / "gone")
    (tmp_path / "spool").write_bytes(b"in its way")
    server.cut_off()
    with pytest.raises(Unavailable, match="the journal is away"):
        server.say(server.call("ada", 0))
    assert not server.reach.is_lost, "the next group asks the journal again"
    server.journal.is_away = False
    assert server.say(server.call("ada", 0)) == [TAKEN]


def test_a_day_key_that_is_missing_holds_its_records_back(server: Server) -> None:
    server.cut_off()
    server.say(server.call("ada", 0))
    day = day_of(server.site.clock.at)
    key = server.site.deployment.folders.keys / "days" / str(day)
    key.rename(key.with_name("away"))
    server.site.deployment.keys._day_keys.clear()
    server.back()
    assert server.spool.records() == 1
    assert f"day key {day} is missing" in (server.told[-1] or "") or server.told == ["the journal is away"]
    key.with_name("away").rename(key)
    server.back()
    assert (server.spool.records(), server.recorded()) == (0, ["reported"])


def test_a_day_key_that_is_destroyed_takes_its_records_along(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.cut_off()
    server.say(server.call("ada", 0))
    day = day_of(server.site.clock.at)
    (server.site.deployment.folders.keys / "days" / str(day)).unlink()
    server.site.deployment.keys._day_keys.clear()
    while day_of(server.site.clock.at) < day + KEPT_DAYS:
        server.site.clock.wait(2 * DAY_SECONDS)
        server.site.performer.act(
            lambda ledger, now: (
                corrections.pause(ledger, by(f"{now}"))
                if not ledger.paused
                else corrections.resume(ledger, by(f"{now}"))
            )
        )
    server.back()
    assert (server.spool.records(), server.recorded()) == (0, [])
    assert "gone with it: 1" in caplog.text


def test_a_record_that_breaks_us_is_set_aside(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Those before and behind it come through; it is not lost, and tried again by the next version."""
    server.cut_off()
    server.say(*[server.call(name, serial) for serial, name in enumerate(("a", "b", "c"))])
    opened = Performer._opened
    poisoned = server.spool.first(3)[1].number

    def fragile(performer: Performer, record: Record, *rest: Any) -> Any:
        if record.number == poisoned:
            raise ZeroDivisionError("a secret")
        return opened(performer, record, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(Performer, "_opened", fragile)
        for _ in range(4):
            server.back()
        assert server.say(decoy_call(), server.call("d", 3)) == [Verdict.NOTED, TAKEN]
    assert server.recorded() == ["reported"] * 3
    assert server.spool.waiting().set_aside == server.spool.records() == 1
    assert "ZeroDivisionError" in caplog.text and "secret" not in caplog.text
    server.start()
    server.back()
    assert server.recorded() == ["reported"] * 4
    assert server.spool.records() == 0


def test_a_withdrawal_waits_for_its_report_that_fails(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delivered before it, it would lead to nothing, and what was taken back would become public."""
    server.cut_off()
    server.say(server.call("ada", 0), withdraw_call(drawn("ada w")), server.call("bob", 1))
    deliver, fails = Performer._deliver, [True, True]

    def fragile(performer: Performer, group: Any, record: Record, *rest: Any) -> None:
        if record.number == 1 and fails:
            raise ZeroDivisionError(fails.pop())
        deliver(performer, group, record, *rest)

    monkeypatch.setattr(Performer, "_deliver", fragile)
    server.back()
    assert (server.recorded(), server.spool.records()) == (["reported"], 2)
    server.back()
    assert (server.recorded(), server.spool.records()) == (["reported", "reported", "withdrawn"], 0)


def test_a_record_that_was_changed_is_set_aside(server: Server) -> None:
    """Moved to another claim, or with another time: it does not open."""
    server.cut_off()
    server.say(server.call("ada", 0), server.call("bob", 1))
    with closing(sqlite3.connect(server.spool._path)) as other:
        other.execute("UPDATE record SET received_at = received_at - 900 WHERE number = 1")
        other.commit()
    for _ in range(3):
        server.back()
    assert (server.recorded(), server.spool.waiting().set_aside) == (["reported"], 1)


def test_nothing_in_plain(server: Server) -> None:
    """No code, ID, secret or key stands in the file or its log, while it waits and afterwards."""
    server.cut_off()
    body = server.call("ada", 0)
    server.say(body, withdraw_call(drawn("ada w")))
    call = decode_call(body)
    assert isinstance(call, ReportCall)
    needles = [call.tracking_id, call.continue_id, drawn("ada w"), *(key.key_data for key in call.keys)]
    needles += [base64url.encode(needle).encode() for needle in needles] + [server.site.cards[0].encode()]
    folder = server.spool._path.parent
    held = b"".join(path.read_bytes() for path in folder.iterdir())
    assert len(held) > 2 * 4096
    assert not [needle for needle in needles if needle in held]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    [report_record, withdrawal] = server.spool.first(2)
    assert len(report_record.sealed) == len(withdrawal.sealed), "all are of one size"
    server.back()
    left = b"".join(path.read_bytes() for path in folder.iterdir())
    assert report_record.sealed[16:] not in left and bytes(report_record.claims[0]) not in left, "no copy is left"


@pytest.mark.parametrize("kind", ["report", "decoy", "refused", "track", "withdraw", "continue"])
def test_all_acts_wait_for_one_sync(server: Server, kind: str) -> None:
    """Case 33: a counter changes even where nothing is kept, so that the sync is one."""
    server.cut_off()
    server.say(decoy_call())
    more = continue_call(
        [], code=None, onset_day=None, continuation_secret=drawn("bob c"), next_continuation_secret=drawn("bob d")
    )
    body = {
        "report": server.call("ada", 0),
        "decoy": decoy_call(),
        "refused": server.call("x", 1, days=0),
        "track": track_call(drawn("ada w")),
        "withdraw": withdraw_call(drawn("ada w")),
        "continue": more.body,
    }[kind]

    def beats() -> int:
        with closing(sqlite3.connect(server.spool._path)) as other:
            return int(other.execute("SELECT beats FROM beat").fetchone()[0])

    before = beats()
    server.say(body)
    assert beats() == before + 1


def test_two_processes_share_one_spool(server: Server) -> None:
    """What one keeps the other knows, and delivers; both at once lead to one event each."""
    other = Server(server.site, server.spool._path)
    for one in (server, other):
        one.cut_off()
    assert server.say(server.call("ada", 0)) == [PROVISIONAL]
    assert other.say(other.call("ada", 0), other.call("bob", 0), other.call("carl", 1)) == [
        PROVISIONAL,
        Verdict.CODE_SPENT,
        PROVISIONAL,
    ]
    records = server.spool.first(10)
    server.back()
    other.journal.is_away = False
    other.performer.deliver(records)  # which it had read before
    other.spool.remove([record.number for record in records])
    other.reach.look()
    assert other.say(other.call("ada", 0), other.call("carl", 1)) == [TAKEN, TAKEN]
    assert server.recorded() == ["reported", "reported"]
    assert (server.spool.records(), other.spool.records()) == (0, 0)
    other.spool.close()


def test_a_full_spool_that_another_process_emptied_has_room(site: Site, tmp_path: Path) -> None:
    """A process that is told that there is no room reads no call, and so must find out by itself."""
    server = Server(site, tmp_path / "spool.sqlite", most=1)
    other = Server(site, server.spool._path, most=1)
    for one in (server, other):
        one.cut_off()
        assert one.say(one.call("ada", 0)) == [PROVISIONAL]
    assert not server.keeper.has_room
    server.back()
    other.back()
    assert server.keeper.has_room and other.keeper.has_room
    server.spool.close()
    other.spool.close()


def test_while_older_calls_wait_newer_ones_go_behind_them(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a code would go to whoever came second, and a withdrawal would miss its report."""
    monkeypatch.setattr("tocsin.service.keep.DELIVERED_AT_ONCE", 1)
    server.cut_off()
    server.say(server.call("ada", 0), server.call("bob", 1), server.call("carl", 2))
    server.journal.is_away = False
    server.reach.look()
    assert server.say(withdraw_call(drawn("carl w")), server.call("thief", 2)) == [PROVISIONAL, Verdict.CODE_SPENT]
    for _ in range(4):
        server.back()
    assert server.recorded() == ["reported", "reported", "reported", "withdrawn"]


def test_a_spool_that_cannot_be_written_keeps_nothing_from_the_journal(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was delivered stays in it until its disk is well; the journal has it once, and takes what comes."""
    server.cut_off()
    server.say(server.call("ada", 0), server.call("bob", 1))
    server.journal.is_away = False
    server.reach.look()
    groups = server.journal.groups

    def read_only(spool: Spool, numbers: list[int]) -> None:
        raise Unavailable("read-only")

    with monkeypatch.context() as patched:
        patched.setattr(Spool, "remove", read_only)
        assert server.say(server.call("carl", 2)) == server.say(server.call("ada", 0)) == [TAKEN]
        assert server.journal.groups == groups + 3, "nothing is delivered a second time"
        assert server.spool.records() == 2
    server.keeper.catch_up()
    assert server.spool.records() == 0
    assert server.recorded() == ["reported"] * 3


def test_a_server_is_ready_while_it_keeps(site: Site, tmp_path: Path) -> None:
    """Calls are taken; only a full spool says no."""
    server = Server(site, tmp_path / "spool.sqlite", most=1)
    server.cut_off()
    collector = Collector(server.keeper)
    collector.start()
    readiness = Readiness(site.deployment, collector, lambda: True)
    try:
        assert asyncio.run(readiness.refuses()) is None
        assert server.reach.is_lost
        server.say(server.call("ada", 0))
        assert asyncio.run(readiness.refuses()) is Reason.NO_ROOM
    finally:
        collector.stop()
        server.spool.close()
