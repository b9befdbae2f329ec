"""An outline knows what is in force at each version, from no more than the versions."""

from msgspec.structs import replace

from tests.builders import day_key
from tests.publication.press import PROMPT, Press
from tocsin.model.times import QUARTER_SECONDS
from tocsin.publication.build import files_in_force
from tocsin.publication.outline import OUTLINED, Outline


def test_an_outline_names_the_files_that_the_ledger_names() -> None:
    press = Press(replace(PROMPT, gaen_step_seconds=4 * QUARTER_SECONDS))
    story, outline, noted = press.story, Outline(), 0
    story.batch()
    assert outline.files_in_force() == []
    for serial in range(60):  # ten days and more: a dump of each kind goes out of force, and deltas do
        story.report(f"phone {serial}", [day_key(f"{serial}", 1, story.now)], story.card(1, serial))
        press.publish(5 * 3600)
        for event in story.events[noted:]:
            if event.body.kind in OUTLINED:
                outline.note(event)
        noted = len(story.events)
        assert outline.files_in_force() == files_in_force(story.ledger)
    assert len({file.to_version for file in outline.files_in_force()}) > 3
