"""Releasing: a signed version goes into the bucket, what is immutable first, the head last.

The steps, and what a crash right after each leaves behind:

1. every immutable object is made: objects that no head names; making them again changes nothing
2. every one of them is read back: nothing
3. the conventional index is swapped (`tocsin.publication.index`): files that no head names yet, and all of them there
4. the head is swapped for the one that was there: the version is out

Whoever publishes next finds the old head or the new one, builds the same version again if need be, and goes through
the same steps.
"""

from collections.abc import Mapping

from msgspec import Struct

from tocsin.formats.leaf import (
    HEAD_NAME,
    Leaf,
    parse_head_text,
)
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.publication.in_force import holds
from tocsin.publication.index import put_index
from tocsin.publication.sign import Release
from tocsin.stores.port import Bucket
from tocsin.transparency.note import NoteVerifier, signers, verify_note


class Released(Struct, frozen=True):
    """What the bucket's head says: its bytes (for the swap) and its leaf; both None in a new bucket."""

    head: bytes | None
    leaf: Leaf | None

    @property
    def version(self) -> int:
        """The newest version that is out; 0 if there is none."""
        return self.leaf.version if self.leaf else 0


def released(bucket: Bucket, verifier: NoteVerifier) -> Released:
    """The head of the bucket. Raises `Invalid`, with the way out, if it is damaged, or signed by another key."""
    head = bucket.read(HEAD_NAME)
    if head is None:
        return Released(None, None)
    try:
        text = verify_note(head, [verifier])
    except Invalid:
        raise Invalid(_why_not_ours(head, verifier)) from None
    try:
        return Released(head, parse_head_text(text, verifier.name))
    except Invalid as error:
        raise Invalid(
            f"the bucket's head is signed by this deployment, and this version can't read it ({error}): update tocsin"
        ) from None


def _why_not_ours(head: bytes, verifier: NoteVerifier) -> str:
    """What is wrong with a head that does not verify, and the way out.

    A damaged one is not replaced by itself: it may be of a later term, over which nothing may be put.
    """
    try:
        signed_by = signers(head)
    except Invalid:
        signed_by = [(verifier.name, verifier.key_id)]
    if (verifier.name, verifier.key_id) in signed_by:
        return (
            f"the bucket's head, {HEAD_NAME}, is damaged: look at the bucket's disk, then remove that file;"
            " it is made again from the journal"
        )
    if verifier.name in {name for name, _ in signed_by}:
        return (
            f"the bucket's head, {HEAD_NAME}, is not signed by the key `head` of the key folder: restore that key from"
            " its backup, or give this deployment a bucket of its own"
        )
    return f"the bucket's head, {HEAD_NAME}, is not this deployment's: give this one a bucket of its own"


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

    What is there and does not hold what its name says was damaged, and is replaced: no published content changes by
    that. Another build of zlib may have zipped an export. Raises `Unavailable` if an object is still not right then.
    """
    new = frozenset(name for name, data in objects.items() if bucket.create(name, data))  # 1
    for name, data in objects.items():  # 2
        found = bucket.read(name)
        if found is not None and not _is_right(found, name, data):
            bucket.replace(name, data, found)
            found = bucket.read(name)
        if found is None or not _is_right(found, name, data):
            raise Unavailable(f"the bucket does not give back {name} as it was put: look at its disk")
    return new


def _is_right(found: bytes, name: str, data: bytes) -> bool:
    return found == data or holds(name, found)
