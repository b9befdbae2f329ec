"""Claims against ``tests/vectors/events.json``, whose generator restates the page ``docs/formats/events.md``."""

import json
from typing import Any

from tests.vectors import make
from tocsin.model.calls import ContinueId, TrackingId
from tocsin.model.claims import (
    CLAIM_BYTES,
    batch_claim,
    continuation_claim,
    continuation_id,
    continue_claim,
    report_id,
    request_claim,
    tracking_claim,
    version_claim,
    withdrawal_claim,
)
from tocsin.model.labels import labelled_hash

VECTORS: dict[str, Any] = json.loads(make.path_of("events").read_text(encoding="ascii"))
REPORT = report_id(TrackingId(labelled_hash("tracking", b"w" * 32)))


def claims_of(kind: str) -> list[bytes]:
    """The claims of the first event of that kind."""
    row = next(row for row in VECTORS["journal"] if row["kind"] == kind)
    return [bytes.fromhex(claim) for claim in row["claims"]]


def test_a_report_claims_its_own_id_and_its_continuation() -> None:
    continue_id = ContinueId(labelled_hash("continue", b"c" * 32))
    assert bytes.fromhex(VECTORS["report_id"]) == REPORT
    assert claims_of("reported")[::2] == [tracking_claim(REPORT), continue_claim(continue_id)]


def test_a_continuation_claims_what_it_uses_up_and_the_next_one() -> None:
    spent, following = (ContinueId(labelled_hash("continue", letter * 32)) for letter in (b"c", b"C"))
    assert claims_of("continued") == [continue_claim(following), continuation_claim(continuation_id(spent))]


def test_a_withdrawal_claims_its_report() -> None:
    assert claims_of("withdrawn") == [withdrawal_claim(REPORT)]


def test_an_act_claims_its_request_and_a_batch_its_number() -> None:
    assert claims_of("provider_added") == [request_claim(b"\1" * 16)]
    assert claims_of("batch_issued") == [request_claim(b"\2" * 16), batch_claim(4711)]


def test_a_publication_claims_its_version() -> None:
    assert claims_of("published") == [version_claim(1)]
    assert len(version_claim(2**64 - 1)) == CLAIM_BYTES
