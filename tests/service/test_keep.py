"""Calls while the journal is away: what they are told, what is kept; that all is delivered, once and in order."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.journals import OutOfReach
from tests.sites import PROMPT, Site, by, drawn, report
from tocsin.client.calls import continue_call, decoy_call, track_call, withdraw_call
from tocsin.formats.wire import ANSWER_BYTES, decode_answer
from tocsin.journal.encoding import decode_body
from tocsin.journal.verify import verify
from tocsin.model.calls import Verdict
from tocsin.model.events import Declined, Reported, Target, Withdrawn
from tocsin.model.times import DAY_SECONDS, floor_quarter
from tocsin.rules import corrections
from tocsin.service.held_clock import HeldClock
from tocsin.service.keep import Keeper
from tocsin.service.perform import Arrival, Performer
from tocsin.service.reach import Reach
from tocsin.stores.spool import Spool

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
