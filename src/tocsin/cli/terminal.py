"""The terminal: the only place that prints. What was stored by others reaches it as plain characters, or not at all."""

import io
import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Final, TextIO

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tocsin.model.ports import Clock

NARROWEST, WIDEST = 20, 240
"""Columns within which lines are wrapped."""
_SHOWN: Final = 300
"""Characters shown of a long warning at either end: a word that is echoed may be of any length."""
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


class Terminal:
    """Where a command writes and which clock it reads; handed to every command by `tocsin.cli.main`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # an old locale shows a question mark, and not a traceback

    def say(self, *paragraphs: str) -> None:
        """Prose, wrapped to the terminal's width."""
        for paragraph in paragraphs:
            _write(sys.stdout, _wrapped(paragraph, _console().width))

    def line(self, text: str = "") -> None:
        """One line as it is, however long: a code, a path or a command that somebody will copy."""
        _write(sys.stdout, clean(text))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows under headings; numbers stand to the right."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        listed = [tuple(row) for row in rows]
        for number, column in enumerate(columns):
            numeric = all(isinstance(row[number], int) for row in listed)
            table.add_column(column, justify="right" if numeric else "left", overflow="fold")
        for row in listed:
            table.add_row(*(Text(clean(f"{cell:,}" if isinstance(cell, int) else str(cell))) for cell in row))
        _console().print(table)

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Names and what there is to say of them, a line each; long ones go on below themselves."""
        listed = list(facts)
        indent = max((len(name) for name, _ in listed), default=0) + 2
        for name, said in listed:
            _write(sys.stdout, _wrapped(f"{name:<{indent}}{said}", _console().width, indent))

    def json(self, value: object) -> None:
        """`value` for a program: ASCII, so that no stored character can act on a terminal."""
        built: Any = msgspec.to_builtins(value)
        _write(sys.stdout, json.dumps(built, indent=2, ensure_ascii=True))

    @contextmanager
    def progress(self) -> Iterator[Callable[[str, int, int], None]]:
        """How far long work is, on the error stream: to be told the part, how much of it is done, and of how much."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        shown = Progress(*columns, console=Console(stderr=True, markup=False, highlight=False))
        tasks: dict[str, TaskID] = {}

        def told(part: str, done: int, of: int) -> None:
            if not tasks:
                shown.start()  # and not before: what is refused at once says so, and nothing else
            if part not in tasks:
                tasks[part] = shown.add_task(part, total=of)
            shown.update(tasks[part], completed=done, total=max(done, of))

        try:
            yield told
        finally:
            if tasks:
                shown.stop()

    def warn(self, sentence: str) -> None:
        """A sentence beside the result, on the error stream."""
        text = sentence if len(sentence) <= 2 * _SHOWN else f"{sentence[:_SHOWN]} … {sentence[-_SHOWN:]}"
        _write(sys.stderr, clean(f"tocsin: {text}"))


InTerminal = Annotated[Terminal, Parameter(parse=False)]
"""The parameter by which a command is given its terminal."""


def clean(text: str) -> str:
    """`text` with every character that is not printable (controls, line feeds, bidi marks) replaced.

    >>> clean("Clinic \\x1b[31m\\u202e") == "Clinic \\ufffd[31m\\ufffd"
    True
    """
    return "".join(character if character.isprintable() else REPLACEMENT for character in text)


def span(seconds: int) -> str:
    """A span of time in its two largest units.

    >>> span(59), span(3_720), span(200_000)
    ('59 s', '1 h 2 min', '2 d 7 h')
    """
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def size(count: int) -> str:
    """A number of bytes.

    >>> size(812), size(20_480), size(14_300_000)
    ('812 B', '20.5 kB', '14.3 MB')
    """
    for unit, least in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count} B"


def counted(count: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(1, "key"), counted(1200, "key"), counted(2, "batch")
    ('1 key', '1,200 keys', '2 batches')
    """
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun}{'es' if noun.endswith('ch') else 's'}"


def help_console() -> Console:
    """Where help is printed."""
    return Console(width=_width())


def _console() -> Console:
    """Made anew each time, so that it writes to the stream of the moment."""
    return Console(markup=False, highlight=False, emoji=False, width=_width())


def _width() -> int:
    """The terminal's width, within reason: `COLUMNS` may be anything."""
    return max(NARROWEST, min(Console().width, WIDEST))


def _wrapped(paragraph: str, width: int, indent: int = 0) -> str:
    return textwrap.fill(
        clean(paragraph),
        width=width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _write(stream: TextIO | None, text: str) -> None:
    if stream is not None:  # a stream that was closed from the start; `print` would take the other one
        print(text, file=stream, flush=True)
