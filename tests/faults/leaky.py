"""`tocsin`, run as a process in which things go wrong that nobody foresaw, with what was sent in their messages.

``python -m tests.faults.leaky FOLDER serve …``: exactly what `tocsin` runs, but that the clock is the file `clock`
of the deployment's folder. A request with the header ``X-Fail: WAY`` fails in that way, and its headers are in the
message. A file `leak` in the folder makes it log them, as a careless developer would.
"""

import asyncio
import logging
import sqlite3
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from starlette.datastructures import Headers

from tests.faults.site_process import FileClock
from tocsin import cli
from tocsin.__main__ import run
from tocsin.journal.sqlite import SqliteGroup
from tocsin.service import serve
from tocsin.service.perform import Arrival, Performer
from tocsin.web.apps import intake
from tocsin.web.problems import Problem

_ours = logging.getLogger("tocsin.careless")


class _Stubborn:
    """Can't be let go of."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __del__(self) -> None:
        raise RuntimeError(self.text)


def _raise(text: str) -> None:
    raise RuntimeError(text)


def _disk_error(text: str) -> None:
    raise sqlite3.OperationalError(text)


def _foreign(text: str) -> None:
    try:
        _raise(text)
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("invalid request %s", text)


def _nested(text: str) -> None:
    try:
        _raise(text)
    except RuntimeError as error:
        raise KeyError(text) from error


WAYS: dict[str, Callable[[str], object]] = {
    "request": _raise,
    "nested": _nested,
    "thread": lambda text: threading.Thread(target=_raise, args=(text,), name=text).start(),
    "loop": lambda text: asyncio.get_running_loop().call_soon(_raise, text),
    "destructor": _Stubborn,
    "warning": lambda text: warnings.warn(text, stacklevel=1),
    "library": _foreign,
}
"""How a request can fail; and by its body, which fails its group, or the disk when the group is to be stored."""
GROUP_FAILS = b'"act":"decoy","fail":'
GROUP_AWAY = b'"act":"decoy","away":'


def sew_in(top: Path) -> None:
    """Puts the faults where requests come through."""
    header_problem, answer, move_tip = intake.header_problem, Performer.answer, SqliteGroup.move_tip
    disk = threading.local()

    def failing_header_problem(headers: Headers) -> Problem | None:
        if (way := headers.get("x-fail")) is not None:
            text = repr(headers.raw)
            if (top / "leak").exists():
                _ours.error("a header: %s", text)
            WAYS[way](text)
        return header_problem(headers)

    def failing_answer(performer: Performer, arrivals: Sequence[Arrival]) -> list[bytes]:
        for arrival in arrivals:
            if arrival.body.startswith(b"{" + GROUP_FAILS):
                raise RuntimeError(arrival.body.decode())
        away = next((arrival.body for arrival in arrivals if arrival.body.startswith(b"{" + GROUP_AWAY)), None)
        disk.fails_with = None if away is None else away.decode()
        return answer(performer, arrivals)

    def failing_move_tip(group: SqliteGroup) -> None:
        if (text := getattr(disk, "fails_with", None)) is not None:
            group._ask(lambda connection: _disk_error(text))  # with everything appended, before it is committed
        move_tip(group)

    intake.header_problem = failing_header_problem
    Performer.answer = failing_answer  # type: ignore[method-assign,assignment]
    SqliteGroup.move_tip = failing_move_tip  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    folder = Path(sys.argv.pop(1))
    sew_in(folder)
    cli._system_clock = lambda: FileClock(folder)
    serve.LONGEST_SLEEP_SECONDS = serve.RETRY_SECONDS = 0.2  # type: ignore[misc,assignment]
    run()
