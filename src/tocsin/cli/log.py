"""The log of a running server: sentences for a person, or one JSON object a line for a program.

Both say the same. No line but a fault is about one request, and nothing that anybody sent is in one: what nobody
foresaw is told by its type and place (`tocsin.service.fault`), whoever raised it and in whatever thread.
"""

import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Final, Protocol, TextIO

import structlog

from tocsin.cli.terminal import Terminal, clean
from tocsin.model.errors import TocsinError, Unavailable
from tocsin.model.ports import Clock
from tocsin.model.times import floor_quarter
from tocsin.service import fault

_OURS: Final = "tocsin."


class Log(Protocol):
    """Where a server writes. `event` is stable, for programs; `sentence` is for people; facts are numbers and names."""

    def say(self, event: str, sentence: str, **facts: object) -> None:
        """Something went its way."""

    def warn(self, event: str, sentence: str, **facts: object) -> None:
        """Something a person should look at."""


class TextLog:
    """Sentences on the terminal, warnings on the error stream."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def say(self, event: str, sentence: str, **facts: object) -> None:
        self._terminal.line(sentence)

    def warn(self, event: str, sentence: str, **facts: object) -> None:
        self._terminal.warn(sentence)


class JsonLog:
    """One object a line on `stream`: ASCII, so no stored character can act on a terminal or end a line.

    `at` is UTC, to the second; of a fault, which may be that of a request, the quarter-hour. It is null while the clock
    is not trusted.
    """

    def __init__(self, clock: Clock, stream: TextIO) -> None:
        self._clock = clock
        self._logger: Any = structlog.wrap_logger(
            structlog.WriteLogger(stream),
            processors=[structlog.processors.add_log_level, self._stamp, structlog.processors.JSONRenderer(_ascii)],
            wrapper_class=structlog.BoundLogger,
            context_class=dict,
        )

    def say(self, event: str, sentence: str, **facts: object) -> None:
        self._logger.info(event, sentence=clean(sentence), **facts)

    def warn(self, event: str, sentence: str, **facts: object) -> None:
        self._logger.warning(event, sentence=clean(sentence), **facts)

    def _stamp(self, logger: object, method: str, line: MutableMapping[str, object]) -> Mapping[str, object]:
        try:
            now = self._clock.now()
        except Unavailable:
            return {"at": None, **line}
        at = floor_quarter(now) if line["event"] == FAULT else now
        return {"at": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), **line}


def _ascii(line: object, **options: object) -> str:
    return json.dumps(line, ensure_ascii=True)


FAULT: Final = "fault"
"""The event of what nobody foresaw."""
FAULT_SECONDS: Final = 60.0
"""How long the same fault is not told again."""


@contextmanager
def faults_told(log: Log) -> Iterator[None]:
    """Meanwhile every fault of this process goes to `log`, by type and place: exceptions that nobody caught, in any
    thread, in a destructor or in the event loop, warnings, and what libraries log."""
    faults = _Faults(log)
    handler = _Handler(faults)
    root = logging.getLogger()
    before = sys.excepthook, threading.excepthook, sys.unraisablehook, root.handlers[:], warnings.showwarning

    def uncaught(error: BaseException | None, where: str) -> None:
        if error is not None:
            faults.tell(f"{where}: {fault.told(error)}")

    def warned(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        faults.tell(f"a warning: {category.__name__}")

    sys.excepthook = lambda kind, error, trace: uncaught(error, "the process ends")
    threading.excepthook = lambda ended: uncaught(ended.exc_value, "a thread ended")
    sys.unraisablehook = lambda unraised: uncaught(unraised.exc_value, "an object could not be let go of")
    warnings.showwarning = warned
    root.handlers[:] = [handler]
    try:
        yield
    except (TocsinError, OSError):  # foreseen: a sentence of ours, or an output that is gone
        raise
    except Exception as error:
        uncaught(error, "the server ends")
        raise SystemExit(1) from None
    finally:
        sys.excepthook, threading.excepthook, sys.unraisablehook, root.handlers[:], warnings.showwarning = before


class _Handler(logging.Handler):
    """Our own loggers' sentences as they are, for they hold types and places only; of other libraries' never more."""

    def __init__(self, faults: "_Faults") -> None:
        super().__init__(logging.WARNING)
        self._faults = faults

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(_OURS):
            self._faults.tell(record.getMessage())
            return
        error = record.exc_info[1] if record.exc_info else None
        self._faults.tell(f"{record.name}: {fault.told(error) if error is not None else record.levelname.lower()}")


class _Faults:
    """Tells faults, each of them once in `FAULT_SECONDS`: who finds a call that breaks us must not fill the disk.

    There are as many of them as places in the code. How often one came meanwhile is told when it next comes.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.RLock()  # an object that can't be let go of may say so in here
        self._silent_until: dict[str, float] = {}
        self._missed: dict[str, int] = {}

    def tell(self, sentence: str) -> None:
        at = perf_counter()  # a stopwatch, not the time of day
        with self._lock:
            if at < self._silent_until.get(sentence, 0):
                self._missed[sentence] = self._missed.get(sentence, 0) + 1
                return
            self._silent_until[sentence] = at + FAULT_SECONDS
            missed = self._missed.pop(sentence, 0)
        with suppress(OSError, ValueError):  # a terminal that is gone
            self._log.warn(FAULT, f"{sentence} (and {missed:,} times since it was last told)" if missed else sentence)
