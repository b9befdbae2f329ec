"""`tocsin demo`: the whole way once, told as a story. Everything in it is real but the people and the calendar.

A server on this machine, a journal on disk, signed files, phones that sync and match over HTTP. The clock is the
demo's own and stands in April 2020, because the ephemeral IDs that the near phone heard are published test vectors of
that day (`published_vectors.json`): nobody here made them.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from cyclopts import Parameter

from tocsin.cli.demo_stage import Phone, Stage
from tocsin.cli.terminal import InTerminal, Terminal, counted, size
from tocsin.client.match import SIGHTING, Sightings, match
from tocsin.formats.gaen.inspect import inspect
from tocsin.formats.gaen.reader import decode_export, read_zip
from tocsin.journal.verify import verify
from tocsin.model.calls import SentKey, Verdict
from tocsin.model.errors import Invalid
from tocsin.model.events import RolledBack, Target
from tocsin.model.times import DAY_SECONDS, INTERVALS_PER_DAY, Instant, utc
from tocsin.rules import corrections
from tocsin.rules.corrections import Selection

STACK_CARDS: Final = 40
BOGUS_REPORTS: Final = 5
EXPORT_SIGHTINGS: Final = 10_000


def main(
    *,
    export: Annotated[
        Path | None, Parameter(help="A real GAEN export file, to be looked into and matched too.")
    ] = None,
    keep: Annotated[Path | None, Parameter(help="Leave the demo's deployment in this new folder.")] = None,
    terminal: InTerminal,
) -> None:
    """Show the whole way, once: a card, a report, a publication, a match, and how a report is taken back.

    Takes some seconds, needs nothing and leaves nothing behind (unless --keep). Its clock is
    its own; it listens on a free port of this machine only.

    Example: tocsin demo
    """
    vectors = Vectors()
    with _folder(keep) as top, Stage.set(top, at=vectors.morning_after) as stage:
        _Story(terminal, stage, vectors).tell()
    if export is not None:
        tell_export(terminal, export)
    tell_what_next(terminal)


class Vectors:
    """The published vectors: a key, and what a phone would have heard of it."""

    def __init__(self) -> None:
        text = resources.files("tocsin.cli").joinpath("published_vectors.json").read_text(encoding="utf-8")
        vectors = json.loads(text)
        self.key = SentKey(
            bytes.fromhex(vectors["temporary_exposure_key"]),
            vectors["rolling_start_interval_number"],
            vectors["rolling_period"],
        )
        self.sightings: Sightings = np.array(
            [
                (
                    bytes.fromhex(row["rolling_proximity_identifier"]),
                    row["interval"],
                    bytes.fromhex(row["associated_encrypted_metadata"]),
                )
                for row in vectors["sightings"]
            ],
            SIGHTING,
        )
        self.day = self.key.rolling_start_interval_number // INTERVALS_PER_DAY

    @property
    def morning_after(self) -> Instant:
        """09:07 on the day after the key's."""
        return Instant((self.day + 1) * DAY_SECONDS + 9 * 3600 + 7 * 60)


class _Story:
    """The scenes, in order. Each says what happens, does it, and shows what came of it."""

    def __init__(self, terminal: Terminal, stage: Stage, vectors: Vectors) -> None:
        self._terminal = terminal
        self._stage = stage
        self._vectors = vectors
        self._scene = 0
        self._cards: list[str] = []
        self._near = Phone(stage, vectors.sightings)
        self._far = Phone(stage, stage.sightings_of_nobody(len(vectors.sightings)))

    def tell(self) -> None:
        """All of it. An outcome other than the one told ends the demo with `Invalid`."""
        self._hand_out_a_card()
        secret = self._report()
        self._publish_and_match()
        self._use_the_code_again()
        bogus = self._lose_a_stack()
        self._roll_back(bogus)
        self._withdraw(secret)
        self._prove()

    def _hand_out_a_card(self) -> None:
        self._head("A nurse hands out a card")
        self._cards = self._stage.issue_cards("St. Elsewhere", STACK_CARDS)
        self._say(
            f"St. Elsewhere has a stack of {STACK_CARDS} cards. The server keeps the number of the stack, not the "
            "codes. The first card of it, for Ada, whose test is positive:"
        )
        for line in card(self._cards[0]):
            self._terminal.line(line)

    def _report(self) -> bytes:
        self._head("Ada's app reports")
        keys = [self._vectors.key, *self._stage.keys_before(self._vectors.day, days=3)]
        pending = self._stage.make_report(keys, self._cards[0])
        self._say(
            f"It sends {counted(len(keys), 'diagnosis key')} with the code: {size(len(pending.body))}, as every call "
            "has, also one that says nothing. The server answers when the report is safe on disk. The receipt:"
        )
        answer = self._stage.call(pending.body)
        self._expect(answer.verdict is Verdict.TAKEN)
        self._terminal.line(f"    verdict: {answer.verdict}    keys: {', '.join(answer.keys)}")
        return pending.withdrawal_secret

    def _publish_and_match(self) -> None:
        self._head("The keys go out, and phones match")
        outs = self._stage.publish_until(lambda keys: keys > 0)
        out = outs[-1]
        self._say(
            "Each quarter-hour makes a version, an empty one too. Ada's report waited a random number of quarter-hours "
            f"(this time {len(outs) - 1}), so that nobody can tell when she called. Version {out.version}, "
            f"{utc(out.at)}: {counted(out.keys, 'key')}; {counted(len(out.object_bytes), 'new file')}, "
            f"{size(sum(out.object_bytes.values()))} in all, and a signed head of {size(out.head_bytes)}, which is all "
            "that a phone fetches when there is no news."
        )
        for phone, name, near in ((self._near, "Ben", True), (self._far, "Cleo", False)):
            found = phone.sync_and_match()
            self._expect(bool(found) == near)
            self._say(f"{name}'s phone {'was near Ada' if near else 'was not'}: {_exposure(found)}.")
        self._say("Both looked on the phone itself. The server does not know that either of them exists.")

    def _use_the_code_again(self) -> None:
        self._head("The code is refused a second time")
        again = self._stage.make_report(self._stage.keys_before(self._vectors.day, days=1), self._cards[0])
        answer = self._stage.call(again.body)
        self._expect(answer.verdict is Verdict.CODE_SPENT)
        self._say(f"Somebody found the card in a bin and sends keys of their own with it: {answer.verdict}.")

    def _lose_a_stack(self) -> list[bytes]:
        self._head("A stack of cards is lost, and bogus reports come in")
        stranger = self._stage.keys_before(self._vectors.day + 1, days=1)
        self._far.hear(stranger[0])
        bogus = []
        for number in range(BOGUS_REPORTS):
            keys = stranger if number == 0 else self._stage.keys_before(self._vectors.day + 1, days=3)
            pending = self._stage.make_report(keys, self._cards[10 + number])
            self._expect(self._stage.call(pending.body).verdict is Verdict.TAKEN)
            bogus.append(pending.withdrawal_secret)
        self._stage.publish_steps(5)
        found = self._far.sync_and_match()
        self._expect(bool(found))
        self._say(
            f"The thief, who is not ill, uses {BOGUS_REPORTS} of the cards, after walking past Cleo. "
            f"Cleo's phone now warns her: {_exposure(found)}. The warning is false."
        )
        return bogus

    def _roll_back(self, bogus: list[bytes]) -> None:
        self._head("St. Elsewhere notices; an operator takes the reports back")
        target = Target(batch=1, first=10, last=STACK_CARDS - 1)
        why = "stack lost on the way to ward 3"
        self._stage.act(why, lambda ledger, now, by: corrections.revoke(ledger, target, None, now, by))
        rehearsed = self._stage.rehearse(why, lambda ledger, now, by: corrections.rollback(ledger, _of(target), by))
        self._expect(isinstance(rehearsed, RolledBack) and len(rehearsed.reports) == BOGUS_REPORTS)
        self._say(
            f"Cards 10 to {STACK_CARDS - 1} are cut off from now on. A dry run shows that {BOGUS_REPORTS} reports came "
            "from them; then they are rolled back, which ignores every waiting time: the next version is without them."
        )
        self._stage.act(why, lambda ledger, now, by: corrections.rollback(ledger, _of(target), by))
        (out,) = self._stage.publish_steps(1)
        self._say(f"Version {out.version}: {counted(out.left, 'key')} left, {counted(out.keys, 'key')} remain.")
        found = self._far.sync_and_match()
        self._expect(not found and bool(self._near.sync_and_match()))
        self._say(f"Cleo's phone took one delta of {size(self._far.last_file_bytes)}: {_exposure(found)}. Ben's stays.")
        late = self._stage.make_report(self._stage.keys_before(self._vectors.day + 1, days=1), self._cards[30])
        answer = self._stage.call(late.body)
        self._expect(answer.verdict is Verdict.CODE_CUT_OFF)
        tracked = self._stage.track(bogus[0])
        self._expect(tracked is Verdict.CUT_OFF)
        self._say(
            f"The thief's next card: {answer.verdict}. What became of the first, asks the thief's app: {tracked}."
        )

    def _withdraw(self, secret: bytes) -> None:
        self._head("Ada changes her mind")
        verdict = self._stage.withdraw(secret)
        self._expect(verdict is Verdict.WITHDRAWN)
        (out,) = self._stage.publish_steps(1)
        found = self._near.sync_and_match()
        self._expect(not found and out.keys == 0)
        self._say(
            f"Her app withdraws the report with the secret that only it has: {verdict}. Version {out.version} is "
            f"without her keys ({out.left} left), for good. Ben's phone: {_exposure(found)}."
        )

    def _prove(self) -> None:
        self._head("Was all of this in order?")
        tip = verify(self._stage.deployment.journal)
        self._say(
            f"The journal proves itself without any key: {counted(tip.sequence, 'event')}, numbered without a gap, "
            "each chained to the one before, every claim (code, report, version) held once. From it alone all the rest "
            "can be computed again: the same versions, byte for byte."
        )

    def _head(self, title: str) -> None:
        self._scene += 1
        self._terminal.line()
        self._terminal.line(f"{self._scene}. {title}  [{utc(self._stage.clock.now())}]")

    def _say(self, paragraph: str) -> None:
        self._terminal.say(paragraph)

    @staticmethod
    def _expect(outcome: bool) -> None:
        if not outcome:
            raise Invalid("the demo did not go as it should: this is a fault in tocsin, please report it")


def card(code: str) -> tuple[str, ...]:
    """A card, as text."""
    inside = f"   {code}   "
    rows = (
        "",
        "Your test is positive. Enter this code in your app to warn",
        "the people you were near. It works once.",
        "",
    )
    width = max(len(row) for row in (*rows, inside)) + 4
    edge = f"    +{'-' * width}+"
    return (edge, *(f"    |{row.center(width)}|" for row in (*rows[:3], "", inside, "")), edge)


def tell_export(terminal: Terminal, path: Path) -> None:
    """Looks into a real export file of another system, and matches it."""
    data = path.read_bytes()
    summary = inspect(data, {})
    records = decode_export(read_zip(data)[0]).keys
    heard, from_file = Stage.sightings_among(records, EXPORT_SIGHTINGS)
    found = match(records, heard)
    terminal.line()
    terminal.line("And a real file, made by another system")
    terminal.say(
        f"{path.name}: {counted(summary.keys.count, 'key')} of region {summary.region}, "
        f"{utc(summary.start_timestamp)} to {utc(summary.end_timestamp)}, {size(len(data))}. Matched against "
        f"{EXPORT_SIGHTINGS:,} sightings, {from_file} of which were of its keys: {len(found)} found."
    )
    if len(found) != from_file:
        raise Invalid("the demo did not go as it should: this is a fault in tocsin, please report it")


def tell_what_next(terminal: Terminal) -> None:
    """How to keep a server running, and to report by curl."""
    terminal.line()
    terminal.line("Your own server")
    terminal.line("    . .venv/bin/activate; export TOCSIN_DATA=my-deployment     # in each terminal")
    terminal.line("    tocsin init my-deployment --region utopia --origin tocsin.example/utopia \\")
    terminal.line("        --base-url http://127.0.0.1:8787")
    terminal.line("    tocsin serve                     # leave it running; in another terminal:")
    terminal.line("    tocsin provider add 'St. Elsewhere'")
    terminal.line("    tocsin codes issue 1 --count 20 && tocsin codes activate 1")
    terminal.line("A report by curl is one call of 4,096 bytes: examples/report-by-curl.sh CODE makes one.")
    terminal.line("    curl -s http://127.0.0.1:8787/v1/head     # what phones see; a version each quarter-hour")


def _of(target: Target) -> Selection:
    return Selection(target=target)


def _exposure(found: int) -> str:
    return f"exposure found, {counted(found, 'sighting')}" if found else "no exposure"


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """The demo's folder: a new one that is kept, or one that goes away."""
    if keep is not None:
        yield keep
        return
    folder = Path(tempfile.mkdtemp(prefix="tocsin-demo-"))
    try:
        yield folder / "deployment"
    finally:
        shutil.rmtree(folder)
