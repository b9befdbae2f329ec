"""Two `tocsin serve` over one journal, the clock of one of them wrong: who is refused, who goes on, what both say."""

import re
from pathlib import Path

import pytest

from tests.faults.servers import Server, until
from tests.faults.test_processes_beside_each_other import set_clock
from tests.sites import MORNING, FixedClock, Site, drawn, report
from tocsin.client.calls import track_call
from tocsin.client.sync import sync
from tocsin.client.trust import parse_trust
from tocsin.formats.wire import decode_answer
from tocsin.journal.port import MAX_CLOCK_LAG_SECONDS
from tocsin.journal.verify import verify
from tocsin.model.calls import Verdict
from tocsin.model.keys import KeyKind
from tocsin.model.times import floor_quarter
from tocsin.publication.release import released
from tocsin.service.deployment import Deployment, head_verifier

MINUTE = 60
START = MORNING + 30 * MINUTE
"""When both servers start: neither is behind the founding then."""
MOMENTS = [9 * MINUTE + 30, 15 * MINUTE - 1, 15 * MINUTE, 15 * MINUTE + 30, 20 * MINUTE, 26 * MINUTE, 30 * MINUTE]
"""Seconds after the start: around the quarter-hours of either clock, and where one that is behind comes back in."""


@pytest.mark.faults
@pytest.mark.parametrize("skew", [sign * minutes * MINUTE for minutes in (4, 6, 20) for sign in (-1, 1)])
def test_two_servers_of_which_one_has_a_wrong_clock(tmp_path: Path, skew: int) -> None:
    """Cases 23, 30, 52: whoever is further than five minutes behind the journal is refused, and says why; the other
    goes on; each version is made once; a receipt and a report's state read the same at both."""
    top = tmp_path / "site"
    site = Site(top, FixedClock())
    set_clock(top, START)
    servers = {}
    for own in sorted((0, skew)):  # the one that is behind first: it would not start behind the other's stamps
        servers[own] = Server.seamed(top, tmp_path / str(own), own)
        assert servers[own].port
    here = Deployment(top, FixedClock())
    refused, taken = set(), 0
    for moment in MOMENTS:
        now = START + moment
        set_clock(top, now)
        tip = floor_quarter(now + max(0, skew))  # whoever is ahead stamps, and is never behind
        until("the version of the step", lambda at=tip: _newest_at(here) == at)
        for own, server in servers.items():
            name = f"phone {taken}"
            body = report(name, site.cards[taken], 2, now).body
            if now + own + MAX_CLOCK_LAG_SECONDS < tip:
                assert server.call(body) is None
                refused.add(own)
                continue
            receipt = server.call(body)
            assert receipt is not None and decode_answer(receipt).verdict is Verdict.TAKEN
            taken += 1
            for other, beside in servers.items():
                if now + other + MAX_CLOCK_LAG_SECONDS >= tip:
                    assert beside.call(body) == receipt
                    assert beside.verdict(track_call(drawn(f"{name} w"))) is Verdict.TAKEN
    assert refused == {-240: set(), 240: set(), -360: {-360}, 360: {0}, -1200: {-1200}, 1200: {0}}[skew]
    for server in servers.values():
        server.stop()
    for own, server in servers.items():
        told = re.findall(r"tocsin: (.*behind the journal.*set it right.*)", server.err)
        assert bool(told) is (own in refused), server.err
    out = sorted(version for server in servers.values() for version in server.versions)
    assert out == list(range(1, len(out) + 1)), "a version was put out twice, or never"
    verify(here.journal)
    bucket, trust = here.folders.bucket, parse_trust(here.folders.trust.read_bytes())
    state = sync(None, trust, START + MOMENTS[-1] + max(0, skew), lambda name, most: (bucket / name).read_bytes())
    assert state.version == out[-1] and len(state.keys[KeyKind.GAEN]) <= 2 * taken
    performer = here.performer()
    performer.catch_up()
    assert performer.ledger.reports.count == taken
    ats = [version.at for version in performer.ledger.versions]
    assert ats == sorted(set(ats))
    here.close()


def _newest_at(deployment: Deployment) -> int:
    """The instant of the newest version that is out; 0 if there is none."""
    out = released(deployment.bucket, head_verifier(deployment.settings, deployment.keys))
    return out.leaf.at if out.leaf else 0
