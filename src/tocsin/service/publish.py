"""Publishing: decide a version, build it, sign it, release it; and first of all finish what was left unfinished.

The steps, and what a crash right after each leaves behind:

1. a version that is decided and not out is built, signed and released, once the archive holds its event: the
   bucket's older head, mended here
2. put surges into quarantine, then plan the next version: a quarantine, found standing
3. append `published`, unless a correction overtook the plan (then plan again): a version decided and not out, as in 1
4. fold it, archive it, build, sign, release: as in 1
5. look through the files in force, and make again what is lost or damaged: what is still to be made, found again
6. put the conventional index right: a lost or spoilt one, found again
7. once a day remove what nothing names any more: some of it, found again

Any number of publishers may run: one of them decides a version, and all of them make the same bytes of it.
"""

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from tocsin.formats.leaf import Leaf
from tocsin.journal.encoding import NewEvent, decode_body
from tocsin.journal.port import Group, Journal, event_with
from tocsin.ledger.queries import is_whole
from tocsin.ledger.state import Ledger
from tocsin.model.claims import version_claim
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.events import Draft, Event, MadeFile, Published
from tocsin.model.policy import Policy
from tocsin.model.ports import Clock
from tocsin.model.times import day_of
from tocsin.publication.build import build, files_in_force, remake
from tocsin.publication.in_force import damaged, missing
from tocsin.publication.index import index_of, put_index
from tocsin.publication.plan import last_at, overtakes, plan
from tocsin.publication.prune import MOST_AT_ONCE, prune
from tocsin.publication.release import Released, put, release, released
from tocsin.publication.sign import SigningKeys, sign, sign_files, signing_infos
from tocsin.rules.attribution import REQUEST_ID_BYTES, attribution
from tocsin.rules.quarantine import Surge, quarantine, surges
from tocsin.service.follow import Follower
from tocsin.service.key_folder import KeyFolder
from tocsin.stores.port import Bucket

PLANS_BESIDE: Final = 2
"""Plans made without holding the journal's tip; after these the next one is made while holding it, and can't be
overtaken, however many corrections come."""


TOLD_EVENTS: Final = 10_000
"""After so many events a long reading tells how far it is."""
MACHINE: Final = "tocsin"
"""Who puts a surge into quarantine, where no person does."""


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


def refuse_other_journal(journal: Journal, out: Released) -> None:
    """Raises `Invalid` unless the event that decided the bucket's head `out` is in this journal."""
    if out.leaf is None:
        return
    decided = event_with(journal, version_claim(out.version))
    if decided is None:
        raise Invalid(
            f"the bucket's head is version {out.version}, which this journal did not decide: it is an older copy, or"
            " not the right journal. Restore the newest copy of the folder journal; if there is no newer one, move what"
            " is in the folder bucket away: what was reported since is lost, and phones wait for a later version"
        )
    if decided.digest != out.leaf.journal:
        raise Invalid(
            "the bucket's head comes from another journal than this: restore the right one, or give this deployment a"
            " bucket of its own. Nothing is published over it"
        )


def surge_words(surge: Surge) -> str:
    """Why a surge is kept back: the reason that its event gives."""
    return f"a surge: {surge.reports} reports, where up to {surge.most} are usual"


def _version(event: Event) -> int | None:
    """The version that `event` decided, if it did."""
    return event.body.version if isinstance(event.body, Published) else None


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
        follower: Follower | None = None,
        told_restored: Callable[[Sequence[str]], None] = lambda names: None,
        told_surge: Callable[[Surge], None] = lambda surge: None,
        archive_up_to: Callable[[int], None] = lambda sequence: None,
    ) -> None:
        """`follower`: one that has read the journal already, and is this publisher's own from now on.

        `archive_up_to` returns when the archive holds the event of that number: no phone is to know a version that a
        journal rebuilt from there would not.
        """
        self._journal = journal
        self._keys = keys
        self._clock = clock
        self._policy = policy
        self._bucket = bucket
        self._signing_keys = signing_keys
        self._told = told
        self._told_restored = told_restored
        self._told_surge = told_surge
        self._archive_up_to = archive_up_to
        self._follower = follower or Follower(keys)
        self._made: tuple[int, tuple[MadeFile, ...]] = (0, ())
        self._looked_through = 0
        """The version whose files in force were read whole."""
        self._filled_up = 0
        """The version of which the bucket got the files in force that earlier versions made."""
        self._pruned = 0
        """The UTC day on which old files were removed."""
        self._lost_for_good: frozenset[str] = frozenset()
        """Files in force that a reading of the whole journal did not bring back: it is not read for them again."""

    @property
    def follower(self) -> Follower:
        """What follows the journal for this publisher; for work in the same thread."""
        return self._follower

    @property
    def ledger(self) -> Ledger:
        """The ledger as far as this publisher has come."""
        return self._follower.ledger

    def publish(self) -> int:
        """Does whatever is due, and returns the newest version that is then out.

        Raises `Unavailable` if the journal, the archive, the bucket or a key is away, `Invalid` if one of them is not
        this deployment's or not whole, `Refused` if a newer term rules archive or bucket. Called again it goes
        on where it stopped.
        """
        self._mend()  # 1
        while self._decide():  # 2 and 3
            self._mend()  # 4
        self._look_after_files()
        self._prune()  # 7
        return self._released().version

    def read_through(self, in_force: Sequence[MadeFile], told: Callable[[int], None] = lambda sequence: None) -> float:
        """Reads the journal from event 1 to its end; `told` is given how far it is, now and then.

        On the way it makes what the bucket may lack of `in_force`, the files that the newest version names and earlier
        ones made: a ledger only goes forward. Returns the seconds that they took. Raises as `publish`.
        """
        out = self._released()
        refuse_other_journal(self._journal, out)
        self._follower.begin_anew()
        seconds = 0.0
        versions = {file.to_version for file in in_force if file.to_version > out.version}
        for event in self._follower.follow(
            self._journal.read, lambda event: not event.sequence % TOLD_EVENTS or _version(event) in versions
        ):
            told(event.sequence)
            if _version(event) in versions:
                began = perf_counter()
                self._put_again(in_force)
                seconds += perf_counter() - began
        self._follower.refuse_lost_keys(self._clock.now())
        self._filled_up = self.ledger.version
        return seconds

    def restore(self) -> int:
        """Puts out what the journal has decided, all of it, and decides nothing: for a bucket that was lost.

        Returns the newest version that is then out. Raises as `publish`; `Unavailable` too, once all is out that can
        be, for files whose keys are erased.
        """
        self._mend()
        self._look_after_files()
        return self._released().version

    def _look_after_files(self) -> None:
        try:
            self._restore_files()  # 5
        finally:  # also where a file is lost for good: the index must not name it
            self._mend_index()  # 6

    def _prune(self) -> None:
        """Removes what nothing names any more, once a day; not while a file in force is lost for good."""
        now, out = self._clock.now(), self._released()
        if day_of(now) == self._pruned or self._lost_for_good:
            return
        if out.leaf is None or out.version != self.ledger.version:  # another publisher's, which looks after it
            return
        index = index_of(self.ledger, self._made_now())
        removed = prune(self.ledger, out.leaf, index, self._bucket, self._policy, now)
        if len(removed) < MOST_AT_ONCE:
            self._pruned = day_of(now)

    def _mend(self) -> None:
        """Puts out the newest version that the journal decided, if the bucket does not have it.

        A bucket that is further behind is new or was set back: it gets the files in force first, and no older head. A
        version whose content is erased by now can't be made any more: the next one takes its place.
        """
        out = self._catch_up()
        while out.version < self.ledger.version and is_whole(self.ledger):
            self._archive_up_to(self.ledger.versions[-1].sequence)
            if out.version + 1 < self.ledger.version and self._filled_up < self.ledger.version:
                self._put_files_in_force(out.version)
            self._release(out)
            out = self._catch_up()

    def _catch_up(self) -> Released:
        """The head of the bucket, with the ledger at the journal's tip. Raises for what nothing may be put out over."""
        out = self._released()
        self._follower.catch_up(self._journal.read)
        self._follower.refuse_lost_keys(self._clock.now())
        refuse_other_journal(self._journal, out)
        return out

    def _put_files_in_force(self, behind: int) -> None:
        """Makes the files that the newest version names, for a bucket whose head is at version `behind`.

        Those of which a key is erased by now can't be made again and are left out: phones of that age take the dump.
        The ledger then stands at the newest version.
        """
        newest, wanted = self.ledger.version, files_in_force(self.ledger)
        versions = {file.to_version for file in wanted if file.to_version > behind}
        if not versions:
            return
        self._follower.begin_anew()
        for event in self._follower.follow(self._journal.read, lambda event: _version(event) in {newest, *versions}):
            if _version(event) == newest:
                return
            self._put_again(wanted)

    def _put_again(self, wanted: Sequence[MadeFile]) -> None:
        """Those of `wanted` that the newest version of the ledger made."""
        put(sign_files(self.ledger.region, remake(self.ledger, wanted), self._signing_keys), self._bucket)

    def _restore_files(self) -> None:
        """Makes again what is lost or damaged of the files in force: read whole once a version, else looked at."""
        out = self._released()
        if out.leaf is None or out.version != self.ledger.version:  # what another publisher released, it looks after
            return
        look = missing if out.version == self._looked_through else damaged
        lost = look(out.leaf, self._bucket)
        self._lost_for_good &= set(lost)  # some may have been restored from a copy
        if lost:
            self._make_again(out.leaf)
            with suppress(OSError, ValueError):
                self._told_restored(lost)
        self._looked_through = out.version

    def _make_again(self, leaf: Leaf) -> None:
        """The newest version's own files first: the others take a reading of the journal from event 1."""
        if is_whole(self.ledger):
            put(sign(build(self.ledger), self._signing_keys).objects, self._bucket)
        if not self._lost_for_good.issuperset(damaged(leaf, self._bucket)):
            self._put_files_in_force(behind=0)
            self._follower.refuse_lost_keys(self._clock.now())  # what they hold is not erased, but out of reach
        lost = damaged(leaf, self._bucket)
        self._lost_for_good = frozenset(lost)
        if lost:
            raise Unavailable(
                f"{len(lost)} public files are lost or damaged and can't be made again, since what they held is erased:"
                f" restore {lost[0]} from a copy of the bucket, or wait for the next dump"
            )

    def _release(self, before: Released) -> None:
        """Releases the newest version of the ledger over the head `before`, unless another publisher has."""
        version = self.ledger.versions[-1]
        built = build(self.ledger)
        signed = sign(built, self._signing_keys)
        try:
            new = release(signed, self._bucket, before)
        except Refused as refusal:
            if refusal.code != "already_released" or self._released().version < version.version:
                raise
            return  # another publisher made the same bytes a moment earlier
        self._made = (version.version, built.made)
        out = Out(
            version=version.version,
            at=version.at,
            due=version.due,
            keys=built.leaf.live_keys,
            entered=version.entered,
            left=version.left,
            object_bytes={name: len(data) for name, data in signed.objects.items() if name in new},
            head_bytes=len(signed.head),
        )
        with suppress(OSError, ValueError):  # a terminal or pipe that is gone must not stop what comes next
            self._told(out)

    def _mend_index(self) -> None:
        """Puts the conventional index right, if it was lost or spoilt. Whoever is overtaken leaves it to the other."""
        out = self._released()
        if out.version and out.version == self.ledger.version:
            put_index(index_of(self.ledger, self._made_now()), self._bucket, out.head, self._lost_for_good)

    def _released(self) -> Released:
        return released(self._bucket, self._signing_keys.head_verifier)

    def _decide(self) -> bool:
        """Appends the next version if one is due; False if none is. True also if another publisher was faster."""
        self._quarantine_surges()
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
            before = self.ledger.version
            self._follower.catch_up(group.read)
            self._follower.refuse_lost_keys(self._clock.now())
            if self.ledger.version != before:
                return True  # it is to be released before the next one is decided
            draft = self._plan()
            if draft is None:
                return False
            self._append(group, draft)
        return True

    def _quarantine_surges(self) -> None:
        """Keeps back what one provider or batch sends all of a sudden, until a person has looked at it."""
        if last_at(self.ledger) + self._policy.step_seconds > (now := self._clock.now()):
            return  # no version is due
        if not surges(self.ledger, self._policy, now):
            return
        with self._journal.group(now) as group:
            self._follower.catch_up(group.read)
            found = surges(self.ledger, self._policy, now)  # none, if another publisher was faster
            for surge in found:
                by = attribution(MACHINE, surge_words(surge), secrets.token_bytes(REQUEST_ID_BYTES))
                self._append(group, quarantine(self.ledger, surge.target, by))
        self._mend()
        for surge in found:
            with suppress(OSError, ValueError):
                self._told_surge(surge)

    def _plan(self) -> Draft | None:
        now = self._clock.now()
        infos = signing_infos(
            self._policy.gaen_signature_infos, self._signing_keys.gaen, now - now % self._policy.step_seconds
        )
        policy = replace(self._policy, gaen_signature_infos=infos)
        return plan(self.ledger, policy, now, self._journal.tip().term, self._made_now())

    def _made_now(self) -> tuple[MadeFile, ...]:
        """The files that the newest version made; none if they can't be made any more."""
        version = self.ledger.version
        if self._made[0] != version:  # another publisher released it, or nobody can any more
            self._made = (version, build(self.ledger).made if version and is_whole(self.ledger) else ())
        return self._made[1]

    def _refuse_overtaken(self, group: Group) -> None:
        after = self.ledger.sequence
        while page := group.read(after):
            if any(overtakes(decode_body(stored.kind, stored.body)) for stored in page):
                raise _Overtaken
            after = page[-1].sequence

    @staticmethod
    def _append(group: Group, draft: Draft) -> None:
        group.append(NewEvent(draft.body, None, draft.claims))
