"""The files in force: those that a head names, and whether the bucket still has them, whole.

A file's name is the hash of what it holds, so whoever has both can tell. What is wrong is mended by building the
versions again that made the files, and putting them out once more (`release.put`).
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Final

from tocsin.formats.gaen.index import index_name
from tocsin.formats.gaen.reader import read_zip
from tocsin.formats.leaf import HEAD_NAME, Leaf, Named, Profile, decode_file_list, object_name
from tocsin.model.errors import Invalid
from tocsin.stores.port import Bucket

_ANY_LENGTH: Final = None
"""A zip's length is written nowhere: zlib builds differ."""


def is_public_name(name: str, region: str) -> bool:
    """Whether `name` is spelled as one that publication gives.

    >>> is_public_name("v1/head", "xx"), is_public_name(f"v1/xx/keyset/{'0a' * 32}", "xx"), is_public_name("a", "xx")
    (True, True, False)
    """
    return name in (HEAD_NAME, index_name(region)) or is_immutable_name(name, region)


def is_immutable_name(name: str, region: str) -> bool:
    """Whether `name` is spelled as one of a file that is named by what it holds, and never changes."""
    return bool(re.fullmatch(f"v1/{re.escape(region)}/({'|'.join(Profile)})/[0-9a-f]{{64}}", name))


def holds(name: str, data: bytes) -> bool:
    """Whether `data` is what the object `name` must hold: that, or the ``export.bin`` in it, hashes to the name."""
    digest = name.rpartition("/")[2]
    if hashlib.sha256(data).hexdigest() == digest:
        return True
    try:
        export_bin, _ = read_zip(data)
    except Invalid:
        return False
    return hashlib.sha256(export_bin).hexdigest() == digest


def missing(leaf: Leaf, bucket: Bucket) -> list[str]:
    """The names of files in force that are not there or have another length. A quick look: only lists are read."""
    return [name for name, length in _files(leaf, bucket) if not _is_there(bucket.length(name), length)]


def damaged(leaf: Leaf, bucket: Bucket) -> list[str]:
    """The names of files in force that are not there, or do not hold what they must. Reads each of them whole."""
    return [name for name, _ in _files(leaf, bucket) if not _is_whole(name, bucket)]


def named_files(leaf: Leaf, bucket: Bucket) -> set[str]:
    """The names of all files in force; what a list names that is damaged is left out."""
    return {name for name, _ in _files(leaf, bucket)}


def damaged_lists(leaf: Leaf, bucket: Bucket) -> list[str]:
    """The names of lists in force that are not there, or do not hold what they must."""
    return [name for name in _lists(leaf) if not _is_whole(name, bucket)]


def _lists(leaf: Leaf) -> Iterator[str]:
    for files in leaf.profiles:
        if files.profile is Profile.GAEN:
            for each in (files.dump, files.delta):
                if each is not None:
                    yield object_name(leaf.region, files.profile, each.file.hash)


def _is_there(found: int | None, length: int | None) -> bool:
    return found == length if length is not _ANY_LENGTH else bool(found)


def _is_whole(name: str, bucket: Bucket) -> bool:
    data = bucket.read(name)
    return data is not None and holds(name, data)


def _files(leaf: Leaf, bucket: Bucket) -> Iterator[tuple[str, int | None]]:
    """Names and lengths. What a list names that is damaged itself is left out: the list is mended first."""
    for files in leaf.profiles:
        named = [each.file for each in (files.dump, files.delta) if each is not None]
        named += [files.ladder] if files.ladder is not None else []
        for file in named:
            name = object_name(leaf.region, files.profile, file.hash)
            yield name, file.length
            if files.profile is Profile.GAEN:
                yield from _listed(leaf.region, name, file, bucket)


def _listed(region: str, name: str, file: Named, bucket: Bucket) -> Iterator[tuple[str, int | None]]:
    data = bucket.read(name)
    if data is None or hashlib.sha256(data).digest() != file.hash:
        return
    for listed in decode_file_list(data):
        yield object_name(region, Profile.GAEN, listed.file.hash), _ANY_LENGTH
