"""Moving the journal of a deployment to the other engine."""

from collections.abc import Callable
from contextlib import closing

from tocsin.journal.copy import copy
from tocsin.journal.port import Durability, Journal, Tip, refuse_retired
from tocsin.model.errors import Invalid, Refused
from tocsin.model.ports import Clock
from tocsin.service.deployment import durability
from tocsin.service.journal_choice import JournalChoice, create_journal, open_journal
from tocsin.service.settings import Folders, Settings
from tocsin.stores.durable import writing


def move(
    folders: Folders,
    settings: Settings,
    to: JournalChoice,
    clock: Clock,
    told: Callable[[int, int], None] = lambda sequence, of: None,
) -> Tip:
    """Copies the journal that the settings name to the place `to`, and retires it; returns the tip of the new one.

    `told` is given the number of the last event read, and how many there are. Raises as `tocsin.journal.copy.copy`.
    """
    if to == settings.journal:
        raise Refused("same_journal", "the journal is there already: this is the engine that the settings name")
    with closing(open_journal(settings.journal, folders.journal, durability(settings))) as source:
        tip = source.tip()
        refuse_retired(tip)
        if not tip.sequence:
            raise Invalid("the journal is empty: there is nothing to copy")
        with closing(_target(folders, to, durability(settings), tip.term)) as target:
            return copy(source, target, clock.now(), lambda sequence: told(sequence, tip.sequence))


def _target(folders: Folders, to: JournalChoice, asked: Durability, term: int) -> Journal:
    """A new journal, or one that is there: an earlier copy may have broken off."""
    if to.engine == "sqlite":
        with writing(folders.journal.parent):
            folders.journal.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        return create_journal(to, folders.journal, asked, term)
    except Invalid:
        return open_journal(to, folders.journal, asked)
