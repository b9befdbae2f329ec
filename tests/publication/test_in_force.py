"""The files in force: what is lost or damaged of them is named, each by itself."""

import pytest
from msgspec.structs import replace

from tests.builders import day_key
from tests.publication.press import PROMPT, Press
from tocsin.formats.leaf import HEAD_NAME, Leaf
from tocsin.model.times import QUARTER_SECONDS
from tocsin.publication.in_force import damaged, holds, is_public_name, missing


@pytest.fixture(scope="module")
def made() -> tuple[Press, Leaf]:
    """A bucket after two days of versions, and the leaf of the newest."""
    press = Press(replace(PROMPT, gaen_step_seconds=4 * QUARTER_SECONDS))
    press.story.batch()
    leaves = []
    for serial in range(12):
        press.story.report(f"phone {serial}", [day_key(f"{serial}", 1, press.story.now)], press.story.card(1, serial))
        leaves.append(press.publish(4 * 3600).leaf)
    return press, leaves[-1]


def in_force(press: Press, leaf: Leaf) -> set[str]:
    """Found out by taking each object away."""
    found = set()
    for name in list(press.bucket.objects):
        data = press.bucket.objects.pop(name)
        if missing(leaf, press.bucket):
            found.add(name)
        press.bucket.objects[name] = data
    return found


def test_a_whole_bucket_lacks_nothing(made: tuple[Press, Leaf]) -> None:
    press, leaf = made
    assert missing(leaf, press.bucket) == damaged(leaf, press.bucket) == []
    files = in_force(press, leaf)
    assert HEAD_NAME not in files
    assert {name.split("/")[2] for name in files} == {"keyset", "gaen"}
    assert len([name for name in files if "gaen" in name]) >= 12, "lists, dump, and the deltas of two days"
    assert files < press.bucket.objects.keys(), "older files are in force no more"
    assert all(is_public_name(name, "utopia") for name in press.bucket.objects)
    assert not any(is_public_name(name, "elsewhere") for name in files)


def test_each_file_that_is_damaged_is_named(made: tuple[Press, Leaf]) -> None:
    """Case 46."""
    press, leaf = made
    for name in sorted(in_force(press, leaf)):
        data = press.bucket.objects[name]
        assert holds(name, data)
        changed = bytearray(data)
        changed[len(data) // 2] ^= 1
        for wrong in (bytes(changed), b"", data[:-1]):
            press.bucket.objects[name] = wrong
            assert damaged(leaf, press.bucket) == [name]
        press.bucket.objects[name] = b""
        assert missing(leaf, press.bucket) == [name], "the quick look sees lengths"
        press.bucket.objects[name] = data


@pytest.mark.parametrize(
    "name",
    ["", "head", "v1/Head", "v1/head/", "v1/utopia/keyset/" + "A" * 64, "v1/utopia/keyset/" + "0" * 63, "v1/utopia/x"],
)
def test_names_that_publication_never_gives(name: str) -> None:
    assert not is_public_name(name, "utopia")
