"""The conventional index, read as existing GAEN clients do: with no head, no leaf and no code of ours."""

import io
import random
import zipfile
from contextlib import suppress

import pytest
from msgspec.structs import replace

from tests.builders import day_key, key
from tests.publication.press import HEAD_VERIFIER, PROMPT, SIGNING_KEYS, MemoryBucket, Press, public
from tocsin.formats.gaen.index import index_name
from tocsin.formats.gaen.schema import TemporaryExposureKeyExport
from tocsin.formats.leaf import HEAD_NAME
from tocsin.model.errors import Refused
from tocsin.model.times import INTERVALS_PER_DAY
from tocsin.publication.build import build
from tocsin.publication.index import index_text, put_index
from tocsin.publication.release import release as put_out
from tocsin.publication.release import released
from tocsin.publication.sign import sign

INDEX = index_name("utopia")
STEP = PROMPT.gaen_step_seconds
REVOKED = 5


class IndexClient:
    """Fetches the lines that it has not fetched yet, top to bottom, and keeps keys with their last report type.

    `keep_last`: it remembers the last line instead of all of them, and begins at the top where that has gone.
    """

    def __init__(self, *, keep_last: bool) -> None:
        self.keys: dict[bytes, int] = {}
        self._keep_last = keep_last
        self._seen: set[str] = set()
        self._last = ""
        self.fetched = 0

    def sync(self, objects: dict[str, bytes]) -> None:
        lines = objects[INDEX].decode("ascii").split("\n") if objects[INDEX] else []
        if self._keep_last:
            new = lines[lines.index(self._last) + 1 :] if self._last in lines else lines
            self._last = lines[-1] if lines else self._last
        else:
            new = [line for line in lines if line not in self._seen]
            self._seen.update(lines)
        for line in new:
            self.fetched += 1
            self._take(objects[line])

    def _take(self, zipped: bytes) -> None:
        with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
            export = TemporaryExposureKeyExport.FromString(archive.read("export.bin")[16:])
        for each in (*export.keys, *export.revised_keys):
            last_day = (each.rolling_start_interval_number + each.rolling_period - 1) // INTERVALS_PER_DAY
            if each.report_type == REVOKED:
                self.keys.pop(each.key_data, None)
            else:
                self.keys[each.key_data] = last_day

    def live(self, first_day: int) -> set[bytes]:
        """What it would still match: a key is of use for so many days."""
        return {key for key, day in self.keys.items() if day >= first_day}


@pytest.mark.parametrize("seed", range(3))
def test_who_reads_all_lines_ends_with_the_live_set(seed: int) -> None:
    """A new client, and one that was away since any version; reports, withdrawals, rollbacks and reinstatements."""
    chance = random.Random(seed)
    press = Press(replace(PROMPT, gaen_step_seconds=4 * STEP, gaen_records_per_part=7))
    story = press.story
    story.batch(count=2000)
    clients: list[IndexClient] = []
    reports: dict[str, int] = {}
    objections: list[int] = []
    for step in range(70):
        for _ in range(chance.randrange(3)):
            serial = len(reports)
            days = chance.sample(range(1, 15), chance.randrange(1, 5))
            keys = [day_key(f"{chance.randrange(40)} {story.now // 86_400 - ago}", ago, story.now) for ago in days]
            reports[f"{serial}"] = story.report(f"{serial}", keys, story.card(1, serial))
        if reports and chance.random() < 0.3:
            story.withdraw(chance.choice(list(reports)))
        if reports and chance.random() < 0.3:
            with suppress(Refused):  # it was withdrawn
                objections.append(story.rollback(chance.choice(list(reports.values()))))
        if objections and chance.random() < 0.3:
            story.reinstate(objections.pop(chance.randrange(len(objections))))
        built = press.publish(STEP * chance.choice([1, 2, 4]))
        clients += [IndexClient(keep_last=True), IndexClient(keep_last=False)]
        for client in clients[-2:]:
            client.sync(press.bucket.objects)
        if step % 23 == 22:
            _all_agree(press, clients, built.leaf.first_day)
    assert len(public(story)) > 10


def _all_agree(press: Press, clients: list[IndexClient], first_day: int) -> None:
    """Every client, once GAEN's own step has come: files lag behind the head by it."""
    while not press.publish(STEP).exports:
        pass
    expected, first_day = public(press.story), press.story.ledger.versions[-1].first_day
    for client in (*clients, IndexClient(keep_last=True)):
        client.sync(press.bucket.objects)
        assert client.live(first_day) == expected


def test_a_line_is_there_for_14_days_and_until_its_keys_are_of_no_use() -> None:
    press = Press()
    press.story.batch()
    press.story.report("a", [day_key("a", 1)], press.story.card(1, 0))
    press.publish(STEP)
    line = press.bucket.objects[INDEX]
    assert line.count(b"\n") == 0 and line.decode() in press.bucket.objects
    first_at = press.story.ledger.versions[-1].at
    newest = press.story.ledger.versions[-1]
    while press.bucket.objects[INDEX] == line:
        press.publish(STEP)
        newest = press.story.ledger.versions[-1]
        assert (press.bucket.objects[INDEX] == line) == (newest.first_day * 86_400 <= first_at)
    assert newest.at - first_at >= 14 * 86_400
    assert press.bucket.objects[INDEX] == b"" and not public(press.story)


def test_a_new_client_gets_a_key_that_went_out_on_its_own_first_day() -> None:
    """It ended at 08:00, went out in the afternoon, and is of use to the end of the fourteenth day after."""
    press = Press()
    press.story.batch()
    midnight = press.story.now // 86_400 * INTERVALS_PER_DAY
    press.story.report("a", [key("a", midnight, 48)], press.story.card(1, 0))
    press.publish(STEP)
    while public(press.story):
        client = IndexClient(keep_last=False)
        client.sync(press.bucket.objects)
        assert client.live(0) == public(press.story)
        press.publish(STEP)
    assert press.story.now >= (midnight // INTERVALS_PER_DAY + 15) * 86_400


def test_the_index_is_written_before_the_head_and_names_what_is_there() -> None:
    """Case 46: whatever breaks off, each line is there, and the index is never behind the head."""
    press = Press()
    press.story.batch()
    press.story.report("a", [day_key("a", 1)], press.story.card(1, 0))
    signed = sign(press.decide(), SIGNING_KEYS)
    lines: list[str] = []
    for breaks_at in range(30):
        bucket = Breaking(breaks_at)
        try:
            put_out(signed, bucket, released(bucket, HEAD_VERIFIER))
        except OSError:
            assert HEAD_NAME not in bucket.objects
        lines = bucket.objects.get(INDEX, b"").decode().split()
        assert all(line in bucket.objects for line in lines)
        assert lines or HEAD_NAME not in bucket.objects
    assert lines


class Breaking(MemoryBucket):
    """Breaks off at the n-th write."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self._left = writes

    def create(self, name: str, data: bytes) -> bool:
        self._burn()
        return super().create(name, data)

    def replace(self, name: str, data: bytes, expected: bytes | None) -> bool:
        self._burn()
        return super().replace(name, data, expected)

    def _burn(self) -> None:
        if not self._left:
            raise OSError
        self._left -= 1


def test_an_old_primary_that_wakes_up_changes_nothing() -> None:
    """It read the head, slept, and a newer term took over: its head is not swapped in, and no more is its index."""
    press = Press()
    press.story.batch()
    before = released(press.bucket, HEAD_VERIFIER)
    press.story.report("a", [day_key("a", 1)], press.story.card(1, 0))
    old = press.decide()
    new = Press(bucket=press.bucket)
    built = new.decide()
    ruling = sign(replace(built, leaf=replace(built.leaf, term=2)), SIGNING_KEYS)
    put_out(ruling, press.bucket, before)
    held = dict(press.bucket.objects)
    with pytest.raises(Refused):
        put_out(sign(old, SIGNING_KEYS), press.bucket, before)
    assert press.bucket.objects[INDEX] == held[INDEX] and press.bucket.objects[HEAD_NAME] == held[HEAD_NAME]


@pytest.mark.parametrize("spoilt", [None, b"", b"\xff" * 99, b"v1/utopia/gaen/" + b"0" * 64])
def test_a_spoilt_index_is_put_right(spoilt: bytes | None) -> None:
    press = Press()
    press.story.batch()
    press.story.report("a", [day_key("a", 1)], press.story.card(1, 0))
    built = press.publish(STEP)
    right = press.bucket.objects.pop(INDEX)
    if spoilt is not None:
        press.bucket.objects[INDEX] = spoilt
    assert put_index(built.index, press.bucket, press.bucket.objects[HEAD_NAME])
    assert press.bucket.objects[INDEX] == right
    assert not put_index(replace(built.index, deltas=()), press.bucket, b"another head")
    assert press.bucket.objects[INDEX] == right


def test_a_file_that_is_lost_for_good_is_made_up_for_by_the_dump() -> None:
    """A bucket that was lost after the keys of an old delta were erased: new clients still get the whole set."""
    press = Press()
    press.story.batch()
    for serial in range(4):
        press.story.report(f"{serial}", [day_key(f"{serial}", 1, press.story.now)], press.story.card(1, serial))
        press.publish(STEP)
    index = build(press.story.ledger).index
    assert len(index.deltas) == 4
    del press.bucket.objects[index.deltas[1]]
    lines = index_text(index, press.bucket).decode().split()
    assert lines == [*index.dump, *index.deltas[2:]]
    client = IndexClient(keep_last=False)
    client.sync({**press.bucket.objects, INDEX: "\n".join(lines).encode()})
    assert client.live(0) == public(press.story)
