"""``kill -9`` at each step of keeping and delivering: nothing acknowledged is lost, all is stored once and in order."""

import signal
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.servers import ROOT
from tests.faults.spool_killed import AFTER_KEPT, DELIVERING, KEEPING, NOWHERE, command
from tests.sites import FixedClock, Site, drawn, report
from tocsin.client.calls import withdraw_call
from tocsin.journal.encoding import decode_body
from tocsin.journal.verify import verify
from tocsin.model import base64url
from tocsin.model.calls import TrackingId
from tocsin.model.claims import report_id
from tocsin.model.events import Declined, Reported, Withdrawn
from tocsin.model.labels import labelled_hash
from tocsin.service.deployment import Deployment

pytestmark = pytest.mark.faults
PHONES = ("ada", "bob", "carl")


def run(*given: object) -> tuple[int, list[str]]:
    """How the process ended, and what it said."""
    done = subprocess.run(
        command(*given),  # type: ignore[arg-type]
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, done.stdout.split()


@pytest.mark.parametrize("place", [*KEEPING, *DELIVERING])
def test_killed(tmp_path: Path, place: str) -> None:
    """Three reports and a withdrawal are kept; somebody else has used bob's card meanwhile. Then each is repeated."""
    site = Site(tmp_path / "site", FixedClock())
    calls = []
    for serial, name in enumerate(PHONES):
        calls.append(tmp_path / name)
        calls[-1].write_bytes(report(name, site.cards[serial], 2, site.clock.at).body)
    calls.append(tmp_path / "withdrawal")
    calls[-1].write_bytes(withdraw_call(drawn("ada w")))
    if place in KEEPING:
        assert run(site.top, place, "keep", calls) == (-signal.SIGKILL, [])
        with closing(site.deployment.spool()) as spool:
            assert spool.records() == (4 if place == AFTER_KEPT else 0)
    assert run(site.top, NOWHERE, "keep", calls) == (0, ["provisional"] * 4)
    site.report("thief", 1)
    if place in DELIVERING:
        assert run(site.top, place, "deliver") == (-signal.SIGKILL, [])
    repeated = run(site.top, NOWHERE, "deliver", calls)
    assert repeated == (0, ["taken", "code_spent", "taken", "withdrawn"])
    with closing(Deployment(site.top, site.clock)) as deployment:
        verify(deployment.journal)
        bodies = [decode_body(event.kind, event.body) for event in deployment.journal.read(0)]
        stored = [body for body in bodies if isinstance(body, Reported | Declined | Withdrawn)]
        assert [body.kind for body in stored] == ["reported", "reported", "declined", "reported", "withdrawn"]
        ids = [body.id for body in stored if isinstance(body, Reported | Declined)]
        assert ids[1:] == [id_of(name) for name in PHONES]
        with closing(deployment.spool()) as spool:
            assert spool.records() == 0
    site.deployment.close()


def id_of(name: str) -> str:
    return base64url.encode(report_id(TrackingId(labelled_hash("tracking", drawn(f"{name} w")))))
