"""Rows I14 and I15 of docs/rules.md, at the edge, one card before and one after, and around midnight."""

import pytest

from tests.builders import Story
from tocsin.model.code_reading import CodeKind
from tocsin.model.errors import Refused
from tocsin.model.events import Draft
from tocsin.model.policy import DailyCodes, Policy
from tocsin.model.times import DAY_SECONDS, day_of, day_start
from tocsin.rules.attribution import attribution
from tocsin.rules.issuance import BatchRequest, issue_batch
from tocsin.rules.quotas import QuotaUse, card_quotas


def _story(person: DailyCodes = "none", provider: DailyCodes = "none") -> Story:
    """Three providers under these quotas."""
    story = Story(Policy(person_daily_cards=person, provider_daily_cards=provider))
    for _ in range(3):
        story.provider()
    return story


def _draft(story: Story, count: int, provider: int, who: str, approved_by: str | None, kind: int) -> Draft:
    by = attribution(who, "a test", story.by().request_id, approved_by)
    request = BatchRequest(provider, count, issuing_period=1, code_kind=kind)
    return issue_batch(story.ledger, request, story.policy, story.now, by)


def _issue(
    story: Story,
    count: int,
    provider: int = 1,
    who: str = "Ada",
    approved_by: str | None = None,
    kind: int = CodeKind.CARD,
) -> str:
    """``issued``, or the code of the refusal."""
    try:
        story.append(_draft(story, count, provider, who, approved_by, kind))
    except Refused as refusal:
        return refusal.code
    return "issued"


@pytest.mark.parametrize(("count", "answer"), [(39, "issued"), (40, "issued"), (41, "person_quota_spent")])
def test_what_a_person_may_issue_in_a_day(count: int, answer: str) -> None:  # I14
    """Over all providers together; another person has a quota of their own."""
    story = _story(person=100)
    assert _issue(story, 60, provider=2) == "issued"
    assert _issue(story, count, provider=3) == answer
    assert _issue(story, 100, who="Grace") == "issued"


@pytest.mark.parametrize(("count", "answer"), [(39, "issued"), (40, "issued"), (41, "provider_quota_spent")])
def test_what_a_provider_is_given_in_a_day(count: int, answer: str) -> None:  # I15
    """By all persons together; another provider has a quota of its own."""
    story = _story(provider=100)
    assert _issue(story, 60, who="Grace") == "issued"
    assert _issue(story, count) == answer
    assert _issue(story, 100, provider=2) == "issued"


def test_of_two_spent_quotas_the_persons_answers() -> None:  # I14 before I15
    story = _story(person=10, provider=10)
    assert _issue(story, 11) == "person_quota_spent"


@pytest.mark.parametrize(("quota", "count", "answer"), [(0, 1, "person_quota_spent"), ("none", 2048, "issued")])
def test_no_cards_and_no_limit(quota: DailyCodes, count: int, answer: str) -> None:  # I14
    assert [_issue(_story(person=quota), count) for _ in range(3)] == [answer] * 3


def test_a_second_person_allows_what_is_above_and_it_counts() -> None:  # I14, I15; threats T-C6
    story = _story(person=100, provider=100)
    assert _issue(story, 90) == "issued"
    assert _issue(story, 11) == "person_quota_spent"
    assert _issue(story, 50, approved_by="Grace") == "issued"
    assert _issue(story, 1) == "person_quota_spent"
    assert _issue(story, 1, who="Grace") == "provider_quota_spent", "approving uses nothing of one's own quota"
    assert _issue(story, 100, provider=2, who="Grace") == "issued"
    assert _issue(story, 1, approved_by="\uff21\uff24\uff21") == "approver_is_actor"


@pytest.mark.parametrize("who", ["Ada", "ADA", " ada", "\uff21\uff44\uff41"])
def test_a_name_spelt_otherwise_is_the_same_person(who: str) -> None:  # I14
    story = _story(person=100)
    _issue(story, 100)
    assert _issue(story, 1, who=who) == "person_quota_spent"
    assert _issue(story, 1, who="Ada B.") == "issued"


def test_spaces_inside_a_name_do_not_count() -> None:  # I14
    story = _story(person=1)
    assert [_issue(story, 1, who=who) for who in ("Ada  King", "Ada King")] == ["issued", "person_quota_spent"]


def test_training_codes_are_neither_counted_nor_limited() -> None:  # I14, I15
    story = _story(person=10, provider=10)
    assert _issue(story, 2048, kind=CodeKind.TRAINING) == "issued"
    assert _issue(story, 10) == "issued"
    assert _issue(story, 2048, kind=CodeKind.TRAINING) == "issued"


@pytest.mark.parametrize(("seconds", "answer"), [(-1, "person_quota_spent"), (0, "issued"), (1, "issued")])
def test_all_are_there_again_at_midnight_utc(seconds: int, answer: str) -> None:  # I14
    story = _story(person=100)
    _issue(story, 100)
    story.wait(day_start(day_of(story.now) + 1) + seconds - story.now)
    assert _issue(story, 100) == answer
    assert _issue(story, 1) == "person_quota_spent"


def test_a_clock_that_is_a_little_behind_the_journal_counts_to_the_journals_day() -> None:  # I14
    story = _story(person=100)
    story.wait(day_start(day_of(story.now) + 1) - story.now)
    _issue(story, 100)
    story.wait(-60)
    with pytest.raises(Refused) as refusal:
        _draft(story, 1, 1, "Ada", None, CodeKind.CARD)
    assert refusal.value.code == "person_quota_spent" and "2024-10-06 00:00 UTC" in str(refusal.value)


def test_a_refusal_says_how_many_are_left_and_when_all_are_there_again() -> None:  # I14, I15
    story = _story(person=12_000, provider=2_048)
    _issue(story, 1_000)
    with pytest.raises(Refused) as refusal:
        _draft(story, 1_049, 1, "Ada", None, CodeKind.CARD)
    assert str(refusal.value) == (
        "One provider has 2,048 cards a day, and 1,048 of today's are left; all are there again at "
        "2024-10-05 00:00 UTC. Issue fewer, or let a second person approve."
    )


@pytest.mark.parametrize(("used", "runs_out"), [(79, False), (80, True), (81, True), (100, True), (150, True)])
def test_when_a_quota_runs_out(used: int, runs_out: bool) -> None:
    assert QuotaUse("person", 100, used).runs_out is runs_out
    assert QuotaUse("person", 100, used).left == max(0, 100 - used)


@pytest.mark.parametrize(("used", "runs_out"), [(8, False), (9, True)])
def test_a_quota_that_is_no_round_number_runs_out_no_sooner(used: int, runs_out: bool) -> None:
    assert QuotaUse("person", 11, used).runs_out is runs_out


def test_what_is_used_of_today() -> None:
    story = _story(person=100, provider=50)
    _issue(story, 30)
    _issue(story, 20, provider=2)
    ledger, policy = story.ledger, story.policy
    quotas = card_quotas(ledger, policy, story.now)
    assert quotas.uses("ADA", 2) == [QuotaUse("person", 100, 50), QuotaUse("provider", 50, 20)]
    story.wait(DAY_SECONDS)
    assert card_quotas(ledger, policy, story.now).person("Ada") == QuotaUse("person", 100, 0)
    assert card_quotas(ledger, Policy(person_daily_cards="none"), story.now).person("Ada") is None


def test_what_was_issued_over_the_day_adds_up_until_it_ends() -> None:  # I14
    story = _story(person=100)
    answers = []
    for _ in range(4):  # 12:00, 16:00, 20:00, and 00:00 of the next day
        answers.append(_issue(story, 40))
        story.wait(4 * 3600)
    assert answers == ["issued", "issued", "person_quota_spent", "issued"]
