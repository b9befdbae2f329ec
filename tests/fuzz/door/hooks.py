"""What schemathesis is taught of the apps' call, so that it gets behind the door: SCHEMATHESIS_HOOKS names it.

- A body is written compactly and padded to 4,096 bytes; one that is longer is sent as it is.
- Most bodies are *grounded*: secrets of phones that reported, cards that were never used, keys of yesterday take the
  place of what was generated, and some of what was generated stays among them.
- Every answer to a call is held against the schema of the body that was sent: a documented negative is refused and a
  documented positive is understood (users.md E3, E4). Its bytes and headers are the fixed ones.

What was sent is drawn from the body itself, so that one seed makes one run. The tally goes to ``TOCSIN_TALLY``.
"""

import atexit
import json
import os
from base64 import urlsafe_b64encode
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import schemathesis
from jsonschema_rs import Draft202012Validator

from tests.fuzz.door.stage import Past
from tocsin.client.calls import continue_id, tracking_id
from tocsin.formats.wire import ANSWER_BYTES, REQUEST_BYTES, decode_answer, request_schema
from tocsin.model.calls import Verdict

CALL = "/v1/reports"
OBJECT = "/v1/{region}/{profile}/{hash}"
HEADERS = ["date", "content-type", "content-length", "cache-control"]

_Case = schemathesis.Case[Any]

_past = msgspec.json.decode(Path(os.environ["TOCSIN_STAGE"]).read_bytes(), type=Past)
_schema = Draft202012Validator(request_schema())
_tally: Counter[str] = Counter()
_now = int(os.environ["TOCSIN_NOW"])


class Phones:
    """Those that have reported, and the cards that are left for others."""

    def __init__(self) -> None:
        self.fresh = list(reversed(_past.fresh))
        self.spent = list(_past.spent)
        self.secrets = list(_past.secrets)
        self.bodies: list[dict[str, Any]] = []

    def code(self, draw: Random) -> str | None:
        """A code of any state; mostly one that is good."""
        kind = draw.random()
        if kind < 0.45 and self.fresh:
            card = self.fresh.pop()
            self.spent.append(card)
            return card
        guessed = "000000000000"  # well spelt, and nobody's: it costs an allowance
        pools = [self.spent, _past.expired, _past.cut_off, _past.dormant, _past.phone_codes, [guessed], [""]]
        return None if kind > 0.95 else draw.choice(draw.choice(pools))

    def report(self, draw: Random) -> dict[str, Any]:
        """A report that ought to be taken, a repetition of one, or one that only has its tracking ID."""
        if self.bodies and draw.random() < 0.2:
            old = draw.choice(self.bodies)
            return old if draw.random() < 0.6 else old | {"keys": _keys(draw)}
        secret = draw.randbytes(32)
        body = {
            "act": "report",
            "tracking_id": _text(tracking_id(secret)),
            "continue_id": _text(continue_id(secret)),
            "keys": _keys(draw),
        }
        code = self.code(draw)
        body |= {} if code is None else {"code": code}
        self.secrets.append(secret)
        self.bodies.append(body)
        return body


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _keys(draw: Random) -> list[dict[str, Any]]:
    """Keys of the last days, now and then one that is too old, too new, too long, or too many of one day."""
    days = draw.choice([*[[1], [1, 2, 3], range(1, 14)] * 3, [40], [-3], [1, 1, 1, 1, 1], []])
    length = draw.choice([16] * 9 + [15])
    return [
        {
            "key_data": _text(draw.randbytes(length)),
            "rolling_start_interval_number": (_now // 86_400 - day) * 144,
            "rolling_period": draw.choice([144] * 9 + [1, 0, 145]),
        }
        for day in days
    ]


_phones = Phones()


def _grounded(body: dict[str, Any]) -> dict[str, Any]:
    """Most bodies, with what a phone would really send; the others as they are."""
    draw = Random(json.dumps(body, sort_keys=True, default=str))
    kind = draw.random()
    if kind < 0.3:
        return body
    secret = draw.choice(_phones.secrets)
    if kind < 0.75:
        real = _phones.report(draw)
    elif kind < 0.85:
        real = {"act": "track", "tracking_id": _text(tracking_id(secret))}
    elif kind < 0.9:
        real = {"act": "withdraw", "withdrawal_secret": _text(secret)}
    else:
        real = {"act": draw.choice(["decoy", "continue", "track"]), "tracking_id": _text(draw.randbytes(32))}
    kept = [name for name in body if name != "act" and draw.random() < 0.05]
    return real | {name: body[name] for name in kept}


@schemathesis.serializer("application/json")
def padded(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """The body of a call as an app writes it."""
    if isinstance(value, bytes):
        return value
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    return text.ljust(REQUEST_BYTES)


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: _Case, kwargs: dict[str, Any]) -> None:
    """Grounds the body of a call, and now and then the name of an object."""
    if case.operation.path == CALL and isinstance(case.body, dict):
        case.body = _grounded(case.body)
    if case.operation.path == OBJECT and len(_past.objects) > 0:
        name = Random(repr(case.path_parameters)).choice([*_past.objects, None])
        if name is not None:
            profile, _, digest = name.partition("/")
            case.path_parameters.update(region="utopia", profile=profile, hash=digest)


@schemathesis.hook
def after_call(context: schemathesis.HookContext, case: _Case, response: schemathesis.Response) -> None:
    """Counts what was answered."""
    _tally["cases"] += 1
    _tally[f"{case.method.upper()} {case.operation.path} {response.status_code}"] += 1
    if case.operation.path == CALL and response.status_code == 200 and response.content:
        _tally[f"verdict {decode_answer(response.content).verdict}"] += 1


@schemathesis.check
def answer_of_a_call(context: schemathesis.CheckContext, response: schemathesis.Response, case: _Case) -> None:
    """Fixed size and headers; malformed exactly if the schema says so."""
    if case.operation.path != CALL or response.status_code != 200:
        return
    assert len(response.content) == ANSWER_BYTES
    assert list(response.headers) == HEADERS
    verdict = decode_answer(response.content).verdict
    assert verdict != os.environ.get("TOCSIN_FAIL"), "a check that fails, to see that it is told"
    sent = response.request.body
    assert isinstance(sent, bytes)
    assert (verdict is Verdict.MALFORMED) == (not _is_documented(sent)), verdict


def _is_documented(body: bytes) -> bool:
    """Whether the schema takes these bytes; numbers such as 1.0 and names sent twice are said in its description."""
    try:
        fields = json.loads(body.decode(), parse_float=lambda text: text, parse_constant=lambda text: None)
        return len(body) == REQUEST_BYTES and bool(_schema.is_valid(fields))
    except (ValueError, RecursionError):
        return False


@atexit.register
def _tell() -> None:
    Path(os.environ["TOCSIN_TALLY"]).write_text(json.dumps(_tally), encoding="utf-8")
