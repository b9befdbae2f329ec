"""Whatever fails, and whenever: what was acknowledged is stored, once, in the order in which it came."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service.test_keep import PROVISIONAL, TAKEN, Server
from tests.sites import FixedClock, Site, drawn
from tocsin.client.calls import withdraw_call
from tocsin.journal.encoding import decode_body
from tocsin.journal.verify import verify
from tocsin.model import base64url
from tocsin.model.calls import TrackingId, Verdict
from tocsin.model.claims import report_id
from tocsin.model.errors import Unavailable
from tocsin.model.events import Reported, Withdrawn
from tocsin.model.labels import labelled_hash
from tocsin.service.deployment import Deployment
from tocsin.stores.spool import Spool

PHONES = 6
EXAMPLES = 25


class Crash(BaseException):
    """The process is gone."""


class Crashing(Spool):
    """A spool whose process may be gone before or after a removal is durable."""

    crash = ""

    def remove(self, numbers: Sequence[int]) -> None:
        crash, self.crash = self.crash, ""
        if crash == "before removal":
            raise Crash
        super().remove(numbers)
        if crash == "after removal":
            raise Crash


class Founded(NamedTuple):
    folder: Path
    cards: list[str]


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    folder = tmp_path_factory.mktemp("founded")
    site = Site(folder / "site", FixedClock(), cards=PHONES)
    site.deployment.close()
    return Founded(folder, site.cards)


class CopiedSite(Site):
    """A copy of a site that was founded before: founding takes a while."""

    def __init__(self, top: Path, cards: list[str]) -> None:
        self.top, self.clock, self.cards = top, FixedClock(), cards
        self.deployment = Deployment(top, self.clock)
        self.performer = self.deployment.performer()


@contextmanager
def server_of(founded: Founded) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(dir=founded.folder) as folder:
        shutil.copytree(founded.folder / "site", Path(folder) / "site")
        site = CopiedSite(Path(folder) / "site", founded.cards)
        server = Server(site, Path(folder) / "spool.sqlite")
        server.spool = Crashing(Path(folder) / "spool.sqlite")
        server.start()
        yield server
        server.spool.close()
        site.deployment.close()


EVENTS: st.SearchStrategy[tuple[str, list[int]]] = st.one_of(
    st.tuples(st.just("report"), st.lists(st.integers(0, PHONES - 1), min_size=1, max_size=4)),
    st.tuples(st.just("withdraw"), st.lists(st.integers(0, PHONES - 1), min_size=1, max_size=2)),
    st.tuples(st.sampled_from(["away", "back", "lost", "stored", "before removal", "after removal"]), st.just([])),
)


@settings(max_examples=EXAMPLES)
@given(st.lists(EVENTS, max_size=14))
def test_order_and_once(founded: Founded, events: list[tuple[str, list[int]]]) -> None:
    """Case 51. Phone n has card n: all of it is taken in the end, and nobody is told another thing on the way."""
    acknowledged: list[int] = []
    with server_of(founded) as server:
        for what, phones in events:
            happen(server, what, phones, acknowledged)
        server.journal.failing.clear()
        server.spool.crash = ""  # type: ignore[attr-defined]
        server.back()
        server.back()
        assert server.spool.records() == 0
        verify(server.site.deployment.journal)
        bodies = [decode_body(event.kind, event.body) for event in server.site.deployment.journal.read(0)]
        stored = [body.id for body in bodies if isinstance(body, Reported)]
        assert stored == [id_of(phone) for phone in acknowledged]
        assert all(server.say(server.call(f"phone {phone}", phone)) == [TAKEN] for phone in acknowledged)
        withdrawals = [body.report for body in bodies if isinstance(body, Withdrawn)]
        assert len(withdrawals) == len(set(withdrawals))


def happen(server: Server, what: str, phones: list[int], acknowledged: list[int]) -> None:
    """One thing of what can happen. Whoever is not answered comes again at once, as a phone does in the end."""
    if what == "away":
        server.cut_off()
    elif what == "back":
        server.journal.is_away = False
        server.reach.look()
    elif what in ("lost", "stored"):
        server.journal.failing.append(what)
    elif what in ("before removal", "after removal"):
        server.spool.crash = what  # type: ignore[attr-defined]
    else:
        bodies = [
            server.call(f"phone {n}", n) if what == "report" else withdraw_call(drawn(f"phone {n} w")) for n in phones
        ]
        for verdict, phone in zip(told(server, bodies), phones, strict=True):
            if what == "report":
                assert verdict in (TAKEN, PROVISIONAL)
                if phone not in acknowledged:
                    acknowledged.append(phone)
            elif phone not in acknowledged:
                assert verdict is Verdict.UNKNOWN
            else:
                assert verdict in (PROVISIONAL, Verdict.WITHDRAWN)


def told(server: Server, bodies: list[bytes]) -> list[Verdict]:
    """What the calls are told, by the server that is there after a crash."""
    try:
        return server.say(*bodies)
    except Crash:
        server.journal.is_away = False  # a server starts with its journal in reach
        server.journal.failing.clear()
        server.start()
        return told(server, bodies)
    except Unavailable:  # the clock was held against a journal that is away, at the start
        server.journal.is_away = False
        return told(server, bodies)


def id_of(phone: int) -> str:
    return base64url.encode(report_id(TrackingId(labelled_hash("tracking", drawn(f"phone {phone} w")))))
