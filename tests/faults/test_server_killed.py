"""`tocsin serve`, killed in mid-load again and again: what it acknowledged is there, once, and the chain is whole."""

from pathlib import Path

import pytest

from tests.faults.kills import VICTIMS, Run
from tests.faults.servers import Load, Server
from tests.sites import FixedClock, Site, by, cards_of, report
from tocsin.formats.wire import decode_call
from tocsin.journal.verify import verify
from tocsin.model.calls import ReportCall
from tocsin.model.claims import report_id
from tocsin.rules.issuance import BatchRequest, activate_batch, issue_batch
from tocsin.service.clock import SystemClock
from tocsin.service.deployment import Deployment

KILLS = 20
ACKNOWLEDGED_PER_LIFE = 60
"""Acknowledged reports after which the server is killed: far into a load that goes on."""
CARDS = 2048


@pytest.mark.faults
def test_kill_9_of_the_server_in_mid_load(tmp_path: Path) -> None:
    """Twenty times: every acknowledged report is there, no claim twice, the chain whole."""
    top = tmp_path / "site"
    clock = FixedClock(SystemClock().now())
    site = Site(top, clock, cards=CARDS)
    request = BatchRequest(provider=1, count=CARDS, issuing_period=1)
    policy = site.deployment.settings.policy
    site.performer.act(lambda ledger, now: issue_batch(ledger, request, policy, now, by("issue 2")))
    site.performer.act(lambda ledger, now: activate_batch(ledger, 2, now, by("activate 2")))
    cards = [*site.cards, *cards_of(site.deployment, 2, CARDS)]
    site.deployment.close()

    pending = [report(f"phone {number}", card, 2, clock.now()) for number, card in enumerate(cards)]
    load = Load([each.body for each in pending])
    for life in range(KILLS):
        server = Server.real(top, tmp_path / str(life))
        threads = load.run(server.port, ACKNOWLEDGED_PER_LIFE)
        alive = any(thread.is_alive() for thread in threads)
        server.kill()
        for thread in threads:
            thread.join()
        assert alive, f"life {life}: the load was over before the kill"
    assert len(load.taken) >= KILLS * ACKNOWLEDGED_PER_LIFE
    assert load.other == [], "a repeated call was answered otherwise than the first would have been"
    _check(top, [body for body, _ in load.taken])


def _check(top: Path, taken: list[bytes]) -> None:
    deployment = Deployment(top, SystemClock())
    verify(deployment.journal)
    performer = deployment.performer()
    performer.catch_up()
    ledger = performer.ledger
    for body in taken:
        call = decode_call(body)
        assert isinstance(call, ReportCall)
        assert report_id(call.tracking_id) in ledger.report_by_id, "an acknowledged report is lost"
    used = list(zip(ledger.reports["batch"].tolist(), ledger.reports["serial"].tolist(), strict=True))
    assert len(used) == len(set(used)), "a card was used twice"
    deployment.close()


@pytest.mark.faults
def test_everybody_is_killed_once(tmp_path: Path) -> None:
    """One of each kind of kills, of which `make test-kills` does 200."""
    run = Run(tmp_path, len(VICTIMS), seed=1)
    for victim in VICTIMS:
        run.kill(victim)
    run.finish()
