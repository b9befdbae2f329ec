"""The day keys: today's, those ahead, those of days that must be readable still, and those that should be gone."""

from collections.abc import Iterator
from typing import Final

from tocsin.journal.port import PAGE_EVENTS, Journal
from tocsin.model.errors import TocsinError
from tocsin.model.times import DAY_SECONDS, KEPT_DAYS, Day, day_of, day_start, utc
from tocsin.service.doctor.finding import Code, Finding, in_full
from tocsin.service.doctor.subject import Subject
from tocsin.service.key_folder import DAYS_AHEAD

_DAY_BYTES: Final = 4
"""What sealed content begins with: the UTC day whose key sealed it (docs/formats/events.md, "Content")."""
_LATE_SECONDS: Final = DAY_SECONDS
"""How much later than its day something may be recorded: what a spool delivers, and what came at midnight."""
_MOST_PAGES: Final = 200
"""Read for one day whose key is not there, at most: reports are found in the first."""


def look(subject: Subject) -> Iterator[Finding]:
    """Keys that are lost, damaged, or run out."""
    keys, today = subject.keys, day_of(subject.clock.now())
    there = set()
    for day in map(Day, range(today - KEPT_DAYS + 1, today + DAYS_AHEAD + 1)):
        try:
            if keys.has_day_key(day):
                there.add(day)
        except TocsinError as error:
            there.add(day)  # it is there, and no key
            yield Finding(Code.DAY_KEY_MISSING, f"days/{day}: {in_full(error)} Restore it from its backup.")
    for day in map(Day, range(today - KEPT_DAYS + 1, today + 1)):
        is_lost = day == today and any(later in there for later in range(today + 1, today + DAYS_AHEAD + 1))
        if day not in there and (is_lost or _seals(subject.journal, day)):
            yield Finding(
                Code.DAY_KEY_MISSING,
                f"keys/days/{day}, the key of {utc(day_start(day))[:10]}, is missing: restore it from its mirror, mode"
                " 0600, or get it from another machine (`tocsin keys days export`). Until then reports are answered"
                " 503, and if it sealed a report nothing is published. It is never made anew:"
                " docs/operating/key-folder-lost.md.",
            )
    ahead = next(count for count in range(DAYS_AHEAD + 1) if today + count + 1 not in there)
    if ahead < DAYS_AHEAD - 1:
        made = (
            "`tocsin serve` makes them, so it does not run, or can't write the key folder."
            if subject.settings.makes_day_keys
            else "bring them over from the machine that makes them (`tocsin keys days export`)."
        )
        yield Finding(Code.DAY_KEYS_SHORT, f"Day keys reach {ahead} days ahead, of {DAYS_AHEAD}: {made}")
    if overdue := sorted(day for day in keys.days() if day + KEPT_DAYS < today):
        yield Finding(
            Code.ERASURE_LATE,
            f"keys/days/{overdue[0]}, the key of {utc(day_start(overdue[0]))[:10]}, should have been destroyed after"
            f" {KEPT_DAYS} days, and the reports of that day can still be read: is `tocsin serve` running on this"
            " machine, and are versions released? Its log says what is in the way.",
        )


def _seals(journal: Journal, day: Day) -> bool:
    """Whether an event holds content that the key of this day sealed. Reads little: events stand in order of time."""
    after = _last_before(journal, day)
    for _ in range(_MOST_PAGES):
        page = journal.read(after)
        for event in page:
            if event.recorded_at >= day_start(day + 1) + _LATE_SECONDS:
                return False
            if event.content is not None and event.content[:_DAY_BYTES] == day.to_bytes(_DAY_BYTES, "big"):
                return True
        if len(page) < PAGE_EVENTS:
            return False
        after = page[-1].sequence
    return False


def _last_before(journal: Journal, day: Day) -> int:
    """The last event that was recorded before this day; 0 if none was."""
    least, most = 0, journal.tip().sequence
    while least < most:
        middle = (least + most + 1) // 2
        [event] = journal.read(middle - 1, 1)
        if event.recorded_at < day_start(day):
            least = middle
        else:
            most = middle - 1
    return least
