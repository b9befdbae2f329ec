"""Leaf, head text, file lists and object names against the vectors of ``docs/formats/leaf.md``."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors import make
from tocsin.formats import leaf as leaves
from tocsin.formats.leaf import Delta, Dump, Leaf, ListedFile, Named, Profile, ProfileFiles
from tocsin.model.errors import Invalid

VECTORS: dict[str, Any] = json.loads(make.path_of("leaf").read_text(encoding="ascii"))


def named(cases: list[dict[str, Any]]) -> Any:
    return [pytest.param(case, id=case["name"]) for case in cases]


def file_of(values: dict[str, Any]) -> Named:
    return Named(bytes.fromhex(values["hash"]), values["length"])


def profile_of(values: dict[str, Any]) -> ProfileFiles:
    dump, delta, ladder = values["dump"], values["delta"], values["ladder"]
    return ProfileFiles(
        Profile(values["profile"]),
        Dump(dump["version"], file_of(dump["file"])) if dump else None,
        Delta(delta["from"], delta["to"], file_of(delta["file"])) if delta else None,
        file_of(ladder) if ladder else None,
    )


def leaf_of(values: dict[str, Any]) -> Leaf:
    return Leaf(
        region=values["region"],
        version=values["version"],
        at=values["at"],
        due=values["due"],
        term=values["term"],
        useful_days=values["useful_days"],
        first_day=values["first_day"],
        set_digest=bytes.fromhex(values["set"]),
        journal=bytes.fromhex(values["journal"]),
        gaen_keys=values["keys"]["gaen"],
        dp3t_keys=values["keys"]["dp3t"],
        profiles=tuple(map(profile_of, values["profiles"])),
    )


def listed_of(values: dict[str, Any]) -> ListedFile:
    return ListedFile(values["from"], values["to"], values["part"], values["parts"], file_of(values["file"]))


@pytest.mark.parametrize("case", named(VECTORS["leaves"]["good"]))
def test_good_leaves(case: dict[str, Any]) -> None:
    leaf, text = leaf_of(case["leaf"]), case["text"].encode("ascii")
    assert leaves.decode_leaf(text) == leaf
    assert leaves.encode_leaf(leaf) == text


@pytest.mark.parametrize("case", named(VECTORS["leaves"]["bad"]))
def test_bad_leaves(case: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        leaves.decode_leaf(case["text"].encode())


def test_the_longest_leaf_fits() -> None:
    longest = max(len(case["text"]) for case in VECTORS["leaves"]["good"])
    assert longest == 1558 < leaves.MAX_LEAF_BYTES


@pytest.mark.parametrize("case", named(VECTORS["file_lists"]["good"]))
def test_good_file_lists(case: dict[str, Any]) -> None:
    files = tuple(map(listed_of, case["files"]))
    assert leaves.decode_file_list(case["text"].encode("ascii")) == files
    assert leaves.encode_file_list(files) == case["text"].encode("ascii")


@pytest.mark.parametrize("case", named(VECTORS["file_lists"]["bad"]))
def test_bad_file_lists(case: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        leaves.decode_file_list(case["text"].encode())


@pytest.mark.parametrize("case", VECTORS["object_names"])
def test_object_names(case: dict[str, Any]) -> None:
    name = leaves.object_name(case["region"], Profile(case["profile"]), bytes.fromhex(case["hash"]))
    assert name == case["name"]
    assert VECTORS["head_name"] == leaves.HEAD_NAME


U64 = st.integers(0, 2**64 - 1)
HASHES = st.binary(min_size=32, max_size=32)
FILES = st.builds(Named, HASHES, U64)


@st.composite
def profile_files(draw: st.DrawFn, profile: Profile, version: int) -> ProfileFiles:
    first, second, third = sorted(draw(st.lists(st.integers(0, version), min_size=3, max_size=3)))
    return ProfileFiles(
        profile,
        draw(st.none() | st.builds(Dump, st.just(second), FILES)),
        draw(st.none() | st.builds(Delta, st.just(first), st.just(third), FILES)),
        draw(st.none() | FILES),
    )


@st.composite
def any_leaf(draw: st.DrawFn) -> Leaf:
    version = draw(U64)
    at, due = sorted(draw(st.tuples(U64, U64)))
    profiles = draw(st.sets(st.sampled_from(Profile)))
    return Leaf(
        region=draw(st.from_regex("[a-z0-9-]{1,32}", fullmatch=True)),
        version=version,
        at=at,
        due=due,
        term=draw(U64),
        useful_days=draw(U64),
        first_day=draw(U64),
        set_digest=draw(HASHES),
        journal=draw(HASHES),
        gaen_keys=draw(U64),
        dp3t_keys=draw(U64),
        profiles=tuple(draw(profile_files(profile, version)) for profile in Profile if profile in profiles),
    )


@given(any_leaf())
def test_decoding_what_was_encoded_gives_the_leaf(leaf: Leaf) -> None:
    text = leaves.encode_leaf(leaf)
    assert len(text) <= leaves.MAX_LEAF_BYTES
    assert leaves.decode_leaf(text) == leaf
    assert leaves.parse_head_text(leaves.head_text("log.example/x y", leaf), "log.example/x y") == leaf


@given(any_leaf().map(leaves.encode_leaf), st.data())
def test_a_leaf_has_one_spelling(text: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 2))
    other = text[:place] + data.draw(st.binary(max_size=2)) + text[place + cut :]
    try:
        leaf = leaves.decode_leaf(other)
    except Invalid:
        return
    assert leaves.encode_leaf(leaf) == other


@given(st.binary(max_size=300))
def test_any_bytes_give_a_file_list_or_invalid(data: bytes) -> None:
    try:
        files = leaves.decode_file_list(data)
    except Invalid:
        return
    assert leaves.encode_file_list(files) == data


WRONG: list[dict[str, Any]] = [
    {"region": "Utopia"},
    {"region": "utopia\n"},
    {"version": -1},
    {"term": 2**64},
    {"gaen_keys": 2**64},
    {"dp3t_keys": -1},
    {"due": 0},
    {"set_digest": bytes(31)},
    {"journal": bytes(33)},
    {"profiles": (ProfileFiles(Profile.GAEN), ProfileFiles(Profile.KEYSET))},
    {"profiles": (ProfileFiles(Profile.GAEN), ProfileFiles(Profile.GAEN))},
    {"profiles": (ProfileFiles(Profile.GAEN, Dump(-1, Named(bytes(32), 1))),)},
    {"profiles": (ProfileFiles(Profile.GAEN, Dump(0, Named(bytes(31), 1))),)},
    {"profiles": (ProfileFiles(Profile.GAEN, None, Delta(2, 1, Named(bytes(32), 1))),)},
    {"profiles": (ProfileFiles(Profile.GAEN, None, None, Named(bytes(32), -1)),)},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_value_out_of_range_is_not_written(wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        leaves.encode_leaf(msgspec.structs.replace(leaf_of(VECTORS["leaves"]["good"][0]["leaf"]), **wrong))


@pytest.mark.parametrize("numbers", [(-1, 7, 1, 1), (0, 2**64, 1, 1), (8, 7, 1, 1), (0, 7, 0, 1), (0, 7, 2, 1)])
def test_a_listed_file_out_of_range_is_not_written(numbers: tuple[int, int, int, int]) -> None:
    with pytest.raises(Invalid):
        leaves.encode_file_list([ListedFile(*numbers, Named(bytes(32), 1))])


@pytest.mark.parametrize("origin", ["", " x", "x ", "a\nb", "a\tb", "ü", "a\x7f"])
def test_an_origin_is_one_line_of_printable_ascii(origin: str) -> None:
    leaf = leaf_of(VECTORS["leaves"]["good"][0]["leaf"])
    with pytest.raises(Invalid, match="origin"):
        leaves.head_text(origin, leaf)
    with pytest.raises(Invalid, match="origin"):
        leaves.parse_head_text(f"{origin}\nhead\n{leaves.encode_leaf(leaf).decode()}", origin)
