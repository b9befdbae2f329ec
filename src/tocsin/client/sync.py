"""Sync: from the set that a phone holds to the set that a fresh, signed head names; or a refusal, and nothing changes.

    head ── signed? ours? fresh? not older? ──► delta, or dump (and delta) ── as named? ──► set digest agrees ──► state

The numbers of the steps are repeated where each is done. Left to the app: fetching, storing the new state in the old
one's place atomically (`client.state`), and asking several mirrors.
"""

import hashlib
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from tocsin.client.apply import apply_delta
from tocsin.client.state import SyncState
from tocsin.client.trust import Trust
from tocsin.formats.keyset import KeysetDelta, KeysetDump, decode_keyset
from tocsin.formats.leaf import HEAD_NAME, Delta, Dump, Leaf, Named, Profile, ProfileFiles, object_name, parse_head_text
from tocsin.formats.set_digest import set_digest
from tocsin.model.errors import Invalid, Refused
from tocsin.model.keys import KeysByKind, key_ends
from tocsin.model.times import EMBARGO_SECONDS, QUARTER_SECONDS, Instant
from tocsin.transparency.note import verify_note

Fetch = Callable[[str, int], bytes]
"""Object name, most bytes → the object below the bucket's address. It reads one byte more than `most` at most, so that
an object that is too long is seen to be; it raises `Unavailable` if there is none to be had."""

MAX_HEAD_BYTES: Final = 8192
CLOCK_TOLERANCE_SECONDS: Final = 300
"""By so much a phone's clock may be behind the head's time."""
RELEASE_SECONDS: Final = 120
"""A version is in the bucket this long after it is due at the latest."""


class SyncReason(StrEnum):
    """Why a sync was refused; stable."""

    OVERSIZE = "oversize"
    WRONG_SIGNATURE = "wrong_signature"
    MALFORMED = "malformed"
    OTHER_REGION = "other_region"
    STALE_HEAD = "stale_head"
    CLOCK_WRONG = "clock_wrong"
    OLDER_VERSION = "older_version"
    FORKED = "forked"
    WRONG_DIGEST = "wrong_digest"
    EARLY_KEY = "early_key"


_SENTENCES: Final = {
    SyncReason.OVERSIZE: "An object is longer than it may be. Try again later, or at another mirror.",
    SyncReason.WRONG_SIGNATURE: "The head is not signed by a trusted key. Try another mirror, or update the app.",
    SyncReason.MALFORMED: "The head or a file does not hold what it should. Try again later, or update the app.",
    SyncReason.OTHER_REGION: "The head is of another region than the one trusted here.",
    SyncReason.STALE_HEAD: "The head is too old. Try again later, or at another mirror; check this device's clock.",
    SyncReason.CLOCK_WRONG: "The head is from the future. Set this device's clock.",
    SyncReason.OLDER_VERSION: "The head is older than what is held here. Try again later, or at another mirror.",
    SyncReason.FORKED: "The head contradicts what was signed before. Keep both and tell the operator and the public.",
    SyncReason.WRONG_DIGEST: "A file, or the set it leads to, is not what the head names. Try another mirror.",
    SyncReason.EARLY_KEY: "The set holds a key that may still be in use. Tell the operator.",
}


class SyncRefused(Refused):
    """A sync was refused: the state held before is still the one to use. `code` is a `SyncReason`."""

    def __init__(self, reason: SyncReason) -> None:
        super().__init__(reason.value, _SENTENCES[reason])
        self.reason = reason


def sync(state: SyncState | None, trust: Trust, now: int, fetch: Fetch) -> SyncState:
    """The state that the present head leads to; `state` itself if there is no news.

    1 fetch the head; 2 verify its signature; 3 read its leaf; 4 judge its region and time; 5 compare it with `state`;
    6 fetch what leads to its set: the delta if `state` is in its window, else the dump, and the delta if that is older;
    7 compare each file with its name in the leaf; 8 apply; 9 compare the set with the digest. Where the delta onto
    `state` fails at step 9, the dump is tried.

    Raises `SyncRefused`; lets `Unavailable` of `fetch` pass. Either way `state` stands as it was.
    """
    leaf = _trusted_leaf(trust, now, fetch)
    if state is not None and not _is_news(state, leaf):
        return state
    bucket = _Keysets(leaf, fetch)
    keys = bucket.keys_from(state) if state is not None else None
    if keys is None:
        keys = bucket.keys()
    if keys is None:
        raise SyncRefused(SyncReason.WRONG_DIGEST)
    if any((key_ends(records) + EMBARGO_SECONDS > leaf.at).any() for records in keys.values()):
        raise SyncRefused(SyncReason.EARLY_KEY)
    return SyncState(
        region=leaf.region,
        version=leaf.version,
        term=leaf.term,
        at=Instant(leaf.at),
        due_at=Instant(leaf.due),
        first_day=leaf.first_day,
        set_digest=leaf.set_digest,
        journal=leaf.journal,
        keys=keys,
    )


def next_sync_at(due_at: int, now: int, draw: float, spread_seconds: int = QUARTER_SECONDS) -> Instant:
    """When to sync again: once the next version is out, and at a time of this phone's own.

    `draw` is chance from [0, 1), anew each time: it spreads phones over `spread_seconds`. An app that syncs less often
    than versions are made widens the spread.

    >>> next_sync_at(due_at=1800, now=1000, draw=0.5)
    2370
    """
    return Instant(max(due_at + RELEASE_SECONDS, now) + int(draw * spread_seconds))


def _trusted_leaf(trust: Trust, now: int, fetch: Fetch) -> Leaf:
    """Steps 1 to 4."""
    note = _fetched(HEAD_NAME, MAX_HEAD_BYTES, fetch)  # 1
    try:
        text = verify_note(note, trust.verifiers)  # 2
    except Invalid:
        raise SyncRefused(SyncReason.WRONG_SIGNATURE) from None
    try:
        leaf = parse_head_text(text, trust.origin)  # 3
    except Invalid:
        raise SyncRefused(SyncReason.MALFORMED) from None
    if leaf.region != trust.region:  # 4
        raise SyncRefused(SyncReason.OTHER_REGION)
    if leaf.at < now - trust.freshness_seconds:
        raise SyncRefused(SyncReason.STALE_HEAD)
    if leaf.at > now + CLOCK_TOLERANCE_SECONDS:
        raise SyncRefused(SyncReason.CLOCK_WRONG)
    return leaf


def _is_news(state: SyncState, leaf: Leaf) -> bool:
    """Step 5: whether the head is of a later version than `state`."""
    if leaf.region != state.region:
        raise SyncRefused(SyncReason.OTHER_REGION)
    if leaf.version < state.version or leaf.term < state.term:  # a lower term: a primary that was replaced
        raise SyncRefused(SyncReason.OLDER_VERSION)
    if leaf.version > state.version:
        if leaf.at <= state.at:
            raise SyncRefused(SyncReason.FORKED)
        return True
    if (leaf.set_digest, leaf.journal) != (state.set_digest, state.journal):
        raise SyncRefused(SyncReason.FORKED)
    return False


class _Keysets:
    """The keyset files that a leaf names, and the ways from them to its set (steps 6 to 9)."""

    def __init__(self, leaf: Leaf, fetch: Fetch) -> None:
        self._leaf = leaf
        self._fetch = fetch
        offered = [files for files in leaf.profiles if files.profile == Profile.KEYSET]
        files = offered[0] if offered else ProfileFiles(Profile.KEYSET)
        self._dump = files.dump
        # A delta that ends before the head's version leads nowhere.
        self._delta = files.delta if files.delta and files.delta.to_version == leaf.version else None

    def keys_from(self, state: SyncState) -> KeysByKind | None:
        """The head's set by the delta from `state`; None if that is not in its window or leads to another set."""
        if self._delta is None or state.version < self._delta.from_version:
            return None
        return self._agreeing(apply_delta(state.keys, self._fetched_delta(self._delta)))

    def keys(self) -> KeysByKind | None:
        """The head's set by the dump, and the delta if that is older; None if they lead to another set."""
        if self._dump is None or (self._dump.version < self._leaf.version and self._delta is None):
            raise SyncRefused(SyncReason.MALFORMED)  # the head names no way to its version
        keys = self._fetched_dump(self._dump).keys
        if self._delta is not None and self._dump.version < self._leaf.version:
            keys = apply_delta(keys, self._fetched_delta(self._delta))  # 8
        return self._agreeing(keys)

    def _agreeing(self, keys: KeysByKind) -> KeysByKind | None:
        """Step 9."""
        return keys if set_digest(self._leaf.region, keys) == self._leaf.set_digest else None

    def _fetched_dump(self, named: Dump) -> KeysetDump:
        dump = self._fetched_file(named.file)
        if not isinstance(dump, KeysetDump) or (dump.region, dump.version) != (self._leaf.region, named.version):
            raise SyncRefused(SyncReason.MALFORMED)
        if dump.version == self._leaf.version:
            self._compare(dump)
        return dump

    def _fetched_delta(self, named: Delta) -> KeysetDelta:
        delta = self._fetched_file(named.file)
        window = (self._leaf.region, named.from_version, named.to_version)
        if not isinstance(delta, KeysetDelta) or (delta.region, delta.from_version, delta.to_version) != window:
            raise SyncRefused(SyncReason.MALFORMED)
        self._compare(delta)
        return delta

    def _compare(self, file: KeysetDump | KeysetDelta) -> None:
        """A file that ends at the head's version says of it what the head says."""
        leaf = self._leaf
        if (file.at, file.first_day, file.set_digest) != (leaf.at, leaf.first_day, leaf.set_digest):
            raise SyncRefused(SyncReason.MALFORMED)

    def _fetched_file(self, named: Named) -> KeysetDump | KeysetDelta:
        """Steps 6 and 7."""
        data = _fetched(object_name(self._leaf.region, Profile.KEYSET, named.hash), named.length, self._fetch)
        if len(data) != named.length or hashlib.sha256(data).digest() != named.hash:
            raise SyncRefused(SyncReason.WRONG_DIGEST)
        try:
            return decode_keyset(data)
        except Invalid:
            raise SyncRefused(SyncReason.MALFORMED) from None


def _fetched(name: str, most_bytes: int, fetch: Fetch) -> bytes:
    data = fetch(name, most_bytes)
    if len(data) > most_bytes:
        raise SyncRefused(SyncReason.OVERSIZE)
    return data
