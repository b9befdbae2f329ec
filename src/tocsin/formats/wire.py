"""The apps' one call and its answer, as bytes: one JSON object, then spaces up to a fixed length.

Here a call is found to be well formed or `Invalid`; whether it is taken is for the rules to say. The page is
``docs/formats/call.md``. What each act needs and allows is read off the types of `tocsin.model.calls`, whose fields
have the names of the wire; the schemas are generated from the same structs that decode.
"""

import json
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from tocsin.model import base64url
from tocsin.model.calls import (
    ID_BYTES,
    Answer,
    Call,
    ContinueCall,
    DecoyCall,
    KeyVerdict,
    ReportCall,
    SentKey,
    TrackCall,
    UnsupportedCall,
    Verdict,
    WithdrawCall,
)
from tocsin.model.errors import Invalid

REQUEST_BYTES: Final = 4096
ANSWER_BYTES: Final = 1024

_T = TypeVar("_T")

# The patterns are for the schemas; `base64url.decode` is what checks, since `$` of `re` lets a final newline pass.
_Bytes = Annotated[
    str,
    Meta(
        description="A byte string in canonical, unpadded base64url.",
        extra_json_schema={
            "pattern": "^(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?$"
        },
    ),
]
_Bytes32 = Annotated[
    str,
    Meta(
        min_length=43,
        max_length=43,
        description="32 bytes in canonical, unpadded base64url.",
        extra_json_schema={"pattern": "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"},
    ),
]
_U32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
_Day = Annotated[int, Meta(ge=1 - 2**31, le=2**31 - 1, description="UTC days since 1970.")]


class DiagnosisKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A temporary exposure key as a phone sends it; whether its length and numbers will do is said per key."""

    key_data: _Bytes
    rolling_start_interval_number: _U32
    rolling_period: _U32


class CallObject(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The apps' call: one JSON object, then spaces up to exactly 4,096 bytes. A field without a value is left out."""

    act: str
    code: str | UnsetType = UNSET
    tracking_id: _Bytes32 | UnsetType = UNSET
    continue_id: _Bytes32 | UnsetType = UNSET
    withdrawal_secret: _Bytes32 | UnsetType = UNSET
    continuation_secret: _Bytes32 | UnsetType = UNSET
    onset_day: _Day | UnsetType = UNSET
    test_day: _Day | UnsetType = UNSET
    keys: tuple[DiagnosisKey, ...] | UnsetType = UNSET


class AnswerObject(Struct, frozen=True, forbid_unknown_fields=True):
    """The answer to a call: one JSON object, then spaces up to exactly 1,024 bytes."""

    verdict: Verdict
    keys: tuple[KeyVerdict, ...]


_Strict = type[ReportCall] | type[ContinueCall] | type[TrackCall] | type[WithdrawCall]
_STRICT_ACTS: Final[dict[str, _Strict]] = {
    "report": ReportCall,
    "continue": ContinueCall,
    "track": TrackCall,
    "withdraw": WithdrawCall,
}
"""The acts whose fields are those of their type: one without a default is needed, one that is not there is refused."""
_DECOY: Final = "decoy"
_VERDICTS_WITH_KEYS: Final = frozenset({Verdict.TAKEN, Verdict.NO_KEY_LEFT})


def decode_call(body: bytes) -> Call:
    """The call in the 4,096 bytes of `body`. Raises `Invalid`: the answer is then ``malformed``.

    >>> decode_call(b'{"act":"decoy"}'.ljust(4096))
    DecoyCall()
    """
    sent = _sent_fields(_decode_padded(body, REQUEST_BYTES, _CALL_DECODER))
    act = sent.pop("act")
    if act == _DECOY:
        return DecoyCall()
    call_type = _STRICT_ACTS.get(act)
    if call_type is None:
        return UnsupportedCall()
    needed, allowed = _NEEDED_AND_ALLOWED[act]
    if not needed <= sent.keys() <= allowed:
        raise Invalid("a field that this act needs is missing, or one that it does not have was sent")
    return call_type(**sent)


def encode_call(call: ReportCall | ContinueCall | TrackCall | WithdrawCall | DecoyCall) -> bytes:
    """The 4,096 bytes that a client posts. Raises `Invalid` if `call` does not fit (30 keys do) or is no Unicode text.

    >>> encode_call(DecoyCall()).rstrip()
    b'{"act":"decoy"}'
    """
    act = next((act for act, call_type in _STRICT_ACTS.items() if isinstance(call, call_type)), _DECOY)
    values = ((name, getattr(call, name)) for name in call.__struct_fields__)
    written = {name: _WRITERS.get(name, _same)(value) for name, value in values if value is not None}
    return _encode_padded(CallObject(act=act, **written), REQUEST_BYTES)


def decode_answer(padded: bytes) -> Answer:
    """The answer in these 1,024 bytes, or `Invalid`.

    >>> decode_answer(b'{"verdict":"noted","keys":[]}'.ljust(1024)).verdict
    <Verdict.NOTED: 'noted'>
    """
    fields = _decode_padded(padded, ANSWER_BYTES, _ANSWER_DECODER)
    if fields.keys and fields.verdict not in _VERDICTS_WITH_KEYS:
        raise Invalid("this verdict says nothing of single keys")
    return Answer(fields.verdict, fields.keys)


def encode_answer(answer: Answer) -> bytes:
    """The 1,024 bytes of an answer, whatever its verdict. Raises `Invalid` if it does not fit (30 keys do).

    >>> encode_answer(Answer(Verdict.TAKEN, (KeyVerdict.TAKEN,))).rstrip()
    b'{"verdict":"taken","keys":["taken"]}'
    """
    return _encode_padded(AnswerObject(answer.verdict, answer.keys), ANSWER_BYTES)


def request_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a call's object, self-contained: what it accepts, `decode_call` does, and no more.

    It can't speak of the padding, of names sent twice, and of 1.0 for 1 (the same number to a schema): all refused.
    """
    schema = _schema(CallObject)
    schema["allOf"] = [_act_schema(act, schema["properties"]) for act in _STRICT_ACTS]
    return schema


def answer_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of an answer's object, self-contained."""
    schema = _schema(AnswerObject)
    schema["if"] = {"properties": {"verdict": {"enum": sorted(set(Verdict) - _VERDICTS_WITH_KEYS)}}}
    schema["then"] = {"properties": {"keys": {"maxItems": 0}}}
    return schema


# --- padding and JSON ------------------------------------------------------------------------------------------------


def _encode_padded(fields: Struct, length: int) -> bytes:
    try:
        text = msgspec.json.encode(fields)
    except UnicodeEncodeError:
        raise Invalid("a lone surrogate is no text") from None
    if len(text) > length:
        raise Invalid(f"does not fit into {length} bytes")
    return text.ljust(length)


def _decode_padded(padded: bytes, length: int, decoder: msgspec.json.Decoder[_T]) -> _T:
    if len(padded) != length:
        raise Invalid(f"not {length} bytes")
    try:
        text = padded.rstrip(b" ").decode("utf-8")
        if not (text.startswith("{") and text.endswith("}")):
            raise Invalid("not one JSON object and then spaces")
        fields = decoder.decode(text)
        if msgspec.json.encode(fields) != text.encode():  # what we would have written has no name twice
            _NAMES_DECODER.decode(text)  # only now: what msgspec took is shallow and short
    except (ValueError, RecursionError):  # all of msgspec's, json's and UTF-8's; their words could echo input
        raise Invalid("not the JSON object that is wanted here") from None
    return fields


def _refuse_repeated_names(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise Invalid("a name stands twice in an object")


_CALL_DECODER: Final = msgspec.json.Decoder(CallObject, strict=True)
_ANSWER_DECODER: Final = msgspec.json.Decoder(AnswerObject, strict=True)
# msgspec lets the last of two equal names win, silently: a second parser looks at names and nothing else.
_NAMES_DECODER: Final = json.JSONDecoder(object_pairs_hook=_refuse_repeated_names)


# --- fields ----------------------------------------------------------------------------------------------------------


def _same(value: Any) -> Any:
    return value


def _read_bytes32(text: str) -> bytes:
    return base64url.decode_exactly(text, ID_BYTES)


def _read_keys(keys: Iterable[DiagnosisKey]) -> tuple[SentKey, ...]:
    return tuple(
        SentKey(base64url.decode(key.key_data), key.rolling_start_interval_number, key.rolling_period) for key in keys
    )


def _write_keys(keys: Iterable[SentKey]) -> tuple[DiagnosisKey, ...]:
    return tuple(
        DiagnosisKey(base64url.encode(key.key_data), key.rolling_start_interval_number, key.rolling_period)
        for key in keys
    )


_BYTES32_FIELDS: Final = ("tracking_id", "continue_id", "withdrawal_secret", "continuation_secret")
_READERS: Final[dict[str, Callable[[Any], Any]]] = {**dict.fromkeys(_BYTES32_FIELDS, _read_bytes32), "keys": _read_keys}
_WRITERS: Final[dict[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(_BYTES32_FIELDS, base64url.encode),
    "keys": _write_keys,
}


def _sent_fields(fields: CallObject) -> dict[str, Any]:
    """The fields that were sent, each in the model's type, so well formed whatever the act; or `Invalid`."""
    values = ((name, getattr(fields, name)) for name in CallObject.__struct_fields__)
    return {name: _READERS.get(name, _same)(value) for name, value in values if value is not UNSET}


def _needed_and_allowed(call_type: _Strict) -> tuple[frozenset[str], frozenset[str]]:
    fields = msgspec.structs.fields(call_type)
    return frozenset(field.name for field in fields if field.required), frozenset(field.name for field in fields)


_NEEDED_AND_ALLOWED: Final = {act: _needed_and_allowed(call_type) for act, call_type in _STRICT_ACTS.items()}


# --- schemas ---------------------------------------------------------------------------------------------------------


def _schema(struct: type[Struct]) -> dict[str, Any]:
    """The schema of `struct` with its parts written in place: in an OpenAPI document ``#/$defs`` would lead nowhere."""
    _, parts = msgspec.json.schema_components([struct], ref_template="{name}")

    def in_place(schema: Any) -> Any:
        if isinstance(schema, list):
            return [in_place(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return in_place(parts[schema["$ref"]])
        return {name: in_place(item) for name, item in schema.items()}

    placed: dict[str, Any] = in_place(parts[struct.__name__])
    return placed


def _act_schema(act: str, properties: Iterable[str]) -> dict[str, Any]:
    needed, allowed = _NEEDED_AND_ALLOWED[act]
    refused = [name for name in properties if name not in allowed and name != "act"]
    return {
        "if": {"properties": {"act": {"const": act}}, "required": ["act"]},
        "then": {"required": sorted(needed), "properties": dict.fromkeys(refused, False)},
    }
