"""The main job over HTTP: a report goes out to a phone that was near, and is taken back again."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.sites import FixedClock, Site, by, drawn, report
from tocsin.client.calls import PendingReport, decoy_call, make_report, track_call, withdraw_call
from tocsin.client.ephemeral_ids import rolling_proximity_identifiers
from tocsin.client.match import SIGHTING, Match, Sightings, match
from tocsin.client.state import SyncState
from tocsin.client.sync import SyncReason, SyncRefused, sync
from tocsin.client.trust import parse_trust
from tocsin.formats.wire import decode_answer, decode_call
from tocsin.journal.verify import verify
from tocsin.model.calls import Answer, KeyVerdict, ReportCall, Verdict
from tocsin.model.events import Target
from tocsin.model.keys import RECORD, KeyKind, Records
from tocsin.rules import corrections
from tocsin.rules.corrections import Selection
from tocsin.web.server import running_server


class Town:
    """A server on loopback, phones and an operator around it."""

    def __init__(self, site: Site, http: httpx.Client) -> None:
        self.site = site
        self.http = http
        self.publisher = site.deployment.publisher()
        self.trust = parse_trust(self.http.get("/trust.json").content)

    def call(self, body: bytes) -> Answer:
        answer = self.http.post("/v1/reports", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, len(answer.content)) == (200, 1024)
        return decode_answer(answer.content)

    def report(self, name: str, serial: int, days: int = 3) -> PendingReport:
        return report(name, self.site.cards[serial], days, self.site.clock.now())

    def sync(self, state: SyncState | None = None) -> SyncState:
        return sync(state, self.trust, self.site.clock.now(), self.fetch)

    def fetch(self, name: str, most: int) -> bytes:
        return self.http.get(f"/{name}").raise_for_status().content[: most + 1]

    def step(self) -> int:
        """A quarter-hour passes, and its version goes out."""
        self.site.clock.wait(900)
        return self.publisher.publish()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    site = Site(tmp_path / "site", FixedClock())
    with running_server(site.deployment, "127.0.0.1", 0) as base_url, httpx.Client(base_url=base_url) as http:
        yield Town(site, http)
    verify(site.deployment.journal)
    site.deployment.close()


def sightings_of(records: Records) -> Sightings:
    """What a phone heard that was near the first of these keys, for an hour at noon."""
    identifiers = rolling_proximity_identifiers(records[:1])[0]
    heard = np.zeros(6, SIGHTING)
    heard["rolling_proximity_identifier"] = identifiers[72:78]
    heard["interval"] = int(records["rolling_start_interval_number"][0]) + np.arange(72, 78)
    return heard


def record_of(name: str, day: int, town: Town) -> Records:
    record = np.zeros(1, RECORD)
    record["key_data"] = np.void(drawn(f"{name} {day}", 16))
    record["rolling_start_interval_number"] = (town.site.clock.now() // 86_400 - day) * 144
    record["rolling_period"] = 144
    return record


def found(state: SyncState, heard: Sightings) -> list[Match]:
    return list(match(state.keys[KeyKind.GAEN], heard))


def test_from_report_to_match_and_back(town: Town) -> None:
    near = sightings_of(record_of("ada", 2, town))
    far = sightings_of(record_of("somebody else", 2, town))
    pending = town.report("ada", 0)
    first = town.call(pending.body)
    assert first == Answer(Verdict.TAKEN, (KeyVerdict.TAKEN,) * 3)
    assert town.call(pending.body) == first, "the receipt reads the same"
    assert town.call(town.report("bob", 0).body).verdict is Verdict.CODE_SPENT
    assert town.step() == 1
    phone = town.sync()
    assert len(phone.keys[KeyKind.GAEN]) == 3
    assert len(found(phone, near)) == 6
    assert found(phone, far) == []
    assert town.sync(phone) is phone, "no news, no change"

    assert town.call(withdraw_call(pending.withdrawal_secret)).verdict is Verdict.WITHDRAWN
    assert town.call(withdraw_call(pending.withdrawal_secret)).verdict is Verdict.WITHDRAWN  # case 41
    assert town.call(track_call(pending.withdrawal_secret)).verdict is Verdict.WITHDRAWN
    assert found(town.sync(phone), near), "until the next version"
    assert town.step() == 2
    phone = town.sync(phone)
    assert (len(phone.keys[KeyKind.GAEN]), found(phone, near)) == (0, [])
    assert town.call(pending.body).verdict is Verdict.TAKEN, "the receipt still reads the same: it tells of the taking"
    town.step()
    assert len(town.sync(phone).keys[KeyKind.GAEN]) == 0


def test_a_lost_stack_is_rolled_back_and_its_honest_patient_reports_again(town: Town) -> None:
    performer = town.site.performer
    town.call(town.report("honest", 1).body)
    bogus = [town.report(f"bogus {serial}", serial) for serial in range(2, 6)]
    assert [town.call(pending.body).verdict for pending in bogus] == [Verdict.TAKEN] * 4
    town.step()
    phone = town.sync()
    assert len(phone.keys[KeyKind.GAEN]) == 15
    heard = sightings_of(record_of("bogus 3", 1, town))
    assert found(phone, heard)

    stack = Target(batch=1, first=0, last=49)
    performer.act(lambda ledger, now: corrections.revoke(ledger, stack, None, now, by("revoke")))
    rehearsed = performer.rehearse(
        lambda ledger, now: corrections.rollback(ledger, Selection(target=stack), by("back"))
    )
    done = performer.act(lambda ledger, now: corrections.rollback(ledger, Selection(target=stack), by("back")))
    assert done.body == rehearsed.body, "a dry run is the act, not appended"
    assert town.call(town.report("late", 7).body).verdict is Verdict.CODE_CUT_OFF
    assert town.call(track_call(bogus[0].withdrawal_secret)).verdict is Verdict.CUT_OFF
    town.step()
    phone = town.sync(phone)
    assert (len(phone.keys[KeyKind.GAEN]), found(phone, heard)) == (0, [])

    again = report("honest", town.site.cards[60], 3, town.site.clock.now())  # the same keys, a card of another stack
    assert town.call(again.body).verdict is Verdict.MISMATCH, "these secrets belong to the first report"
    call = decode_call(again.body)
    assert isinstance(call, ReportCall)
    second = make_report(
        call.keys, code=call.code, onset_day=None, withdrawal_secret=drawn("w 2"), continuation_secret=drawn("c 2")
    )
    assert town.call(second.body).verdict is Verdict.TAKEN
    town.step()
    assert len(town.sync(phone).keys[KeyKind.GAEN]) == 3, (
        "owned by the second report while the first stands under an objection"
    )

    performer.act(lambda ledger, now: corrections.reinstate(ledger, done.sequence, by("reinstate")))
    town.step()
    assert len(town.sync(phone).keys[KeyKind.GAEN]) == 15, "12 bogus ones and the honest three, each key once"


def test_stale_rolled_back_and_forged_heads_are_refused(town: Town) -> None:
    town.call(town.report("ada", 0).body)
    town.step()
    old_head = town.fetch("v1/head", 4096)
    phone = town.sync()
    town.step()
    phone = town.sync(phone)
    for head, wait, reason in (
        (old_head, 0, SyncReason.OLDER_VERSION),
        (old_head.replace(b"version 1", b"version 9"), 0, SyncReason.WRONG_SIGNATURE),
        (town.fetch("v1/head", 4096), 86_400 + 1, SyncReason.STALE_HEAD),
    ):
        served = partial(_serve, head)
        with pytest.raises(SyncRefused) as refused:
            sync(phone, town.trust, town.site.clock.now() + wait, served)
        assert refused.value.reason is reason


def _serve(head: bytes, name: str, most: int) -> bytes:
    """A mirror that answers this head to everything."""
    return head


def test_a_code_is_good_once_however_many_ask_at_once(town: Town) -> None:
    """Case 23: one card, twenty phones at the same instant."""
    bodies = [town.report(f"phone {number}", 9).body for number in range(20)]
    verdicts: list[Verdict] = []
    threads = [threading.Thread(target=lambda body=body: verdicts.append(town.call(body).verdict)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(verdicts) == sorted([Verdict.TAKEN] + [Verdict.CODE_SPENT] * 19)


def test_decoys_and_refusals_leave_no_event_and_still_make_the_journal_beat(town: Town) -> None:
    before = town.site.deployment.journal.tip()
    assert town.call(decoy_call()).verdict is Verdict.NOTED
    assert town.call(report("x", "C123-4567-89AB-CDEF-GH94", 1, town.site.clock.now()).body).verdict is (
        Verdict.CODE_UNKNOWN
    )
    after = town.site.deployment.journal.tip()
    assert after.sequence == before.sequence
    assert after.beats >= before.beats + 2
