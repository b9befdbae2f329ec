"""Releasing: a signed version goes into the bucket, what is immutable first, the head last.

The steps, and what a crash right after each leaves behind:

1. every immutable object is made: objects that no head names; making them again changes nothing
2. every one of them is read back: nothing
3. the conventional index is swapped (`tocsin.publication.index`): files that no head names yet, and all of them there
4. the head is swapped for the one that was there: the version is out

Whoever publishes next finds the old head or the new one, builds the same version again if need be, and goes through
the same steps.
"""

import hashlib
from collections.abc import Mapping

from msgspec import Struct

from tocsin.formats.gaen.reader import read_zip
from tocsin.formats.leaf import (
    HEAD_NAME,
    Leaf,
    parse_head_text,
)
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.publication.index import put_index
from tocsin.publication.sign import Release
from tocsin.stores.port import Bucket
from tocsin.transparency.note import NoteVerifier, verify_note


class Released(Struct, frozen=True):
    """What the bucket's head says: its bytes (for the swap) and its leaf; both None in a new bucket."""

    head: bytes | None
    leaf: Leaf | None

    @property
    def version(self) -> int:
        """The newest version that is out; 0 if there is none."""
        return self.leaf.version if self.leaf else 0


def released(bucket: Bucket, verifier: NoteVerifier) -> Released:
    """The head of the bucket. Raises `Invalid` if it is not signed by our own key: a bucket of somebody else."""
    head = bucket.read(HEAD_NAME)
    if head is None:
        return Released(None, None)
    try:
        return Released(head, parse_head_text(verify_note(head, [verifier]), verifier.name))
    except Invalid as error:
        raise Invalid(f"the bucket's head is not this deployment's ({error}): give it a bucket of its own") from None


def release(release: Release, bucket: Bucket, before: Released) -> frozenset[str]:
    """Puts a version into the bucket whose head was `before`; out when this returns the names of its new objects.

    Raises `Refused` if another publisher was faster (read the head again), or if a newer term rules the bucket;
    `Unavailable` if the bucket fails, after which the same release may be tried again.
    """
    if before.leaf is not None and before.leaf.term > release.term:
        raise Refused("old_term", "this journal was replaced by a rebuilt one: stop this publisher")
    if before.version >= release.version:
        raise Refused("already_released", "the bucket has this version or a newer one")
    new = put(release.objects, bucket)  # 1 and 2
    if not put_index(release.index, bucket, before.head):  # 3
        raise Refused("already_released", "another publisher was faster")
    if not bucket.replace(HEAD_NAME, release.head, before.head):  # 4
        raise Refused("already_released", "another publisher was faster")
    return new


def put(objects: Mapping[str, bytes], bucket: Bucket) -> frozenset[str]:
    """Steps 1 and 2 alone: makes these objects, and reads each of them back. Returns the names that were not there.

    Raises `Unavailable` unless it holds what its name says. Another build of zlib may have zipped it.
    """
    new = frozenset(name for name, data in objects.items() if bucket.create(name, data))  # 1
    for name, data in objects.items():  # 2
        found = bucket.read(name)
        if found != data and (found is None or not _is_same_export(found, name)):
            raise Unavailable("the bucket does not give back an object as it was put: look at its disk")
    return new


def _is_same_export(found: bytes, name: str) -> bool:
    try:
        export_bin, _ = read_zip(found)
    except Invalid:
        return False
    return hashlib.sha256(export_bin).hexdigest() == name.rpartition("/")[2]
