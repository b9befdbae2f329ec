"""The log of a server: one object a line, and of what nobody foresaw its type and place."""

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from tests.sites import FixedClock
from tocsin.cli import log as log_module
from tocsin.cli.log import FAULT_SECONDS, JsonLog, faults_told
from tocsin.model.errors import Unavailable
from tocsin.model.times import Instant
from tocsin.service import fault

NASTY = 'St. Elsewhere\r\n\x1b[31m\u202e\u2028{"at": null}' + "x" * 10_000


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_object_a_line_whatever_is_in_it() -> None:
    """T-D9."""
    stream = io.StringIO()
    JsonLog(FixedClock(1_771_232_400), stream).warn("trouble", NASTY, name=NASTY)
    text = stream.getvalue()
    assert text.isascii() and text.endswith("\n") and text.count("\n") == 1 and "\x1b" not in text
    [line] = written(stream)
    assert (line["at"], line["level"], line["event"], line["name"]) == (
        "2026-02-16T09:00:00Z",
        "warning",
        "trouble",
        NASTY,
    )


def test_a_clock_in_doubt_stamps_nothing() -> None:
    class Doubtful:
        def now(self) -> Instant:
            raise Unavailable("set")

    stream = io.StringIO()
    JsonLog(Doubtful(), stream).say("started", "Started.")
    assert written(stream)[0]["at"] is None


def _raise() -> None:
    raise RuntimeError("find-me")


def _uncaught_in_a_thread() -> None:
    thread = threading.Thread(target=_raise, name="find-me")
    thread.start()
    thread.join()


def _uncaught() -> None:
    try:
        _raise()
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)


def _logged_by_a_library() -> None:
    try:
        _raise()
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("find-me %s", "find-me", extra={"more": "find-me"})


class _Stubborn:
    def __del__(self) -> None:
        raise RuntimeError("find-me")


@pytest.mark.parametrize(
    ("fail", "told"),
    [
        (_uncaught, "the process ends: RuntimeError"),
        (_uncaught_in_a_thread, "a thread ended: RuntimeError"),
        (_logged_by_a_library, "uvicorn.error: RuntimeError"),
        (lambda: logging.getLogger("asyncio").error("find-me"), "asyncio: error"),
        (lambda: warnings.showwarning("find-me", UserWarning, "find-me", 1), "a warning: UserWarning"),
        (lambda: (_Stubborn(), None)[1], "an object could not be let go of: RuntimeError"),
    ],
)
def test_a_fault_is_told_by_its_type_and_never_by_its_message(fail: Callable[[], object], told: str) -> None:
    stream, clock = io.StringIO(), FixedClock(1_771_232_999)
    with faults_told(JsonLog(clock, stream)):
        fail()
    assert "find-me" not in stream.getvalue()
    [line] = written(stream)
    assert (line["event"], line["sentence"], line["at"]) == ("fault", told, "2026-02-16T09:00:00Z")


def test_who_finds_a_call_that_breaks_us_does_not_fill_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    at, stream = [100.0], io.StringIO()
    monkeypatch.setattr(log_module, "perf_counter", lambda: at[0])
    ours = logging.getLogger("tocsin.web")
    with faults_told(JsonLog(FixedClock(), stream)):
        for _ in range(1000):
            ours.error("a request failed: KeyError")
        ours.error("a request failed: TypeError")
        at[0] += FAULT_SECONDS
        ours.error("a request failed: KeyError")
    assert [line["sentence"] for line in written(stream)] == [
        "a request failed: KeyError",
        "a request failed: TypeError",
        "a request failed: KeyError (and 999 times since it was last told)",
    ]


def test_a_fault_of_the_server_itself_is_one_line_and_its_end() -> None:
    stream = io.StringIO()
    with pytest.raises(SystemExit), faults_told(JsonLog(FixedClock(), stream)):
        _raise()
    assert written(stream)[0]["sentence"].startswith("the server ends: RuntimeError at tocsin/")
    assert "find-me" not in stream.getvalue()


def test_what_is_foreseen_is_told_by_others() -> None:
    stream = io.StringIO()
    with pytest.raises(Unavailable), faults_told(JsonLog(FixedClock(), stream)):
        raise Unavailable("away")
    assert stream.getvalue() == ""


def test_the_hooks_are_put_back() -> None:
    before = sys.excepthook, threading.excepthook, sys.unraisablehook, logging.getLogger().handlers[:]
    with faults_told(JsonLog(FixedClock(), io.StringIO())):
        assert sys.excepthook is not before[0]
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook, logging.getLogger().handlers[:]) == before


def test_the_place_is_the_last_line_of_ours() -> None:
    """Also where a library raised it."""
    from tocsin.formats.wire import decode_answer

    with pytest.raises(Exception) as raised:
        decode_answer(json.loads("7"))
    assert fault.told(raised.value).startswith(f"{type(raised.value).__name__} at tocsin/formats/wire.py:")
