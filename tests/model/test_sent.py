"""The digest of a report as sent, against ``docs/formats/call.md``, *sent*."""

import json
from typing import Any

import pytest

from tests.vectors import make
from tocsin.formats.wire import decode_call
from tocsin.model.calls import ContinueCall, ContinueId, ReportCall, SentKey, TrackingId
from tocsin.model.sent import sent_digest

VECTORS: list[dict[str, Any]] = json.loads(make.path_of("call").read_text(encoding="ascii"))["sent"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in VECTORS])
def test_vectors(case: dict[str, Any]) -> None:
    call = decode_call(case["start"].encode().ljust(4096))
    assert isinstance(call, ReportCall | ContinueCall)
    assert sent_digest(call, case["kind"], case["batch"], case["serial"]).hex() == case["sent"]


def test_every_field_but_code_and_tracking_id_tells() -> None:
    """The code stands in it by kind, batch and serial; the tracking ID is what the digest is looked up by."""

    def digest(
        continue_id: bytes = bytes(32),
        keys: tuple[SentKey, ...] = (),
        onset_day: int | None = None,
        code: int = 0,
        test_day: int | None = None,
    ) -> bytes:
        call = ReportCall(TrackingId(bytes(32)), ContinueId(continue_id), keys, None, onset_day, test_day)
        return sent_digest(call, code, code, code)

    one, other = SentKey(b"ab", 1, 2), SentKey(b"a", 1, 2)
    digests = [
        digest(),
        digest(continue_id=b"\1" * 32),
        digest(onset_day=0),
        digest(onset_day=-1),
        digest(test_day=0),
        digest(test_day=-1),
        digest(onset_day=-1, test_day=-1),
        digest(code=12),
        digest(keys=(one,)),
        digest(keys=(other,)),
        digest(keys=(one, other)),
        digest(keys=(other, one)),
        digest(keys=(SentKey(b"ab", 2, 1),)),
    ]
    assert len(set(digests)) == len(digests)
