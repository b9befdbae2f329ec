"""Removing public files that no phone can be led to any more: a day's keys must not stay public for ever.

Never removed is what the head names, what the index names, and what any head still names that phones may take for
fresh. What is removed by mistake all the same is made again: publishers look each minute whether the files in force are
there.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from tocsin.formats.leaf import Leaf, Profile
from tocsin.ledger.state import Ledger
from tocsin.model.policy import Policy
from tocsin.model.times import DAY_SECONDS, Instant
from tocsin.publication.in_force import damaged_lists, is_immutable_name, named_files
from tocsin.publication.index import INDEXED_DAYS, Index, path_of
from tocsin.stores.port import Bucket

MOST_AT_ONCE: Final = 1_000
"""Files removed in one go: no version waits for what years have left."""


def prune(ledger: Ledger, leaf: Leaf, index: Index, bucket: Bucket, policy: Policy, now: Instant) -> list[str]:
    """Removes files that were written long ago and that nothing names; returns their names, `MOST_AT_ONCE` at most.

    `leaf`: that of the bucket's head; `ledger` stands at its version. Nothing is removed while a list in force can't be
    read, for it tells what is named. Raises `Unavailable` if the bucket says no.
    """
    if damaged_lists(leaf, bucket):
        return []
    kept = named_files(leaf, bucket) | {index.name, *index.dump, *index.deltas}
    kept.update(_young_deltas(ledger, policy, now))
    old = _written_before(now - kept_seconds(policy), leaf.region, bucket)
    removed = list(islice((name for name in old if name not in kept), MOST_AT_ONCE))
    for name in removed:
        bucket.remove(name)
    return removed


def kept_seconds(policy: Policy) -> int:
    """For how long a file stays after it was written: a dump is named until the next one is made, by a head that phones
    believe for so long, and may be asked for some time after."""
    longest_step = max(policy.dump_step_seconds, policy.gaen_step_seconds)
    return longest_step + policy.freshness_seconds + policy.old_files_days * DAY_SECONDS


def _young_deltas(ledger: Ledger, policy: Policy, now: Instant) -> Iterator[str]:
    """The GAEN deltas that lists and the index of a head that is still fresh may name."""
    oldest_at = now - kept_seconds(policy) - max(policy.useful_days, INDEXED_DAYS) * DAY_SECONDS
    for file in ledger.made:
        is_delta = (file.profile, file.kind) == (Profile.GAEN, "delta")
        if is_delta and ledger.versions[file.to_version - 1].at >= oldest_at:
            yield path_of(ledger, file)


def _written_before(at: int, region: str, bucket: Bucket) -> Iterator[str]:
    """The immutable files that were written before `at`; what somebody else put into the bucket is left to a person."""
    return (name for name, written_at in bucket.listed() if written_at < at and is_immutable_name(name, region))
