"""Faults that a second reader of the write path found; each was seen to fail before it was mended."""

import asyncio
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.service.journals import Meddled
from tests.sites import MORNING, FixedClock, Site, loop_of, report
from tocsin.client.calls import decoy_call
from tocsin.client.state import SyncState
from tocsin.client.sync import sync
from tocsin.client.trust import parse_trust
from tocsin.formats.wire import decode_answer
from tocsin.ledger.columns import Columns
from tocsin.ledger.fold import fold
from tocsin.ledger.key_index import KeyIndex
from tocsin.ledger.key_table import KeyTable
from tocsin.ledger.queries import live_rows
from tocsin.ledger.state import Ledger
from tocsin.model.calls import Call, Verdict
from tocsin.model.code_reading import CodeReading
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.events import Event, Reported
from tocsin.model.keys import KeyKind
from tocsin.model.policy import Policy
from tocsin.model.times import DAY_SECONDS, Day, day_of, floor_quarter
from tocsin.service.collect import Collector
from tocsin.service.deployment import Deployment, signing_keys
from tocsin.service.follow import Follower
from tocsin.service.founding import found
from tocsin.service.perform import Arrival, Performer
from tocsin.service.publish import Publisher
from tocsin.service.settings import Settings


def arrival(site: Site, body: bytes) -> Arrival:
    return Arrival(body, floor_quarter(site.clock.now()))


def answers(site: Site, *bodies: bytes) -> list[Verdict]:
    """What a collector of its own answers to these calls, sent one after the other."""

    async def ask(collector: Collector) -> list[Verdict]:
        loop = asyncio.get_running_loop()
        return [decode_answer(await collector.answer(arrival(site, body), loop)).verdict for body in bodies]

    collector = Collector(site.performer)
    collector.start()
    try:
        return asyncio.run(ask(collector))
    finally:
        collector.stop()


forget = Follower.forget


def fail(*_: object) -> int:
    raise MemoryError


@pytest.mark.parametrize("step", [(KeyTable, "hold"), (Columns, "add")])
def test_half_a_fold_is_never_kept(site: Site, monkeypatch: pytest.MonkeyPatch, step: tuple[type, str]) -> None:
    """Memory runs out while a report is folded: no receipt without its event, and the next call is answered right."""
    body = report("ada", site.cards[0], 3, site.clock.now()).body
    site.performer.catch_up()
    with monkeypatch.context() as patched:
        patched.setattr(*step, fail)
        with pytest.raises(MemoryError):
            site.performer.answer([arrival(site, body)])
    assert not any(event.kind == Reported.kind for event in site.deployment.journal.read(0))
    assert site.answer(body).verdict is Verdict.TAKEN
    assert [event.kind for event in site.deployment.journal.read(0)].count(Reported.kind) == 1


@pytest.mark.parametrize("step", [(KeyIndex, "first_holders"), (Columns, "extend")])
def test_a_table_half_laid_out_is_read_anew(
    site: Site, monkeypatch: pytest.MonkeyPatch, step: tuple[type, str]
) -> None:
    """Memory runs out when the keys are first asked for: the publisher tells, and publishes right a round later."""
    site.answer(report("ada", site.cards[0], 3, site.clock.now()).body)
    site.clock.at += DAY_SECONDS
    publisher = site.deployment.publisher()
    with monkeypatch.context() as patched:
        patched.setattr(*step, fail)
        with pytest.raises(MemoryError):
            publisher.publish()
    publisher.publish()
    assert publisher.ledger.version and len(live_rows(publisher.ledger.keys[KeyKind.GAEN], Day(0))) == 3


def test_a_fault_while_idle_does_not_end_the_collector(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()

    def fail(self: Performer) -> None:
        failed.set()
        raise PermissionError

    monkeypatch.setattr("tocsin.service.collect.FOLLOW_SECONDS", 0.001)
    collector = Collector(site.performer)
    with monkeypatch.context() as patch:
        patch.setattr(Performer, "catch_up", fail)
        collector.start()
        assert failed.wait(10)
    assert collector.has_room
    loop = asyncio.new_event_loop()
    answer = loop.run_until_complete(collector.answer(arrival(site, decoy_call()), loop))
    assert decode_answer(answer).verdict is Verdict.NOTED
    collector.stop()
    loop.close()
    assert not collector.has_room, "a collector that has ended takes nothing"


def test_a_disk_that_hangs_does_not_hold_its_callers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()

    def hang(self: Performer, arrivals: object) -> list[bytes]:
        goes_on.wait(30)
        raise Unavailable("at last")

    monkeypatch.setattr("tocsin.service.collect.ANSWER_SECONDS", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(Performer, "answer", hang)
        collector = Collector(site.performer)
        collector.start()
        loop = asyncio.new_event_loop()
        with pytest.raises(Unavailable, match="too long"):
            loop.run_until_complete(collector.answer(arrival(site, decoy_call()), loop))
        goes_on.set()
        collector.stop()
        loop.close()


def test_a_call_that_meets_a_fault_does_not_shut_out_its_neighbours(site: Site) -> None:
    class Faulty(Performer):
        def _heard(self, arrival: Arrival) -> tuple[Call, CodeReading] | None:
            if arrival.body == b"poison":
                raise ZeroDivisionError
            return super()._heard(arrival)

    deployment = site.deployment
    performer = Faulty(deployment.journal, deployment.keys, site.clock, deployment.settings.policy)
    collector = Collector(performer)
    honest = report("ada", site.cards[0], 3, site.clock.now()).body

    async def ask() -> list[bytes | BaseException]:
        loop = asyncio.get_running_loop()
        calls = [collector.answer(arrival(site, body), loop) for body in (b"poison", honest, b"poison")]
        waiting = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(0)  # all three wait before the thread begins: they are one group
        collector.start()
        return await asyncio.gather(*waiting, return_exceptions=True)

    first, second, third = asyncio.run(ask())
    collector.stop()
    assert isinstance(first, Unavailable) and isinstance(third, Unavailable)
    assert isinstance(second, bytes) and decode_answer(second).verdict is Verdict.TAKEN
    assert site.track("ada") is Verdict.TAKEN


def lose(site: Site, day: int) -> bytes:
    """The key of that day is away; returns what it held."""
    path = site.deployment.folders.keys / "days" / str(day)
    data = path.read_bytes()
    path.unlink()
    return data


def test_a_missing_day_key_is_no_erasure(site: Site) -> None:
    """Reports that can't be read must not leave the public set, nor be 'too old' for whoever wants to withdraw."""
    site.report("ada", 0)
    site.clock.wait(900)
    site.deployment.publisher().publish()
    day = day_of(site.clock.now())
    site.clock.wait(DAY_SECONDS)
    key = lose(site, day)
    again = Deployment(site.top, site.clock)
    with pytest.raises(Unavailable, match=f"day key {day} is missing"):
        again.performer().answer([arrival(site, decoy_call())])
    publisher = again.publisher()
    with pytest.raises(Unavailable, match=f"day key {day} is missing"):
        publisher.publish()
    path = again.folders.keys / "days" / str(day)
    path.write_bytes(key)
    path.chmod(0o600)
    assert publisher.publish() == 2
    assert publisher.ledger.versions[-1].left == 0
    again.close()


def test_a_day_key_that_was_destroyed_in_time_is_an_erasure(site: Site) -> None:
    site.report("ada", 0)
    day = day_of(site.clock.now())
    publisher = site.deployment.publisher()
    for _ in range(8):
        site.clock.wait(2 * DAY_SECONDS)
        publisher.publish()
    lose(site, day)
    again = Deployment(site.top, site.clock)
    again.keys.make_days_ahead(day_of(site.clock.now()))
    assert site.track("ada") is Verdict.TAKEN, "this process read it before"
    site.performer = again.performer()
    assert site.track("ada") is Verdict.TOO_OLD
    site.clock.wait(900)
    assert again.publisher().publish() == 9
    again.close()


def test_a_gap_in_the_day_keys_is_not_filled(site: Site) -> None:
    """With a new key, what the lost one sealed could never be opened again."""
    keys, today = site.deployment.keys, day_of(site.clock.now())
    lose(site, today)
    keys.make_days_ahead(today)
    assert not keys.has_day_key(today)
    keys.make_days_ahead(Day(today + 1))
    assert not keys.has_day_key(today)


def test_a_clock_that_was_a_year_ahead_once_does_not_end_the_making_of_day_keys(site: Site) -> None:
    keys, today = site.deployment.keys, day_of(site.clock.now())
    keys.make_days_ahead(Day(today + 365))
    keys.make_days_ahead(Day(today + 5))
    assert all(keys.has_day_key(Day(today + ahead)) for ahead in range(13))


@pytest.mark.parametrize("damage", ["31 bytes", "gone"])
def test_a_fault_of_a_key_does_not_tell_reports_from_decoys(site: Site, damage: str) -> None:
    """Threat T-P3: the whole group is refused alike, also if it is of decoys only."""
    path = site.deployment.folders.keys / "days" / str(day_of(site.clock.now()))
    site.deployment.close()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(bytes(31))
    again = Deployment(site.top, site.clock)
    for body in (decoy_call(), report("ada", site.cards[0], 3, site.clock.now()).body, b"malformed"):
        with pytest.raises((Unavailable, Invalid)):
            again.performer().answer([arrival(site, body)])
    again.close()


def test_recorded_is_never_before_received(site: Site) -> None:
    """The clock is set back a little across a quarter-hour, between a call's last byte and its group."""
    body = report("ada", site.cards[0], 3, site.clock.now()).body
    late = Arrival(body, floor_quarter(site.clock.now() + 900))
    site.performer.answer([late])
    event = site.deployment.journal.read(0)[-1]
    assert event.kind == Reported.kind
    assert event.recorded_at == late.received_at


def test_day_keys_that_cannot_be_made_do_not_stop_publishing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*days: object) -> None:
        raise Unavailable("the key folder can't be written")

    trouble: list[str | None] = []
    deployment = site.deployment
    monkeypatch.setattr(deployment.keys, "make_days_ahead", fail)
    site.clock.wait(900)
    publisher = deployment.publisher()
    loop_of(deployment, publisher, site.clock, trouble.append).round()
    assert (trouble, publisher.ledger.version) == (["the key folder can't be written"], 1)


def test_a_terminal_that_is_gone_stops_neither_publisher_nor_loop(site: Site) -> None:
    def full(anything: object) -> None:
        raise OSError(28, "no space left on device")

    deployment = site.deployment
    publisher = deployment.publisher(full)
    loop = loop_of(deployment, publisher, site.clock, full)
    site.clock.wait(900)
    loop.round()
    assert publisher.ledger.version == 1
    lose(site, day_of(site.clock.now()) + 7)
    (deployment.folders.bucket / "v1" / "head").unlink()
    (deployment.folders.bucket / "v1" / "head").mkdir()
    loop.round()  # trouble, told to nobody


def test_a_version_met_while_the_tip_is_held_is_released_first(site: Site) -> None:
    """Two plans are overtaken; then another publisher decides a version and dies before it is out."""
    deployment = site.deployment
    for serial in range(2):
        site.report(f"phone {serial}", serial)
    site.clock.wait(900)
    other = deployment.publisher()

    def decide_and_die() -> None:
        other._mend()
        assert other._decide()

    journal = Meddled(
        deployment.journal, lambda: site.withdraw("phone 0"), lambda: site.withdraw("phone 1"), decide_and_die
    )
    out: list[int] = []
    publisher = Publisher(
        journal,
        deployment.keys,
        site.clock,
        deployment.settings.policy,
        deployment.bucket,
        signing_keys(deployment.settings, deployment.keys),
        lambda version: out.append(version.version),
    )
    assert publisher.publish() == 1
    assert out == [1], "the version of the dead publisher went out"
    assert not journal.first, "all three happened"


def test_a_new_bucket_never_shows_an_older_head(site: Site) -> None:
    heads: list[bytes] = []
    for serial in range(4):
        site.report(f"phone {serial}", serial)
        site.clock.wait(900)
        site.deployment.publisher().publish()
    bucket = site.deployment.folders.bucket
    newest = (bucket / "v1" / "head").read_bytes()
    for path in sorted(bucket.rglob("*"), reverse=True):
        if path.is_file():
            path.unlink()
    replace = site.deployment.bucket.replace

    def watched(name: str, data: bytes, expected: bytes | None) -> bool:
        if name == "v1/head":
            heads.append(data)
        return replace(name, data, expected)

    site.deployment.bucket.replace = watched  # type: ignore[method-assign]
    site.deployment.bucket.create = lambda name, data: replace(name, data, None)  # type: ignore[method-assign]
    site.deployment.publisher().publish()
    assert heads == [newest]


def test_loose_modes_of_the_journal_are_refused(site: Site) -> None:
    site.deployment.folders.journal.parent.chmod(0o755)
    with pytest.raises(Refused, match="others can read"):
        Deployment(site.top, site.clock)


def test_another_region_than_the_journals_is_refused(site: Site) -> None:
    text = site.deployment.folders.settings.read_text()
    site.deployment.folders.settings.write_text(text.replace('region = "utopia"', 'region = "yy"'))
    with pytest.raises(Invalid, match="founded for region utopia"):
        Deployment(site.top, site.clock)


def test_a_gaen_key_is_found_by_its_own_name_not_by_the_policy(tmp_path: Path) -> None:
    """A version decided under one key goes out also after the policy names another."""
    site = Site(tmp_path / "site", FixedClock())
    deployment = site.deployment
    site.report("ada", 0)
    site.clock.wait(900)
    publisher = deployment.publisher()
    publisher._mend()
    assert publisher._decide()
    gaen = deployment.folders.keys / "gaen"
    (gaen / "310-v2").write_bytes((gaen / "310-v1").read_bytes())
    (gaen / "310-v2").chmod(0o600)
    text = deployment.folders.settings.read_text()
    deployment.folders.settings.write_text(text + 'gaen_signature_infos = [["310", "v2"], ["310", "v1"]]\n')
    again = Deployment(site.top, site.clock)
    assert again.publisher().publish() == 1
    site.clock.wait(4 * 3600)
    assert again.publisher().publish() == 2
    again.close()


@pytest.mark.parametrize("address", ['http://a"b', "http://a\\b", "http://a b"])
def test_an_address_that_toml_could_not_hold_is_refused_before_anything_is_made(address: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        Settings(region="utopia", origin="tocsin.example/utopia", base_url=address)


@pytest.mark.parametrize("policy", [{"step_seconds": 864_000}, {"freshness_seconds": 0}])
def test_a_policy_that_would_leave_every_phone_stale_is_refused(policy: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="freshness_seconds"):
        Policy(**policy)  # type: ignore[arg-type]


def test_a_policy_survives_its_founding(tmp_path: Path) -> None:
    policy = Policy(useful_days=10, publish_onset=True, gaen_step_seconds=3600, minimum_reports=5)
    settings = Settings(
        region="utopia",
        origin="tocsin.example/utopia",
        base_url="http://127.0.0.1",
        single_machine=True,
        policy=policy,
    )
    clock = FixedClock(MORNING)
    found(tmp_path / "site", settings, clock)
    deployment = Deployment(tmp_path / "site", clock)
    assert deployment.settings == settings
    deployment.close()


# --- found by a third reader ------------------------------------------------------------------------------------------


def phone(site: Site, state: SyncState | None = None) -> SyncState:
    """What a phone holds after a sync."""
    trust = parse_trust(site.deployment.folders.trust.read_bytes())
    bucket = site.deployment.folders.bucket
    return sync(state, trust, site.clock.now(), lambda name, most: (bucket / name).read_bytes()[: most + 1])


@pytest.mark.parametrize("bucket", ["whole", "new", "set back by one", "set back by two"])
def test_a_server_that_was_down_while_day_keys_were_destroyed_publishes_again(
    site: Site, tmp_path: Path, bucket: str
) -> None:
    """The newest version can't be built any more, and may not even be out: the next one is, and stands on its own."""
    folder = site.deployment.folders.bucket
    publisher = site.deployment.publisher()
    site.report("ada", 0)
    for version in (1, 2, 3):
        site.clock.wait(900)
        publisher.publish()
        shutil.copytree(folder, tmp_path / str(version))
    before, first = phone(site), day_of(site.clock.now())
    for day in range(16):
        site.clock.wait(DAY_SECONDS)
        site.deployment.keys.make_days_ahead(day_of(site.clock.now()))
        if day == 12:
            site.performer = Deployment(site.top, site.clock, day_of(site.clock.now())).performer()
            site.report("bob", 1)
    lose(site, first)
    if bucket != "whole":
        shutil.rmtree(folder)
    if bucket == "new":
        folder.mkdir()
    elif bucket != "whole":
        shutil.copytree(tmp_path / ("2" if bucket.endswith("one") else "1"), folder)
    again = Deployment(site.top, site.clock, day_of(site.clock.now()))
    publisher = again.publisher()
    for version in (4, 5):
        assert publisher.publish() == version
        assert phone(site, before).version == phone(site).version == version
        assert len(phone(site, before).keys[KeyKind.GAEN]) == len(phone(site).keys[KeyKind.GAEN]) == 3
        site.clock.wait(4 * 3600)
    again.close()


def test_a_bucket_that_was_set_back_shows_no_older_head(site: Site, tmp_path: Path) -> None:
    publisher = site.deployment.publisher()
    for serial in range(4):
        site.report(f"phone {serial}", serial)
        site.clock.wait(900)
        publisher.publish()
        shutil.copytree(site.deployment.folders.bucket, tmp_path / str(serial))
    shutil.rmtree(site.deployment.folders.bucket)
    shutil.copytree(tmp_path / "0", site.deployment.folders.bucket)
    out: list[int] = []
    assert site.deployment.publisher(lambda version: out.append(version.version)).publish() == 4
    assert out == [4]


def test_a_lost_key_does_not_make_each_call_read_the_whole_journal(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused again and again, at the cost of one reading; restored, the next call finds it."""
    site.report("ada", 0)
    site.clock.wait(900)
    key, day = lose(site, day_of(site.clock.now())), day_of(site.clock.now())
    again = Deployment(site.top, site.clock)
    folded: list[Event] = []

    def counted(ledger: Ledger, events: list[Event]) -> None:
        folded.extend(events)
        fold(ledger, events)

    monkeypatch.setattr("tocsin.service.follow.fold", counted)
    performer, publisher = again.performer(), again.publisher()
    for _ in range(3):
        with pytest.raises(Unavailable, match="is missing"):
            performer.answer([arrival(site, decoy_call())])
        with pytest.raises(Unavailable, match="is missing"):
            publisher.publish()
    assert len(folded) == 2 * again.journal.tip().sequence
    path = again.folders.keys / "days" / str(day)
    path.write_bytes(key)
    path.chmod(0o600)
    assert performer.answer([arrival(site, decoy_call())])
    assert publisher.publish() == 1
    assert publisher.ledger.versions[-1].entered == 3
    again.close()


def test_days_to_come_have_keys_also_after_a_clock_that_was_ahead(site: Site) -> None:
    """It was ten days ahead; then the server was off for a weekend: the days in between must not stay without a key."""
    keys, today = site.deployment.keys, day_of(site.clock.now())
    keys.make_days_ahead(Day(today + 10))
    keys.make_days_ahead(Day(today + 3))
    assert all(keys.has_day_key(Day(today + ahead)) for ahead in range(3, 11))


def test_a_key_is_not_useful_for_longer_than_its_report_is_kept() -> None:
    """It would leave the public set whenever a publisher starts, long before it expires."""
    with pytest.raises(ValueError, match="useful_days"):
        Policy(useful_days=15)


def test_a_file_that_is_lost_for_good_costs_one_reading_of_the_journal(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again every few seconds, and a big journal takes minutes to read: it is read anew once."""
    publisher = site.deployment.publisher()
    for serial in range(2):
        site.report(f"phone {serial}", serial)
        site.clock.wait(4 * 3600)
        publisher.publish()
    gaen = site.deployment.folders.bucket / "v1/utopia/gaen"
    [oldest, _] = (gaen / "index.txt").read_text().split("\n")
    lost = site.deployment.folders.bucket / oldest
    whole = lost.read_bytes()
    lost.unlink()
    readings = []

    def counted_forget(follower: Follower) -> None:
        readings.append(follower)
        forget(follower)

    with monkeypatch.context() as patched:
        patched.setattr("tocsin.service.publish.put", lambda objects, bucket: frozenset())
        patched.setattr(Follower, "forget", counted_forget)
        for _ in range(3):
            with pytest.raises(Unavailable, match="can't be made again"):
                publisher.publish()
    assert len(readings) == 1
    lost.write_bytes(whole)
    publisher.publish()
    lost.unlink()
    publisher.publish()
    assert lost.read_bytes() == whole, "the journal is read again for what was well in between"


@pytest.mark.parametrize("named", [99, 3])
def test_a_claim_index_that_names_a_wrong_event_is_told_as_damage(site: Site, named: int) -> None:
    """It is neither a fault of tocsin, nor a bucket that comes from another journal."""
    publisher = site.deployment.publisher()
    site.clock.wait(4 * 3600)
    publisher.publish()
    with closing(sqlite3.connect(site.deployment.folders.journal)) as shell:
        shell.execute("UPDATE claim SET sequence = ? WHERE sequence = (SELECT max(sequence) FROM claim)", (named,))
        shell.commit()
    with pytest.raises(Invalid, match=f"broken at event {named}: the index of claims"):
        publisher.publish()


def test_a_publisher_that_was_overtaken_leaves_newer_files_to_the_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not know what made them: it reads no journal for them, and does not say that they are erased."""
    ours, other = site.deployment.publisher(), site.deployment.publisher()
    site.clock.wait(4 * 3600)
    ours.publish()
    site.report("ada", 0)
    keysets = site.deployment.folders.bucket / "v1/utopia/keyset"
    before = set(keysets.iterdir())
    decide = ours._decide

    def overtaken() -> bool:
        more = decide()
        site.clock.wait(4 * 3600)
        other.publish()
        for path in set(keysets.iterdir()) - before:
            path.unlink()
        return more

    with monkeypatch.context() as patched:
        patched.setattr(ours, "_decide", overtaken)
        assert ours.publish() == 2
    assert set(keysets.iterdir()) == before
    ours.publish()
    assert set(keysets.iterdir()) > before, "made again by the next round"
