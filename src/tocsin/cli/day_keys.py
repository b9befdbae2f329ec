"""`tocsin keys days`: day keys on several machines: what this one has, and from its shell into another one's."""

import sys
from typing import Final

from cyclopts import App
from msgspec import Struct

from tocsin.cli.acting import DEFAULT_DATA, Data, Json, opened
from tocsin.cli.reading import read_number
from tocsin.cli.terminal import InTerminal, counted
from tocsin.journal.content import day_key_fingerprint
from tocsin.ledger.state import Ledger
from tocsin.model.base64url import decode_exactly, encode
from tocsin.model.errors import Invalid, Refused
from tocsin.model.times import Day, day_of, day_start, utc
from tocsin.service.day_keys import KeyState, exported, key_state, take
from tocsin.service.deployment import Deployment
from tocsin.service.key_folder import DAYS_AHEAD, SECRET_BYTES

app = App(name="days", help="Day keys of several machines: list, export, import. docs/operating/retention.md")

_LINE: Final = "tocsin-day-key"
"""The first word of a line that holds a key."""
_SHOWN: Final = 16
"""Characters shown of a fingerprint: enough for two people to compare."""


class DayKey(Struct, frozen=True):
    """What this machine has of a day's key, and how the key is known."""

    day: Day
    state: KeyState
    fingerprint: str | None


@app.command(name="list")
def list_(*, data: Data = DEFAULT_DATA, json: Json = False, terminal: InTerminal) -> None:
    """Show the keys of today and of the days ahead: there, missing, or another one than the journal names.

    Example: tocsin keys days list
    """
    with opened(data, terminal.clock) as deployment:
        ledger, today = _ledger(deployment), day_of(deployment.held_clock.now())
        known = [_day_key(deployment, ledger, Day(day)) for day in range(today, today + DAYS_AHEAD + 1)]
    if json:
        terminal.json(known)
        return
    terminal.table(
        ("day", "date", "key", "fingerprint"),
        [
            (str(each.day), utc(day_start(each.day))[:10], each.state, (each.fingerprint or "")[:_SHOWN])
            for each in known
        ],
    )


@app.command
def export(*, data: Data = DEFAULT_DATA, terminal: InTerminal) -> None:
    """Print this machine's day keys for another one, as a pipe only: they open what people report.

    They are printed in plain, so let no file, log or terminal come in between; ssh seals the way.

    Example: tocsin keys days export | ssh other-machine tocsin keys days import
    """
    if sys.stdout.isatty():
        raise Refused(
            "to_a_terminal",
            "Day keys are not shown: pipe them into the other machine (| ssh HOST tocsin keys days import).",
        )
    with opened(data, terminal.clock) as deployment:
        ledger, today = _ledger(deployment), day_of(deployment.held_clock.now())
        for day, key in exported(ledger, deployment.keys, today).items():
            terminal.line(f"{_LINE} {day} {encode(key)}")


@app.command(name="import")
def import_(*, data: Data = DEFAULT_DATA, terminal: InTerminal) -> None:
    """Take day keys that another machine exports, from standard input. Keys that are there are left.

    Refused: a key of a day that is erased, and another one than the journal names. Nothing is taken
    of what follows the first that is refused; the same command again goes on.

    Example: ssh first-machine tocsin keys days export | tocsin keys days import
    """
    with opened(data, terminal.clock) as deployment:
        ledger = _ledger(deployment)
        keys = dict(read_day_key(line) for line in sys.stdin.read().splitlines() if line)
        taken = sum(take(ledger, deployment.keys, day, key) for day, key in keys.items())
    terminal.say(f"{counted(taken, 'day key')} taken; {len(keys) - taken} were there.")


def _ledger(deployment: Deployment) -> Ledger:
    performer = deployment.performer()
    performer.catch_up()
    return performer.ledger


def _day_key(deployment: Deployment, ledger: Ledger, day: Day) -> DayKey:
    key = deployment.keys.day_key(day)
    fingerprint = None if key is None else encode(day_key_fingerprint(key, day))
    return DayKey(day, key_state(ledger, deployment.keys, day), fingerprint)


def read_day_key(line: str) -> tuple[Day, bytes]:
    """A day and its key from a line of `export`. Raises `Invalid`, which does not repeat it."""
    try:
        word, day, key = line.split(" ")
        if word == _LINE:
            return Day(read_number(day)), decode_exactly(key, SECRET_BYTES)
    except (ValueError, Invalid):  # too few words, or no such number or key
        pass
    raise Invalid("These are no day keys: give the output of `tocsin keys days export`, whole.")
