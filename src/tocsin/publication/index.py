"""The conventional index beside the GAEN files: which files it names, and how it is swapped in the bucket.

It is mutable and unsigned, and nothing of ours reads it: existing clients do, and they take signed files only. It is
written after the files and before the head, so it is never behind the head and never names what is not there; every
publisher puts it right whenever it looks.
"""

from collections.abc import Sequence, Set
from typing import Final

from msgspec import Struct

from tocsin.formats.gaen.index import encode_index, index_name
from tocsin.formats.leaf import HASH_BYTES, HEAD_NAME, Profile, object_name
from tocsin.ledger.state import Ledger
from tocsin.model.base64url import decode_exactly
from tocsin.model.events import MadeFile
from tocsin.model.times import DAY_SECONDS, day_start
from tocsin.stores.port import Bucket

INDEXED_DAYS: Final = 14
"""For so long at least a file is named (``TTL`` of 336 h in google/exposure-notifications-server)."""


class Index(Struct, frozen=True):
    """What the index of a version names: its own name, the parts of the newest dump, the deltas, oldest first."""

    name: str
    dump: tuple[str, ...]
    deltas: tuple[str, ...]


def index_of(ledger: Ledger, made: Sequence[MadeFile]) -> Index:
    """The index of the newest version, which has made `made` and what the ledger knows of."""
    files = [file for file in (*ledger.made, *made) if file.profile == Profile.GAEN]
    dumps = [file for file in files if file.kind == "dump"]
    return Index(
        name=index_name(ledger.region),
        dump=tuple(path_of(ledger, file) for file in dumps if file.to_version == dumps[-1].to_version),
        deltas=tuple(path_of(ledger, file) for file in indexed_deltas(ledger, files)),
    )


def indexed_deltas(ledger: Ledger, made: Sequence[MadeFile]) -> list[MadeFile]:
    """The GAEN deltas from the beginning of the first live day on, and of 14 days at least.

    No live key was published before its day began, so who reads them all holds the live set.
    """
    newest = ledger.versions[-1]
    oldest_at = min(day_start(newest.first_day), newest.at - INDEXED_DAYS * DAY_SECONDS)
    return [
        file
        for file in made
        if (file.profile, file.kind) == (Profile.GAEN, "delta") and ledger.versions[file.to_version - 1].at >= oldest_at
    ]


def index_text(index: Index, bucket: Bucket, lost: Set[str] = frozenset()) -> bytes:
    """What the index says in this bucket: every delta, or the newest dump and the deltas after the last that is lost.

    `lost`: names that are known to be damaged for good, which are not handed out though they are there.

    A delta that was lost and can't be made again, since its keys are erased, would leave new clients without them.
    """

    def is_there(name: str) -> bool:
        return name not in lost and bucket.length(name) is not None

    there = [is_there(name) for name in index.deltas]
    if all(there):
        return encode_index(index.deltas)
    after_lost = index.deltas[len(there) - there[::-1].index(False) :]
    return encode_index([*(name for name in index.dump if is_there(name)), *after_lost])


def put_index(index: Index, bucket: Bucket, head: bytes | None, lost: Set[str] = frozenset()) -> bool:
    """Makes the bucket's index say what it must (`index_text`). False if another publisher was faster.

    The index is read before the head: who was overtaken in between by another publisher finds one of them changed.
    """
    held = bucket.read(index.name)
    text = index_text(index, bucket, lost)
    if held == text:
        return True
    if bucket.read(HEAD_NAME) != head:
        return False
    return bucket.replace(index.name, text, held) or bucket.read(index.name) == text


def path_of(ledger: Ledger, file: MadeFile) -> str:
    """The name of a GAEN file in the bucket."""
    return object_name(ledger.region, Profile.GAEN, decode_exactly(file.digest, HASH_BYTES))
