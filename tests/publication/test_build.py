"""The bytes of a version, read again by others: the protobuf library, `openssl`, and sums done anew."""

import hashlib
from collections.abc import Iterable

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from tests.builders import Story, chain, day_key
from tests.publication.press import NEW_INFO, OLD_INFO, PROMPT, Press, public_records, step
from tocsin.client.apply import apply_delta
from tocsin.client.ephemeral_ids import ephemeral_ids
from tocsin.client.match import DP3T_SIGHTING, Match, match_dp3t
from tocsin.formats.gaen.reader import Export, decode_export
from tocsin.formats.keyset import KeysetDelta, KeysetDump, decode_keyset
from tocsin.formats.leaf import Profile, decode_file_list
from tocsin.formats.set_digest import canonical
from tocsin.ledger.fold import fold
from tocsin.ledger.state import Ledger
from tocsin.model.calls import Verdict
from tocsin.model.errors import Invalid
from tocsin.model.keys import KeyKind, Records, ReportType, by_kind, key_days
from tocsin.model.policy import Policy
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, Instant
from tocsin.publication.build import Built, build

EVERY_STEP = replace(PROMPT, gaen_step_seconds=QUARTER_SECONDS)
"""GAEN files at every version."""


def exports(built: Built, kind: str) -> list[Export]:
    """The GAEN files of a version, read by the protobuf library."""
    return [decode_export(export.data) for export in built.exports if export.kind == kind]


def keysets(built: Built) -> list[KeysetDump | KeysetDelta]:
    return [decode_keyset(entry.data) for entry in built.objects if entry.profile == Profile.KEYSET]


def lists(built: Built) -> dict[bytes, bytes]:
    """The lists of GAEN files by their hash."""
    return {hashlib.sha256(entry.data).digest(): entry.data for entry in built.objects if entry.profile == Profile.GAEN}


def records_of(parts: Iterable[Export]) -> dict[bytes, bytes]:
    """Key → record of the `keys` of these files."""
    return {record["key_data"].tobytes(): record.tobytes() for part in parts for record in part.keys}


def report(story: Story, name: str, serial: int, days: int = 3, batch: int = 1) -> int:
    keys = [day_key(f"{name} {ago}", ago, story.now) for ago in range(1, days + 1)]
    return story.report(name, keys, story.card(batch, serial))


@pytest.fixture
def press() -> Press:
    made = Press()
    made.story.batch()
    return made


# --- a version that says nothing -------------------------------------------------------------------------------------


def test_an_empty_set_has_valid_empty_files(press: Press) -> None:
    """Case 4: the first version of a new deployment."""
    built = press.publish()
    dump, delta = keysets(built)
    assert isinstance(dump, KeysetDump) and len(dump.keys[KeyKind.GAEN]) == 0
    assert isinstance(delta, KeysetDelta) and not any(map(len, (*delta.additions.values(), *delta.removals.values())))
    [export] = exports(built, "dump")
    assert (len(export.keys), len(export.revised_keys), export.batch_num, export.batch_size) == (0, 0, 1, 1)
    assert exports(built, "delta") == [], "an empty window makes no file"
    keyset, gaen = built.leaf.profiles
    assert keyset.dump is not None and keyset.delta is not None and gaen.dump is not None and gaen.delta is None
    assert built.leaf.gaen_keys == 0


# --- pure -------------------------------------------------------------------------------------------------------------


def test_the_same_journal_gives_the_same_bytes(press: Press) -> None:
    for serial in range(3):
        report(press.story, f"phone {serial}", serial)
        built = press.publish(2 * 3600)
    press.story.withdraw("phone 1")
    built = press.publish(4 * 3600)
    again = Ledger()
    fold(again, press.story.events)
    rebuilt = build(again)
    assert rebuilt.leaf == built.leaf and rebuilt.objects == built.objects and rebuilt.made == built.made
    assert [(e.kind, e.header, e.data) for e in rebuilt.exports] == [(e.kind, e.header, e.data) for e in built.exports]


def test_what_came_after_the_decision_changes_nothing(press: Press) -> None:
    """Reports and corrections that wait for the next version."""
    first = report(press.story, "a", 0)
    built = press.publish(4 * 3600)
    report(press.story, "b", 1)
    press.story.rollback(first)
    press.story.withdraw("b")
    assert build(press.story.ledger).leaf == built.leaf
    assert build(press.story.ledger).objects == built.objects


def test_a_ledger_that_leads_elsewhere_is_refused(press: Press) -> None:
    report(press.story, "a", 0)
    press.publish()
    press.story.ledger.keys[KeyKind.GAEN]["record"]["rolling_period"][0] = 143
    with pytest.raises(Invalid, match="version 1"):
        build(press.story.ledger)


def test_the_leaf_names_what_was_built(press: Press) -> None:
    report(press.story, "a", 0)
    built = press.publish()
    version, leaf = press.story.ledger.versions[-1], built.leaf
    assert (leaf.region, leaf.version, leaf.at, leaf.due) == ("utopia", 1, version.at, version.at + 900)
    assert (leaf.set_digest, leaf.journal, leaf.term) == (version.set_digest, version.digest, 1)
    assert (leaf.gaen_keys, leaf.dp3t_keys, leaf.useful_days) == (3, 0, 14)
    named = {
        named.file.hash: named.file.length for entry in leaf.profiles for named in (entry.dump, entry.delta) if named
    }
    assert named == {hashlib.sha256(entry.data).digest(): len(entry.data) for entry in built.objects}
    listed = [file for data in lists(built).values() for file in decode_file_list(data)]
    assert {(file.file.hash, file.file.length) for file in listed} == {
        (hashlib.sha256(export.data).digest(), len(export.data)) for export in built.exports
    }


# --- GAEN -------------------------------------------------------------------------------------------------------------


def test_the_windows_of_gaen_files_are_the_true_ones(press: Press) -> None:
    """Case 6: declared windows. A delta begins where the GAEN step before it ended, a dump with the first live day."""
    founded = press.story.ledger.founded_at
    report(press.story, "a", 0)
    first = press.publish()
    report(press.story, "b", 1)
    press.publish()
    second = press.publish(4 * 3600)
    for built, start in ((first, founded), (second, first.leaf.at)):
        [dump], [delta] = exports(built, "dump"), exports(built, "delta")
        assert (dump.start_timestamp, dump.end_timestamp) == (built.leaf.first_day * DAY_SECONDS, built.leaf.at)
        assert (delta.start_timestamp, delta.end_timestamp) == (start, built.leaf.at)
        assert {dump.region, delta.region} == {"utopia"}


def test_files_between_two_gaen_steps_stay_named(press: Press) -> None:
    report(press.story, "a", 0)
    first = press.publish()
    second = press.publish()
    assert second.leaf.profiles[1] == first.leaf.profiles[1] and second.exports == ()


def test_the_list_of_deltas_goes_back_one_useful_life(press: Press) -> None:
    """Case 20, for phones that take GAEN files: deltas of 14 days, and the dump for those that were away for longer."""
    day = DAY_SECONDS
    leaves = []
    for serial in range(20):
        report(press.story, f"phone {serial}", serial)
        leaves.append(press.decide(day).leaf)
    built = build(press.story.ledger)
    delta = built.leaf.profiles[1].delta
    assert delta is not None
    ats = {leaf.version: leaf.at for leaf in leaves}
    windows = [(file.from_version, file.to_version) for file in decode_file_list(lists(built)[delta.file.hash])]
    assert windows == [(version - 1, version) for version in ats if ats[version] >= built.leaf.at - 14 * day]
    assert len(windows) == 15


def test_corrections_are_revised_keys(press: Press) -> None:
    """REVOKED with every other field as published; a key that comes back has its present type and is no new key."""
    press.story.policy = EVERY_STEP
    first = report(press.story, "a", 0)
    published = records_of(exports(press.publish(), "delta"))
    objection = press.story.rollback(first)
    [delta] = exports(press.publish(), "delta")
    assert len(delta.keys) == 0
    assert set(delta.revised_keys["report_type"].tolist()) == {ReportType.REVOKED}
    was = delta.revised_keys.copy()
    was["report_type"] = ReportType.CONFIRMED
    assert {record["key_data"].tobytes(): record.tobytes() for record in was} == published
    press.story.reinstate(objection)
    [delta] = exports(press.publish(), "delta")
    assert len(delta.keys) == 0
    assert {record["key_data"].tobytes(): record.tobytes() for record in delta.revised_keys} == published


@pytest.mark.parametrize("records_per_part", [1, 4, 5, 13, 26, 27])
def test_large_exports_are_split_and_nothing_is_dropped(press: Press, records_per_part: int) -> None:
    press.story.policy = replace(EVERY_STEP, gaen_records_per_part=records_per_part)
    report(press.story, "gone", 0, days=5)
    press.publish()
    press.story.withdraw("gone")
    for serial in (1, 2):
        report(press.story, f"phone {serial}", serial, days=13)
    built = press.publish()
    delta = exports(built, "delta")
    assert sum(len(part.keys) for part in delta) == 26
    assert sum(len(part.revised_keys) for part in delta) == 5
    for parts in (delta, exports(built, "dump")):
        assert records_of(parts).keys() == set(public_records(press.story)["key_data"].tolist())
        assert all(0 < len(part.keys) + len(part.revised_keys) <= records_per_part for part in parts)
        assert [(part.batch_num, part.batch_size) for part in parts] == [
            (number, len(parts)) for number in range(1, len(parts) + 1)
        ]
    assert len(delta) == -(-31 // records_per_part)


def test_an_export_names_the_keys_that_were_decided(press: Press) -> None:
    """Case 3: in the overlap files name both keys; building asks no policy, so the event says which."""
    press.story.policy = replace(PROMPT, gaen_signature_infos=(NEW_INFO, OLD_INFO))
    step(press.story)
    press.story.policy = PROMPT
    [export] = exports(build(press.story.ledger), "dump")
    assert [info.key for info in export.signature_infos] == [NEW_INFO, OLD_INFO]


# --- any history ------------------------------------------------------------------------------------------------------

ACTS = st.one_of(
    st.tuples(st.just("report"), st.sets(st.sampled_from("abcdef"), min_size=1, max_size=3), st.sampled_from([1, 2])),
    st.tuples(st.just("withdraw"), st.integers(0, 9)),
    st.tuples(st.just("roll back"), st.integers(0, 9)),
    st.tuples(st.just("reinstate"), st.integers(0, 9)),
    st.tuples(st.just("publish"), st.sampled_from([1, 1, 2, 16, 96])),
    st.tuples(st.just("publish"), st.sampled_from([1, 16])),
)


class GaenPhone:
    """A phone that took one GAEN dump, and every delta after it."""

    def __init__(self, dump: dict[bytes, bytes], first_day: int) -> None:
        self.records = dict(dump)

    def take(self, delta: list[Export], first_day: int) -> None:
        for part in delta:
            for record in np.concatenate([part.keys, part.revised_keys], dtype=part.keys.dtype):
                self.records.pop(record["key_data"].tobytes(), None)
                if record["report_type"] != ReportType.REVOKED:
                    self.records[record["key_data"].tobytes()] = record.tobytes()
        self.records = {key: record for key, record in self.records.items() if _day(record) >= first_day}


def _day(record: bytes) -> int:
    start, period = int.from_bytes(record[16:20]), record[20]
    return (start + period - 1) // 144


class History:
    """Acts told to a press of two batches, one of confirmed and one of likely reports, that share keys."""

    def __init__(self, policy: Policy) -> None:
        self.press = Press(policy)
        self.press.story.batch()
        self.press.story.batch(report_type=ReportType.LIKELY)
        self.reports: list[tuple[str, int]] = []
        self.objections: list[int] = []

    def act(self, name: str, *arguments: object) -> Built | None:
        story = self.press.story
        match name, *arguments:
            case "report", set() as keys, int() as batch:
                phone = f"phone {len(self.reports)}"
                sent = [day_key(key, "abcdef".index(key) + 1, story.now) for key in sorted(keys)]
                self.reports.append((phone, story.report(phone, sent, story.card(batch, len(self.reports)))))
            case "withdraw", int() as index if self.reports:
                assert story.withdraw(self.reports[index % len(self.reports)][0]) is Verdict.WITHDRAWN
            case "roll back", int() as index if self.reports:
                sequence = self.reports[index % len(self.reports)][1]
                row = int(np.searchsorted(story.ledger.reports["sequence"], sequence))
                if not story.ledger.reports["withdrawn"][row]:
                    self.objections.append(story.rollback(sequence))
            case "reinstate", int() as index if self.objections:
                story.reinstate(self.objections.pop(index % len(self.objections)))
            case "publish", int() as steps:
                return self.press.publish(steps * QUARTER_SECONDS)
        return None


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(ACTS, min_size=10, max_size=40), st.sampled_from([1, 3, 100]))
def test_gaen_deltas_lead_to_the_gaen_dump(acts: list[tuple[object, ...]], records_per_part: int) -> None:
    """Case 6: whatever dump a phone began with, `keys`, `revised_keys` and REVOKED lead it to the newest dump."""
    history = History(replace(PROMPT, gaen_records_per_part=records_per_part))
    phones: list[GaenPhone] = []
    for name, *arguments in acts:
        built = history.act(str(name), *arguments)
        if built is None or not built.exports:
            continue
        first_day = built.leaf.first_day
        dump, delta = records_of(exports(built, "dump")), exports(built, "delta")
        assert canonical(public_records(history.press.story)).tobytes() == _canonical_bytes(dump)
        for phone in phones:
            phone.take(delta, first_day)
            assert phone.records == dump
        phones.append(GaenPhone(dump, first_day))


def _canonical_bytes(records: dict[bytes, bytes]) -> bytes:
    return b"".join(record for _, _, record in sorted((_day(record), key, record) for key, record in records.items()))


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(ACTS, min_size=10, max_size=40))
def test_keyset_files_say_what_is_public(acts: list[tuple[object, ...]]) -> None:
    """Case 6, for the native format: dump and newest delta of each version against every set that was ever public."""
    history = History(PROMPT)
    sets: dict[int, Records] = {0: public_set_of_nothing()}
    for name, *arguments in acts:
        built = history.act(str(name), *arguments)
        if built is None:
            continue
        now = canonical(public_records(history.press.story))
        sets[built.leaf.version] = now
        for file in keysets(built):
            if isinstance(file, KeysetDump):
                assert file.keys[KeyKind.GAEN].tobytes() == now.tobytes()
                continue
            assert (file.to_version, file.set_digest) == (built.leaf.version, built.leaf.set_digest)
            for version in range(file.from_version, file.to_version + 1):
                assert _applied(sets[version], file) == {record.tobytes() for record in now}


def public_set_of_nothing() -> Records:
    story = Story(PROMPT)
    step(story)
    return public_records(story)


def _applied(records: Records, delta: KeysetDelta) -> set[bytes]:
    """The delta law, in plain words."""
    held = {record["key_data"].tobytes(): record for record in records[key_days(records) >= delta.first_day]}
    for removal in delta.removals[KeyKind.GAEN]:
        held.pop(removal["key_data"].tobytes(), None)
    held |= {record["key_data"].tobytes(): record for record in delta.additions[KeyKind.GAEN]}
    return {record.tobytes() for record in held.values()}


def test_day_keys_go_out_by_keyset_alone_and_are_matched() -> None:
    """From report to match and back. The leaf counts them; GAEN files can't say what they are, and none is made."""
    press = Press(replace(PROMPT, dp3t_keys=True))
    card = press.story.card(press.story.batch(), 0)
    press.publish()
    press.story.report("ada", chain("ada", 3), card)
    built = press.publish()
    assert (built.leaf.gaen_keys, built.leaf.dp3t_keys, built.leaf.live_keys, built.exports) == (0, 3, 3, ())
    [delta] = [decode_keyset(file.data) for file in built.objects if file.profile == Profile.KEYSET]
    assert isinstance(delta, KeysetDelta)
    day_keys = apply_delta(by_kind(), delta)[KeyKind.DP3T]
    noon = int(day_keys["rolling_start_interval_number"][0]) + 72
    heard = np.array([(ephemeral_ids(day_keys)[0, 7].tobytes(), noon)], DP3T_SIGHTING)
    assert match_dp3t(day_keys, heard, Instant(delta.at)) == (Match(0, 0, noon),)
    press.story.withdraw("ada")
    assert press.publish().leaf.dp3t_keys == 0
