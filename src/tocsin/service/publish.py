"""Publishing: decide a version, build it, sign it, release it; and first of all finish what was left unfinished.

The steps, and what a crash right after each leaves behind:

1. fold to every version that is decided and not out; build, sign and release it: the bucket's older head, mended here
2. plan the next version: nothing
3. append `published`, unless a correction overtook the plan (then plan again): a version decided and not out, as in 1
4. fold it, build, sign, release: as in 1

Any number of publishers may run: one of them decides a version, and all of them make the same bytes of it.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from msgspec import Struct

from tocsin.journal.encoding import NewEvent, decode_body
from tocsin.journal.port import Group, Journal
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Invalid, Refused
from tocsin.model.events import Draft, MadeFile, Published
from tocsin.model.policy import Policy
from tocsin.model.ports import Clock
from tocsin.publication.build import build, versions_in_force
from tocsin.publication.plan import OVERTAKES, plan
from tocsin.publication.release import Released, put, release, released
from tocsin.publication.sign import SigningKeys, sign
from tocsin.service.follow import Follower
from tocsin.service.key_folder import KeyFolder
from tocsin.stores.port import Bucket

PLANS_BESIDE: Final = 2
"""Plans made without holding the journal's tip; after these the next one is made while holding it, and can't be
overtaken, however many corrections come."""


class Out(Struct, frozen=True):
    """A version that went out: its instants in UTC seconds, its live keys, the bytes of its new objects and head."""

    version: int
    at: int
    due: int
    keys: int
    entered: int
    left: int
    object_bytes: dict[str, int]
    head_bytes: int


class _Overtaken(Exception):
    """A correction, a pause or another version came after the plan."""


class Publisher:
    """One publisher: a ledger of its own, the signing keys, the bucket. One thread at a time may use it."""

    def __init__(
        self,
        journal: Journal,
        keys: KeyFolder,
        clock: Clock,
        policy: Policy,
        bucket: Bucket,
        signing_keys: SigningKeys,
        told: Callable[[Out], None] = lambda out: None,
    ) -> None:
        self._journal = journal
        self._keys = keys
        self._clock = clock
        self._policy = policy
        self._bucket = bucket
        self._signing_keys = signing_keys
        self._told = told
        self._follower = Follower(keys)
        self._made: tuple[int, tuple[MadeFile, ...]] = (0, ())

    @property
    def ledger(self) -> Ledger:
        """The ledger as far as this publisher has come."""
        return self._follower.ledger

    def publish(self) -> int:
        """Does whatever is due, and returns the newest version that is then out.

        Raises `Unavailable` if the journal, the bucket or a key is away, `Invalid` if one of them is not this
        deployment's or not whole, `Refused` if a newer term rules the bucket. Called again it goes on where it stopped.
        """
        self._mend()  # 1
        while self._decide():  # 2 and 3
            self._mend()  # 4
        return self.ledger.version

    def _mend(self) -> None:
        """Releases, in turn, each version that the journal decided and the bucket does not have."""
        out = self._released()
        if out.leaf is None:
            self._fill_new_bucket()
            out = self._released()
        self._refuse_foreign(out)
        if self.ledger.version > out.version + 1:
            self._follower.forget()  # another bucket than the one this ledger was followed for
        elif self.ledger.version == out.version + 1:
            out = self._release(out)  # its release failed, or it was met while the journal's tip was held
        for event in self._follower.follow(self._journal.read):
            if not isinstance(event.body, Published):
                continue
            if event.body.version > out.version:
                self._follower.refuse_lost_keys(self._clock.now())
                out = self._release(out)
            self._refuse_foreign(out)
        self._follower.refuse_lost_keys(self._clock.now())
        if out.version > self.ledger.version:
            raise Invalid("the bucket has a version that the journal does not know: is this the right journal?")

    def _fill_new_bucket(self) -> None:
        """Makes the files in force for a bucket that has no head, and releases the newest version; no older head.

        Files whose keys are erased by now can't be made again and are left out: phones of that age take the dump.
        """
        self._follower.catch_up(self._journal.read)
        self._follower.refuse_lost_keys(self._clock.now())
        newest = self.ledger.version
        if newest == 0:
            return
        wanted = versions_in_force(self.ledger)
        self._follower.forget()
        for event in self._follower.follow(self._journal.read):
            if not isinstance(event.body, Published) or event.body.version not in wanted:
                continue
            if event.body.version == newest:
                self._release(Released(None, None))
                return
            with suppress(Invalid):  # it does not lead to its digest: erased
                put(sign(build(self.ledger), self._signing_keys).objects, self._bucket)

    def _refuse_foreign(self, out: Released) -> None:
        """The head names the event that decided it: if it is another one here, this is another journal."""
        if out.leaf is None or not 0 < out.version <= self.ledger.version:
            return
        if self.ledger.versions[out.version - 1].digest != out.leaf.journal:
            raise Invalid("the bucket's head comes from another journal than this: nothing is published over it")

    def _release(self, before: Released) -> Released:
        """Releases the newest version of the ledger over the head `before`; returns the head that is then there."""
        version = self.ledger.versions[-1]
        built = build(self.ledger)
        signed = sign(built, self._signing_keys)
        try:
            new = release(signed, self._bucket, before)
        except Refused as refusal:
            after = self._released()
            if refusal.code != "already_released" or after.version < version.version:
                raise
            return after  # another publisher made the same bytes a moment earlier
        self._made = (version.version, built.made)
        out = Out(
            version=version.version,
            at=version.at,
            due=version.due,
            keys=built.leaf.gaen_keys,
            entered=version.entered,
            left=version.left,
            object_bytes={name: len(data) for name, data in signed.objects.items() if name in new},
            head_bytes=len(signed.head),
        )
        with suppress(OSError, ValueError):  # a terminal or pipe that is gone must not stop what comes next
            self._told(out)
        return self._released()

    def _released(self) -> Released:
        return released(self._bucket, self._signing_keys.head_verifier)

    def _decide(self) -> bool:
        """Appends the next version if one is due; False if none is. True also if another publisher was faster."""
        for _ in range(PLANS_BESIDE):
            draft = self._plan()
            if draft is None:
                return False
            try:
                with self._journal.group(self._clock.now()) as group:
                    self._refuse_overtaken(group)
                    self._append(group, draft)
                return True
            except _Overtaken:
                self._mend()
        with self._journal.group(self._clock.now()) as group:
            for event in self._follower.follow(group.read):
                if isinstance(event.body, Published):
                    return True  # it is to be released before anything else is folded
            draft = self._plan()
            if draft is None:
                return False
            self._append(group, draft)
        return True

    def _plan(self) -> Draft | None:
        version = self.ledger.version
        if self._made[0] != version:  # another publisher released it
            self._made = (version, build(self.ledger).made)
        return plan(self.ledger, self._policy, self._clock.now(), self._journal.tip().term, self._made[1])

    def _refuse_overtaken(self, group: Group) -> None:
        after = self.ledger.sequence
        while page := group.read(after):
            if any(isinstance(decode_body(stored.kind, stored.body), OVERTAKES) for stored in page):
                raise _Overtaken
            after = page[-1].sequence

    @staticmethod
    def _append(group: Group, draft: Draft) -> None:
        group.append(NewEvent(draft.body, None, draft.claims))
