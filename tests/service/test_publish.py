"""The publisher among others: overtaken, interrupted, beside its like, over a bucket that changes under it (row P7)."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.service.journals import Meddled
from tests.sites import MORNING, PROMPT, FixedClock, Site, by
from tocsin.client.state import SyncState
from tocsin.client.sync import sync
from tocsin.client.trust import parse_trust
from tocsin.journal.encoding import decode_body
from tocsin.journal.port import Journal, Tip
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.events import Published, Quarantined, Target
from tocsin.model.keys import KeyKind
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, day_of
from tocsin.publication.in_force import missing
from tocsin.publication.release import released
from tocsin.rules import corrections
from tocsin.rules.corrections import Selection
from tocsin.rules.quarantine import Surge, lift, quarantine
from tocsin.service.deployment import Deployment, head_verifier, signing_keys
from tocsin.service.perform import Rule
from tocsin.service.publish import MACHINE, PLANS_BESIDE, Out, Publisher
from tocsin.stores.folder import FolderBucket

FOUR_HOURS = 4 * 3600


class Failing(FolderBucket):
    """A bucket that says no to the n-th thing that is asked of it, reads apart, and to all after it."""

    steps: int | None = None

    def _burn(self) -> None:
        if self.steps is not None:
            if self.steps == 0:
                raise Unavailable("the bucket is away")
            self.steps -= 1

    def create(self, name: str, data: bytes) -> bool:
        self._burn()
        return super().create(name, data)

    def replace(self, name: str, data: bytes, expected: bytes | None) -> bool:
        self._burn()
        return super().replace(name, data, expected)


def publisher_of(
    site: Site,
    journal: Journal | None = None,
    bucket: FolderBucket | None = None,
    told: Callable[[Out], None] = lambda out: None,
) -> Publisher:
    deployment = site.deployment
    return Publisher(
        journal or deployment.journal,
        deployment.keys,
        site.clock,
        deployment.settings.policy,
        bucket or deployment.bucket,
        signing_keys(deployment.settings, deployment.keys),
        told,
    )


def published(site: Site) -> list[tuple[int, Published]]:
    """Every decided version with its sequence."""
    events = ((event.sequence, decode_body(event.kind, event.body)) for event in site.deployment.journal.read(0))
    return [(sequence, body) for sequence, body in events if isinstance(body, Published)]


def phone(site: Site, state: SyncState | None = None) -> SyncState:
    """What a phone holds after a sync."""
    trust = parse_trust(site.deployment.folders.trust.read_bytes())
    bucket = site.deployment.folders.bucket
    return sync(state, trust, site.clock.now(), lambda name, most: (bucket / name).read_bytes()[: most + 1])


def objects(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# --- P7: overtaken ----------------------------------------------------------------------------------------------------


def test_a_correction_between_plan_and_append_is_in_the_version(site: Site) -> None:  # P7
    """A withdrawal comes right before the append: the version that was planned would have put its keys out."""
    site.report("ada", 0)
    site.report("bob", 1)
    journal = Meddled(site.deployment.journal, lambda: site.withdraw("ada"))
    site.clock.wait(QUARTER_SECONDS)
    assert publisher_of(site, journal).publish() == 1
    [(sequence, body)] = published(site)
    assert (sequence, body.up_to) == (sequence, sequence - 1)
    assert (len(phone(site).keys[KeyKind.GAEN]), len(body.entering)) == (3, 1)


CARDS = Target(batch=1)
ACTS: dict[str, Rule] = {
    "pause": lambda ledger, now: corrections.pause(ledger, by("pause")),
    "resume": lambda ledger, now: corrections.resume(ledger, by("resume")),
    "revoke": lambda ledger, now: corrections.revoke(ledger, CARDS, MORNING, now, by("revoke")),
    "roll back": lambda ledger, now: corrections.rollback(ledger, Selection(target=CARDS), by("roll back")),
    "reinstate": lambda ledger, now: corrections.reinstate(ledger, max(ledger.objections), by("reinstate")),
}


@pytest.mark.parametrize(
    ("before", "act", "keys"),
    [
        (None, "roll back", 0),
        (None, "revoke", 0),
        ("roll back", "reinstate", 3),
        (None, "pause", 0),
        ("pause", "resume", 3),
    ],
)
def test_every_act_that_changes_the_set_overtakes(site: Site, before: str | None, act: str, keys: int) -> None:  # P7
    site.report("ada", 0)
    if before is not None:
        site.performer.act(ACTS[before])
    journal = Meddled(site.deployment.journal, lambda: site.performer.act(ACTS[act]))
    site.clock.wait(QUARTER_SECONDS)
    publisher_of(site, journal).publish()
    [(sequence, body)] = published(site)
    assert body.up_to == sequence - 1
    assert len(phone(site).keys[KeyKind.GAEN]) == keys


def test_reports_do_no_harm(site: Site) -> None:  # P7
    """They are in the version after: by sequence, never by time stamp."""
    site.report("ada", 0)
    journal = Meddled(site.deployment.journal, lambda: site.report("bob", 1))
    site.clock.wait(QUARTER_SECONDS)
    publisher = publisher_of(site, journal)
    publisher.publish()
    [(sequence, body)] = published(site)
    assert body.up_to == sequence - 2
    assert len(phone(site).keys[KeyKind.GAEN]) == 3
    site.clock.wait(QUARTER_SECONDS)
    publisher.publish()
    assert len(phone(site).keys[KeyKind.GAEN]) == 6


def test_a_stream_of_corrections_does_not_starve_publication(site: Site) -> None:  # P7
    """After some plans it makes one while nobody else can append."""
    for serial in range(12):
        site.report(f"phone {serial}", serial)
    journal = Meddled(site.deployment.journal)
    numbers = iter(range(12))
    journal.first = [lambda: site.withdraw(f"phone {next(numbers)}")] * 9
    site.clock.wait(QUARTER_SECONDS)
    assert publisher_of(site, journal).publish() == 1
    [(sequence, body)] = published(site)
    assert journal.groups == PLANS_BESIDE + 1
    assert (body.up_to, len(body.entering)) == (sequence - 1, 12 - PLANS_BESIDE - 1)
    assert len(phone(site).keys[KeyKind.GAEN]) == 3 * len(body.entering)


@pytest.mark.parametrize("groups", range(PLANS_BESIDE + 1))
@pytest.mark.parametrize("dies", [False, True])
def test_another_publisher_is_faster(site: Site, groups: int, dies: bool) -> None:  # P7
    """Case 52: it decides the step's version in the midst of ours, after so many corrections; it releases it, or dies.

    Whatever came in between, the version is decided once, is out when we return, and the next one can be made of it.
    """
    for serial in range(6):
        site.report(f"phone {serial}", serial)
    bucket = Failing(site.deployment.folders.bucket)
    other = publisher_of(site, bucket=bucket)

    def overtake() -> None:
        bucket.steps = 0 if dies else None
        try:
            other.publish()
        except Unavailable:
            assert dies

    journal = Meddled(site.deployment.journal)
    numbers = iter(range(6))
    journal.first = [*[lambda: site.withdraw(f"phone {next(numbers)}")] * groups, overtake]
    site.clock.wait(QUARTER_SECONDS)
    out: list[Out] = []
    ours = publisher_of(site, journal, told=out.append)
    assert ours.publish() == 1
    assert [body.version for _, body in published(site)] == [1]
    assert [entry.version for entry in out] == ([1] if dies else [])
    state = phone(site)
    assert (state.version, len(state.keys[KeyKind.GAEN])) == (1, 3 * (6 - groups))
    site.clock.wait(QUARTER_SECONDS)
    assert ours.publish() == 2
    assert phone(site, state).version == phone(site).version == 2


# --- interrupted ------------------------------------------------------------------------------------------------------


def test_the_same_publisher_goes_on_where_its_bucket_failed(site: Site) -> None:
    """At every step of two versions; meanwhile reports and withdrawals come in, and steps go by."""
    whole = Failing(site.deployment.folders.top / "whole")
    site.report("a", 0)
    site.clock.wait(QUARTER_SECONDS)
    publisher_of(site, bucket=whole).publish()
    steps = 0
    for serial, failing_at in enumerate(range(9), 1):
        top = site.deployment.folders.top / f"bucket {failing_at}"
        bucket = Failing(top)
        ours = publisher_of(site, bucket=bucket)
        ours.publish()
        site.report(f"phone {serial}", serial)
        site.clock.wait(FOUR_HOURS)
        bucket.steps = failing_at
        try:
            ours.publish()
        except Unavailable:
            steps += 1
            site.withdraw(f"phone {serial}")
            site.clock.wait(QUARTER_SECONDS)
            with pytest.raises(Unavailable):
                ours.publish()
        bucket.steps = None
        version = ours.publish()
        publisher_of(site, bucket=whole).publish()
        assert version == published(site)[-1][1].version
        ours_has, whole_has = objects(top), objects(whole.folder)
        assert all(ours_has[name] == whole_has[name] for name in ours_has.keys() & whole_has.keys())
        leaf = released(bucket, head_verifier(site.deployment.settings, site.deployment.keys)).leaf
        assert ours_has["v1/head"] == whole_has["v1/head"] and leaf is not None
        assert missing(leaf, bucket) == missing(leaf, whole) == []
    assert steps >= 6


def test_a_failing_journal_leaves_nothing_behind(site: Site) -> None:
    """The append is reported failed: once it was not stored, once it was."""
    site.report("ada", 0)

    journal = Meddled(site.deployment.journal)
    journal.failing = ["lost", "lost", "stored"]
    ours = publisher_of(site, journal)
    site.clock.wait(QUARTER_SECONDS)
    for _ in range(3):
        with pytest.raises(Unavailable):
            ours.publish()
    assert [body.version for _, body in published(site)] == [1]
    assert ours.publish() == 1
    assert len(phone(site).keys[KeyKind.GAEN]) == 3


# --- the bucket changes -----------------------------------------------------------------------------------------------


def test_a_bucket_that_was_emptied_between_two_rounds(site: Site) -> None:
    """Everything in force is there again, and phones of any version that the delta reaches get on."""
    ours = publisher_of(site)
    bucket = site.deployment.folders.bucket
    states = []
    for serial in range(5):
        site.report(f"phone {serial}", serial)
        site.clock.wait(FOUR_HOURS)
        assert ours.publish() == serial + 1
        states.append(phone(site))
    before = objects(bucket)
    for how in ("emptied", "emptied, and a step later"):
        shutil.rmtree(bucket)
        bucket.mkdir()
        if how != "emptied":
            site.clock.wait(QUARTER_SECONDS)
        ours.publish()
        assert objects(bucket)["v1/head"] == before["v1/head"] or how != "emptied"
        for state in [*states, None]:
            assert len(phone(site, state).keys[KeyKind.GAEN]) == 15


def test_a_bucket_that_was_set_back(site: Site, tmp_path: Path) -> None:
    """An older copy of the bucket was restored: one version older, and several."""
    ours = publisher_of(site)
    bucket = site.deployment.folders.bucket
    for serial in range(4):
        site.report(f"phone {serial}", serial)
        site.clock.wait(FOUR_HOURS)
        ours.publish()
        shutil.copytree(bucket, tmp_path / f"copy {serial}")
    latest = objects(bucket)
    for serial in (2, 0):
        shutil.rmtree(bucket)
        shutil.copytree(tmp_path / f"copy {serial}", bucket)
        assert ours.publish() == 4
        held = objects(bucket)
        assert held.items() <= latest.items()
        assert held.keys() >= {"v1/head", "v1/utopia/gaen/index.txt"} | files_in_force(site)


def test_a_list_that_was_lost_is_made_again(site: Site) -> None:
    """The list of GAEN files, or any object in force, vanished: the next version that names it brings it back."""
    ours = publisher_of(site)
    bucket = site.deployment.folders.bucket
    site.report("ada", 0)
    site.clock.wait(FOUR_HOURS)
    ours.publish()
    files = [path for path in (bucket / "v1/utopia/gaen").iterdir() if path.name != "index.txt"]
    lists = [path for path in files if not path.read_bytes().startswith(b"PK")]
    assert len(lists) == 2
    for path in lists:
        path.unlink()
    site.clock.wait(QUARTER_SECONDS)
    ours.publish()
    assert all(path.exists() for path in lists)


@pytest.mark.parametrize("harm", ["lost", "damaged"])
def test_the_index_names_no_file_that_is_lost_for_good(site: Site, monkeypatch: pytest.MonkeyPatch, harm: str) -> None:
    """Nobody can make it again: the publisher says so, and the index leads to the whole set by the dump."""
    ours = publisher_of(site)
    bucket = site.deployment.folders.bucket
    index = bucket / "v1/utopia/gaen/index.txt"
    for serial in range(2):
        site.report(f"phone {serial}", serial)
        site.clock.wait(FOUR_HOURS)
        ours.publish()
    lost, kept = index.read_text().split("\n")
    if harm == "lost":
        (bucket / lost).unlink()
    else:
        (bucket / lost).write_bytes((bucket / lost).read_bytes()[:-1])
    monkeypatch.setattr("tocsin.service.publish.put", lambda objects, bucket: frozenset())
    with pytest.raises(Unavailable, match="can't be made again"):
        publisher_of(site).publish()
    dump, after = index.read_text().split("\n")
    assert after == kept and dump != lost and (bucket / dump).exists()


@pytest.mark.parametrize("how", ["lost", "spoilt", "older"])
def test_the_index_is_put_right_though_nothing_is_due(site: Site, how: str) -> None:
    """By the next round of the same publisher, and by a new one: a server, or `tocsin publish`."""
    ours = publisher_of(site)
    index = site.deployment.folders.bucket / "v1/utopia/gaen/index.txt"
    site.clock.wait(QUARTER_SECONDS)
    ours.publish()
    older = index.read_bytes()
    assert older == b"", "an empty window makes no file, and the index is there"
    site.report("ada", 0)
    site.clock.wait(FOUR_HOURS)
    ours.publish()
    right = index.read_bytes()
    assert right != older
    for publisher in (ours, publisher_of(site)):
        if how == "lost":
            index.unlink()
        else:
            index.write_bytes(older if how == "older" else b"<html>")
        assert publisher.publish() == 2
        assert index.read_bytes() == right


@pytest.mark.parametrize("harm", ["lost", "emptied", "torn", "changed"])
def test_files_in_force_that_are_lost_or_damaged_are_made_again(site: Site, harm: str) -> None:
    """By the next round where a look shows it, else with the next version; the same bytes, and told by name."""
    restored: list[str] = []
    deployment = site.deployment
    publisher = deployment.publisher(told_restored=restored.extend)
    for serial in range(3):
        site.report(f"phone {serial}", serial)
        site.clock.wait(4 * 3600)
        publisher.publish()
    bucket = deployment.folders.bucket
    whole = objects(bucket)
    fresh = deployment.publisher(told_restored=restored.extend)
    for name, data in whole.items():
        path = bucket / name
        if name == "v1/head" or name not in files_in_force(site):
            continue
        match harm:
            case "lost":
                path.unlink()
            case "emptied":
                path.write_bytes(b"")
            case "torn":
                path.write_bytes(data[: len(data) // 2])
            case "changed":
                path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        quick = harm in ("lost", "emptied") or (harm == "torn" and not data.startswith(b"PK"))
        (publisher if quick else deployment.publisher(told_restored=restored.extend)).publish()
        assert (objects(bucket), restored) == (whole, [name])
        restored.clear()
    fresh.publish()
    assert restored == []


def test_what_the_quick_look_does_not_see_is_seen_with_the_next_version(site: Site) -> None:
    restored: list[str] = []
    publisher = site.deployment.publisher(told_restored=restored.extend)
    site.report("ada", 0)
    site.clock.wait(QUARTER_SECONDS)
    publisher.publish()
    held = objects(site.deployment.folders.bucket)
    [name, *_] = [name for name in files_in_force(site) if held[name].startswith(b"PK")]
    path, data = site.deployment.folders.bucket / name, held[name]
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    publisher.publish()
    assert restored == []
    site.clock.wait(QUARTER_SECONDS)
    publisher.publish()
    assert restored == [name] and path.read_bytes() == data


def files_in_force(site: Site) -> set[str]:
    """Found out by a bucket without anything: what of the newest head is missing there."""
    verifier = head_verifier(site.deployment.settings, site.deployment.keys)
    leaf = released(site.deployment.bucket, verifier).leaf
    assert leaf is not None

    class Lists(FolderBucket):
        def length(self, name: str) -> int | None:
            return None

    return set(missing(leaf, Lists(site.deployment.folders.bucket)))


@pytest.mark.parametrize("behind", [0, 1, 2])
def test_a_bucket_of_another_journal_is_refused(site: Site, tmp_path: Path, behind: int) -> None:
    """Same keys, another history, as after a wrong restore: nothing is put over it, whoever is ahead, however often."""
    site.clock.wait(QUARTER_SECONDS)
    site.report("ada", 0)
    site.deployment.close()
    shutil.copytree(site.top, tmp_path / "fork")
    fork = Deployment(tmp_path / "fork", site.clock)
    performer = fork.performer()
    performer.act(lambda ledger, now: corrections.pause(ledger, by("fork")))
    theirs, ours = fork.publisher(), publisher_of(site)
    for step in range(4):
        site.clock.wait(QUARTER_SECONDS)
        ours.publish()
        if step < 4 - behind:
            theirs.publish()
    bucket = site.deployment.folders.bucket
    shutil.rmtree(bucket)
    shutil.copytree(fork.folders.bucket, bucket)
    held = objects(bucket)
    for publisher in (ours, ours, publisher_of(site), publisher_of(site)):
        with pytest.raises(Invalid, match="another journal"):
            publisher.publish()
        assert objects(bucket) == held
        site.clock.wait(QUARTER_SECONDS)
    fork.close()


def test_a_bucket_that_is_ahead_of_its_journal_is_refused(site: Site, tmp_path: Path) -> None:
    """The journal was restored from an older copy: versions that phones know are not decided again."""
    site.deployment.close()
    shutil.copytree(site.top, tmp_path / "copy")
    site.clock.wait(QUARTER_SECONDS)
    publisher_of(site).publish()
    old = Deployment(tmp_path / "copy", site.clock)
    shutil.rmtree(old.folders.bucket)
    shutil.copytree(site.deployment.folders.bucket, old.folders.bucket)
    held = objects(old.folders.bucket)
    publisher = old.publisher()
    for _ in range(2):
        with pytest.raises(Invalid, match="older copy"):
            publisher.publish()
    assert objects(old.folders.bucket) == held
    assert old.journal.tip().sequence == site.deployment.journal.tip().sequence - 1
    old.close()


def test_a_missing_day_key_stops_publication_and_unpublishes_nothing(site: Site) -> None:
    site.report("ada", 0)
    site.clock.wait(QUARTER_SECONDS)
    publisher_of(site).publish()
    [key] = [path for path in (site.deployment.folders.keys / "days").iterdir() if path.name == "20500"]
    hidden = key.rename(key.parent.parent / "hidden")
    site.clock.wait(QUARTER_SECONDS)
    fresh = Deployment(site.top, site.clock)
    publisher = fresh.publisher()
    for _ in range(2):
        with pytest.raises(Unavailable, match="20500"):
            publisher.publish()
    hidden.rename(key)
    assert publisher.publish() == 2
    assert len(phone(site).keys[KeyKind.GAEN]) == 3
    fresh.close()


# --- beside each other ------------------------------------------------------------------------------------------------


def test_two_publishers_take_turns(site: Site, tmp_path: Path) -> None:
    """Case 52: in one process, over one bucket; each finds what the other did, and each version is told once."""
    told: list[int] = []
    pair = [publisher_of(site, told=lambda out: told.append(out.version)) for _ in range(2)]
    alone = publisher_of(site, bucket=FolderBucket(tmp_path / "alone"))
    state = None
    for serial, turn in enumerate([0, 1, 1, 0, 0, 1, 0]):
        site.report(f"phone {serial}", serial)
        site.clock.wait(2 * 3600)
        assert pair[turn].publish() == serial + 1
        assert pair[turn].publish() == serial + 1
        if serial % 3 == 0:
            assert pair[1 - turn].publish() == serial + 1
        state = phone(site, state)
        assert len(state.keys[KeyKind.GAEN]) == 3 * (serial + 1)
    assert told == list(range(1, 8))
    alone.publish()
    assert objects(tmp_path / "alone")["v1/head"] == objects(site.deployment.folders.bucket)["v1/head"]


class Rebuilt(Meddled):
    def tip(self) -> Tip:
        return replace(super().tip(), term=2)


def test_a_publisher_of_a_replaced_journal_is_stopped(site: Site, tmp_path: Path) -> None:
    """The journal was rebuilt with a higher term, and its publisher has taken the bucket over."""
    site.clock.wait(QUARTER_SECONDS)
    ours = publisher_of(site)
    ours.publish()

    site.clock.wait(QUARTER_SECONDS)
    publisher_of(site, Rebuilt(site.deployment.journal)).publish()
    assert published(site)[-1][1].term == 2
    assert ours.publish() == 2
    held = objects(site.deployment.folders.bucket)
    site.clock.wait(QUARTER_SECONDS)
    for _ in range(2):
        with pytest.raises(Refused) as refusal:
            ours.publish()
        assert refusal.value.code == "old_term"
    assert objects(site.deployment.folders.bucket)["v1/head"] == held["v1/head"]


# --- phones -----------------------------------------------------------------------------------------------------------


def test_a_client_of_any_age_gets_to_the_present_set(site: Site) -> None:
    """Case 20: last synced 1, 10, 14, 15 and 60 days ago; with corrections and expiry in between."""
    ours = publisher_of(site)
    states: dict[int, SyncState | None] = {}
    for day in range(62):
        site.deployment.keys.make_days_ahead(day_of(site.clock.now()))
        site.report(f"phone {day}", day, days=5)
        if day % 5 == 4:
            site.withdraw(f"phone {day - 1}")
        site.clock.wait(DAY_SECONDS)
        ours.publish()
        states[day] = phone(site)
    today = states[61]
    assert today is not None and len(today.keys[KeyKind.GAEN]) > 30
    for age in (1, 10, 14, 15, 60):
        state = phone(site, states[61 - age])
        assert state.keys[KeyKind.GAEN].tobytes() == today.keys[KeyKind.GAEN].tobytes()
        assert (state.version, state.set_digest) == (today.version, today.set_digest)
    assert PROMPT.useful_days == 14


def test_around_midnight(site: Site, tmp_path: Path) -> None:
    """Case 13: versions at 23:59:59 and 00:00:01; no name of the first day is used again on the second."""
    midnight = (site.clock.at // DAY_SECONDS + 1) * DAY_SECONDS
    ours = publisher_of(site)
    site.report("ada", 0)
    site.clock.at = midnight - 1
    ours.publish()
    before = objects(site.deployment.folders.bucket)
    site.clock.at = midnight + 1
    ours.publish()
    after = objects(site.deployment.folders.bucket)
    assert {name for name in before if before[name] != after[name]} == {"v1/head"}
    assert [body.at for _, body in published(site)] == [midnight - 900, midnight]
    assert after.keys() - before.keys()


# --- surges -----------------------------------------------------------------------------------------------------------

SURGE_OF_THREE = replace(PROMPT, surge_reports=2, surge_factor=1)


@pytest.fixture
def surging(tmp_path: Path) -> Iterator[Site]:
    """Three reports within a quarter-hour, where two are usual; a version is due."""
    site = Site(tmp_path / "site", FixedClock(), SURGE_OF_THREE)
    for serial in range(3):
        site.report(f"phone {serial}", serial)
    site.clock.wait(QUARTER_SECONDS)
    yield site
    site.deployment.close()


def quarantines(site: Site) -> list[Quarantined]:
    bodies = (decode_body(event.kind, event.body) for event in site.deployment.journal.read(0))
    return [body for body in bodies if isinstance(body, Quarantined)]


def test_a_surge_is_kept_back_before_a_version_is_planned(surging: Site) -> None:  # Q2
    told: list[Surge] = []
    publisher = surging.deployment.publisher(told_surge=told.append)
    assert publisher.publish() == 1
    assert len(phone(surging).keys[KeyKind.GAEN]) == 0
    assert [surge.reports for surge in told] == [3]
    [body] = quarantines(surging)
    assert (body.target, body.who, body.why) == (
        Target(batch=1),
        MACHINE,
        "a surge: 3 reports, where up to 2 are usual",
    )
    surging.clock.wait(QUARTER_SECONDS)
    surging.report("phone 3", 3)
    assert (publisher.publish(), len(quarantines(surging)), len(phone(surging).keys[KeyKind.GAEN])) == (2, 1, 0)
    sequence = next(iter(publisher.ledger.quarantines))
    surging.performer.act(lambda ledger, now: lift(ledger, sequence, by("lift")))
    surging.clock.wait(QUARTER_SECONDS)
    assert (publisher.publish(), len(quarantines(surging)), len(phone(surging).keys[KeyKind.GAEN])) == (3, 1, 12)


def test_a_surge_is_looked_for_only_where_a_version_is_due(surging: Site) -> None:  # Q2
    publisher = surging.deployment.publisher()
    publisher.publish()
    sequence = next(iter(publisher.ledger.quarantines))
    surging.performer.act(lambda ledger, now: lift(ledger, sequence, by("lift")))
    before = surging.deployment.journal.tip()
    publisher.publish()
    assert surging.deployment.journal.tip() == before


def test_two_publishers_find_one_surge(surging: Site) -> None:  # Q2, Q3
    """The second has read the journal before the first put the surge into quarantine."""
    told: list[Surge] = []
    faster = surging.deployment.publisher(told_surge=told.append)
    between = Meddled(surging.deployment.journal, faster.publish)
    slow = publisher_of(surging, between)
    assert slow.publish() == 1
    assert len(told) == len(quarantines(surging)) == 1
    assert len(phone(surging).keys[KeyKind.GAEN]) == 0


def test_a_quarantine_that_comes_while_a_version_is_planned_holds_for_it(site: Site) -> None:  # P7, Q1
    site.report("phone 0", 0)
    site.clock.wait(QUARTER_SECONDS)

    def keep_back() -> None:
        site.performer.act(lambda ledger, now: quarantine(ledger, Target(batch=1), by("keep back")))

    overtaking = Meddled(site.deployment.journal, keep_back)
    assert publisher_of(site, overtaking).publish() == 1
    assert len(phone(site).keys[KeyKind.GAEN]) == 0
