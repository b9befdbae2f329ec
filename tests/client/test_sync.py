"""Sync against a bucket that tells the truth, and against one that does not. T-B1, T-B2, T-B3, T-K4."""

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.bucket_simulator import OTHER_KEY, REGION, TRUST, BucketSimulator, Row, row, table
from tocsin.client.state import SyncState, encode_state
from tocsin.client.sync import MAX_HEAD_BYTES, SyncReason, SyncRefused, next_sync_at, sync
from tocsin.formats.keyset import encode_delta, encode_dump, removals_by_kind
from tocsin.formats.leaf import HEAD_NAME, Delta, Dump, ProfileFiles
from tocsin.formats.set_digest import canonical, set_digest
from tocsin.model.errors import Unavailable
from tocsin.model.keys import KeyKind, by_kind
from tocsin.model.times import DAY_SECONDS


def synced(bucket: BucketSimulator, state: SyncState | None = None) -> SyncState:
    return sync(state, TRUST, bucket.leaf.at + 60, bucket.fetch)


def refused(bucket: BucketSimulator, state: SyncState | None, now: int | None = None) -> SyncReason:
    """The reason of the refusal; the state handed in is untouched."""
    before = encode_state(state) if state else None
    with pytest.raises(SyncRefused) as refusal:
        sync(state, TRUST, bucket.leaf.at + 60 if now is None else now, bucket.fetch)
    assert (encode_state(state) if state else None) == before
    assert refusal.value.code == refusal.value.reason
    return refusal.value.reason


@pytest.fixture
def bucket() -> BucketSimulator:
    """Three versions: dump at 1, delta 0 to 3."""
    simulator = BucketSimulator()
    simulator.publish([row(1), row(2), row(3)])
    simulator.publish([row(1), row(2, report_type=2), row(4)])
    simulator.publish([row(2, report_type=2), row(4), row(5)])
    return simulator


@pytest.fixture
def state(bucket: BucketSimulator) -> SyncState:
    """A phone at version 2 of `bucket`."""
    bucket.put_head(leaf := bucket.leaves[2])  # type: ignore[arg-type]
    assert leaf is not None
    held = sync(None, TRUST, leaf.at, bucket.fetch)
    bucket.put_head(bucket.leaf)
    assert held.version == 2
    return held


# --- the truth -------------------------------------------------------------------------------------------------------


def test_first_sync_is_dump_and_delta(bucket: BucketSimulator) -> None:
    held = synced(bucket)
    assert held.keys[KeyKind.GAEN].tobytes() == canonical(bucket.keys(3)[KeyKind.GAEN]).tobytes()
    leaf = bucket.leaf
    assert (held.version, held.at, held.due_at, held.first_day) == (3, leaf.at, leaf.due, leaf.first_day)
    assert (held.set_digest, held.journal, held.term, held.region) == (leaf.set_digest, leaf.journal, 1, REGION)
    assert [name for name, _ in bucket.fetched] == [HEAD_NAME, bucket.name_of("dump"), bucket.name_of("delta")]


def test_next_sync_is_the_delta_alone(bucket: BucketSimulator, state: SyncState) -> None:
    bucket.fetched.clear()
    held = synced(bucket, state)
    assert held.keys[KeyKind.GAEN].tobytes() == canonical(bucket.keys(3)[KeyKind.GAEN]).tobytes()
    assert [name for name, _ in bucket.fetched] == [HEAD_NAME, bucket.name_of("delta")]


def test_the_window_begins_with_its_first_version() -> None:
    """At the window's first version the delta will do; a version before it the dump is needed."""
    bucket = BucketSimulator(dump_every=5, window=2)
    phones = []
    for number in range(1, 7):
        bucket.publish([row(number), row(number + 1)])
        phones.append(synced(bucket))
    bucket.publish([row(9)])  # dump at 6, delta 5 to 7
    for version, requests in ((4, ["dump", "delta"]), (5, ["delta"]), (6, ["delta"])):
        bucket.fetched.clear()
        assert synced(bucket, phones[version - 1]).version == 7
        assert [name for name, _ in bucket.fetched[1:]] == [bucket.name_of(kind) for kind in requests]


def test_a_delta_that_ends_too_early_is_passed_over(bucket: BucketSimulator, state: SyncState) -> None:
    leaf = bucket.leaf
    (files,) = leaf.profiles
    newest = Dump(3, bucket.put(encode_dump(bucket.dump(3))))
    ended = Delta(1, 2, bucket.put(encode_delta(bucket.delta(1, 2))))
    bucket.put_head(msgspec.structs.replace(leaf, profiles=(msgspec.structs.replace(files, dump=newest, delta=ended),)))
    for held in (state, None):
        assert synced(bucket, held).keys[KeyKind.GAEN].tobytes() == canonical(bucket.keys(3)[KeyKind.GAEN]).tobytes()


def test_no_news_is_the_same_state_and_one_request(bucket: BucketSimulator) -> None:
    held = synced(bucket)
    bucket.fetched.clear()
    assert synced(bucket, held) is held
    assert bucket.fetched == [(HEAD_NAME, MAX_HEAD_BYTES)]


def test_empty_version_is_news(bucket: BucketSimulator) -> None:
    """Case 4, and: every step makes a version, an empty one too."""
    held = synced(bucket)
    bucket.publish([])
    held = synced(bucket, held)
    assert (held.version, len(held.keys[KeyKind.GAEN])) == (4, 0)


@pytest.mark.parametrize("days_ago", [10, 14, 15, 60])
def test_a_phone_of_any_age_gets_to_the_present(days_ago: int) -> None:
    """Case 20."""
    bucket = BucketSimulator(dump_every=2, window=3)
    bucket.publish([row(number, age_days=number) for number in range(2, 15)])
    held = synced(bucket)
    bucket.publish([row(number, age_days=-days_ago + 2) for number in range(20, 25)], later_by=days_ago * DAY_SECONDS)
    for _ in range(4):
        bucket.publish([row(number, age_days=-days_ago + 2) for number in range(20, 24)])
    assert synced(bucket, held).keys[KeyKind.GAEN].tobytes() == synced(bucket).keys[KeyKind.GAEN].tobytes()
    assert len(synced(bucket, held).keys[KeyKind.GAEN]) == 4


HISTORIES = st.lists(
    st.tuples(
        st.lists(
            st.tuples(st.integers(0, 6), st.integers(1, 2), st.sampled_from([3, 4, 13])),
            unique_by=lambda entry: entry[0],
        ),
        st.sampled_from([900, DAY_SECONDS]),
    ),
    min_size=1,
    max_size=7,
)
"""Versions: keys by number, with report type and age (another owner may bring another record); time since the last."""


@given(HISTORIES, st.integers(1, 4), st.integers(0, 8))
def test_every_way_leads_to_the_snapshot(
    history: list[tuple[list[tuple[int, int, int]], int]], dump_every: int, window: int
) -> None:
    """Dump + deltas = dump, and a delta applies from any version of its window, on random histories. Case 6."""
    bucket = BucketSimulator(dump_every=dump_every, window=window)
    phones: list[SyncState | None] = [None]
    for keys, later_by in history:
        rows: list[Row] = [row(number, age_days=age, report_type=kind) for number, kind, age in keys]
        bucket.publish(rows, later_by=later_by)
        wanted = canonical(bucket.keys(bucket.version)[KeyKind.GAEN]).tobytes()
        arrived = [synced(bucket, phone) for phone in phones]
        assert {held.keys[KeyKind.GAEN].tobytes() for held in arrived} == {wanted}
        phones.append(arrived[0])  # one phone stays behind at every version


def test_a_damaged_set_is_healed_by_the_dump(bucket: BucketSimulator, state: SyncState) -> None:
    lost = msgspec.structs.replace(state, keys=by_kind(state.keys[KeyKind.GAEN][1:]))
    healed = synced(bucket, lost)
    assert healed.keys[KeyKind.GAEN].tobytes() == canonical(bucket.keys(3)[KeyKind.GAEN]).tobytes()
    assert bucket.name_of("dump") in [name for name, _ in bucket.fetched]


# --- changed bytes: T-B1 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["head", "dump", "delta"])
def test_a_changed_bit_is_refused_or_changes_nothing(bucket: BucketSimulator, kind: str) -> None:
    name = HEAD_NAME if kind == "head" else bucket.name_of(kind)
    right, expected = bucket.objects[name], encode_state(synced(bucket))
    harmless = 0
    for bit in random.Random(1).sample(range(len(right) * 8), 400):
        changed = bytearray(right)
        changed[bit // 8] ^= 1 << bit % 8
        bucket.objects[name] = bytes(changed)
        try:
            held = synced(bucket)
        except SyncRefused as refusal:
            assert refusal.reason == (SyncReason.WRONG_SIGNATURE if kind == "head" else SyncReason.WRONG_DIGEST)
        else:
            assert encode_state(held) == expected
            harmless += 1
    assert harmless <= (4 if kind == "head" else 0)  # spare bits of the signature's base64 say nothing


@pytest.mark.parametrize("kind", ["dump", "delta"])
def test_a_truncated_file_is_refused(bucket: BucketSimulator, kind: str) -> None:
    name = bucket.name_of(kind)
    for length in (0, 1, 50, len(bucket.objects[name]) - 1):
        right = bucket.objects[name]
        bucket.objects[name] = right[:length]
        assert refused(bucket, None) == SyncReason.WRONG_DIGEST
        bucket.objects[name] = right


def test_endless_data_is_cut_off_and_refused(bucket: BucketSimulator, state: SyncState) -> None:
    """T-B3: what a client asks for at most is what the signed head says; for the head, a constant."""
    for name in (bucket.name_of("delta"), HEAD_NAME):
        right = bucket.objects[name]
        bucket.objects[name] = right + bytes(100_000)
        bucket.fetched.clear()
        assert refused(bucket, state) == SyncReason.OVERSIZE
        assert bucket.fetched[-1] == (name, MAX_HEAD_BYTES if name == HEAD_NAME else len(right))
        bucket.objects[name] = right


def test_a_fetch_that_fails_is_no_refusal(bucket: BucketSimulator, state: SyncState) -> None:
    del bucket.objects[bucket.name_of("delta")]
    with pytest.raises(Unavailable):
        synced(bucket, state)


# --- the head --------------------------------------------------------------------------------------------------------


def test_a_foreign_signature_is_refused(bucket: BucketSimulator, state: SyncState) -> None:
    bucket.put_head(bucket.leaf, key=OTHER_KEY)
    assert refused(bucket, state) == SyncReason.WRONG_SIGNATURE


@pytest.mark.parametrize("head", [b"", b"\xff", b"no note", b"a\n\n"], ids=["empty", "binary", "text", "unsigned"])
def test_what_is_no_note_is_not_signed(bucket: BucketSimulator, head: bytes) -> None:
    bucket.objects[HEAD_NAME] = head
    assert refused(bucket, None) == SyncReason.WRONG_SIGNATURE


def test_a_signed_text_of_another_origin_is_no_head(bucket: BucketSimulator) -> None:
    bucket.put_head(bucket.leaf, origin="tocsin.example/elsewhere")
    assert refused(bucket, None) == SyncReason.MALFORMED


def test_another_region_is_refused(bucket: BucketSimulator, state: SyncState) -> None:
    bucket.put_head(msgspec.structs.replace(bucket.leaf, region="elsewhere"))
    assert refused(bucket, None) == SyncReason.OTHER_REGION
    bucket.put_head(bucket.leaf)
    assert refused(bucket, msgspec.structs.replace(state, region="elsewhere")) == SyncReason.OTHER_REGION


def test_a_frozen_mirror_is_stale_after_the_limit(bucket: BucketSimulator, state: SyncState) -> None:
    """T-B2: the edge itself is fresh; a second, an hour and ten days (T-K4) later it is stale, also for a new phone."""
    limit = bucket.leaf.at + TRUST.freshness_seconds
    assert sync(state, TRUST, limit, bucket.fetch).version == 3
    for late in (1, 3600, 10 * DAY_SECONDS):
        assert refused(bucket, state, now=limit + late) == SyncReason.STALE_HEAD
        assert refused(bucket, None, now=limit + late) == SyncReason.STALE_HEAD


def test_a_clock_pulled_back_is_told_apart(bucket: BucketSimulator, state: SyncState) -> None:
    """T-K4: five minutes are tolerated, more is a refusal of its own."""
    assert sync(state, TRUST, bucket.leaf.at - 300, bucket.fetch).version == 3
    for early in (301, 10 * DAY_SECONDS):
        assert refused(bucket, state, now=bucket.leaf.at - early) == SyncReason.CLOCK_WRONG


def test_an_older_version_is_refused(bucket: BucketSimulator) -> None:
    """Case 47 and T-B3: genuine, fresh, but behind what this phone has seen."""
    held = synced(bucket)
    older = bucket.leaves[2]
    assert older is not None
    bucket.put_head(older)
    assert refused(bucket, held) == SyncReason.OLDER_VERSION


def test_a_primary_that_was_replaced_is_refused(bucket: BucketSimulator) -> None:
    bucket.put_head(msgspec.structs.replace(bucket.leaf, term=2))
    held = synced(bucket)
    bucket.publish([row(9)])  # by the old one, whose term is 1
    assert refused(bucket, held) == SyncReason.OLDER_VERSION


@pytest.mark.parametrize("fields", [{"journal": bytes(32)}, {"set_digest": bytes(32)}], ids=["journal", "set"])
def test_two_heads_of_one_version_are_a_fork(bucket: BucketSimulator, fields: dict[str, bytes]) -> None:
    held = synced(bucket)
    bucket.put_head(msgspec.structs.replace(bucket.leaf, **fields))
    assert refused(bucket, held) == SyncReason.FORKED


def test_a_later_version_of_an_earlier_time_is_a_fork(bucket: BucketSimulator) -> None:
    held = synced(bucket)
    bucket.publish([row(9)], later_by=0)
    assert refused(bucket, held) == SyncReason.FORKED


# --- signed, but not what it should be -------------------------------------------------------------------------------


def test_old_files_under_a_new_head_are_refused(bucket: BucketSimulator, state: SyncState) -> None:
    """T-B3, mix and match: the old dump in the place of the new delta."""
    bucket.objects[bucket.name_of("delta")] = bucket.objects[bucket.name_of("dump")]
    assert refused(bucket, state) in (SyncReason.OVERSIZE, SyncReason.WRONG_DIGEST)


def test_a_set_that_the_head_does_not_name_is_refused(bucket: BucketSimulator, state: SyncState) -> None:
    """A delta from which a removal was taken, signed by mistake or malice: neither it nor the dump leads to the set."""
    delta = bucket.delta(0, 3)
    forged = encode_delta(msgspec.structs.replace(delta, removals=removals_by_kind()))
    bucket.put_keyset(bucket.leaf, delta=forged)
    assert len(delta.removals[KeyKind.GAEN])
    assert refused(bucket, state) == SyncReason.WRONG_DIGEST
    assert refused(bucket, None) == SyncReason.WRONG_DIGEST


Forgery = Callable[[BucketSimulator], bytes]


@pytest.mark.parametrize(
    "forgery",
    [
        lambda bucket: b"TKS1 and then nothing",
        lambda bucket: encode_dump(bucket.dump(3)),
        lambda bucket: encode_delta(bucket.delta(1, 3)),
        lambda bucket: encode_delta(bucket.delta(0, 2)),
        lambda bucket: encode_delta(msgspec.structs.replace(bucket.delta(0, 3), region="elsewhere")),
        lambda bucket: encode_delta(msgspec.structs.replace(bucket.delta(0, 3), at=0)),
        lambda bucket: encode_delta(msgspec.structs.replace(bucket.delta(0, 3), first_day=0)),
        lambda bucket: encode_delta(msgspec.structs.replace(bucket.delta(0, 3), set_digest=bytes(32))),
    ],
    ids=["no keyset", "a dump", "from", "to", "region", "at", "first day", "set digest"],
)
def test_a_delta_that_says_other_than_its_head_is_refused(
    bucket: BucketSimulator, state: SyncState, forgery: Forgery
) -> None:
    bucket.put_keyset(bucket.leaf, delta=forgery(bucket))
    assert refused(bucket, state) == SyncReason.MALFORMED


@pytest.mark.parametrize(
    "forgery",
    [
        lambda bucket: encode_delta(bucket.delta(0, 1)),
        lambda bucket: encode_dump(bucket.dump(2)),
        lambda bucket: encode_dump(msgspec.structs.replace(bucket.dump(1), region="elsewhere")),
    ],
    ids=["a delta", "version", "region"],
)
def test_a_dump_that_says_other_than_its_head_is_refused(bucket: BucketSimulator, forgery: Forgery) -> None:
    bucket.put_keyset(bucket.leaf, dump=forgery(bucket))
    assert refused(bucket, None) == SyncReason.MALFORMED


@pytest.mark.parametrize(
    "fields", [{"at": 0}, {"first_day": 0}, {"set_digest": bytes(32)}], ids=lambda fields: str(*fields)
)
def test_a_dump_of_the_heads_version_says_what_the_head_says(fields: dict[str, Any]) -> None:
    bucket = BucketSimulator()
    bucket.publish([row(1)])
    bucket.put_keyset(bucket.leaf, dump=encode_dump(msgspec.structs.replace(bucket.dump(1), **fields)))
    assert refused(bucket, None) == SyncReason.MALFORMED


def test_a_length_that_is_not_the_files_is_refused(bucket: BucketSimulator) -> None:
    leaf = bucket.leaf
    (files,) = leaf.profiles
    assert files.dump is not None
    longer = Dump(1, msgspec.structs.replace(files.dump.file, length=files.dump.file.length + 1))
    bucket.put_head(msgspec.structs.replace(leaf, profiles=(msgspec.structs.replace(files, dump=longer),)))
    assert refused(bucket, None) == SyncReason.WRONG_DIGEST


def test_a_head_that_names_no_way_to_its_version_is_refused(bucket: BucketSimulator, state: SyncState) -> None:
    leaf = bucket.leaf
    (files,) = leaf.profiles
    dump_only = ProfileFiles(files.profile, dump=files.dump)
    for profiles in ((), (dump_only,)):
        bucket.put_head(msgspec.structs.replace(leaf, profiles=profiles))
        assert refused(bucket, state) == SyncReason.MALFORMED


@pytest.mark.parametrize(("start_after_end", "reason"), [(0, SyncReason.EARLY_KEY), (-1, None)])
def test_a_key_that_may_be_in_use_is_refused(start_after_end: int, reason: SyncReason | None) -> None:
    """T-K4: signed or not, nothing is matched before its end plus two hours by the head's own time."""
    bucket = BucketSimulator()
    at = bucket.ats[0] + 1800
    last_interval = (at - 7200) // 600 + start_after_end  # ends with, or just before, the embargo's edge
    bucket.publish([(bytes(16), last_interval - 143, 144, 1, -128, 0)], later_by=1800)
    if reason is None:
        assert len(synced(bucket).keys[KeyKind.GAEN]) == 1
    else:
        assert refused(bucket, None) == reason


# --- when ------------------------------------------------------------------------------------------------------------


def test_next_sync_is_after_release_and_spread(bucket: BucketSimulator) -> None:
    """Case 50: never before the version can be there, each phone at a time of its own, also when the server is late."""
    due = bucket.leaf.due
    assert next_sync_at(due, due - 800, 0.0) == due + 120
    assert next_sync_at(due, due - 800, 0.999) < due + 120 + 900
    assert next_sync_at(due, due + 9000, 0.5) == due + 9000 + 450
    assert len({next_sync_at(due, 0, draw / 100, spread_seconds=7200) for draw in range(100)}) == 100


def test_simulator_tells_the_truth() -> None:
    """The delta law on a hand-made window: A stays, B leaves, C comes, D changes, E came and went, F expires."""
    bucket = BucketSimulator()
    a, b, c, d, changed, e, f = row(1), row(2), row(3), row(4), row(4, report_type=2), row(5), row(6, age_days=14)
    for rows in ([a, b, d, f], [a, b, d, e, f], [a, c, changed]):
        bucket.publish(rows)
    bucket.publish([a, c, changed], later_by=DAY_SECONDS)
    delta = bucket.delta(1, 4)
    assert sorted(delta.additions[KeyKind.GAEN].tolist()) == sorted([c, changed])
    assert sorted(key for _, key in delta.removals[KeyKind.GAEN].tolist()) == sorted([b[0], e[0]])
    assert bucket.leaf.set_digest == set_digest(REGION, by_kind(table([a, c, changed])))
