"""The apps' call and its answer against the vectors of ``docs/formats/call.md``, a second parser, and the schemas.

Cases 55 to 57 of the list of faults: each field absent, null, empty and of another type; template syntax as data;
truncated, deep and strange JSON. Each is `Invalid` with a fixed sentence, never another exception.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from msgspec.structs import replace

from tests.vectors import make
from tocsin.formats import wire
from tocsin.model.calls import (
    Answer,
    Call,
    ContinueCall,
    ContinueId,
    DecoyCall,
    KeyVerdict,
    ReportCall,
    SentKey,
    TrackCall,
    TrackingId,
    UnsupportedCall,
    Verdict,
    WithdrawCall,
)
from tocsin.model.errors import Invalid

VECTORS: dict[str, Any] = json.loads(make.path_of("call").read_text(encoding="ascii"))
NOT_FOR_A_SCHEMA = {"onset_day 1.0", "onset_day 1e0", "key_data 'AAAA\\n'"}
"""1.0 is 1 to a schema, and the `$` of Python's `re`, though not of ECMA-262, lets a final line feed pass."""


def named(cases: list[dict[str, Any]]) -> Any:
    return [pytest.param(case, id=case.get("name", case.get("start"))) for case in cases]


def body_of(case: dict[str, Any], length: int) -> bytes:
    start = bytes.fromhex(case["start_hex"]) if "start_hex" in case else case["start"].encode()
    return bytes(start.ljust(case.get("length", length)))


def call_of(fields: dict[str, Any]) -> Call:
    """The call that a vector expects."""
    act = fields["act"]
    if act in ("report", "continue"):
        keys = tuple(
            SentKey(bytes.fromhex(k["key_data"]), k["rolling_start_interval_number"], k["rolling_period"])
            for k in fields["keys"]
        )
        following = ContinueId(bytes.fromhex(fields["continue_id"]))
        said = (following, keys, fields.get("code"), fields.get("onset_day"), fields.get("test_day"))
        if act == "continue":
            return ContinueCall(bytes.fromhex(fields["continuation_secret"]), *said)
        return ReportCall(TrackingId(bytes.fromhex(fields["tracking_id"])), *said)
    if act == "track":
        return TrackCall(TrackingId(bytes.fromhex(fields["tracking_id"])))
    if act == "withdraw":
        return WithdrawCall(bytes.fromhex(fields["withdrawal_secret"]))
    return DecoyCall() if act == "decoy" else UnsupportedCall()


def schema_takes(schema: dict[str, Any], value: Any) -> bool:
    valid: bool = Draft202012Validator(schema).is_valid(value)
    return valid


@pytest.mark.parametrize("case", named(VECTORS["calls"]["good"]))
def test_good_bodies_hold_their_call(case: dict[str, Any]) -> None:  # C1
    body = body_of(case, 4096)
    assert len(body) == VECTORS["request_bytes"] == wire.REQUEST_BYTES
    assert wire.decode_call(body) == call_of(case["call"])


@pytest.mark.parametrize("case", named(VECTORS["calls"]["bad"]))
def test_bad_bodies_are_invalid(case: dict[str, Any]) -> None:  # C1
    with pytest.raises(Invalid):
        wire.decode_call(body_of(case, 4096))


@pytest.mark.parametrize("case", named(VECTORS["calls"]["good"]))
def test_the_schema_takes_every_good_call(case: dict[str, Any]) -> None:
    assert schema_takes(wire.request_schema(), json.loads(case["start"]))


@pytest.mark.parametrize("case", named(VECTORS["calls"]["bad"]))
def test_the_schema_refuses_what_it_can_speak_of(case: dict[str, Any]) -> None:
    """All bad bodies that are one JSON object whose names stand once, padded with spaces to the right length."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    start = case.get("start", "")
    try:
        value = json.loads(start, object_pairs_hook=once, parse_constant=float.fromhex)
    except (ValueError, RecursionError):
        return
    framed = start.startswith("{") and start.endswith("}") and "length" not in case
    if not framed or "surrogate" in case["name"] or case["name"] in NOT_FOR_A_SCHEMA:
        return
    assert not schema_takes(wire.request_schema(), value)


def test_the_schemas_are_schemas_and_stand_alone() -> None:
    for schema in (wire.request_schema(), wire.answer_schema()):
        Draft202012Validator.check_schema(schema)
        assert "$ref" not in json.dumps(schema)
        assert schema["additionalProperties"] is False


@pytest.mark.parametrize("text", ["AA" * 16, "A" * 43, "A" * 42 + "B", "A" * 43 + "=", "A" * 42 + "\n", ""])
def test_schema_and_decoder_agree_on_identifiers(text: str) -> None:
    call = {"act": "track", "tracking_id": text}
    assert schema_takes(wire.request_schema(), call) == decodes(json.dumps(call).encode())


def decodes(start: bytes) -> bool:
    try:
        wire.decode_call(start.ljust(4096))
    except Invalid:
        return False
    return True


ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
NUMBERS = st.integers(0, 2**32 - 1)
KEYS = st.lists(st.builds(SentKey, st.binary(max_size=20), NUMBERS, NUMBERS), max_size=30).map(tuple)
IDS = st.binary(min_size=32, max_size=32)
CALLS = st.one_of(
    st.builds(ReportCall, IDS, IDS, KEYS, st.none() | ANY_TEXT, st.none() | st.integers(1 - 2**31, 2**31 - 1)),
    st.builds(TrackCall, IDS),
    st.builds(WithdrawCall, IDS),
    st.just(DecoyCall()),
)


@given(call=CALLS)
def test_decoding_what_was_encoded_gives_the_call_and_two_parsers_agree(call: Any) -> None:
    body = wire.encode_call(call)
    assert len(body) == 4096
    assert wire.decode_call(body) == call
    start = body.rstrip(b" ")
    assert b"\n" not in start and schema_takes(wire.request_schema(), json.loads(start))
    assert json.dumps(json.loads(start), separators=(",", ":"), ensure_ascii=False).encode() == start


@given(st.binary(max_size=200))
def test_any_bytes_give_a_call_or_invalid(start: bytes) -> None:
    decodes(start)


FIELD_NAMES = st.sampled_from([*wire.CallObject.__struct_fields__, "tan"])
VALUES = st.recursive(
    st.sampled_from(
        ["", "report", "track", "withdraw", "decoy", "continue", "A" * 43, "A" * 22, 0, -1, 2**32, None, True]
    )
    | st.integers()
    | ANY_TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["key_data", "rolling_start_interval_number", "rolling_period", "x"]), inner)
    ),
    max_leaves=8,
)


@given(fields=st.dictionaries(FIELD_NAMES, VALUES))
def test_schema_and_decoder_say_the_same_of_any_object(fields: dict[str, Any]) -> None:
    start = json.dumps(fields).encode()
    assert decodes(start) == schema_takes(wire.request_schema(), fields) or len(start) > 4096


@given(CALLS.map(wire.encode_call), st.data())
def test_one_byte_changed_gives_a_call_or_invalid(body: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(body.rstrip(b" "))))
    decodes((body[:place] + data.draw(st.binary(min_size=1, max_size=1)) + body[place + 1 :]).rstrip(b" "))


def test_a_refusal_echoes_nothing() -> None:
    for case in VECTORS["calls"]["bad"]:
        with pytest.raises(Invalid) as refusal:
            wire.decode_call(body_of(case, 4096))
        assert str(refusal.value) in FIXED_SENTENCES
        assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


FIXED_SENTENCES = {
    "a field that this act needs is missing, or one that it does not have was sent",
    "a name stands twice in an object",
    "not 32 bytes",
    "not 4096 bytes",
    "not base64url",
    "not canonical base64url",
    "not one JSON object and then spaces",
    "not the JSON object that is wanted here",
}


def test_thirty_keys_fit_and_too_many_are_refused() -> None:
    key = SentKey(bytes(16), 2**32 - 1, 2**32 - 1)
    assert (
        len(wire.encode_call(ReportCall(TrackingId(bytes(32)), ContinueId(bytes(32)), (key,) * 30, "C" * 24))) == 4096
    )
    one_too_many = ReportCall(TrackingId(bytes(32)), ContinueId(bytes(32)), (replace(key, rolling_period=144),) * 31)
    assert wire.decode_call(wire.encode_call(one_too_many)) == one_too_many, "it is a rule that says no (C8)"
    with pytest.raises(Invalid, match="fit"):
        wire.encode_call(ReportCall(TrackingId(bytes(32)), ContinueId(bytes(32)), (key,) * 60))


def test_a_call_may_fill_its_bytes_to_the_last() -> None:
    """The code is as long as it is; only the whole is measured."""

    def padding(code: str) -> int:
        body = wire.encode_call(ReportCall(TrackingId(bytes(32)), ContinueId(bytes(32)), (), code))
        return len(body) - len(body.rstrip(b" "))

    room = padding("C")
    assert padding("C" * (room + 1)) == 0
    with pytest.raises(Invalid, match="fit"):
        padding("C" * (room + 2))


@pytest.mark.parametrize("end", [b"X", b"x", b"\0", b"\n", b"{}", b","])
def test_nothing_but_spaces_follows_the_object(end: bytes) -> None:
    assert not decodes(b'{"act":"decoy"}' + end)
    assert not decodes(b'{"act":"decoy"}'.ljust(4096 - len(end)) + end)


def test_a_code_that_is_no_text_cannot_be_sent() -> None:
    with pytest.raises(Invalid, match="surrogate"):
        wire.encode_call(ReportCall(TrackingId(bytes(32)), ContinueId(bytes(32)), (), "\ud800"))


@pytest.mark.parametrize("case", named(VECTORS["answers"]["good"]))
def test_good_answers(case: dict[str, Any]) -> None:
    padded = body_of(case, 1024)
    fields = case["answer"]
    answer = Answer(Verdict(fields["verdict"]), tuple(KeyVerdict(key) for key in fields["keys"]))
    assert wire.encode_answer(answer) == padded
    assert wire.decode_answer(padded) == answer
    assert schema_takes(wire.answer_schema(), fields)


@pytest.mark.parametrize("case", named(VECTORS["answers"]["bad"]))
def test_bad_answers(case: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        wire.decode_answer(body_of(case, 1024))
    if case["start"].count('"verdict"') == 1 and "length" not in case and case["start"].endswith("}"):
        assert not schema_takes(wire.answer_schema(), json.loads(case["start"]))


def test_every_verdict_has_its_vector() -> None:
    assert {case["answer"]["verdict"] for case in VECTORS["answers"]["good"]} == set(Verdict)
    assert {key for case in VECTORS["answers"]["good"] for key in case["answer"]["keys"]} == set(KeyVerdict)


def test_an_answer_that_does_not_fit_is_refused() -> None:
    with pytest.raises(Invalid, match="fit"):
        wire.encode_answer(Answer(Verdict.TAKEN, (KeyVerdict.BAD_PERIOD,) * 100))
