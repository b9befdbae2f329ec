"""`tocsin client`: what a phone does, against a real server; a reference to try things with, not an app."""

import secrets
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number
from msgspec import Struct

from tocsin.cli.acting import Json
from tocsin.cli.calling import Turn, answer_to, call, chance, schedule_of, settle, take_turn, tell
from tocsin.cli.fetch import fetcher
from tocsin.cli.handed import read_keys, read_sightings, read_trust
from tocsin.cli.phone import Link, Phone, Stage
from tocsin.cli.reading import NUMBER
from tocsin.cli.terminal import InTerminal, Terminal, counted
from tocsin.client.calls import (
    WITHDRAWAL_DONE,
    PendingContinuation,
    PendingReport,
    continue_call,
    decoy_call,
    make_report,
)
from tocsin.client.match import Dp3tSightings, Match, Sightings, match_dp3t
from tocsin.client.match import match as matches_of
from tocsin.client.schedule import Errand, body_of
from tocsin.client.state import SyncState
from tocsin.client.sync import SyncReason, SyncRefused, next_sync_at
from tocsin.client.sync import sync as synced
from tocsin.model.calls import SECRET_BYTES, Answer, SentKey, Verdict
from tocsin.model.errors import Invalid, Refused
from tocsin.model.keys import DP3T_KEY_BYTES, KEY_BYTES, MAX_KEYS, MAX_PERIOD, KeyKind, dp3t_chain
from tocsin.model.times import INTERVAL_SECONDS, INTERVALS_PER_DAY, day_of, utc

Kind = Literal["gaen", "dp3t"]
PhoneFolder = Annotated[Path, Parameter(name="--phone", help="The phone's own folder; made if it is not there.")]
KnownPhone = Annotated[Path, Parameter(name="--phone", help="The phone's folder, as report or sync have made it.")]
WhenDue = Annotated[bool, Parameter(name="--when-due", help="Store it only; `tocsin client due` sends it in its turn.")]
TrustFile = Annotated[Path, Parameter(name="--trust", help="The trust.json of the deployment.")]

app = App(
    name="client", help="What a phone does: report and take back, hide among decoys, sync and match. For trying things."
)


@app.command
def report(
    *,
    phone: PhoneFolder,
    trust: TrustFile,
    code: str | None = None,
    keys: Path | None = None,
    days: Annotated[int, NUMBER, Parameter(validator=Number(gte=1, lte=MAX_KEYS))] = 14,
    kind: Kind = "gaen",
    when_due: WhenDue = False,
    json: Json = False,
    terminal: InTerminal,
) -> int:
    """Report diagnosis keys with a code, or repeat a report that was not answered.

    The report is stored before it is sent. If this is interrupted, run it again: the same bytes are
    sent, whatever else is said, so it can't count twice. The way back: tocsin client withdraw.

    Example: tocsin client report --phone ./phone --trust trust.json --code C123-4567-89AB-CDEF-GH94

    Parameters
    ----------
    code
        The code, as it stands on the card or was read out.
    keys
        A JSON list of keys: key_data (base64url), rolling_start_interval_number, rolling_period.
        Unless given, random keys are made. 32 bytes are a DP-3T day key, 16 a GAEN key.
    days
        For how many past days random keys are made.
    kind
        Which keys are made: gaen, or dp3t where the deployment takes them.
    """
    pinned = read_trust(trust)
    folder = Phone(phone)
    known = folder.report()
    if known is None:
        pending = _new_report(code, read_keys(keys) if keys is not None else _random_keys(terminal, days, kind), keys)
        folder.keep_report(pending)
    else:
        stage, pending = known
        if stage not in (Stage.STORED, Stage.PENDING):
            raise Refused("reported", "This phone has reported already: track or withdraw that report.")
        unanswered = (
            "waits for its turn: that one is sent" if stage is Stage.STORED else "was not answered: it is sent again"
        )
        terminal.warn(f"a report was stored and {unanswered}, as it was")
    if when_due:
        return _leave_it_to_its_turn(terminal, folder, json=json)
    folder.mark_posted()
    answer = call(folder, pinned, pending.body, terminal)
    settle(folder, Errand.REPEAT, answer)
    _tell(terminal, Errand.REPEAT, answer, json=json)
    return 0 if answer.verdict is Verdict.TAKEN else 1


@app.command(name="continue")
def continue_(
    *,
    phone: KnownPhone,
    trust: TrustFile,
    code: str | None = None,
    keys: Path | None = None,
    when_due: WhenDue = False,
    json: Json = False,
    terminal: InTerminal,
) -> int:
    """Add later days' keys to this phone's report, or a code that says more of it; or repeat that.

    A second code makes a likely report confirmed; one for a negative test takes it back for good.
    Like a report, it is stored before it is sent: if this is interrupted, run it again.

    Example: tocsin client continue --phone ./phone --trust trust.json --keys keys.json

    Parameters
    ----------
    code
        A further code, as it stands on the card.
    keys
        A JSON list of keys, as for tocsin client report; only those that were not sent before.
    """
    pinned = read_trust(trust)
    folder = Phone(phone)
    stage, kept = folder.require_report()
    if stage is not Stage.TAKEN:
        raise Refused("not_taken", "This phone's report is not taken, or is to be taken back: it can't be continued.")
    more = folder.continuation(Link.PENDING)
    if more is None:
        if keys is None and code is None:
            raise Refused("nothing_to_add", "Say what is to be added: --keys, --code, or both.")
        added = [] if keys is None else read_keys(keys)
        more = _new_continuation(folder.continuation_secret(kept), code, added)
        folder.keep_continuation(more)
    else:
        terminal.warn("what was added before was not answered: that is sent again, as it was")
    if when_due:
        return _leave_it_to_its_turn(terminal, folder, json=json)
    answer = call(folder, pinned, body_of(Errand.CONTINUE, kept, more), terminal)
    settle(folder, Errand.CONTINUE, answer)
    _tell(terminal, Errand.CONTINUE, answer, json=json)
    return 0 if answer.verdict is Verdict.TAKEN else 1


@app.command
def track(*, phone: KnownPhone, trust: TrustFile, json: Json = False, terminal: InTerminal) -> None:
    """Ask what became of this phone's report.

    Example: tocsin client track --phone ./phone --trust trust.json
    """
    folder = Phone(phone)
    _, kept = folder.require_report()
    answer = call(folder, read_trust(trust), body_of(Errand.TRACK, kept), terminal)
    _tell(terminal, Errand.TRACK, answer, json=json)


@app.command
def withdraw(
    *, phone: KnownPhone, trust: TrustFile, when_due: WhenDue = False, json: Json = False, terminal: InTerminal
) -> int:
    """Take this phone's report back. There is no way back: the code stays used, the keys never return.

    If the server does not know the report it may still be on its way: run this again later.

    Example: tocsin client withdraw --phone ./phone --trust trust.json
    """
    pinned = read_trust(trust)
    folder = Phone(phone)
    stage, kept = folder.require_report()
    if stage is Stage.STORED:
        folder.drop_report(stage)
        return _tell_dropped(terminal, json=json)
    if stage is not Stage.WITHDRAWING:
        folder.move_report(stage, Stage.WITHDRAWING)  # first: a report that is to go must never be posted again
    if when_due:
        return _leave_it_to_its_turn(terminal, folder, json=json)
    answer = call(folder, pinned, body_of(Errand.WITHDRAW, kept), terminal)
    settle(folder, Errand.WITHDRAW, answer)
    _tell(terminal, Errand.WITHDRAW, answer, json=json)
    return 0 if answer.verdict in WITHDRAWAL_DONE else 1


def _tell_dropped(terminal: Terminal, *, json: bool) -> int:
    """A report that was never sent is gone; no server has to be told, and no call is made for it."""
    if json:
        terminal.json({"dropped": True})
    else:
        terminal.say("The report was never sent, and is dropped. Its code is not used up.")
    return 0


@app.command
def decoy(*, trust: TrustFile, json: Json = False, terminal: InTerminal) -> None:
    """Send a call that looks like a report and is none.

    Example: tocsin client decoy --trust trust.json
    """
    _tell(terminal, Errand.DECOY, answer_to(read_trust(trust), decoy_call()), json=json)


@app.command
def due(*, phone: PhoneFolder, trust: TrustFile, json: Json = False, terminal: InTerminal) -> None:
    """Make the call that is due, if one is, and say when the next one is. To be run by a timer.

    When a phone calls is a matter of chance alone, four times a day in the mean. What it has to say
    (a withdrawal, a report to repeat, a report to ask after) takes the place of a decoy, so that
    nobody who watches the phone learns whether its owner is ill. A phone that got no answer calls
    again sooner, whatever it had to say.

    Example: tocsin client due --phone ./phone --trust trust.json
    """
    pinned = read_trust(trust)
    folder = Phone(phone)
    turn = take_turn(folder, pinned, terminal)
    if json:
        terminal.json(turn)
        return
    if turn.errand is not None and turn.answer is not None:
        tell(terminal, Errand[turn.errand.upper()], turn.answer)
    terminal.say(f"The next call is due at {utc(turn.next_call_at)}.")


_CONTRADICTIONS: Final = frozenset({SyncReason.OLDER_VERSION, SyncReason.FORKED, SyncReason.WRONG_DIGEST})
"""What a set of another deployment of the same region looks like."""


class SyncResult(Struct, frozen=True):
    """What a sync led to; instants in UTC seconds."""

    version: int
    news: bool
    at: int
    keys: int
    next_sync_at: int


@app.command
def sync(*, phone: PhoneFolder, trust: TrustFile, json: Json = False, terminal: InTerminal) -> None:
    """Fetch and verify what is new in the public set. If anything is wrong, what the phone holds stays.

    Example: tocsin client sync --phone ./phone --trust trust.json
    """
    pinned = read_trust(trust)
    folder = Phone(phone)
    before = _held(folder, terminal)
    if before is not None and before.region != pinned.region:
        raise Refused(
            "other_region", f"{folder.state_file} holds the set of another region: name a folder of its own by --phone."
        )
    now = terminal.clock.now()
    try:
        after = synced(before, pinned, now, fetcher(pinned.bucket_url))
    except SyncRefused as refused:
        if before is not None and refused.reason in _CONTRADICTIONS:
            terminal.warn("if this deployment was made anew, for a trial, name another folder by --phone")
        raise
    if after is not before:
        folder.keep_state(after)
    result = SyncResult(
        version=after.version,
        news=after is not before,
        at=after.at,
        keys=after.key_count,
        next_sync_at=next_sync_at(after.due_at, now, chance()),
    )
    if json:
        terminal.json(result)
        return
    held = "No news" if not result.news else "News" if before is None else f"News since version {before.version:,}"
    terminal.say(f"{held}: version {result.version:,} of {utc(result.at)}, with {counted(result.keys, 'key')}.")
    terminal.say(f"Sync again at {utc(result.next_sync_at)}.")


@app.command
def match(*, phone: KnownPhone, sightings: Path, json: Json = False, terminal: InTerminal) -> None:
    """Compare what this phone has seen with the public set that it holds. Sends nothing, asks nobody.

    Example: tocsin client match --phone ./phone --sightings seen.json

    Parameters
    ----------
    sightings
        A JSON list: rpi or, of DP-3T, ephid (32 hexadecimal digits), interval (10 minutes since
        1970), and with an rpi aem (8 hexadecimal digits) if need be.
    """
    state = Phone(phone).state()
    if state is None:
        raise Refused("not_synced", "This phone holds no public set yet: run `tocsin client sync`.")
    heard = read_sightings(sightings)
    gaen = matches_of(state.keys[KeyKind.GAEN], heard.gaen)
    dp3t = match_dp3t(state.keys[KeyKind.DP3T], heard.dp3t, state.at)
    listed = [_as_json(one, heard.gaen) for one in gaen] + [_dp3t_as_json(one, heard.dp3t) for one in dp3t]
    if json:
        terminal.json({"version": state.version, "keys": state.key_count, "matches": listed})
        return
    compared = (
        f"{counted(len(heard.gaen) + len(heard.dp3t), 'sighting')} compared with {counted(state.key_count, 'key')}"
    )
    if not listed:
        terminal.say(f"No exposure: {compared} of version {state.version:,}.")
        return
    people = counted(len({one.record for one in gaen}) + len({one.record for one in dp3t}), "key")
    terminal.say(f"EXPOSURE: {counted(len(listed), 'sighting')} of {people} ({compared}, version {state.version:,}).")
    for seen_interval in (one["seen_interval"] for one in listed):
        terminal.line(f"  {utc(seen_interval * INTERVAL_SECONDS)}")


def _leave_it_to_its_turn(terminal: Terminal, folder: Phone, *, json: bool) -> int:
    """Says when what was stored will be sent."""
    due_at = schedule_of(folder, terminal).due_at
    if json:
        terminal.json(Turn(None, None, due_at))
    else:
        terminal.say(f"It is stored. `tocsin client due` sends it in its turn, from {utc(due_at)} on.")
    return 0


def _tell(terminal: Terminal, errand: Errand, answer: Answer, *, json: bool) -> None:
    if json:
        terminal.json(answer)
    else:
        tell(terminal, errand, answer)


def _new_report(code: str | None, sent: list[SentKey], keys_file: Path | None) -> PendingReport:
    try:
        return make_report(
            sent,
            code=code,
            onset_day=None,
            withdrawal_secret=secrets.token_bytes(SECRET_BYTES),
            continuation_secret=secrets.token_bytes(SECRET_BYTES),
        )
    except Invalid as invalid:
        named = "this code" if keys_file is None else f"this code and {keys_file}"
        raise Invalid(f"No report can be made of {named}: {invalid}.") from None


def _new_continuation(secret: bytes, code: str | None, added: list[SentKey]) -> PendingContinuation:
    try:
        return continue_call(
            added,
            code=code,
            onset_day=None,
            continuation_secret=secret,
            next_continuation_secret=secrets.token_bytes(SECRET_BYTES),
        )
    except Invalid as invalid:
        raise Invalid(f"The report can't be continued with what was given: {invalid}.") from None


def _random_keys(terminal: Terminal, days: int, kind: Kind) -> list[SentKey]:
    """A key for each of the last `days` whole UTC days: random ones, or a random chain of DP-3T day keys."""
    today = day_of(terminal.clock.now())
    made = dp3t_chain(secrets.token_bytes(DP3T_KEY_BYTES), days) if kind == "dp3t" else _gaen_keys(days)
    return [
        SentKey(key, day * INTERVALS_PER_DAY, MAX_PERIOD)
        for key, day in zip(made, range(today - days, today), strict=True)
    ]


def _gaen_keys(days: int) -> list[bytes]:
    return [secrets.token_bytes(KEY_BYTES) for _ in range(days)]


def _held(folder: Phone, terminal: Terminal) -> SyncState | None:
    try:
        return folder.state()
    except Invalid:
        terminal.warn(f"{folder.state_file} is damaged: everything is fetched anew")
        return None


def _as_json(one: Match, seen: Sightings) -> dict[str, Any]:
    rpi = bytes(seen["rolling_proximity_identifier"][one.sighting]).hex()
    return {"rpi": rpi, "seen_interval": int(seen["interval"][one.sighting]), "key_interval": one.interval}


def _dp3t_as_json(one: Match, seen: Dp3tSightings) -> dict[str, Any]:
    return {"ephid": bytes(seen["ephemeral_id"][one.sighting]).hex(), "seen_interval": one.interval}
