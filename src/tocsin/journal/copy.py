"""Copying a journal into another engine, so that no number is lost and nothing is acknowledged in the old one any more.

The steps, and what a crash right after each leaves behind:

1. what is there is read and loaded, while others still append: an empty target, since a load is all or none
2. a group of the source is begun, and what came meanwhile is loaded as well: the same
3. the target is committed and proven: two whole journals; the source is the one that counts, and the next try goes on
   here if nothing was appended to it since
4. the source is retired with the end of its group: the target is the journal
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

from tocsin.journal.encoding import StoredEvent
from tocsin.journal.port import Group, Journal, Tip
from tocsin.journal.verify import verify
from tocsin.model.errors import Invalid
from tocsin.model.times import Instant

GROUP_SECONDS = 60.0
"""How long the copy waits for its turn among those who write."""

Told = Callable[[int], None]
"""Is given the number of the last event that was read, page by page."""


def copy(source: Journal, target: Journal, now: Instant, told: Told = lambda sequence: None) -> Tip:
    """Copies `source` into the empty `target`, proves that, and retires `source`; returns the tip of both.

    The target must have been made with the source's term. Raises `Invalid` for a target that holds anything but this
    very journal, `Broken` where either is not whole; `Unavailable` as a group does. Then the source goes on as before.
    """
    with ExitStack() as held:
        hold = _Hold(source, held, now)
        before = target.tip()
        if before.sequence == 0:
            target.load(_events(source, hold, told))
        group = hold.group
        _refuse_other(before if before.sequence else target.tip(), group.tip)
        copied = verify(target)
        group.retire()
    return copied


class _Hold:
    """A group of the source, begun when it is first asked for: from then on nobody else appends."""

    def __init__(self, source: Journal, held: ExitStack, now: Instant) -> None:
        self._source = source
        self._held = held
        self._now = now
        self._group: Group | None = None

    @property
    def group(self) -> Group:
        if self._group is None:
            self._group = self._held.enter_context(self._source.group(self._now, GROUP_SECONDS))
        return self._group


def _events(source: Journal, hold: _Hold, told: Told) -> Iterator[StoredEvent]:
    """Every event: most of them while others append, the last ones while nobody can."""
    after = 0
    for read in (source.read, lambda after: hold.group.read(after)):
        while page := read(after):
            yield from page
            after = page[-1].sequence
            told(after)


def _refuse_other(target: Tip, source: Tip) -> None:
    if (target.sequence, target.digest, target.term) != (source.sequence, source.digest, source.term):
        raise Invalid(
            "the target is not empty, and does not hold this journal as it is now: empty it, then copy again. The"
            " journal was not moved"
        )
