"""Calling: one post to the server, counted in the phone's schedule first, and what its answer means for the phone."""

import secrets
from collections.abc import Callable
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from tocsin.cli.fetch import post
from tocsin.cli.phone import Link, Phone, Stage
from tocsin.cli.terminal import Terminal
from tocsin.client.calls import (
    REPEAT_CONTINUATION,
    REPEAT_REPORT,
    WITHDRAWAL_DONE,
    PendingContinuation,
    PendingReport,
)
from tocsin.client.schedule import Errand, Schedule, body_of, go_on, next_errand
from tocsin.client.trust import Trust
from tocsin.formats.wire import decode_answer
from tocsin.model.calls import Answer, KeyVerdict, Verdict
from tocsin.model.errors import Invalid, TocsinError, Unavailable
from tocsin.model.times import day_of

Kept = TypeVar("Kept")

_SENTENCES: Final = {
    Verdict.TAKEN: "The report is taken, and will stay. It can be taken back by `tocsin client withdraw`.",
    Verdict.PROVISIONAL: "The report is kept for now: repeat this command later, to be sure.",
    Verdict.OVER_ALLOWANCE: "Too many wrong codes came from here: repeat this command later.",
    Verdict.CODE_UNKNOWN: "This code is not one that works: compare it with the card, or ask who gave it to you.",
    Verdict.CODE_SPENT: "This code was used before: ask for another one.",
    Verdict.CODE_EXPIRED: "This code has expired: ask for another one.",
    Verdict.CODE_CUT_OFF: "This code was cut off: ask for another one.",
    Verdict.NO_KEY_LEFT: "None of the keys can be taken, so the code was not looked at, and is not used up.",
    Verdict.REPORT_REFUSED: "The keys contradict each other or are too many, or the code is for no report like this.",
    Verdict.MISMATCH: "Another report was made with the same secrets. Report again, with new ones.",
    Verdict.MALFORMED: "The server does not understand this call: update the app.",
    Verdict.UNSUPPORTED: "The server does not take such a call: is a code missing?",
    Verdict.WITHDRAWN: "The report is taken back. Its keys leave with the next version.",
    Verdict.CUT_OFF: "The health service has taken the report back.",
    Verdict.UNKNOWN: "The server knows no such report. Is this the trust file with which it was reported?",
    Verdict.TOO_OLD: "The report is so old that it is erased.",
    Verdict.NOTED: "The decoy was answered.",
}
_KEY_WORDS: Final = {
    KeyVerdict.BAD_LENGTH: "not taken, it is not of a length that is taken here",
    KeyVerdict.BAD_PERIOD: "not taken, its period is not one that its kind may have",
    KeyVerdict.TOO_OLD: "not taken, it is too old to be of use",
    KeyVerdict.FUTURE: "not taken, it has not begun",
}


def chance() -> float:
    """A number from [0, 1), drawn from the system's generator: when a phone calls is not to be foreseen."""
    return secrets.randbelow(1 << 53) / (1 << 53)


def schedule_of(folder: Phone, terminal: Terminal) -> Schedule:
    """The phone's schedule; a new one where there is none that can be gone on with."""
    now = terminal.clock.now()
    try:
        stored = folder.schedule()
    except Invalid:
        terminal.warn(f"{folder.schedule_file} is damaged: the phone begins a new schedule")
        stored = None
    schedule = go_on(stored, now, chance())
    if schedule is not stored:
        folder.keep_schedule(schedule)
    return schedule


def call(folder: Phone, pinned: Trust, body: bytes, terminal: Terminal) -> Answer:
    """The answer to a call in this phone's schedule. Raises `Unavailable`: the same call may be posted again.

    The next call is stored before this one is posted: a crash here costs a turn, and never makes a call more.
    """
    schedule, now, draw = schedule_of(folder, terminal), terminal.clock.now(), chance()
    folder.keep_schedule(schedule.answered(now, draw))
    try:
        return answer_to(pinned, body)
    except Unavailable:
        folder.keep_schedule(schedule.unheard(now, draw))
        raise


class Turn(Struct, frozen=True):
    """What became of a turn: the errand of its call and the answer, None if none was due; UTC seconds of the next."""

    errand: str | None
    answer: Answer | None
    next_call_at: int


def take_turn(folder: Phone, pinned: Trust, terminal: Terminal) -> Turn:
    """Makes the call that is due, if one is. Raises `Unavailable` if it got no answer; the next one is then sooner."""
    schedule, now = schedule_of(folder, terminal), terminal.clock.now()
    if schedule.due_at > now:
        return Turn(None, None, schedule.due_at)
    errand, kept, more = _next_errand(folder, schedule, now, terminal)
    if errand is Errand.REPEAT:
        folder.mark_posted()
    answer = call(folder, pinned, body_of(errand, kept, more), terminal)
    settle(folder, errand, answer)
    schedule = schedule_of(folder, terminal)
    if errand is Errand.TRACK:
        folder.keep_schedule(replace(schedule, tracked_day=day_of(now)))
    return Turn(errand.name.lower(), answer, schedule.due_at)


_STAGE_ERRANDS: Final = {
    Stage.STORED: Errand.REPEAT,
    Stage.PENDING: Errand.REPEAT,
    Stage.TAKEN: Errand.TRACK,
    Stage.WITHDRAWING: Errand.WITHDRAW,
}


def _next_errand(
    folder: Phone, schedule: Schedule, now: int, terminal: Terminal
) -> tuple[Errand, PendingReport | None, PendingContinuation | None]:
    """What the call that is due is for. A file that can't be read is named, and must not stop the call."""
    known = _readable(folder.report, terminal)
    if known is None:
        return Errand.DECOY, None, None
    stage, kept = known
    wanted = {_STAGE_ERRANDS[stage]}
    more = _readable(lambda: folder.continuation(Link.PENDING), terminal) if stage is Stage.TAKEN else None
    if more is not None:
        wanted.add(Errand.CONTINUE)
    if schedule.tracked_day == day_of(now):
        wanted.discard(Errand.TRACK)
    return next_errand(wanted), kept, more


def _readable(read: Callable[[], Kept | None], terminal: Terminal) -> Kept | None:
    try:
        return read()
    except TocsinError as error:
        terminal.warn(str(error))
        return None


def answer_to(pinned: Trust, body: bytes) -> Answer:
    """The server's answer to a call. Raises `Unavailable`: the same call may be posted again."""
    try:
        return decode_answer(post(pinned.reports_url, body))
    except Invalid:
        raise Unavailable(
            "What came back is no answer to such a call: see that the trust file is of the server that you mean, and"
            " run this again."
        ) from None


def settle(folder: Phone, errand: Errand, answer: Answer) -> None:
    """Makes the phone's report what this answer says that it is."""
    if errand is Errand.WITHDRAW and answer.verdict in WITHDRAWAL_DONE:
        folder.drop_report(Stage.WITHDRAWING)
    if errand is Errand.REPEAT and answer.verdict is Verdict.TAKEN:
        folder.move_report(Stage.PENDING, Stage.TAKEN)
    elif errand is Errand.REPEAT and answer.verdict not in REPEAT_REPORT:
        folder.drop_report(Stage.PENDING)
    if errand is Errand.CONTINUE and answer.verdict is Verdict.TAKEN:
        folder.take_continuation()
    elif errand is Errand.CONTINUE and answer.verdict not in REPEAT_CONTINUATION:
        folder.drop_continuation()


def tell(terminal: Terminal, errand: Errand, answer: Answer) -> None:
    """What an answer says, for a person."""
    stands = errand is Errand.TRACK and answer.verdict is Verdict.TAKEN
    terminal.say("The report is there, and stands." if stands else _SENTENCES[answer.verdict])
    for position, verdict in enumerate(answer.keys):
        if verdict is not KeyVerdict.TAKEN:
            terminal.line(f"  key {position}: {_KEY_WORDS[verdict]}")
