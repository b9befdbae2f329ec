"""Rows I1–I12 of docs/rules.md."""

import pytest
from msgspec.structs import replace

from tests.builders import NOON, Story
from tocsin.ledger.state import Batch
from tocsin.model.claims import batch_claim
from tocsin.model.code_reading import CodeKind, Life
from tocsin.model.errors import Refused
from tocsin.model.events import BatchIssued, Draft, ProviderAdded, Target
from tocsin.model.policy import Policy
from tocsin.model.times import QUARTER_SECONDS
from tocsin.rules import issuance
from tocsin.rules.issuance import BatchRequest

NOW = NOON // QUARTER_SECONDS


def _add(story: Story, name: str) -> str | ProviderAdded:
    try:
        body = issuance.add_provider(story.ledger, name, story.by()).body
    except Refused as refusal:
        return refusal.code
    assert isinstance(body, ProviderAdded)
    return body


def _issue(story: Story, **wishes: int) -> str | BatchIssued:
    request = replace(BatchRequest(provider=1, count=10, issuing_period=3), **wishes)
    try:
        draft = issuance.issue_batch(story.ledger, request, story.policy, story.now, story.by())
    except Refused as refusal:
        return refusal.code
    assert isinstance(draft.body, BatchIssued)
    assert draft.claims[1] == batch_claim(draft.body.batch)
    return draft.body


def _activate(story: Story, batch: int) -> str | Draft:
    try:
        return issuance.activate_batch(story.ledger, batch, story.now, story.by())
    except Refused as refusal:
        return refusal.code


@pytest.fixture
def story() -> Story:
    story = Story()
    story.provider("Clinic at the Lake")
    return story


def test_providers_are_numbered_from_one() -> None:
    story = Story()
    for number, name in enumerate(["One", " Two ", "Three"], start=1):
        added = _add(story, name)
        assert isinstance(added, ProviderAdded) and (added.provider, added.name) == (number, name.strip())
        story.append(Draft(added))


@pytest.mark.parametrize("name", ["", " ", "a" * 81, "a\nb", "a\u202eb", "a\u200bb", "a\x00"])
def test_names_that_are_refused(story: Story, name: str) -> None:  # I1
    assert _add(story, name) == "name_refused"


@pytest.mark.parametrize("name", ["a", "a" * 80, "a" * 79 + "  ", "Hôpital Sainte-Anne", "病院"])
def test_names_that_are_taken_over(story: Story, name: str) -> None:  # I1
    assert isinstance(_add(story, name), ProviderAdded)


@pytest.mark.parametrize(
    "name",
    [
        "Clinic at the Lake",
        "CLINIC AT THE LAKE",
        "clinic  at the lake",
        "\uff23\uff4c\uff49\uff4e\uff49\uff43 at the Lake",  # full-width letters
        " Clinic at the Lake",
    ],
)
def test_one_name_one_provider(story: Story, name: str) -> None:  # I2
    assert _add(story, name) == "name_taken"


def test_a_batch_is_dormant_and_numbered_from_one(story: Story) -> None:
    for number in (1, 2, 3):
        issued = _issue(story)
        assert isinstance(issued, BatchIssued) and issued.batch == number
        assert (issued.provider, issued.code_kind, issued.count, issued.issuing_period) == (1, 12, 10, 3)
        assert (issued.valid_from, issued.valid_until, issued.report_type) == (NOW, NOW + 90 * 96, 1)
        story.append(Draft(issued))
        assert not story.ledger.batches[number].activated


def test_two_consoles_cannot_issue_the_same_cards(story: Story) -> None:
    request = BatchRequest(provider=1, count=10, issuing_period=1)
    first, second = (issuance.issue_batch(story.ledger, request, story.policy, NOON, story.by()) for _ in range(2))
    assert set(first.claims) & set(second.claims) == {batch_claim(1)}


def test_cards_for_nobody(story: Story) -> None:  # I3
    assert _issue(story, provider=2) == "provider_unknown"
    assert _issue(story, provider=0) == "provider_unknown"


def test_cards_for_a_provider_that_is_cut_off(story: Story) -> None:  # I4
    objection = story.revoke(Target(provider=1))
    assert _issue(story) == "provider_cut_off"
    story.reinstate(objection)
    assert isinstance(_issue(story), BatchIssued)


@pytest.mark.parametrize(("count", "good"), [(-1, False), (0, False), (1, True), (49, True), (50, True), (51, False)])
def test_the_size_of_a_batch(count: int, good: bool) -> None:  # I5
    story = Story(Policy(maximum_batch_cards=50))
    story.provider()
    assert (_issue(story, count=count) != "batch_size_refused") is good


@pytest.mark.parametrize(
    ("kind", "good"),
    [(CodeKind.NONE, False), (CodeKind.CARD, True), (CodeKind.TRAINING, True), (CodeKind.PHONE, False), (1, False)],
)
def test_the_kind_of_a_batch(story: Story, kind: int, good: bool) -> None:  # I6
    assert (_issue(story, code_kind=kind) != "code_kind_refused") is good


@pytest.mark.parametrize(("report_type", "good"), [(0, False), (1, True), (2, True), (3, False), (4, False), (5, True)])
def test_the_report_type_of_a_batch(story: Story, report_type: int, good: bool) -> None:  # I7
    assert (_issue(story, report_type=report_type) != "report_type_refused") is good


@pytest.mark.parametrize(
    ("valid_from", "valid_until", "good"),
    [
        (NOW - 5, NOW - 1, False),
        (NOW - 5, NOW, False),
        (NOW - 5, NOW + 1, True),
        (NOW + 4, NOW + 3, False),
        (NOW + 4, NOW + 4, False),
        (NOW + 4, NOW + 5, True),
        (-1, NOW + 5, False),
        (0, NOW + 5, True),
    ],
)
def test_the_life_of_a_batch(story: Story, valid_from: int, valid_until: int, good: bool) -> None:  # I8
    issued = _issue(story, valid_from=valid_from, valid_until=valid_until)
    assert (issued != "batch_life_refused") is good
    if isinstance(issued, BatchIssued):
        assert (issued.valid_from, issued.valid_until) == (valid_from, valid_until)


def test_the_usual_life_counts_from_its_beginning(story: Story) -> None:  # I8
    issued = _issue(story, valid_from=NOW + 96)
    assert isinstance(issued, BatchIssued) and issued.valid_until == NOW + 91 * 96


@pytest.mark.parametrize(("last", "good"), [(2**18 - 3, True), (2**18 - 2, True), (2**18 - 1, False)])
def test_the_last_batch_number(story: Story, last: int, good: bool) -> None:  # I9
    phone_codes = 2**18 + 5  # not a card's number, and not counted
    for number in (last, phone_codes):
        story.ledger.batches[number] = Batch(number, 1, 12, 1, 1, Life(NOW, NOW + 1), 1, activated=False)
    issued = _issue(story)
    assert (issued != "batch_numbers_spent") is good
    if isinstance(issued, BatchIssued):
        assert issued.batch == last + 1


def test_a_batch_is_activated_once(story: Story) -> None:  # I10, I11
    batch = story.dormant_batch()
    assert _activate(story, batch + 1) == "batch_unknown"
    draft = _activate(story, batch)
    assert isinstance(draft, Draft)
    story.append(draft)
    assert story.ledger.batches[batch].activated
    assert _activate(story, batch) == "batch_active"


@pytest.mark.parametrize(("quarters", "good"), [(3, True), (4, False), (5, False)])
def test_an_expired_batch_stays_dormant(story: Story, quarters: int, good: bool) -> None:  # I12
    batch = story.dormant_batch(valid_until=NOW + 4)
    story.wait(quarters * QUARTER_SECONDS)
    assert (_activate(story, batch) != "batch_expired") is good
