"""Metrics, health and readiness: what they say on good and bad days, and that nothing of it is public."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.sites import Site
from tests.web.stubs import AwayCollector, BuggyCollector, FullCollector
from tests.web.wire import Reply, ask, request_bytes
from tocsin.client.calls import decoy_call
from tocsin.service.collect import Collector
from tocsin.service.operations import Operations
from tocsin.service.readiness import PROBE, Readiness, Reason
from tocsin.web.problems import PROBLEM_TYPE
from tocsin.web.server import running_operations


@contextmanager
def watched(site: Site, kind: type[Collector] = Collector, *, alive: bool = True) -> Iterator[tuple[int, Collector]]:
    """The port of the operations listener of `site`, and the collector that it asks."""
    collector = kind(site.performer)
    collector.start()
    readiness = Readiness(site.deployment, collector, lambda: alive)
    telemetry = site.performer.telemetry
    try:
        with running_operations(telemetry, readiness, site.deployment.clock, "127.0.0.1", 0) as url:
            yield int(url.rpartition(":")[2]), collector
    finally:
        collector.stop()


def get(port: int, path: str) -> Reply:
    return ask(port, request_bytes("GET", path))


def code(reply: Reply) -> str:
    assert reply.status == 503 and reply.headers["content-type"] == PROBLEM_TYPE
    return str(json.loads(reply.body)["code"])


def test_a_good_day(site: Site) -> None:
    before = site.deployment.journal.tip()
    with watched(site) as (port, _):
        assert get(port, "/health").status == get(port, "/ready").status == 200
        assert b"tocsin_calls_answered_total" in get(port, "/metrics").body
        assert get(port, "/").status == 404 and ask(port, request_bytes("POST", "/metrics")).status == 405
    after = site.deployment.journal.tip()
    assert (after.sequence, after.beats) == (before.sequence, before.beats + 1)  # it synced, and left no event


def test_the_probe_is_a_decoy_like_any_other() -> None:
    assert len(PROBE) == len(decoy_call()) and PROBE.strip() == decoy_call().strip()


@pytest.mark.parametrize(("kind", "reason"), [(FullCollector, Reason.NO_ROOM), (AwayCollector, Reason.JOURNAL)])
def test_no_call_can_be_taken(site: Site, kind: type[Collector], reason: Reason) -> None:
    with watched(site, kind) as (port, _):
        assert code(get(port, "/ready")) == reason.code and get(port, "/health").status == 200


def test_a_broken_journal(site: Site) -> None:
    site.performer.take_no_more("broken")
    with watched(site) as (port, _):
        assert code(get(port, "/ready")) == Reason.JOURNAL.code


def test_a_key_that_is_missing(site: Site) -> None:
    for key in (site.deployment.folders.keys / "days").iterdir():
        key.unlink()
    with watched(site) as (port, _):
        assert code(get(port, "/ready")) == Reason.DAY_KEY.code


def test_a_thread_that_is_gone_is_mended_by_a_restart(site: Site) -> None:
    with watched(site, alive=False) as (port, _):
        assert code(get(port, "/health")) == code(get(port, "/ready")) == Reason.THREAD_GONE.code
    with watched(site) as (port, collector):
        collector.stop()
        assert code(get(port, "/health")) == Reason.THREAD_GONE.code


def test_a_fault_says_nothing(site: Site) -> None:
    with watched(site, BuggyCollector) as (port, _):
        reply = get(port, "/ready")
    assert (reply.status, json.loads(reply.body)["code"]) == (500, "broken")


def test_the_public_address_answers_nothing_of_it(port: int) -> None:
    """V13.4.5."""
    assert [get(port, path).status for path in ("/metrics", "/health", "/ready", "/healthz")] == [404] * 4


@pytest.mark.parametrize("listen", ["127.0.0.1:9787", "[::1]:9787", "localhost:0", "127.8.8.8:1"])
def test_addresses_of_this_machine(listen: str) -> None:
    assert Operations(listen=listen).address[1] in (9787, 0, 1)


@pytest.mark.parametrize("listen", ["0.0.0.0:9787", "[::]:9787", "192.0.2.1:1", "tocsin.example:1"])
def test_an_address_that_others_reach_must_be_meant(listen: str) -> None:
    with pytest.raises(ValueError, match="beyond_loopback = true"):
        Operations(listen=listen)
    assert Operations(listen=listen, beyond_loopback=True).address


@pytest.mark.parametrize(
    "listen", ["9787", ":9787", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x", "127.0.0.1:\u0661"]
)
def test_what_is_no_address_is_refused_whatever_is_meant(listen: str) -> None:
    for beyond in (False, True):
        with pytest.raises(ValueError, match="ADDRESS:PORT"):
            Operations(listen=listen, beyond_loopback=beyond)


def test_a_log_format_that_is_none() -> None:
    with pytest.raises(ValueError, match="log_format"):
        Operations(log_format="xml")
