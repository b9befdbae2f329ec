"""What one person reports in several calls is one person's: rows O6–O8 of docs/rules.md, and the fold's last word."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from tests.builders import NOON, Story, day_key, secret
from tests.publication.press import PROMPT, public, public_records, step
from tocsin.ledger.fold import fold, mark, take_back
from tocsin.ledger.queries import Standing, count_people, present_type, present_types, spent_cards, standing
from tocsin.ledger.state import Ledger
from tocsin.model.base64url import encode
from tocsin.model.calls import SentKey
from tocsin.model.errors import Invalid
from tocsin.model.events import Continued, Draft, Event, ReportContent, RolledBack, Target, Withdrawn
from tocsin.model.keys import CONTENT_KEY, KeyKind, ReportType
from tocsin.model.policy import Policy
from tocsin.model.times import DAY_SECONDS, Instant, day_of
from tocsin.publication.plan import overtakes

CONFIRMED, LIKELY, SELF_REPORTED, NEGATIVE = 1, 2, 3, 5
_NUMBERS = itertools.count()


def continuation(
    story: Story,
    report: int,
    keys: Sequence[SentKey] = (),
    report_type: int = CONFIRMED,
    batch: int = 1,
    serial: int = 0,
    received_at: Instant | None = None,
) -> Draft:
    """The event as a rule or a late spool might hand it over; without a word, of the first card of the first batch."""
    rows = [
        (1, position, (sent.key_data, sent.rolling_start_interval_number, 144, report_type, -128, 0))
        for position, sent in enumerate(keys)
    ]
    provider = story.ledger.batches[batch].provider if batch else 0
    body = Continued(
        id=encode(secret(f"continuation {next(_NUMBERS)}")),
        received_at=story.now if received_at is None else received_at,
        report_type=report_type,
        verdicts="t" * len(keys),
        hold=(0,) * len(keys),
        report=report,
    )
    key_rows = np.array(rows, CONTENT_KEY).tobytes()
    content = ReportContent(batch, serial, provider, secret("sent"), KeyKind.GAEN, key_rows)
    return Draft(body, content=content)


def reported(report_type: int = CONFIRMED) -> tuple[Story, int]:
    """A story, and the sequence of its one report: of yesterday's key, with the first card of batch 1."""
    story = Story(PROMPT)
    story.batch(report_type=report_type)
    return story, story.report("ada", [day_key("first")], story.card(1, 0))


def key_of(name: str) -> bytes:
    return day_key(name).key_data


def test_later_keys_go_out_like_a_report_s() -> None:
    story, report = reported()
    step(story)
    story.append(continuation(story, report, [day_key("second", 2)]))
    step(story)
    assert public(story) == {key_of("first"), key_of("second")}
    ledger = story.ledger
    assert ledger.reports["root"].tolist() == [0, 0] and ledger.rows_of_person(0) == [0, 1]
    assert spent_cards(ledger, 1) == 1


def test_a_report_and_what_continues_it_are_one_person() -> None:  # P2
    story = Story(Policy(minimum_reports=2, hold_back_quarters=0))
    story.batch()
    report = story.report("ada", [day_key("first")], story.card(1, 0))
    story.append(continuation(story, report, [day_key("second", 2)]))
    step(story)
    assert not public(story), "one person waits, with two events"
    story.report("ben", [day_key("other")], story.card(1, 1))
    step(story)
    assert len(public(story)) == 3
    assert count_people(story.ledger, np.ones(3, np.bool_)) == 2


# --- taken back -------------------------------------------------------------------------------------------------------


def test_a_withdrawal_takes_back_all_and_what_comes_too_late() -> None:  # O6
    story, report = reported()
    story.append(continuation(story, report, [day_key("second", 2)]))
    step(story)
    story.withdraw("ada")
    story.append(continuation(story, report, [day_key("third", 3)]))
    step(story)
    assert not public(story)
    assert story.ledger.reports["withdrawn"].all()
    story.report("ben", [day_key("second", 2), day_key("third", 3)], story.card(1, 1))
    step(story)
    assert not public(story), "final for the keys, whoever holds them"


def test_a_withdrawal_that_names_a_continuation_is_the_person_s() -> None:
    story, report = reported()
    continued = story.append(continuation(story, report, [day_key("second", 2)]))
    story.append(Draft(Withdrawn(continued)))
    assert story.ledger.reports["withdrawn"].all()


def test_a_rollback_of_the_first_report_meets_what_continues_it_and_frees_it() -> None:  # O6
    story, report = reported()
    story.append(continuation(story, report, [day_key("second", 2)]))
    step(story)
    objection = story.append(Draft(RolledBack(reports=(report,), who="Ada", why="a test")))
    story.append(continuation(story, report, [day_key("third", 3)]))
    assert story.ledger.reports["objections"].tolist() == [1, 1, 1]
    step(story)
    assert not public(story)
    story.reinstate(objection)
    assert story.ledger.reports["objections"].tolist() == [0, 0, 0]
    story.append(continuation(story, report, [day_key("fourth", 4)]))
    step(story)
    assert len(public(story)) == 4, "an objection that was lifted meets nobody"


def test_a_rollback_of_a_continuation_leaves_the_report() -> None:
    story, report = reported()
    continued = story.append(continuation(story, report, [day_key("second", 2)]))
    objection = story.append(Draft(RolledBack(reports=(continued,), who="Ada", why="a test")))
    both = story.append(Draft(RolledBack(reports=(report, continued), who="Ada", why="a test")))
    assert story.ledger.reports["objections"].tolist() == [1, 2]
    story.reinstate(both)
    assert story.ledger.reports["objections"].tolist() == [0, 1]
    assert standing(story.ledger, 0) is Standing.TAKEN
    step(story)
    assert public(story) == {key_of("first")}
    story.reinstate(objection)
    step(story)
    assert public(story) == {key_of("first"), key_of("second")}


def test_a_revocation_meets_each_by_its_own_card_and_sequence() -> None:  # O5
    story, report = reported()
    story.batch()
    story.revoke(Target(batch=1))
    story.append(continuation(story, report, [day_key("second", 2)]))
    story.append(continuation(story, report, [day_key("third", 3)], batch=2))
    step(story)
    assert public(story) == {key_of("first"), key_of("third")}


def test_a_negative_test_takes_all_back() -> None:  # O7
    story, report = reported(LIKELY)
    step(story)
    negative = continuation(story, report, report_type=NEGATIVE)
    assert overtakes(negative.body) and not overtakes(continuation(story, report).body)  # P7
    story.append(negative)
    step(story)
    assert not public(story)
    assert standing(story.ledger, 0) is Standing.WITHDRAWN


# --- what it stands for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "then", "present"),
    [
        (SELF_REPORTED, LIKELY, LIKELY),
        (SELF_REPORTED, CONFIRMED, CONFIRMED),
        (LIKELY, CONFIRMED, CONFIRMED),
        (LIKELY, LIKELY, LIKELY),
        (CONFIRMED, LIKELY, CONFIRMED),
    ],
)
def test_the_strongest_word_counts_for_all_keys(first: int, then: int, present: int) -> None:  # O8, P5
    story = Story(PROMPT)
    story.batch()
    story.batch()
    body = story.report("ada", [day_key("first")], story.card(1, 0))
    story.ledger.reports["report_type"][:] = first
    step(story)
    story.append(continuation(story, body, [day_key("second", 2)], report_type=then, batch=2))
    step(story)
    assert public_records(story)["report_type"].tolist() == [present, present]
    assert present_types(story.ledger).tolist() == [present, present]
    assert present_type(story.ledger, 0) == present


def test_it_falls_back_when_the_second_card_is_cut_off() -> None:  # O8
    story, report = reported(LIKELY)
    story.batch()
    story.append(continuation(story, report, [day_key("second", 2)], CONFIRMED, batch=2))
    step(story)
    objection = story.revoke(Target(batch=2), NOON)
    step(story)
    assert [(row["key_data"].tobytes(), int(row["report_type"])) for row in public_records(story)] == [
        (key_of("first"), LIKELY)
    ]
    story.reinstate(objection)
    step(story)
    assert public_records(story)["report_type"].tolist() == [CONFIRMED, CONFIRMED]
    story.revoke(Target(batch=1), NOON)
    story.revoke(Target(batch=2), NOON)
    assert present_type(story.ledger, 0) == 0
    assert present_types(story.ledger).tolist() == [LIKELY, CONFIRMED], "where nothing is in force nothing changes"


def test_other_people_keep_their_types() -> None:  # O8
    story, report = reported(LIKELY)
    story.report("ben", [day_key("other")], story.card(1, 1))
    story.append(continuation(story, report, report_type=CONFIRMED))
    assert present_types(story.ledger).tolist() == [CONFIRMED, LIKELY, CONFIRMED]


# --- erased, taken back, broken ---------------------------------------------------------------------------------------


def test_a_person_is_too_old_when_all_of_it_is_erased() -> None:  # T2
    """The continuation's key may be public for some days more, and can still be withdrawn."""
    story, report = reported()
    story.wait(2 * DAY_SECONDS)
    story.append(continuation(story, report, [day_key("second", 0)]))
    story.erase(day_of(NOON))
    assert standing(story.ledger, 0) is Standing.TAKEN
    story.withdraw("ada")
    assert story.ledger.reports["withdrawn"].all()
    story.erase(day_of(story.now))
    assert standing(story.ledger, 0) is Standing.TOO_OLD


def test_continuations_that_were_not_stored_are_taken_back() -> None:
    story, report = reported()
    story.append(continuation(story, report, [day_key("second", 2)]))
    twin = story.ledger.copy()
    to = mark(story.ledger)
    story.append(continuation(story, report, [day_key("third", 3)]))
    other = story.report("ben", [day_key("other")], story.card(1, 1))
    story.append(continuation(story, other, [day_key("third", 3)]))
    assert story.ledger.continuations == {0: [1, 2], 3: [4]}
    assert take_back(story.ledger, to)
    assert story.ledger.continuations == twin.continuations == {0: [1]}
    assert story.ledger.report_by_id == twin.report_by_id and story.ledger.letters == twin.letters
    for name in twin.reports.names:
        assert story.ledger.reports[name].tobytes() == twin.reports[name].tobytes()


def test_folding_one_asks_for_no_table() -> None:
    """Else a journal with many of them would be laid out row by row, and nothing of a group could be taken back."""
    story, report = reported()
    to = mark(story.ledger)
    for _ in range(3):
        story.append(continuation(story, report, [day_key("second", 2)]))
    assert take_back(story.ledger, to)


@pytest.mark.parametrize("named", ["nothing", "a later sequence", "a continuation", "another event"])
def test_one_that_continues_no_first_report_is_refused(named: str) -> None:
    story, report = reported()
    continued = story.append(continuation(story, report))
    of = {"nothing": 0, "a later sequence": 99, "a continuation": continued, "another event": 1}[named]
    draft = continuation(story, of)
    with pytest.raises(Invalid, match="continues"):
        fold(story.ledger, [Event(continued + 1, NOON, draft.body, bytes(32), draft.content)])
    assert story.ledger.reports.count == 2 and story.ledger.continuations == {0: [1]}


def test_in_pieces_and_at_once() -> None:
    story, report = reported(LIKELY)
    story.append(continuation(story, report, [day_key("second", 2)]))
    objection = story.append(Draft(RolledBack(reports=(report,), who="Ada", why="a test")))
    story.append(continuation(story, report, [day_key("third", 3)], CONFIRMED))
    story.reinstate(objection)
    step(story)
    story.append(continuation(story, report, report_type=NEGATIVE))
    whole = Ledger()
    fold(whole, story.events)
    assert whole.continuations == story.ledger.continuations
    for name in whole.reports.names:
        assert whole.reports[name].tobytes() == story.ledger.reports[name].tobytes()
    for kind, keys in whole.keys.items():
        for name in keys.names:
            assert keys[name].tobytes() == story.ledger.keys[kind][name].tobytes()


def test_report_types_are_gaen_s_numbers() -> None:
    assert (ReportType.CONFIRMED, ReportType.LIKELY) == (CONFIRMED, LIKELY)
    assert (ReportType.SELF_REPORTED, ReportType.REVOKED) == (SELF_REPORTED, NEGATIVE)
