"""The vectors of calls and receipts, said to a real server over HTTP: each answer is these very bytes."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.sites import PROMPT, FixedClock, by
from tocsin.client.calls import continue_id, tracking_id
from tocsin.formats.wire import decode_call
from tocsin.model.calls import ReportCall
from tocsin.model.claims import report_id
from tocsin.model.code_reading import CodeKind
from tocsin.model.events import Target
from tocsin.model.sent import sent_digest
from tocsin.model.times import QUARTER_SECONDS
from tocsin.rules import corrections, issuance
from tocsin.service.deployment import Deployment
from tocsin.service.founding import found
from tocsin.service.perform import Performer
from tocsin.service.settings import Settings
from tocsin.web.server import running_server

_VECTORS: Final = Path(__file__).resolve().parents[1] / "vectors" / "receipts.json"
RECEIPTS: Final[dict[str, Any]] = json.loads(_VECTORS.read_text(encoding="ascii"))


def _issue(performer: Performer, batch: dict[str, Any], now: int) -> None:
    quarter = now // QUARTER_SECONDS
    request = issuance.BatchRequest(
        provider=1,
        count=batch["count"],
        issuing_period=1,
        code_kind=CodeKind(batch["kind"]),
        valid_until=quarter + 1 if batch["state"] == "expired" else None,
    )
    number, state = batch["batch"], batch["state"]
    performer.act(lambda ledger, at: issuance.issue_batch(ledger, request, PROMPT, at, by(f"issue {number}")))
    if state != "dormant":
        performer.act(lambda ledger, at: issuance.activate_batch(ledger, number, at, by(f"activate {number}")))
    if state == "cut off":
        target = Target(batch=number)
        performer.act(lambda ledger, at: corrections.revoke(ledger, target, None, at, by(f"revoke {number}")))


@pytest.fixture
def http(tmp_path: Path) -> Iterator[httpx.Client]:
    """A server as the vectors want it."""
    clock = FixedClock(RECEIPTS["received_at"] - QUARTER_SECONDS)
    folders = found(
        tmp_path / "site",
        Settings(
            region="utopia",
            origin="tocsin.example/utopia",
            base_url="http://127.0.0.1:8787",
            single_machine=True,
            policy=PROMPT,
        ),
        clock,
    )
    (folders.keys / "issuing-1").write_bytes(bytes.fromhex(RECEIPTS["issuing_secret"]))
    deployment = Deployment(folders.top, clock)
    performer = deployment.performer()
    performer.act(lambda ledger, now: issuance.add_provider(ledger, "St. Elsewhere", by("provider")))
    for batch in RECEIPTS["batches"]:
        _issue(performer, batch, clock.now())
    clock.wait(QUARTER_SECONDS)
    with (
        running_server(deployment, "127.0.0.1", 0, grid_seconds=0) as base_url,
        httpx.Client(base_url=base_url, headers={"content-type": "application/json"}) as client,
    ):
        yield client
    deployment.close()


def test_every_exchange_is_answered_with_these_bytes(http: httpx.Client) -> None:
    for exchange in RECEIPTS["exchanges"]:
        request = exchange["request"]["start"].encode().ljust(4096)
        assert hashlib.sha256(request).hexdigest() == exchange["request"]["sha256"]
        answer = http.post("/v1/reports", content=request)
        assert answer.content.rstrip(b" ").decode() == exchange["answer"]["start"], exchange["what"]
        assert hashlib.sha256(answer.content).hexdigest() == exchange["answer"]["sha256"]


def test_what_is_behind_a_report_is_what_the_code_makes_of_it() -> None:
    for exchange in RECEIPTS["exchanges"]:
        if (behind := exchange.get("behind")) is None:
            continue
        call = decode_call(exchange["request"]["start"].encode().ljust(4096))
        assert isinstance(call, ReportCall)
        assert call.tracking_id.hex() == behind["tracking_id"]
        assert tracking_id(bytes.fromhex(behind["withdrawal_secret"])).hex() == behind["tracking_id"]
        assert continue_id(bytes.fromhex(behind["continuation_secret"])).hex() == behind["continue_id"]
        assert report_id(call.tracking_id).hex() == behind["report_id"]
        code = behind["code"]
        assert sent_digest(call, code["kind"], code["batch"], code["serial"]).hex() == behind["sent"]
