"""What tests of the ledger share."""

import pytest

from tests.builders import NOON, Story, day_key
from tests.publication.press import PROMPT, step
from tocsin.model.events import Target
from tocsin.model.times import day_of
from tocsin.rules import suspension


@pytest.fixture(scope="session")
def told() -> Story:
    """A story with something of every kind."""
    story = Story(PROMPT)
    story.batch()
    story.batch(story.provider("two"), report_type=2)
    for serial in range(4):
        keys = [day_key("shared", 1), day_key(f"{serial}", 2), day_key(f"today {serial}", 0)]
        story.report(f"phone {serial}", keys, story.card(1 + serial % 2, serial))
    phone_codes = story.phone_codes(count=3)
    story.report("phone 9", [day_key("9")], story.phone(phone_codes, 1))
    story.append(suspension.suspend_provider(story.ledger, 2, story.by()))
    step(story)
    rollback = story.rollback(*story.ledger.reports["sequence"][:2].tolist())
    story.revoke(Target(batch=2), NOON)
    step(story)
    story.withdraw("phone 3")
    story.reinstate(rollback)
    step(story)
    story.append(suspension.restore_provider(story.ledger, 2, story.by()))
    story.erase(day_of(NOON))
    return story
