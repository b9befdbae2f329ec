"""This machine's clock: against the journal, and what the kernel says of it."""

import ctypes
from collections.abc import Iterator
from typing import Final

from tocsin.model.errors import Unavailable
from tocsin.model.times import utc
from tocsin.service.doctor.finding import Code, Finding, in_full
from tocsin.service.doctor.subject import Subject
from tocsin.service.held_clock import HeldClock
from tocsin.service.journal_choice import clock_of_journal

MOST_APART_SECONDS: Final = 300
"""As far as clocks may part anywhere in tocsin."""
_STA_UNSYNC: Final = 0x40
"""adjtimex(2)."""
_TIMEX_BYTES: Final = 512
"""More than any system's struct timex."""
_STATUS_OFFSET: Final = 5 * ctypes.sizeof(ctypes.c_long)
"""Of `status` in struct timex: behind `modes`, which is padded to a long, and four longs (adjtimex(2))."""


def look(subject: Subject) -> Iterator[Finding]:
    """A clock that the journal contradicts, or that nothing keeps right."""
    tip, held = subject.journal.tip(), HeldClock(subject.clock, subject.journal)
    try:
        now = held.now()
    except Unavailable as error:
        yield Finding(Code.CLOCK_WRONG, f"Nothing is recorded. {in_full(error)}")
    else:
        if now < tip.recorded_at:
            yield Finding(
                Code.CLOCK_WRONG,
                f"This machine's clock is behind {utc(tip.recorded_at)}, when the journal's last event was recorded:"
                " this clock is slow, or that of the machine which wrote it is fast. Compare both with a third clock.",
            )
    there = clock_of_journal(subject.journal_choice)
    if there is not None and abs(there - (here := subject.clock.now())) > MOST_APART_SECONDS:
        yield Finding(
            Code.CLOCK_WRONG,
            f"This machine's clock says {utc(here)}, and that of the journal's database server {utc(there)}: one of"
            " them is wrong. Look at a third one, and set the wrong one right before anything is recorded by it.",
        )
    if not is_synchronised():
        yield Finding(
            Code.CLOCK_UNSYNCHRONISED,
            "The kernel says that nothing keeps this machine's clock right: run chrony or the like, with several"
            " sources. A clock that is wrong when a server starts is noticed by nothing else.",
        )


def is_synchronised() -> bool:
    """Whether the kernel's clock is kept right from outside. True where the kernel does not say."""
    adjtimex = getattr(ctypes.CDLL(None, use_errno=True), "adjtimex", None)
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)  # all zeros: nothing is set, it is only read
    if adjtimex is None or adjtimex(timex) < 0:
        return True
    return not ctypes.c_int.from_buffer(timex, _STATUS_OFFSET).value & _STA_UNSYNC
