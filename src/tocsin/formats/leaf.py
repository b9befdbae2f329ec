"""The leaf: what one version of the public set is, in a few lines of ASCII; the head's text around it; file lists.

Each text has one spelling: decoding what was encoded gives the same value, and any other spelling is `Invalid`. The
page is ``docs/formats/leaf.md``. Signing and verifying a head is for `tocsin.transparency.note`.

>>> object_name("utopia", Profile.KEYSET, bytes(32))[:24]
'v1/utopia/keyset/0000000'
"""

import base64
import re
from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Final

from msgspec import Struct

from tocsin.model.errors import Invalid

HEAD_NAME: Final = "v1/head"
"""The name of the one mutable public object."""
MAX_LEAF_BYTES: Final = 2048
"""More than any legal leaf takes: the longest, with all four profiles, has 1,558."""
HASH_BYTES: Final = 32
_MAX_U64: Final = 2**64 - 1


class Profile(StrEnum):
    """The forms in which the public set goes out, in the order in which a leaf names them."""

    KEYSET = "keyset"
    GAEN = "gaen"
    DP3T = "dp3t"
    CODED = "coded"


class Named(Struct, frozen=True):
    """An object by what it must hold: its SHA-256 (32 bytes) and its length in bytes."""

    hash: bytes
    length: int


class Dump(Struct, frozen=True):
    """The newest dump: all live keys at `version`."""

    version: int
    file: Named


class Delta(Struct, frozen=True):
    """The newest delta: it leads from any version of its window, ends included, to `to_version`."""

    from_version: int
    to_version: int
    file: Named


class ProfileFiles(Struct, frozen=True):
    """What a version offers in one profile. In `gaen`, `dump` and `delta` name file lists (`ListedFile`)."""

    profile: Profile
    dump: Dump | None = None
    delta: Delta | None = None
    ladder: Named | None = None


class Leaf(Struct, frozen=True):
    """One version of the public set. `at` and `due` in UTC seconds, `first_day` in UTC days, hashes of 32 bytes.

    `journal` is the digest of the `published` event itself; there is no sequence, which would tell the number of
    events. `gaen_keys` and `dp3t_keys` count the live keys, padding included.
    """

    region: str
    version: int
    at: int
    due: int
    term: int
    useful_days: int
    first_day: int
    set_digest: bytes
    journal: bytes
    gaen_keys: int
    dp3t_keys: int
    profiles: tuple[ProfileFiles, ...]

    @property
    def live_keys(self) -> int:
        """How many keys are live, of all kinds."""
        return self.gaen_keys + self.dp3t_keys


class ListedFile(Struct, frozen=True):
    """One file of a profile of several: part `part` of `parts` (from 1) of the window; `from_version` 0 in a dump.

    In `gaen` hash and length are those of ``export.bin``; the zip around it lies under that hash.
    """

    from_version: int
    to_version: int
    part: int
    parts: int
    file: Named


def object_name(region: str, profile: Profile, digest: bytes) -> str:
    """The name of an immutable object in the bucket; `digest` is its SHA-256 (of ``export.bin`` for a GAEN zip)."""
    return f"v1/{region}/{profile}/{digest.hex()}"


def encode_leaf(leaf: Leaf) -> bytes:
    """The ASCII lines of `leaf`. Raises `Invalid` if a value is out of range."""
    _check_leaf(leaf)
    return _spell_leaf(leaf).encode("ascii")


def decode_leaf(data: bytes) -> Leaf:
    """The leaf that `data` spells, or `Invalid`."""
    if len(data) > MAX_LEAF_BYTES:
        raise Invalid("the leaf is too long")
    found = _LEAF.fullmatch(_ascii(data))
    if found is None:
        raise Invalid("not a leaf")
    fields = found.groupdict()
    leaf = Leaf(
        region=fields.pop("region"),
        set_digest=_hash(fields.pop("set_digest")),
        journal=_hash(fields.pop("journal")),
        profiles=tuple(_profile_files(line) for line in _PROFILE.finditer(fields.pop("profiles"))),
        **{name: int(number) for name, number in fields.items()},
    )
    if encode_leaf(leaf) != data:
        raise Invalid("not the one spelling of a leaf")
    return leaf


def head_text(origin: str, leaf: Leaf) -> str:
    """What a head's signatures are over. `origin` names the log: one line of printable ASCII."""
    _check_origin(origin)
    return _head_prefix(origin) + encode_leaf(leaf).decode("ascii")


def parse_head_text(text: str, origin: str) -> Leaf:
    """The leaf of a head whose note was verified. Raises `Invalid` also for another origin than the one expected."""
    _check_origin(origin)
    prefix = _head_prefix(origin)
    if not text.startswith(prefix):
        raise Invalid("not a head of this origin")
    try:
        return decode_leaf(text.removeprefix(prefix).encode("ascii"))
    except UnicodeEncodeError:
        raise Invalid("not ASCII") from None


def encode_file_list(files: Sequence[ListedFile]) -> bytes:
    """One line a file; no file, no bytes. Raises `Invalid` for numbers out of range, wrong order or missing parts.

    >>> encode_file_list([ListedFile(0, 7, 1, 1, Named(bytes(32), 99))])
    b'0 7 1 1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= 99\\n'
    """
    _check_files(files)
    return "".join(
        f"{file.from_version} {file.to_version} {file.part} {file.parts} {_spell_named(file.file)}\n" for file in files
    ).encode("ascii")


def decode_file_list(data: bytes) -> tuple[ListedFile, ...]:
    """The files that `data` lists, or `Invalid`. The caller has checked its length and hash."""
    files = tuple(_listed_file(line) for line in _LISTED_FILE.finditer(_ascii(data)))
    if encode_file_list(files) != data:
        raise Invalid("not the one spelling of a file list")
    return files


# --- spelling: a reader takes what looks right and then compares it with what it would have written itself -----------

_NUMBER: Final = "[0-9]{1,20}"
_NAMED: Final = f"[A-Za-z0-9+/]{{43}}= {_NUMBER}"
_REGION: Final = "[a-z0-9-]{1,32}"
_LEAF: Final = re.compile(
    "tocsin/v1/leaf\n"
    f"region (?P<region>{_REGION})\n"
    f"version (?P<version>{_NUMBER})\n"
    f"at (?P<at>{_NUMBER})\n"
    f"due (?P<due>{_NUMBER})\n"
    f"term (?P<term>{_NUMBER})\n"
    f"useful_days (?P<useful_days>{_NUMBER})\n"
    f"first_day (?P<first_day>{_NUMBER})\n"
    "set (?P<set_digest>[A-Za-z0-9+/]{43}=)\n"
    "journal (?P<journal>[A-Za-z0-9+/]{43}=)\n"
    f"keys gaen (?P<gaen_keys>{_NUMBER})\n"
    f"keys dp3t (?P<dp3t_keys>{_NUMBER})\n"
    "(?P<profiles>(?:profile [^\n]*\n)*)"
)
_PROFILE: Final = re.compile(
    f"profile (?P<profile>{'|'.join(Profile)})"
    f" dump (?:-|(?P<dump_version>{_NUMBER}) (?P<dump>{_NAMED}))"
    f" delta (?:-|(?P<from_version>{_NUMBER}) (?P<to_version>{_NUMBER}) (?P<delta>{_NAMED}))"
    f" ladder (?:-|(?P<ladder>{_NAMED}))\n"
)
_LISTED_FILE: Final = re.compile(f"({_NUMBER}) ({_NUMBER}) ({_NUMBER}) ({_NUMBER}) ({_NAMED})\n")


def _ascii(data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise Invalid("not ASCII") from None


def _hash(text: str) -> bytes:
    return base64.b64decode(text)


def _spell_hash(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")


def _named(text: str) -> Named:
    digest, length = text.split(" ")
    return Named(_hash(digest), int(length))


def _spell_named(file: Named) -> str:
    return f"{_spell_hash(file.hash)} {file.length}"


def _profile_files(line: re.Match[str]) -> ProfileFiles:
    dump, delta, ladder = line["dump"], line["delta"], line["ladder"]
    return ProfileFiles(
        Profile(line["profile"]),
        Dump(int(line["dump_version"]), _named(dump)) if dump else None,
        Delta(int(line["from_version"]), int(line["to_version"]), _named(delta)) if delta else None,
        _named(ladder) if ladder else None,
    )


def _spell_profile(files: ProfileFiles) -> str:
    dump, delta, ladder = files.dump, files.delta, files.ladder
    return (
        f"profile {files.profile}"
        f" dump {f'{dump.version} {_spell_named(dump.file)}' if dump else '-'}"
        f" delta {f'{delta.from_version} {delta.to_version} {_spell_named(delta.file)}' if delta else '-'}"
        f" ladder {_spell_named(ladder) if ladder else '-'}\n"
    )


def _spell_leaf(leaf: Leaf) -> str:
    return (
        "tocsin/v1/leaf\n"
        f"region {leaf.region}\n"
        f"version {leaf.version}\n"
        f"at {leaf.at}\n"
        f"due {leaf.due}\n"
        f"term {leaf.term}\n"
        f"useful_days {leaf.useful_days}\n"
        f"first_day {leaf.first_day}\n"
        f"set {_spell_hash(leaf.set_digest)}\n"
        f"journal {_spell_hash(leaf.journal)}\n"
        f"keys gaen {leaf.gaen_keys}\n"
        f"keys dp3t {leaf.dp3t_keys}\n"
        f"{''.join(map(_spell_profile, leaf.profiles))}"
    )


def _listed_file(line: re.Match[str]) -> ListedFile:
    from_version, to_version, part, parts = map(int, line.groups()[:4])
    return ListedFile(from_version, to_version, part, parts, _named(line[5]))


def _head_prefix(origin: str) -> str:
    return f"{origin}\nhead\n"


# --- ranges ----------------------------------------------------------------------------------------------------------


def _check_leaf(leaf: Leaf) -> None:
    if not re.fullmatch(_REGION, leaf.region):
        raise Invalid("not the name of a region")
    _check_numbers(leaf.version, leaf.at, leaf.due, leaf.term, leaf.useful_days, leaf.first_day)
    _check_numbers(leaf.gaen_keys, leaf.dp3t_keys)
    if leaf.due < leaf.at:
        raise Invalid("the next version is due before this one")
    if {len(leaf.set_digest), len(leaf.journal)} != {HASH_BYTES}:
        raise Invalid("not a hash of 32 bytes")
    places = [list(Profile).index(files.profile) for files in leaf.profiles]
    if any(place >= following for place, following in pairwise(places)):
        raise Invalid("profiles out of order")
    for files in leaf.profiles:
        _check_profile(files, leaf.version)


def _check_profile(files: ProfileFiles, version: int) -> None:
    dump, delta, ladder = files.dump, files.delta, files.ladder
    if dump:
        _check_named(dump.file)
        if not 0 <= dump.version <= version:
            raise Invalid("not a dump of a version up to that of the leaf")
    if delta:
        _check_named(delta.file)
        if not 0 <= delta.from_version <= delta.to_version <= version:
            raise Invalid("not a window of versions up to that of the leaf")
    if ladder:
        _check_named(ladder)
    if dump and delta and delta.from_version > dump.version:
        raise Invalid("the delta does not reach back to the dump")


def _check_files(files: Sequence[ListedFile]) -> None:
    """Numbers in range, windows ascending and each once, its parts 1 to n without a gap."""
    for file in files:
        _check_numbers(file.from_version, file.to_version)
        _check_named(file.file)
        if file.from_version > file.to_version or not 1 <= file.part <= file.parts:
            raise Invalid("not a window of versions, or not a part of its parts")
    if files and (files[0].part != 1 or files[-1].part != files[-1].parts):
        raise Invalid("a file list lacks a part")
    for file, following in pairwise(files):
        window = (file.from_version, file.to_version)
        following_window = (following.from_version, following.to_version)
        if file.part < file.parts:
            if (following_window, following.part, following.parts) != (window, file.part + 1, file.parts):
                raise Invalid("a file list lacks a part")
        elif following_window <= window or following.part != 1:
            raise Invalid("a file list is out of order")


def _check_named(file: Named) -> None:
    _check_numbers(file.length)
    if len(file.hash) != HASH_BYTES:
        raise Invalid("not a hash of 32 bytes")


def _check_numbers(*numbers: int) -> None:
    if not all(0 <= number <= _MAX_U64 for number in numbers):
        raise Invalid("a number out of range")


def _check_origin(origin: str) -> None:
    if not re.fullmatch("[!-~](?:[ -~]*[!-~])?", origin):
        raise Invalid("not an origin: one line of printable ASCII")
