"""The command line, thin: words in, a rule's decision or a client's step, words out.

Each command is a function of a module of this room, imported when it is asked for. `terminal` is the only place that
prints, `reading` turns a person's words into model values, `acting` does what all acts of people have in common.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from cyclopts import App, CycloptsError, Group, Parameter

from tocsin.cli.misunderstood import EmptyWord, refuse_empty_words, sentence
from tocsin.cli.terminal import Terminal, help_console
from tocsin.model.errors import Refused, TocsinError
from tocsin.model.ports import Clock

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: done; refused, invalid or unavailable; the command was not understood; stopped by Ctrl-C."""


def main(argv: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    """Runs one command and returns its exit code. The only place where errors become words on a terminal.

    `argv` without the program's name; `clock` is the machine's own unless given.
    """
    terminal = Terminal(clock or _system_clock())
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        return _run(terminal, words)
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:  # of the output: no room lets another one out
        if not isinstance(error, BrokenPipeError):  # then the reader of a pipe has left, and knows
            terminal.warn(f"the output can't be written: {os.strerror(error.errno or 0)}")
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python tries once more at its end
        return FAILED


def _run(terminal: Terminal, words: Sequence[str]) -> int:
    if sys.stdout is None:
        terminal.warn("there is no standard output: nothing was done, since nothing could be told of it")
        return FAILED
    try:
        refuse_empty_words(words)
        app = _app(asked_for=words[0] if words else "")
        command, bound, injected = app.parse_args(words, exit_on_error=False, print_error=False)
        code = command(*bound.args, **bound.kwargs, **dict.fromkeys(injected, terminal))
        return code if isinstance(code, int) else DONE
    except (CycloptsError, EmptyWord) as error:
        told = sentence(error) if isinstance(error, CycloptsError) else str(error)
        _tell(terminal, words, "not_understood", told)
        terminal.warn("add --help for what this command takes.")
        return USAGE
    except TocsinError as error:
        _tell(terminal, words, error.code if isinstance(error, Refused) else type(error).__name__.lower(), str(error))
        return FAILED


def _tell(terminal: Terminal, words: Sequence[str], code: str, told: str) -> None:
    """An error: a sentence for a person, and for a program that reads the output its code too."""
    terminal.warn(told)
    if "--json" in words:
        terminal.json({"error": code, "sentence": told})


def _system_clock() -> Clock:
    from tocsin.service.clock import SystemClock

    return SystemClock()


_HELP = """The alarm bell: codes for the ill, reports from their phones, signed files for everybody's.

Most commands work on one deployment: the folder named by --data, else by the variable TOCSIN_DATA,
else ./tocsin-data. Each command explains itself: tocsin COMMAND --help"""

_SET_UP, _RUN, _TAKE_BACK, _LOOK, _TRY, _OPTIONS = (
    Group(title, sort_key=place)
    for place, title in enumerate(("Set up", "Run", "Take back", "Look closely", "Try", "Options"))
)
_COMMANDS = (
    (_SET_UP, "init", "founding:init", "Make a new deployment: folder, keys, journal, trust file."),
    (_SET_UP, "provider", "provider:app", "Who may hand out codes: add, suspend, restore, list."),
    (_SET_UP, "codes", "codes:app", "One-time codes: issue, activate, phone, list, check."),
    (_SET_UP, "keys", "keys:app", "Keys that sign GAEN files: announce, list, retire; trust.json."),
    (_SET_UP, "rebuild", "rebuild:rebuild", "Make a lost deployment anew from its archive and keys."),
    (_RUN, "serve", "serve:serve", "Take reports and publish, until stopped."),
    (_RUN, "status", "status:status", "What there is, what waits, what is out, what is missing."),
    (_RUN, "doctor", "doctor:doctor", "Whether everything is sound that the deployment stands on."),
    (_RUN, "publish", "publish:publish", "Publish what is due, once."),
    (_RUN, "archive", "archive:app", "The archive: status, run, once, compact."),
    (_TAKE_BACK, "revoke", "corrections:revoke", "Cut off cards, a batch or a provider."),
    (_TAKE_BACK, "rollback", "corrections:rollback", "Take back an exact list of reports."),
    (_TAKE_BACK, "reinstate", "corrections:reinstate", "Undo a revocation or a rollback."),
    (_TAKE_BACK, "pause", "corrections:pause", "Stop additions to the public set; all else goes on."),
    (_TAKE_BACK, "resume", "corrections:resume", "Let additions go on."),
    (_TAKE_BACK, "quarantine", "quarantine:app", "Keep the new keys of a provider or batch back: begin, lift."),
    (_LOOK, "journal", "journal:app", "The journal: verify, backup, copy, migrate."),
    (_LOOK, "standby", "standby:app", "Which standby to promote when the primary is gone: compare."),
    (_LOOK, "drill", "drill:app", "Practise the worst day while nothing is wrong: rebuild."),
    (_LOOK, "export", "export:app", "Look into GAEN export files: inspect."),
    (_TRY, "client", "client:app", "What a phone does: report, track, withdraw, decoy, sync, match."),
    (_TRY, "demo", "demo:main", "The whole way, once, in a minute, with made-up data."),
    (_TRY, "sandbox", "sandbox:main", "A server to develop an app against, with every error on demand."),
)
"""Group, name, where it is, what it does: so that `tocsin --help` imports none of them."""


def _unless_off(default: object) -> str | None:
    """How help shows a default: not at all where there is none, or it is simply off."""
    return None if default is False or default is None else str(default)


def _app(asked_for: str) -> App:
    """The tree of commands; the one that is asked for is helped with by its own docstring."""
    from tocsin import __version__

    app = App(
        name="tocsin",
        help=_HELP,
        version=__version__,
        help_format="markdown",
        default_parameter=Parameter(negative="", show_default=_unless_off),
        result_action="return_value",
        console=help_console(),
    )
    for option in ("--help", "--version"):
        app[option].group = _OPTIONS
    for group, name, place, words in _COMMANDS:
        app.command(f"tocsin.cli.{place}", name=name, help=None if name == asked_for else words, group=group)
    return app
