"""Requirements drawn from faults of other services that the rules decide, by their numbers (``docs/cases.md``)."""

from msgspec.structs import replace

from tests.builders import NOON, Story, day_key, key, report_call
from tocsin.model.calls import KeyVerdict, SentKey, Verdict
from tocsin.model.claims import batch_claim, request_claim, version_claim
from tocsin.model.keys import KeyKind
from tocsin.model.sent import sent_digest


def test_one_report_counts_as_one() -> None:
    """Case 19: the count right after one report is one."""
    story = Story()
    batch = story.batch()
    story.report("ada", [day_key("a", 1), day_key("b", 2)], story.card(batch, 0))
    assert story.ledger.reports.count == 1


def test_joined_fields_that_are_equal_lead_to_different_bytes() -> None:
    """Case 42: "1" + "23" and "12" + "3" are not the same call, nor the same claim."""
    call = report_call("ada", [SentKey(b"\x01", 0x02030000, 0), SentKey(b"", 0, 0)])
    other = replace(call, keys=(SentKey(b"\x01\x02", 0x03000000, 0), SentKey(b"", 0, 0)))
    assert sent_digest(call, 12, 1, 23) != sent_digest(other, 12, 1, 23)
    assert sent_digest(call, 12, 1, 23) != sent_digest(call, 12, 12, 3)
    claims = {version_claim(1), batch_claim(1), request_claim((1).to_bytes(16, "big"))}
    assert len(claims) == 3


def test_in_any_order_exactly_the_keys_that_fail_are_named() -> None:
    """Case 44: keys come in random order, the second and the fifth fail, and just these are named, by position."""
    story = Story()
    batch = story.batch()
    good = [day_key(name, days_ago) for name, days_ago in (("a", 3), ("b", 1), ("c", 4))]
    future = key("f", NOON // 600 + 144)
    sent = [good[0], SentKey(b"short", good[1].rolling_start_interval_number, 144), good[1], good[2], future]
    answer = story.send(report_call("ada", sent), story.card(batch, 0))
    assert answer.verdict is Verdict.TAKEN
    assert answer.keys == (
        KeyVerdict.TAKEN,
        KeyVerdict.BAD_LENGTH,
        KeyVerdict.TAKEN,
        KeyVerdict.TAKEN,
        KeyVerdict.FUTURE,
    )
    assert {record["key_data"].tobytes() for record in story.ledger.keys[KeyKind.GAEN]["record"]} == {
        k.key_data for k in good
    }
