"""The archive read into an empty journal, with an eye on whether the keys at hand are the ones that belong to it.

Whoever finds out afterwards that a key is another deployment's has a journal that takes every used code once more, or
public files that no phone believes. So all is looked at before anything becomes durable.
"""

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Final, Protocol

from tocsin.codes.card import card_claim
from tocsin.codes.phone import phone_claim
from tocsin.journal.content import Opener
from tocsin.journal.encoding import StoredEvent, decode_body
from tocsin.journal.port import Journal, Tip
from tocsin.model.claims import ClaimClass, version_claim
from tocsin.model.code_reading import CodeKind
from tocsin.model.errors import Invalid, Refused, Unavailable
from tocsin.model.events import BatchIssued, Event, MadeFile, PhoneCodesIssued, ReportContent
from tocsin.model.times import KEPT_DAYS, Day, Instant, day_of
from tocsin.publication.outline import OUTLINED, Outline
from tocsin.publication.release import Released
from tocsin.service.key_folder import KeyFolder

CODE_CLAIMS: Final = frozenset({ClaimClass.CARD, ClaimClass.PHONE})
_DAY_BYTES: Final = 4


class Archived(Protocol):
    """What of a `tocsin.journal.archive.Archive` is needed to come back from it."""

    def tip(self) -> Tip: ...
    def read(self, after: int = 0) -> Iterator[list[StoredEvent]]: ...
    def raise_term(self, term: int) -> None: ...


class Loading:
    """One reading of `archive` into a journal. `told` is given the number of the last event that was read."""

    def __init__(
        self,
        archive: Archived,
        keys: KeyFolder,
        now: Instant,
        head: Released,
        told: Callable[[int], None] = lambda sequence: None,
    ) -> None:
        self._archive = archive
        self._fit = _Fit(keys, day_of(now))
        self._head = head
        self._told = told
        self._head_claim = version_claim(head.version)
        self._head_decided = b""
        self._outline = Outline()
        self.read_seconds = 0.0
        """Seconds that the archive took, and not the journal."""

    def load(self, journal: Journal, fence: Callable[[], None] = lambda: None) -> Tip:
        """Loads all of the archive, and returns the journal's tip.

        `fence` is called when everything is read, proven and found to fit, and before anything is durable: what it
        keeps others from is not archived any more, and what they have archived until then is read as well. Raises
        `ArchiveBroken` or `Broken` with the first sequence that is not right, `Refused` ("keys_do_not_fit") and
        `Unavailable` for keys; then the journal is empty as before.
        """
        return journal.load(self._events(fence))

    def files_in_force(self) -> list[MadeFile]:
        """The files that the newest version of what is loaded names, as far as earlier versions made them."""
        return self._outline.files_in_force()

    def _events(self, fence: Callable[[], None]) -> Iterator[StoredEvent]:
        after = 0
        for is_fenced in (False, True):
            if is_fenced:
                fence()
            for page in self._pages(after):
                for stored in page:
                    self._look(stored)
                yield from page
                self._note(page)
                after = page[-1].sequence
                self._told(after)
            self._refuse_other_head()
            if not after:
                raise Refused(
                    "no_archive", "the archive is empty: there is nothing to rebuild from. Is it the right one?"
                )

    def _pages(self, after: int) -> Iterator[list[StoredEvent]]:
        pages = self._archive.read(after)
        while True:
            began = perf_counter()  # a stopwatch, not the time of day
            page = next(pages, None)
            self.read_seconds += perf_counter() - began
            if page is None:
                return
            yield page

    def _look(self, stored: StoredEvent) -> None:
        self._fit.look(stored)
        if self._head.version and self._head_claim in stored.claims:
            self._head_decided = stored.digest

    def _note(self, page: Sequence[StoredEvent]) -> None:
        """What the journal has taken, and so has proven."""
        for stored in page:
            if stored.kind in OUTLINED:
                body = decode_body(stored.kind, stored.body)
                self._outline.note(Event(stored.sequence, stored.recorded_at, body, stored.digest))

    def _refuse_other_head(self) -> None:
        if self._head.leaf is not None and self._head_decided != self._head.leaf.journal:
            raise Invalid(
                f"the public head is version {self._head.version}, and the archive does not hold the event that decided"
                " it: it is an older copy, or another deployment's. Phones would refuse what is built from it"
            )


class _Fit:
    """Whether the key folder belongs to the archive: the first report of each day tells, and costs little."""

    def __init__(self, keys: KeyFolder, today: Day) -> None:
        self._keys = keys
        self._opener = Opener(keys)
        self._today = today
        self._seen: set[bytes] = set()
        self._periods: dict[int, tuple[CodeKind, set[int]]] = {}
        """Of each batch its kind, and the issuing periods under which its codes were made."""

    def look(self, stored: StoredEvent) -> None:
        if stored.kind in (BatchIssued.kind, PhoneCodesIssued.kind):
            self._note_batch(stored)
        if stored.content is None or (day := stored.content[:_DAY_BYTES]) in self._seen:
            return
        self._seen.add(day)
        try:
            event = self._opener.event(stored)
        except Invalid as invalid:
            raise Refused(
                "keys_do_not_fit",
                f"event {stored.sequence} is sealed by another day key {int.from_bytes(day, 'big')} than the key"
                f" folder's ({invalid}): take the key folder of this deployment",
            ) from None
        if event.sealed:
            self._refuse_lost(Day(int.from_bytes(day, "big")))
        if event.content is not None and event.content.batch:
            self._refuse_other_secret(stored, event.content)

    def _note_batch(self, stored: StoredEvent) -> None:
        body = decode_body(stored.kind, stored.body)
        match body:
            case BatchIssued():
                self._periods[body.batch] = CodeKind(body.code_kind), {body.issuing_period}
            case PhoneCodesIssued():
                _, periods = self._periods.setdefault(body.batch, (CodeKind.PHONE, set()))
                periods.add(body.issuing_period)

    def _refuse_lost(self, day: Day) -> None:
        if self._today < day + KEPT_DAYS:
            raise Unavailable(
                f"the day key {day} is missing from the key folder, and what was reported that day is not to be erased"
                " yet: restore it from its backup"
            )

    def _refuse_other_secret(self, stored: StoredEvent, content: ReportContent) -> None:
        kind, periods = self._periods.get(content.batch, (CodeKind.CARD, set()))
        secrets = [secret for period in periods if (secret := self._keys.issuing_secret(period)) is not None]
        if not secrets or not any(claim[0] in CODE_CLAIMS for claim in stored.claims):
            return  # destroyed with the period's end; or a continuation, which spends no code
        claim_of = phone_claim if kind is CodeKind.PHONE else lambda *code: card_claim(code[0], kind, *code[1:])
        if not any(claim_of(secret, content.batch, content.serial) in stored.claims for secret in secrets):
            raise Refused(
                "keys_do_not_fit",
                f"the issuing secret of the key folder is not the one whose code event {stored.sequence} spent: used"
                " codes would be good once more. Take the key folder of this deployment",
            )
