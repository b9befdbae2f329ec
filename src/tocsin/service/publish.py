"""Publishing: decide a version, build it, sign it, release it; and first of all finish what was left unfinished.

The steps, and what a crash right after each leaves behind:

1. fold to every version that is decided and not out; build, sign and release it: the bucket's older head, mended here
2. plan the next version: nothing
3. append `published`, unless a correction overtook the plan (then plan again): a version decided and not out, as in 1
4. fold it, build, sign, release: as in 1

Any number of publishers may run: one of them decides a version, and all of them make the same bytes of it.
"""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from tocsin.journal.encoding import NewEvent, decode_body
from tocsin.journal.port import ClaimTaken, Group, Journal
from tocsin.ledger.fold import fold
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Invalid, Refused
from tocsin.model.events import Draft, Published
from tocsin.model.policy import Policy
from tocsin.model.ports import Clock
from tocsin.publication.build import build
from tocsin.publication.plan import OVERTAKES, plan
from tocsin.publication.release import Released, inherit, release, released
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
        self._decided: Published | None = None

    @property
    def ledger(self) -> Ledger:
        """The ledger as far as this publisher has come."""
        return self._follower.ledger

    def publish(self) -> int:
        """Does whatever is due, and returns the newest version that is then out.

        Raises `Unavailable` if the journal or the bucket fails, `Invalid` if one of them is not this deployment's or
        not whole, `Refused` if a newer term rules the bucket. Calling it again goes on where it stopped.
        """
        self._mend()  # 1
        while (draft := self._decide()) is not None:  # 2 and 3
            if isinstance(draft.body, Published):
                self._mend()  # 4
        return self.ledger.version

    def _mend(self) -> None:
        """Releases, in turn, each version that the journal decided and the bucket does not have."""
        out = self._released()
        self._refuse_foreign(out)
        if self._decided is not None and self.ledger.version > out.version:
            if self.ledger.version == out.version + 1 and self.ledger.sequence == self.ledger.versions[-1].sequence:
                out = self._release(self._decided, out)  # the ledger still stands at the event whose release failed
            else:
                self._follower.forget()  # the bucket was emptied: every version is made anew
        for event in self._follower.unread(self._journal.read):
            fold(self.ledger, [event])
            if not isinstance(event.body, Published):
                continue
            self._decided = event.body
            if event.body.version > out.version:
                out = self._release(event.body, out)
            else:
                self._refuse_foreign(out)
        if out.version > self.ledger.version:
            raise Invalid("the bucket has a version that the journal does not know: is this the right journal?")

    def _refuse_foreign(self, out: Released) -> None:
        """The head names the event that decided it: if it is another one here, this is another journal."""
        if out.leaf is None or self.ledger.version < out.version or out.version == 0:
            return
        if self.ledger.versions[out.version - 1].digest != out.leaf.journal:
            raise Invalid("the bucket's head comes from another journal than this: nothing is published over it")

    def _release(self, body: Published, before: Released) -> Released:
        built = build(self.ledger, inherit(self._bucket, before.leaf))
        signed = sign(built, self._signing_keys)
        try:
            release(signed, self._bucket, before)
        except Refused as refusal:
            after = self._released()
            if refusal.code != "already_released" or after.version < body.version:
                raise
            self._refuse_foreign(after)
            return after  # another publisher made the same bytes a moment earlier
        self._told(
            Out(
                version=body.version,
                at=body.at,
                due=body.due,
                keys=built.leaf.gaen_keys,
                entered=sum(move.mask.bit_count() for move in body.entering),
                left=sum(move.mask.bit_count() for move in body.leaving),
                object_bytes={name: len(data) for name, data in signed.objects.items()},
                head_bytes=len(signed.head),
            )
        )
        return self._released()

    def _released(self) -> Released:
        return released(self._bucket, self._signing_keys.head_verifier)

    def _decide(self) -> Draft | None:
        """Appends the next version if one is due; None if none is."""
        for _ in range(PLANS_BESIDE):
            draft = self._plan()
            if draft is None:
                return None
            try:
                with self._journal.group(self._clock.now()) as group:
                    self._refuse_overtaken(group)
                    self._append(group, draft)
                return draft
            except (_Overtaken, ClaimTaken):
                self._mend()
        with self._journal.group(self._clock.now()) as group:
            self._follower.catch_up(group.read)
            draft = self._plan()
            if draft is not None:
                self._append(group, draft)
        return draft

    def _plan(self) -> Draft | None:
        return plan(self.ledger, self._policy, self._clock.now(), self._journal.tip().term)

    def _refuse_overtaken(self, group: Group) -> None:
        after = self.ledger.sequence
        while page := group.read(after):
            if any(isinstance(decode_body(stored.kind, stored.body), OVERTAKES) for stored in page):
                raise _Overtaken
            after = page[-1].sequence

    @staticmethod
    def _append(group: Group, draft: Draft) -> None:
        group.append(NewEvent(draft.body, None, draft.claims))
