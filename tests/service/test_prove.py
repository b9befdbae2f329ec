"""The proof beside a running server: an index that has lost a claim is found, and no call is taken any more."""

import sqlite3
import threading
from contextlib import closing

import pytest

from tests.service.journals import Meddled
from tests.sites import Site, report
from tocsin.journal.encoding import StoredEvent
from tocsin.journal.port import PAGE_EVENTS, Broken, Tip
from tocsin.journal.verify import verify
from tocsin.model.claims import Claim
from tocsin.model.errors import Invalid, Unavailable
from tocsin.service.prove import Prover


def test_a_whole_journal_says_nothing(site: Site) -> None:
    found: list[Invalid] = []
    site.report("ada", 0)
    prover = Prover(site.deployment.journal, found.append)
    prover.start()
    prover._thread.join()
    prover.stop()
    assert found == []


def test_a_lost_claim_closes_the_door_before_a_code_is_used_twice(site: Site) -> None:
    site.report("ada", 0)
    with closing(sqlite3.connect(site.deployment.folders.journal)) as shell:
        shell.execute("DELETE FROM claim WHERE sequence = 5 AND substr(claim, 1, 1) = x'03'")
        shell.commit()
    found: list[Invalid] = []

    def close(broken: Invalid) -> None:
        found.append(broken)
        site.performer.take_no_more(str(broken))

    prover = Prover(site.deployment.journal, close)
    prover.start()
    prover._thread.join()
    [broken] = found
    assert isinstance(broken, Broken) and (broken.sequence, broken.proven) == (5, 5)
    with pytest.raises(Unavailable, match="restore the newest copy"):
        site.answer(report("bob", site.cards[0], 1, site.clock.now()).body)


def test_a_server_that_stops_does_not_wait_for_the_proof(site: Site) -> None:
    reads = threading.Event()

    class Endless:
        """A journal that never comes to an end."""

        def tip(self) -> Tip:
            return site.deployment.journal.tip()

        def holders(self, claims: list[Claim]) -> list[int | None]:
            return site.deployment.journal.holders(claims)

        def claim_rows(self, after: Claim, limit: int) -> list[tuple[Claim, int]]:
            reads.set()
            return [(Claim(b"0" * 33), 1)]

        def read(self, after: int, limit: int = PAGE_EVENTS) -> list[StoredEvent]:
            return site.deployment.journal.read(after, limit)

    found: list[Invalid] = []
    prover = Prover(Endless(), found.append)
    prover.start()
    assert reads.wait(30)
    prover.stop()
    assert found == []
    assert verify(site.deployment.journal).sequence == site.deployment.journal.tip().sequence


def test_a_proof_that_broke_off_is_begun_anew(site: Site) -> None:
    """The journal was away, or the machine had no memory left: nothing was proven by that."""
    site.report("ada", 0)
    with closing(sqlite3.connect(site.deployment.folders.journal)) as shell:
        shell.execute("DELETE FROM claim WHERE sequence = 5 AND substr(claim, 1, 1) = x'03'")
        shell.commit()

    class Away(Meddled):
        """Away when it is first asked."""

        times = 0

        def tip(self) -> Tip:
            self.times += 1
            if self.times == 1:
                raise Unavailable("The machine has no memory left.")
            return super().tip()

    found: list[Invalid] = []
    prover = Prover(Away(site.deployment.journal), found.append, retry_seconds=0)
    prover.start()
    prover._thread.join()
    assert len(found) == 1
