"""Into the bucket: what is immutable first, the head last; never over what somebody else put there."""

import io
import zipfile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from tests.builders import day_key
from tests.publication.press import HEAD_KEY, HEAD_VERIFIER, PROMPT, SIGNING_KEYS, MemoryBucket, Press
from tests.sites import drawn
from tocsin.formats.gaen.index import index_name
from tocsin.formats.leaf import HEAD_NAME
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.publication.release import Released, put, release, released
from tocsin.publication.sign import Release, sign
from tocsin.transparency.note import NoteVerifier, sign_note, verify_note


@pytest.fixture
def press() -> Press:
    made = Press()
    made.story.batch()
    return made


@pytest.fixture
def signed(press: Press) -> Release:
    """Version 1, of one report, not yet out."""
    press.story.report("a", [day_key("a", 1), day_key("b", 2)], press.story.card(1, 0))
    return sign(press.decide(), SIGNING_KEYS)


NOTHING = Released(None, None)
INDEX_NAME = index_name("utopia")


def test_the_head_comes_last(signed: Release) -> None:
    bucket = MemoryBucket()
    assert release(signed, bucket, NOTHING) == signed.objects.keys()
    names = list(signed.objects)
    assert bucket.asked == [
        *(("create", name) for name in names),
        *(("read", name) for name in names),
        ("read", INDEX_NAME),
        *(("length", name) for name in signed.index.deltas),
        ("read", HEAD_NAME),
        ("replace", INDEX_NAME),
        ("replace", HEAD_NAME),
    ]
    index = "\n".join(signed.index.deltas).encode()
    assert bucket.objects == {**signed.objects, INDEX_NAME: index, HEAD_NAME: signed.head}


def test_what_is_out_is_read_again(press: Press) -> None:
    assert released(press.bucket, HEAD_VERIFIER) == NOTHING and NOTHING.version == 0
    built = press.publish()
    out = released(press.bucket, HEAD_VERIFIER)
    assert (out.leaf, out.version) == (built.leaf, 1)


def test_published_objects_never_change() -> None:
    """Case 5: reports, corrections and expiry, version after version; all but head and index stays."""
    press = Press(replace(PROMPT, gaen_step_seconds=900))
    press.story.batch()
    objections: list[int] = []
    before: dict[str, bytes] = {}
    for serial in range(30):
        keys = [day_key(f"{serial} {ago}", ago, press.story.now) for ago in range(1, 10)]
        sequence = press.story.report(f"phone {serial}", keys, press.story.card(1, serial))
        if serial % 3 == 1:
            objections.append(press.story.rollback(sequence))
        if serial % 7 == 3:
            press.story.reinstate(objections.pop())
        if serial % 4 == 2:
            press.story.withdraw(f"phone {serial - 1}")
        press.publish(13 * 3600)
        mutable = {HEAD_NAME, INDEX_NAME}
        after = {name: data for name, data in press.bucket.objects.items() if name not in mutable}
        assert before.items() <= after.items()
        before = after
    assert len(before) > 100


def test_an_object_that_is_there_is_left_as_it_is(signed: Release) -> None:
    """The same release again, after a crash between any two steps: what is there is not new."""
    name, data = next(iter(signed.objects.items()))
    bucket = MemoryBucket({name: data})
    assert release(signed, bucket, NOTHING) == signed.objects.keys() - {name}


def test_a_foreign_object_is_left_alone(signed: Release) -> None:
    bucket = MemoryBucket({"v1/other/keyset/00": b"not ours", "index.html": b"hello"})
    release(signed, bucket, NOTHING)
    assert bucket.objects["v1/other/keyset/00"] == b"not ours" and bucket.objects["index.html"] == b"hello"


@pytest.mark.parametrize("wrong", [b"", b"torn", b"PK\x03\x04 torn"])
def test_an_object_that_was_damaged_is_made_right(signed: Release, wrong: bytes) -> None:
    """Half an object, or wrong bytes under its name: what the name promises is what is there in the end."""
    bucket = MemoryBucket(dict.fromkeys(signed.objects, wrong))
    release(signed, bucket, NOTHING)
    assert {**signed.objects, HEAD_NAME: signed.head}.items() <= bucket.objects.items()


def test_an_object_that_does_not_hold_what_its_name_says(signed: Release) -> None:
    """Case 46: publishing checks that each object can be read; no head names one that can't."""

    class Tearing(MemoryBucket):
        def replace(self, name: str, data: bytes, expected: bytes | None) -> bool:
            return super().replace(name, data[: len(data) // 2], expected)

    for name in signed.objects:
        bucket = Tearing({name: b"torn"})
        with pytest.raises(Unavailable, match=f"{name}.*disk"):
            release(signed, bucket, NOTHING)
        assert HEAD_NAME not in bucket.objects


def test_an_object_that_is_not_given_back(signed: Release) -> None:
    class Forgetful(MemoryBucket):
        def read(self, name: str) -> bytes | None:
            return None

    bucket = Forgetful()
    with pytest.raises(Unavailable):
        release(signed, bucket, NOTHING)
    assert HEAD_NAME not in bucket.objects


def test_an_export_that_another_zlib_packed_is_the_same_one(signed: Release) -> None:
    packed = {}
    for name, data in signed.objects.items():
        if data.startswith(b"PK"):
            repacked = io.BytesIO()
            with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(repacked, "w") as new:
                for member in old.namelist():
                    new.writestr(zipfile.ZipInfo(member), old.read(member), zipfile.ZIP_STORED)
            assert repacked.getvalue() != data
            packed[name] = repacked.getvalue()
    assert packed
    bucket = MemoryBucket(packed)
    release(signed, bucket, NOTHING)
    assert {name: bucket.objects[name] for name in packed} == packed


def test_a_version_that_is_out_is_not_released_again(press: Press, signed: Release) -> None:
    press.bucket.objects.clear()
    release(signed, press.bucket, NOTHING)
    with pytest.raises(Refused, match="this version"):
        release(signed, press.bucket, released(press.bucket, HEAD_VERIFIER))
    press.publish()
    for before in (released(press.bucket, HEAD_VERIFIER), NOTHING):
        held = dict(press.bucket.objects)
        with pytest.raises(Refused) as refusal:
            release(signed, press.bucket, before)
        assert refusal.value.code == "already_released"
        assert press.bucket.objects == held


def test_a_replaced_journal_can_put_nothing_out(press: Press, signed: Release) -> None:
    """The old primary comes back with a higher version and a lower term."""
    other = Press()
    built = other.decide()
    release(sign(replace(built, leaf=replace(built.leaf, term=2)), SIGNING_KEYS), other.bucket, NOTHING)
    held = dict(other.bucket.objects)
    with pytest.raises(Refused) as refusal:
        release(replace(signed, version=9), other.bucket, released(other.bucket, HEAD_VERIFIER))
    assert refusal.value.code == "old_term"
    assert other.bucket.objects == held


@pytest.mark.parametrize(
    ("foreign", "says"),
    [
        ("another key", "key `head` of the key folder"),
        ("another origin", "bucket of its own"),
        ("another text", "update tocsin"),
        ("a page", "remove that file"),
        ("nothing", "remove that file"),
        ("half", "remove that file"),
        ("a flipped bit", "remove that file"),
    ],
)
def test_a_head_that_is_not_as_it_was_released(press: Press, foreign: str, says: str) -> None:
    """Each for its own reason, with the way out; and nothing is put over it."""
    press.publish()
    head = press.bucket.objects[HEAD_NAME]
    key = Ed25519PrivateKey.from_private_bytes(drawn("somebody"))
    text = verify_note(head, [HEAD_VERIFIER])
    heads = {
        "another key": sign_note(text, NoteVerifier(HEAD_VERIFIER.name, key.public_key().public_bytes_raw()), key),
        "another origin": sign_note(text, replace(HEAD_VERIFIER, name="elsewhere.example"), HEAD_KEY),
        "another text": sign_note("hello\n", HEAD_VERIFIER, HEAD_KEY),
        "a page": b"<html>",
        "nothing": b"",
        "half": head[: len(head) // 2],
        "a flipped bit": bytes([head[0] ^ 1]) + head[1:],
    }
    press.bucket.objects[HEAD_NAME] = heads[foreign]
    with pytest.raises(Invalid, match=says):
        released(press.bucket, HEAD_VERIFIER)


def test_objects_alone(signed: Release) -> None:
    """For a bucket that is filled anew: older files, no head."""
    bucket = MemoryBucket()
    assert put(signed.objects, bucket) == signed.objects.keys()
    assert put(signed.objects, bucket) == frozenset()
    assert bucket.objects == signed.objects
