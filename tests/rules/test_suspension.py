"""Rows I13, I16–I18 of docs/rules.md: a suspended provider hands out nothing new, and takes nothing from anybody."""

from collections.abc import Callable

import pytest

from tests.builders import Story, day_key
from tocsin.ledger.predicates import is_suspended
from tocsin.model.code_reading import CodeKind
from tocsin.model.errors import Refused
from tocsin.model.events import Draft, ProviderRestored, ProviderSuspended, Target
from tocsin.rules.issuance import activate_batch
from tocsin.rules.suspension import restore_provider, suspend_provider


@pytest.fixture
def story() -> Story:
    """Provider 1 with an active batch 1 and a dormant batch 2; provider 2."""
    story = Story()
    story.provider()
    story.batch(1)
    story.dormant_batch(1)
    story.provider()
    return story


def _code(act: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refusal:
        act()
    return refusal.value.code


def _suspend(story: Story, provider: int = 1) -> Draft:
    return suspend_provider(story.ledger, provider, story.by())


def _restore(story: Story, provider: int = 1) -> Draft:
    return restore_provider(story.ledger, provider, story.by())


@pytest.mark.parametrize("provider", [-1, 0, 3])
def test_a_provider_that_is_not_there(story: Story, provider: int) -> None:  # I16
    assert _code(lambda: _suspend(story, provider)) == "provider_unknown"
    assert _code(lambda: _restore(story, provider)) == "provider_unknown"


def test_suspended_and_restored_and_again(story: Story) -> None:  # I17, I18
    for _ in range(2):
        assert _code(lambda: _restore(story)) == "not_suspended"
        draft = _suspend(story)
        assert draft.body == ProviderSuspended(1, who="Ada", why="a test")
        story.append(draft)
        assert (is_suspended(story.ledger, 1), is_suspended(story.ledger, 2)) == (True, False)
        assert _code(lambda: _suspend(story)) == "already_suspended"
        draft = _restore(story)
        assert draft.body == ProviderRestored(1, who="Ada", why="a test")
        story.append(draft)
        assert not is_suspended(story.ledger, 1)


@pytest.mark.parametrize("kind", [CodeKind.CARD, CodeKind.TRAINING])
def test_nothing_new_is_handed_out(story: Story, kind: int) -> None:  # I13
    dormant = story.dormant_batch(1, code_kind=kind)
    story.append(_suspend(story))
    assert _code(lambda: story.dormant_batch(1, code_kind=kind)) == "provider_suspended"
    assert _code(lambda: activate_batch(story.ledger, dormant, story.now, story.by())) == "provider_suspended"
    assert story.batch(2, code_kind=kind) == dormant + 1, "another provider goes on"
    story.append(_restore(story))
    story.append(activate_batch(story.ledger, dormant, story.now, story.by()))
    assert story.dormant_batch(1, code_kind=kind) == dormant + 2


def test_cards_in_hand_work_and_reports_stand(story: Story) -> None:  # I13
    story.report("before", [day_key("before")], story.card(1, 0))
    story.append(_suspend(story))
    story.report("after", [day_key("after")], story.card(1, 1))
    assert [story.track("before"), story.track("after")] == ["taken", "taken"]


def test_a_suspension_and_a_revocation_know_nothing_of_each_other(story: Story) -> None:  # I4, I13, I17
    story.append(_suspend(story))
    objection = story.revoke(Target(provider=1))
    assert _code(lambda: story.dormant_batch(1)) == "provider_suspended"
    story.append(_restore(story))
    assert _code(lambda: story.dormant_batch(1)) == "provider_cut_off"
    story.append(_suspend(story))
    story.reinstate(objection)
    assert _code(lambda: story.dormant_batch(1)) == "provider_suspended"
