"""A ledger that was written down and read again is the one that is folded; without a day, the one folded without it."""

from collections.abc import Collection
from functools import partial
from hashlib import sha256

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import invariant, rule

from tests.builders import Story
from tests.ledger.alike import state
from tests.publication.test_laws import Histories, Version
from tocsin.ledger.checkpoint import SAME, State, Written
from tocsin.ledger.erasure import forget_day, rows_of_day
from tocsin.ledger.fold import fold
from tocsin.ledger.restore import restore
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Invalid
from tocsin.model.events import Published
from tocsin.model.times import day_of
from tocsin.service.checkpoint_file import LAYOUT

GOLDEN = "3e4398d383f63eb59a4e2194c7abe52f1df84acda3700fdc6a1b3fde7479a3dd"
"""What the columns of the story hash to."""


def again(ledger: Ledger, without: Collection[int] = ()) -> Ledger:
    """`ledger`, written down and read again, without what came on these days."""
    written = Written(ledger)
    parts = {day: written.day_part(day) for day in written.days if day not in without}
    return restore(written.numbers(), {day: partial(bytes, part) for day, part in parts.items()})


def forgotten(ledger: Ledger, days: Collection[int]) -> Ledger:
    """A ledger that had read these days, and forgot them: what a start without their keys is to lead to."""
    twin = ledger.copy()
    for day in sorted(days):
        held = ~twin.reports["erased"][rows_of_day(twin, day)]
        forget_day(twin, day, np.zeros(0, np.int64))
        if held.any():  # their keys are not at hand; nothing says that they were destroyed
            twin.sealed_days.add(day)
    twin.erased_days = set(ledger.erased_days)
    return twin


class SavedHistories(Histories):
    """As those of publication; the ledger that goes on may be one that was read again at any moment."""

    @rule()
    def read_again(self) -> None:
        self.story.ledger = again(self.story.ledger)

    @rule(back=st.sets(st.integers(0, 3), min_size=1))
    def read_without_days(self, back: set[int]) -> None:
        days = {day_of(self.story.now) - each for each in back}
        assert state(again(self.story.ledger, days)) == state(forgotten(self.story.ledger, days))

    def _judge(self, before: Version, version: Version, body: Published, waited: bool) -> None:
        """The laws of publication are held where they are at home."""

    def _judge_delta(self, since: int) -> None:
        """Likewise."""

    @invariant()
    def folds_alike_in_pieces_and_at_once(self) -> None:
        if hasattr(self, "story"):
            whole = Ledger()
            fold(whole, self.story.events)
            assert state(self.story.ledger) == state(whole)


TestSavedHistories = SavedHistories.TestCase
TestSavedHistories.settings = settings(settings(), max_examples=40, stateful_step_count=30)


def test_something_of_every_kind(told: Story) -> None:
    """At each event of the story; and all that comes behind it is folded onto what was read again."""
    for end in range(1, len(told.events) + 1):
        ledger = Ledger()
        fold(ledger, told.events[:end])
        restored = again(ledger)
        assert state(restored) == state(ledger)
        fold(restored, told.events[end:])
        assert state(restored) == state(told.ledger)


def test_every_attribute_of_a_ledger_is_written() -> None:
    elsewhere = {"objections", "report_by_id", "continuations", "letters", "reports", "keys", "withdrawals"}
    assert {*SAME} | elsewhere == vars(Ledger()).keys()
    assert {*State.__struct_fields__} - {*SAME} == {"revoked", "rolled_back", "letters", "reports", "index_bits"}


def test_the_layout_is_that_of_the_page(told: Story) -> None:
    """If this fails, columns have changed: raise `checkpoint_file.LAYOUT`, or old ones are read as something else.

    The state before them names its fields, and is refused where one lacks.
    """
    ledger = Ledger()
    fold(ledger, told.events[:-1])
    written = Written(ledger)
    numbers = written.numbers()
    digest = sha256(numbers[4 + int.from_bytes(numbers[:4], "little") :])
    for day in written.days:
        digest.update(written.day_part(day))
    assert (LAYOUT, digest.hexdigest()) == (1, GOLDEN)


@pytest.mark.parametrize("whole", ["numbers", "part"])
def test_bytes_that_end_elsewhere(told: Story, whole: str) -> None:
    ledger = Ledger()
    fold(ledger, told.events[:-1])
    written = Written(ledger)
    numbers, parts = written.numbers(), {day: written.day_part(day) for day in written.days}
    for change in (lambda data: data[:-1], lambda data: data + b"\0", lambda data: b""):
        changed = {day: change(part) if whole == "part" else part for day, part in parts.items()}
        with pytest.raises(Invalid):
            restore(
                change(numbers) if whole == "numbers" else numbers, {d: partial(bytes, p) for d, p in changed.items()}
            )
