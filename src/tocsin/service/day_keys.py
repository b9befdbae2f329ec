"""Day keys on several machines: all of them need the same ones, days before they are needed.

One machine makes the keys, and names each in the journal by a fingerprint (`day_key_made`) before it seals anything.
The others get them by `tocsin keys days export` and `import`, from one administrator's shell into another's. A key that
is not the one that the journal names counts as missing: nothing is sealed under it, and what it can't open is not taken
for damaged.
"""

from collections.abc import Iterable
from enum import StrEnum

from tocsin.journal.content import day_key_fingerprint
from tocsin.journal.encoding import NewEvent
from tocsin.journal.port import Journal
from tocsin.ledger.state import Ledger
from tocsin.model.base64url import encode
from tocsin.model.errors import Refused, Unavailable
from tocsin.model.events import DayKeyMade
from tocsin.model.ports import Clock, DayKeys
from tocsin.model.times import KEPT_DAYS, Day, day_of
from tocsin.service.follow import Follower
from tocsin.service.key_folder import DAYS_AHEAD, KeyFolder


class KeyState(StrEnum):
    """What a machine has of a day's key."""

    THERE = "there"
    OTHER = "other"
    """Another key than the one that the journal names."""
    MISSING = "missing"


def key_state(ledger: Ledger, keys: DayKeys, day: Day) -> KeyState:
    """What `keys` has of this day's key."""
    key = keys.day_key(day)
    if key is None:
        return KeyState.MISSING
    named = ledger.day_keys.get(day)
    return KeyState.THERE if named in (None, day_key_fingerprint(key, day)) else KeyState.OTHER


def days_lacking(ledger: Ledger, keys: DayKeys, today: Day) -> dict[Day, KeyState]:
    """Of today and the days for which keys are made ahead, those of which this machine has no right key."""
    states = {Day(day): key_state(ledger, keys, Day(day)) for day in range(today, today + DAYS_AHEAD + 1)}
    return {day: state for day, state in states.items() if state is not KeyState.THERE}


class DayKeeper:
    """Sees to the day keys of one machine. It shares its follower, and so its thread, with the publisher.

    `makes`: whether this is the machine that makes them.
    """

    def __init__(self, journal: Journal, keys: KeyFolder, clock: Clock, follower: Follower, *, makes: bool) -> None:
        self._journal = journal
        self._keys = keys
        self._clock = clock
        self._follower = follower
        self._makes = makes

    def look_ahead(self) -> None:
        """Makes and names the keys of the days to come, where this machine does. Safe beside other processes.

        Raises `Unavailable` while today's is lost, or not there yet: publishing may be well then, and no report is
        taken.
        """
        today = day_of(self._clock.now())
        self._follower.catch_up(self._journal.read)
        self._keys.look_anew(today)
        if self._makes:
            ledger = self._follower.ledger
            self._keys.make_days_ahead(today, ledger.erased_days | ledger.day_keys.keys())
            self._name(range(today, today + DAYS_AHEAD + 1))
        state = key_state(self._follower.ledger, self._keys, today)
        if state is not KeyState.THERE:
            raise Unavailable(f"{_wrong(today, state, 'today')}; until then every report is answered 503")

    def _name(self, days: Iterable[int]) -> None:
        """Names the keys of these days that are here and have no name yet: the first machine's counts."""

        def unnamed() -> list[DayKeyMade]:
            known = self._follower.ledger.day_keys.keys() | self._follower.ledger.erased_days
            made = ((Day(day), self._keys.day_key(Day(day))) for day in days if day not in known)
            return [DayKeyMade(day, encode(day_key_fingerprint(key, day))) for day, key in made if key is not None]

        if not unnamed():
            return
        with self._journal.group(self._clock.now()) as group:
            self._follower.catch_up(group.read)
            for body in unnamed():
                group.append(NewEvent(body, None, ()))
        self._follower.catch_up(self._journal.read)


def _wrong(day: Day, state: KeyState, named: str) -> str:
    if state is KeyState.MISSING:
        return (
            f"the day key {day}, {named}'s, is missing from the key folder: restore it from its backup, or get it from"
            " the machine that makes them (tocsin keys days export)"
        )
    return (
        f"the day key {day}, {named}'s, is another one in this key folder than the journal names: get it from the"
        " machine that makes them (tocsin keys days export)"
    )


def exported(ledger: Ledger, keys: DayKeys, today: Day) -> dict[Day, bytes]:
    """The keys that another machine needs: of every day that is not erased and that this one has the right key of."""
    days = (Day(day) for day in range(today - KEPT_DAYS - DAYS_AHEAD, today + DAYS_AHEAD + 1))
    found = {day: keys.day_key(day) for day in days if day not in ledger.erased_days}
    return {
        day: key for day, key in found.items() if key is not None and key_state(ledger, keys, day) is KeyState.THERE
    }


def take(ledger: Ledger, keys: KeyFolder, day: Day, key: bytes) -> bool:
    """Puts a key from another machine into the key folder; whether it was not there yet.

    In the place of another one only if the journal names this one: nothing was ever sealed under the other. Raises
    `Refused` for a key of a day that is erased, for one that the journal does not name, and for one where another is.
    """
    if day in ledger.erased_days:
        raise Refused("day_erased", f"day {day} is erased, and its key destroyed: it is taken nowhere any more.")
    named = ledger.day_keys.get(day)
    if named is not None and named != day_key_fingerprint(key, day):
        raise Refused(
            "other_day_key", f"The journal names another key for day {day}: this one is another deployment's."
        )
    held = keys.day_key(day)
    if held == key:
        return False
    if held is not None and named is None:
        raise Refused(
            "other_day_key",
            f"The key folder has another key for day {day}, and the journal names none yet: run `tocsin serve` on the"
            " machine that makes them first, and set makes_day_keys = false on this one.",
        )
    keys.put_day_key(day, key)
    return True
