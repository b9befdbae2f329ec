"""Decisions become events: groups, failures, secrets at hand, and what the files hold afterwards."""

import base64
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest
from msgspec.structs import replace

from tests.service.journals import Meddled
from tests.sites import PROMPT, Site, by, drawn, report
from tocsin.client.calls import decoy_call, make_report, track_call, tracking_id, withdraw_call
from tocsin.formats.wire import ANSWER_BYTES, decode_answer
from tocsin.journal.encoding import decode_body
from tocsin.journal.port import ClaimTaken
from tocsin.journal.verify import verify
from tocsin.ledger.fold import fold
from tocsin.ledger.queries import spent_cards
from tocsin.ledger.state import Ledger
from tocsin.model.base64url import encode
from tocsin.model.calls import Answer, KeyVerdict, SentKey, Verdict
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.events import BatchIssued, Draft, Event, ProviderAdded, Reported, Target
from tocsin.model.policy import Policy
from tocsin.model.times import (
    DAY_SECONDS,
    INTERVALS_PER_DAY,
    QUARTER_SECONDS,
    Instant,
    day_of,
    day_start,
    floor_quarter,
)
from tocsin.rules import corrections, intake
from tocsin.rules.issuance import BatchRequest, add_provider, issue_batch
from tocsin.rules.judgement import Judgement
from tocsin.rules.suspension import restore_provider, suspend_provider
from tocsin.service.key_folder import KeyFolder
from tocsin.service.perform import Arrival, Performer


@pytest.fixture
def journal(site: Site) -> Meddled:
    return Meddled(site.deployment.journal)


@pytest.fixture
def performer(site: Site, journal: Meddled) -> Performer:
    return Performer(journal, site.deployment.keys, site.clock, PROMPT)


def arrivals(site: Site, *bodies: bytes) -> list[Arrival]:
    return [Arrival(body, floor_quarter(site.clock.now())) for body in bodies]


def answers(site: Site, performer: Performer, *bodies: bytes) -> list[Answer]:
    """The answers to these calls, which come in one group."""
    said = performer.answer(arrivals(site, *bodies))
    assert [len(answer) for answer in said] == [ANSWER_BYTES] * len(bodies)
    return [decode_answer(answer) for answer in said]


def call(site: Site, name: str, serial: int, days: int = 3) -> bytes:
    return report(name, site.cards[serial], days, site.clock.now()).body


TAKEN = Answer(Verdict.TAKEN, (KeyVerdict.TAKEN,) * 3)


# --- groups -----------------------------------------------------------------------------------------------------------


def test_calls_of_one_group_see_each_other(site: Site, performer: Performer, journal: Meddled) -> None:
    """Case 23: one card twice, the same call twice, and a withdrawal of what was reported a moment before."""
    ada = call(site, "ada", 0)
    said = answers(
        site,
        performer,
        ada,
        call(site, "bob", 0),
        ada,
        track_call(drawn("ada w")),
        withdraw_call(drawn("ada w")),
        track_call(drawn("ada w")),
        decoy_call(),
        b"{}".ljust(4096),
    )
    assert said[0] == said[2] == TAKEN
    assert [answer.verdict for answer in said[1:]] == [
        Verdict.CODE_SPENT,
        Verdict.TAKEN,
        Verdict.TAKEN,
        Verdict.WITHDRAWN,
        Verdict.WITHDRAWN,
        Verdict.NOTED,
        Verdict.MALFORMED,
    ]
    assert journal.groups == 1, "one sync for all of them"
    assert performer.ledger.sequence == journal.tip().sequence == 6
    verify(journal)


@pytest.mark.parametrize("refused", ["decoy", "unknown code", "spent code", "no key left", "malformed"])
def test_a_group_of_refusals_beats(site: Site, performer: Performer, journal: Meddled, refused: str) -> None:
    """Case 33: it waits for a sync as a report does, and leaves no event."""
    site.report("ada", 0)
    before = journal.tip()
    bodies = {
        "decoy": decoy_call(),
        "unknown code": report("x", "C123-4567-89AB-CDEF-GH94", 1, site.clock.now()).body,
        "spent code": call(site, "bob", 0),
        "no key left": call(site, "bob", 1, days=0),
        "malformed": bytes(4096),
    }
    answers(site, performer, bodies[refused])
    after = journal.tip()
    assert (after.sequence, after.beats) == (before.sequence, before.beats + 1)


def test_what_another_process_did_is_seen_first(site: Site, performer: Performer, journal: Meddled) -> None:
    """Even if it was done while this process waited for the tip."""
    journal.first = [
        lambda: site.report("bob", 0),
        lambda: site.performer.act(
            lambda ledger, now: corrections.revoke(ledger, Target(batch=1), None, now, by("revoke"))
        ),
    ]
    assert answers(site, performer, call(site, "ada", 0))[0].verdict is Verdict.CODE_SPENT
    assert answers(site, performer, call(site, "ada", 1))[0].verdict is Verdict.CODE_CUT_OFF


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_group_that_is_not_stored_leaves_no_ghost(site: Site, performer: Performer, journal: Meddled) -> None:
    """The commit fails: nobody is answered, the ledger knows nothing of it, and the card is not burnt."""
    bodies = [call(site, "ada", 0), call(site, "bob", 1), withdraw_call(drawn("ada w"))]
    journal.failing = ["lost"]
    before = journal.tip()
    with pytest.raises(Unavailable):
        answers(site, performer, *bodies)
    assert journal.tip() == before
    assert answers(site, performer, track_call(drawn("ada w")), call(site, "carl", 0)) == [
        Answer(Verdict.UNKNOWN),
        TAKEN,
    ]
    assert (performer.ledger.reports.count, spent_cards(performer.ledger, 1)) == (1, 1)
    assert answers(site, performer, bodies[1]) == [TAKEN]


def test_a_failing_disk_does_not_make_each_group_read_the_whole_journal(
    site: Site, performer: Performer, journal: Meddled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk fails group after group; what they folded is taken back, at its own cost."""
    answers(site, performer, call(site, "ada", 0))
    folded: list[Event] = []

    def counted(ledger: Ledger, events: Sequence[Event]) -> None:
        folded.extend(events)
        fold(ledger, events)

    monkeypatch.setattr("tocsin.service.follow.fold", counted)
    for serial in range(1, 4):
        journal.failing = ["lost"]
        with pytest.raises(Unavailable):
            answers(site, performer, call(site, f"name {serial}", serial))
    assert len(folded) == 3, "each report of a failing group once, and none of those before"
    assert answers(site, performer, call(site, "name 1", 1), call(site, "ada", 0)) == [TAKEN, TAKEN]
    assert performer.ledger.reports.count == 2


def test_a_group_that_was_stored_and_reported_failed(site: Site, performer: Performer, journal: Meddled) -> None:
    """Case 51: the same call again reads its receipt; there is one report, and the card was used once."""
    body = call(site, "ada", 0)
    journal.failing = ["stored"]
    with pytest.raises(Unavailable):
        answers(site, performer, body)
    assert answers(site, performer, body, call(site, "bob", 0)) == [TAKEN, Answer(Verdict.CODE_SPENT)]
    assert performer.ledger.reports.count == 1
    verify(journal)


def test_a_failed_group_without_events_costs_no_second_reading(
    site: Site, performer: Performer, journal: Meddled
) -> None:
    site.report("ada", 0)
    performer.catch_up()
    ledger = performer.ledger
    journal.failing = ["lost"]
    with pytest.raises(Unavailable):
        answers(site, performer, decoy_call())
    with pytest.raises(Refused):
        performer.act(lambda ledger, now: corrections.resume(ledger, by("resume")))
    assert performer.ledger is ledger


def test_a_fold_that_fails_half_way_leaves_no_half(
    site: Site, performer: Performer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours, after the keys were laid down: the next answer does not come from that ledger."""

    class Torn(Exception):
        pass

    def tear(*_: object) -> None:
        raise Torn

    with monkeypatch.context() as patched:
        patched.setattr("tocsin.ledger.columns.Columns.add", tear)
        with pytest.raises(Torn):
            answers(site, performer, call(site, "ada", 0))
    assert answers(site, performer, track_call(drawn("ada w"))) == [Answer(Verdict.UNKNOWN)]
    assert performer.ledger.reports.count == 0
    assert answers(site, performer, call(site, "ada", 0)) == [TAKEN]


def test_a_call_that_breaks_a_rule_stores_nothing_of_its_group(
    site: Site, performer: Performer, journal: Meddled, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = intake.judge
    poison = call(site, "poison", 1)

    def fragile(ledger: Ledger, call: Any, *rest: Any) -> Judgement:
        if getattr(call, "tracking_id", None) == tracking_id(drawn("poison w")):
            raise ZeroDivisionError
        return judge(ledger, call, *rest)

    monkeypatch.setattr(intake, "judge", fragile)
    before = journal.tip()
    with pytest.raises(ZeroDivisionError):
        answers(site, performer, call(site, "ada", 0), poison, call(site, "bob", 2))
    assert journal.tip() == before
    assert answers(site, performer, call(site, "ada", 0), call(site, "bob", 2)) == [TAKEN, TAKEN]
    assert performer.ledger.reports.count == 2


# --- acts of people ---------------------------------------------------------------------------------------------------


def test_an_act_is_done_once_by_its_request(site: Site, performer: Performer) -> None:
    """Cases 28 and 30: the same request again, in this process and in another; one event, one batch."""

    def issue(ledger: Ledger, now: Instant) -> Draft:
        return issue_batch(ledger, BatchRequest(1, 10, 1), PROMPT, now, by("again"))

    event = performer.act(issue)
    assert isinstance(event.body, BatchIssued) and event.body.batch == 2
    for one in (performer, site.performer):
        with pytest.raises(ClaimTaken) as taken:
            one.act(issue)
        assert taken.value.sequence == event.sequence
    assert max(site.performer.ledger.batches) == 2
    assert site.deployment.journal.tip().sequence == event.sequence


def test_two_consoles_cannot_issue_the_same_cards(site: Site, performer: Performer, journal: Meddled) -> None:
    """Case 30: a rule sees the tip, so the second one gets the next number, whatever it saw before."""

    def issue(name: str, by_whom: Performer) -> int:
        body = by_whom.act(lambda ledger, now: issue_batch(ledger, BatchRequest(1, 10, 1), PROMPT, now, by(name))).body
        assert isinstance(body, BatchIssued)
        return body.batch

    theirs: list[int] = []
    journal.first = [lambda: theirs.append(issue("theirs", site.performer))]
    assert issue("ours", performer) == 3 and theirs == [2]


def test_two_consoles_cannot_both_spend_the_rest_of_a_quota(site: Site, performer: Performer, journal: Meddled) -> None:
    """Rows I14 and I15: a rule is asked at the tip, so the second one sees what the first was given."""
    policy = replace(PROMPT, person_daily_cards=200, provider_daily_cards=200)  # the site's own 100 are of today

    def issue(name: str, count: int, by_whom: Performer) -> None:
        by_whom.act(lambda ledger, now: issue_batch(ledger, BatchRequest(1, count, 1), policy, now, by(name)))

    journal.first = [lambda: issue("theirs", 60, site.performer)]
    with pytest.raises(Refused) as refusal:
        issue("ours", 41, performer)
    assert refusal.value.code == "person_quota_spent" and "40 of today's are left" in str(refusal.value)
    issue("ours", 40, performer)


def test_a_provider_that_is_suspended_before_the_append_gets_nothing(
    site: Site, performer: Performer, journal: Meddled
) -> None:
    """Row I13: what a console saw a moment ago does not matter."""

    def issue(ledger: Ledger, now: Instant) -> Draft:
        return issue_batch(ledger, BatchRequest(1, 10, 1), PROMPT, now, by("ours"))

    assert isinstance(performer.rehearse(issue).body, BatchIssued)
    journal.first = [
        lambda: site.performer.act(lambda ledger, now: suspend_provider(ledger, 1, by("theirs"))),
        lambda: site.performer.act(lambda ledger, now: restore_provider(ledger, 1, by("theirs again"))),
    ]
    with pytest.raises(Refused) as refusal:
        performer.act(issue)
    assert refusal.value.code == "provider_suspended"
    assert isinstance(performer.act(issue).body, BatchIssued), "restored just before"


class _Hasty:
    """A clock on which a quarter-hour passes between any two looks: a first reading of the journal took long."""

    def __init__(self, at: int) -> None:
        self.at = at

    def now(self) -> Instant:
        self.at += QUARTER_SECONDS
        return Instant(self.at)


def test_a_rule_is_told_a_moment_of_the_quarter_hour_that_is_recorded(site: Site) -> None:
    performer = Performer(site.deployment.journal, site.deployment.keys, _Hasty(site.clock.at), PROMPT)
    event = performer.act(lambda ledger, now: issue_batch(ledger, BatchRequest(1, 1, 1), PROMPT, now, by("late")))
    assert isinstance(event.body, BatchIssued) and event.body.valid_from * QUARTER_SECONDS == event.recorded_at


def test_a_dry_run_is_the_act(site: Site, performer: Performer) -> None:
    before = site.deployment.journal.tip()

    def rule(ledger: Ledger, now: Instant) -> Draft:
        return add_provider(ledger, "Another", by("add"))

    rehearsed = performer.rehearse(rule)
    assert site.deployment.journal.tip() == before and len(performer.ledger.providers) == 1
    event = performer.act(rule)
    assert event.body == rehearsed.body and isinstance(event.body, ProviderAdded)
    [stored] = site.deployment.journal.read(before.sequence)
    assert (stored.sequence, stored.digest, decode_body(stored.kind, stored.body)) == (
        event.sequence,
        event.digest,
        event.body,
    )


def test_an_act_that_was_lost_may_be_done_again(site: Site, performer: Performer, journal: Meddled) -> None:
    journal.failing = ["lost"]
    for _ in range(2):
        try:
            performer.act(lambda ledger, now: add_provider(ledger, "Another", by("add")))
        except Unavailable:
            assert (
                len(site.performer.rehearse(lambda ledger, now: add_provider(ledger, "Another", by("x"))).claims) == 1
            )
    assert [provider.name for provider in performer.ledger.providers.values()] == ["St. Elsewhere", "Another"]


@pytest.mark.parametrize(
    ("received", "verdict"), [(-1, Verdict.TAKEN), (0, Verdict.CODE_EXPIRED), (1, Verdict.CODE_EXPIRED)]
)
def test_the_end_of_a_life_is_judged_by_receipt_though_the_journal_was_away(
    site: Site, performer: Performer, received: int, verdict: Verdict
) -> None:
    """Row D8: the last byte was in before the end, and it is recorded after it, when the journal is back."""
    end = site.performer.ledger.batches[1].life.valid_until * QUARTER_SECONDS
    site.clock.at = end + 3 * QUARTER_SECONDS
    site.deployment.keys.make_days_ahead(day_of(end))
    arrival = Arrival(call(site, "ada", 0), Instant(end + received * QUARTER_SECONDS))
    assert decode_answer(performer.answer([arrival])[0]).verdict is verdict
    if verdict is Verdict.TAKEN:
        [stored] = site.deployment.journal.read(site.deployment.journal.tip().sequence - 1)
        assert stored.recorded_at == end + 3 * QUARTER_SECONDS
        assert performer.ledger.reports["received_at"].tolist() == [end - QUARTER_SECONDS]
        assert answers(site, performer, track_call(drawn("ada w"))) == [Answer(Verdict.TAKEN)]


@pytest.mark.parametrize(("failing", "used"), [("lost", 100), ("stored", 150)])
def test_a_group_that_failed_uses_a_quota_only_if_it_is_stored(
    site: Site, performer: Performer, journal: Meddled, failing: str, used: int
) -> None:
    """Case 28: the answer was lost, and the same request is sent again: it counts once."""

    def issue(ledger: Ledger, now: Instant) -> Draft:
        return issue_batch(ledger, BatchRequest(1, 50, 1), PROMPT, now, by("ours"))

    def cards() -> tuple[int, int]:
        performer.catch_up()
        issued, today = performer.ledger.issued_cards, day_of(site.clock.now())
        return issued.by("Ada", today), issued.to(1, today)

    journal.failing = [failing]
    with pytest.raises(Unavailable):
        performer.act(issue)
    assert cards() == (used, used)
    try:
        performer.act(issue)
    except ClaimTaken:
        assert failing == "stored"
    assert cards() == (150, 150)


# --- times, keys, chance ----------------------------------------------------------------------------------------------


def stored_reports(site: Site) -> list[tuple[Reported, bytes | None, int]]:
    events = [event for event in site.deployment.journal.read(0) if event.kind == "reported"]
    found = []
    for event in events:
        body = decode_body(event.kind, event.body)
        assert isinstance(body, Reported)
        found.append((body, event.content, event.recorded_at))
    return found


def test_content_is_sealed_under_the_day_on_which_it_was_received(site: Site, performer: Performer) -> None:
    """Case 14: received at 23:59:58, stored at 00:00:03."""
    midnight = day_start(day_of(site.clock.at) + 1)
    site.clock.at = midnight - 2
    [arrival] = arrivals(site, call(site, "ada", 0))
    site.clock.at = midnight + 3
    assert decode_answer(performer.answer([arrival])[0]) == TAKEN
    [(body, content, recorded_at)] = stored_reports(site)
    assert content is not None
    assert int.from_bytes(content[:4]) == day_of(midnight) - 1
    assert (body.received_at, recorded_at) == (midnight - QUARTER_SECONDS, midnight)


def test_a_clock_set_back_a_little(site: Site, performer: Performer) -> None:
    """Recorded is never before received."""
    [arrival] = arrivals(site, call(site, "ada", 0))
    site.clock.at -= 200
    performer.answer([arrival])
    [(body, _, recorded_at)] = stored_reports(site)
    assert recorded_at >= body.received_at == floor_quarter(site.clock.at + 200)


def test_without_a_day_key_nothing_is_answered(site: Site, journal: Meddled) -> None:
    """Not a decoy either: a report would fail where the decoy beside it is answered."""
    site.clock.wait(9 * DAY_SECONDS)
    performer = Performer(journal, site.deployment.keys, site.clock, PROMPT)
    before = journal.tip()
    for bodies in ([call(site, "ada", 0)], [decoy_call()], [decoy_call(), call(site, "ada", 0)]):
        with pytest.raises(Unavailable, match="key for today"):
            answers(site, performer, *bodies)
    assert journal.tip() == before
    site.deployment.keys.make_days_ahead(day_of(site.clock.now()))
    assert answers(site, performer, decoy_call(), call(site, "ada", 0)) == [Answer(Verdict.NOTED), TAKEN]


def test_a_day_key_that_was_lost_is_no_erasure(site: Site) -> None:
    """Its reports can't be read: nobody is told that they are too old, and no dry run tells a wrong figure."""
    site.report("ada", 0)
    site.clock.wait(DAY_SECONDS)
    key = site.deployment.folders.keys / "days" / "20500"
    key.rename(key.parent.parent / "hidden")
    site.deployment.keys.make_days_ahead(day_of(site.clock.now()))
    performer = site.deployment.performer()
    for _ in range(2):
        with pytest.raises(Unavailable, match="20500"):
            answers(site, performer, track_call(drawn("ada w")))
        with pytest.raises(Unavailable, match="20500"):
            performer.rehearse(lambda ledger, now: add_provider(ledger, "Another", by("add")))
    (key.parent.parent / "hidden").rename(key)
    assert answers(site, performer, track_call(drawn("ada w"))) == [Answer(Verdict.TAKEN)]


def test_codes_whose_secret_is_destroyed_have_expired(site: Site, performer: Performer) -> None:
    """Row D8."""
    (site.deployment.folders.keys / "issuing-1").unlink()
    assert answers(site, performer, call(site, "ada", 0)) == [Answer(Verdict.CODE_EXPIRED)]


def test_a_damaged_secret_answers_nobody(site: Site) -> None:
    """Not a decoy either, for which no code has to be read."""
    (site.deployment.folders.keys / "issuing-1").write_bytes(b"short")
    performer = Performer(site.deployment.journal, KeyFolder(site.deployment.folders.keys), site.clock, PROMPT)
    for body in (decoy_call(), call(site, "ada", 0)):
        with pytest.raises(Invalid, match="issuing-1"):
            answers(site, performer, body)


@pytest.mark.parametrize("most", [0, 1, 4])
def test_hold_back_is_drawn_from_all_that_the_policy_allows(site: Site, most: int) -> None:
    """One draw a part, from 0 to the policy's number, both included, and not always the same."""
    policy = replace(PROMPT, hold_back_quarters=most)
    performer = Performer(site.deployment.journal, site.deployment.keys, site.clock, policy)
    today = SentKey(drawn("today", 16), day_of(site.clock.at) * INTERVALS_PER_DAY, INTERVALS_PER_DAY)
    for serial in range(40):
        keys = [SentKey(drawn(f"{serial} {ago}", 16), (day_of(site.clock.at) - ago) * 144, 144) for ago in (1, 2)]
        pending = make_report(
            [today, *keys],
            code=site.cards[serial],
            onset_day=None,
            withdrawal_secret=drawn(f"{serial} w"),
            continuation_secret=drawn(f"{serial} c"),
        )
        assert answers(site, performer, pending.body) == [TAKEN]
    holds = [body.hold for body, _, _ in stored_reports(site)]
    assert all(hold[1] == hold[2] for hold in holds), "one draw for what may go out at the same instant"
    past, todays = {hold[1] for hold in holds}, {hold[0] for hold in holds}
    assert past == todays == set(range(most + 1))
    assert most == 0 or any(hold[0] != hold[1] for hold in holds)


# --- what the files hold ----------------------------------------------------------------------------------------------


def test_nothing_of_a_report_stands_in_the_files(site: Site, performer: Performer) -> None:
    """Case 40: keys, IDs, secrets and codes are looked for in every byte of the journal, its log and the key folder."""
    bodies = [call(site, name, serial, days=13) for serial, name in enumerate(["taken", "spent"])]
    bodies += [call(site, "refused", 0), withdraw_call(drawn("spent w"))]
    answers(site, performer, *bodies)
    names = ["taken", "spent", "refused"]
    looked_for = [drawn(f"{name} {day}", 16) for name in names for day in range(1, 14)]
    looked_for += [drawn(f"{name} {which}") for name in names for which in "wc"]
    looked_for += [tracking_id(drawn(f"{name} w")) for name in names]
    texts = site.cards[:2] + [code.replace("-", "") for code in site.cards[:2]]
    files = [path for path in site.top.rglob("*") if path.is_file()]
    written = b"\0".join(path.read_bytes() for path in files)
    assert len([path for path in files if path.name.startswith("journal.sqlite")]) >= 2, "its log too"
    assert b"reported" in written
    for secret in looked_for:
        for spelt in (secret, secret.hex().encode(), base64.b64encode(secret), encode(secret).encode()):
            assert spelt not in written
    for text in texts:
        assert text.encode() not in written
    assert b"St. Elsewhere" in written, "the search finds what is there"


def test_a_database_opened_by_hand_shows_sealed_content_only(site: Site, performer: Performer) -> None:
    """Case 40: two reports of the same phone's shape are two unlike contents of the same length."""
    answers(site, performer, call(site, "ada", 0), call(site, "bob", 1))
    with closing(sqlite3.connect(site.deployment.folders.journal)) as database:
        rows = database.execute("SELECT content FROM event WHERE content NOT NULL").fetchall()
    contents = [content for (content,) in rows]
    assert len(contents) == len(set(contents)) == 2
    assert len({len(content) for content in contents}) == 1


def test_the_default_policy_of_a_performer(site: Site) -> None:
    """Self-reports are off unless the policy turns them on."""
    body = report("ada", None, 3, site.clock.now()).body
    for policy, verdict in ((Policy(), Verdict.UNSUPPORTED), (Policy(self_reports=True), Verdict.TAKEN)):
        performer = Performer(site.deployment.journal, site.deployment.keys, site.clock, policy)
        assert answers(site, performer, body)[0].verdict is verdict
