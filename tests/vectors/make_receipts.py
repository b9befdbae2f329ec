"""Calls and receipts: whole exchanges, in order, with the secrets and IDs behind them, restated from the pages alone.

A server is at `received_at` with the batches of cards in `batches`, under `issuing_secret`, and no report. It is sent
the requests in turn; each is answered with these very bytes. ``docs/formats/call.md``, ``docs/rules.md``.
"""

import hashlib
import json
from typing import Any

from tests.vectors.make_call import compact, id_of, sent, text_of
from tests.vectors.make_card_code import CARD, TRAINING, card, label

Fields = dict[str, Any]
ISSUING_SECRET = hashlib.sha256(b"issuing secret of the receipts").digest()
RECEIVED_AT = 20_500 * 86_400 + 9 * 3600
YESTERDAY = 20_499 * 144
NO_CODE = (0, 0, 0)
BATCHES = [
    {"batch": 1, "kind": CARD, "count": 20, "state": "active"},
    {"batch": 2, "kind": CARD, "count": 1, "state": "dormant"},
    {"batch": 3, "kind": CARD, "count": 1, "state": "expired"},
    {"batch": 4, "kind": CARD, "count": 1, "state": "cut off"},
    {"batch": 5, "kind": TRAINING, "count": 1, "state": "active"},
]


def hashed(name: str, data: bytes) -> bytes:
    return hashlib.sha256(label(name) + data).digest()


def code(batch: int, serial: int, kind: int = CARD) -> str:
    return str(card(ISSUING_SECRET, kind, batch, serial)["code"])


def key(name: str, start: int = YESTERDAY, period: int = 144, length: int = 16) -> Fields:
    return {
        "key_data": text_of(hashlib.sha256(name.encode()).digest()[:length]),
        "rolling_start_interval_number": start,
        "rolling_period": period,
    }


def report(name: str, code_text: str | None, *keys: Fields, **more: Any) -> Fields:
    """The call of the phone `name`, whose secrets are drawn from its name."""
    call: Fields = {"act": "report"} | ({} if code_text is None else {"code": code_text})
    return call | {
        "tracking_id": text_of(hashed("tracking", id_of(f"{name} w"))),
        "continue_id": text_of(hashed("continue", id_of(f"{name} c"))),
        **more,
        "keys": list(keys or (key(name),)),
    }


def exchange(
    what: str, call: Fields | str, verdict: str, *keys: str, identity: tuple[int, int, int] = NO_CODE, phone: str = ""
) -> Fields:
    """Bytes both ways, and what is behind a report: its phone's secrets, its IDs, what its code says, `sent`."""
    start = call if isinstance(call, str) else compact(call)
    answer = json.dumps({"verdict": verdict, "keys": keys}, separators=(",", ":"))
    told: Fields = {
        "what": what,
        "request": {"start": start, "sha256": hashlib.sha256(start.encode().ljust(4096)).hexdigest()},
        "answer": {"start": answer, "sha256": hashlib.sha256(answer.encode().ljust(1024)).hexdigest()},
    }
    if phone and isinstance(call, dict):
        withdrawal, continuation = id_of(f"{phone} w"), id_of(f"{phone} c")
        told["behind"] = {
            "withdrawal_secret": withdrawal.hex(),
            "tracking_id": hashed("tracking", withdrawal).hex(),
            "report_id": hashed("claim-tracking", hashed("tracking", withdrawal)).hex(),
            "continuation_secret": continuation.hex(),
            "continue_id": hashed("continue", continuation).hex(),
            "code": dict(zip(("kind", "batch", "serial"), identity, strict=True)),
            "sent": sent(call, *identity),
        }
    return told


def track(name: str) -> Fields:
    return {"act": "track", "tracking_id": text_of(hashed("tracking", id_of(f"{name} w")))}


def withdraw(name: str) -> Fields:
    return {"act": "withdraw", "withdrawal_secret": text_of(id_of(f"{name} w"))}


def reports() -> list[Fields]:
    ada = report("ada", code(1, 0))
    two = (key("bob 1"), key("bob 2", YESTERDAY - 144))
    bob = report("bob", code(1, 1).lower().replace("-", " "), *two, onset_day=20_490)
    odd = (
        key("odd 1"),
        key("odd 2", YESTERDAY, 144, 15),
        key("odd 3", YESTERDAY, 145),
        key("odd 4", YESTERDAY - 144 * 40),
        key("odd 5", YESTERDAY + 144 * 3),
    )
    return [
        exchange("a report", ada, "taken", "taken", identity=(CARD, 1, 0), phone="ada"),
        exchange("the same bytes again: the receipt again", ada, "taken", "taken"),
        exchange(
            "the same report, its code spelt otherwise: the same `sent`",
            ada | {"code": code(1, 0).lower().replace("-", "")},
            *("taken", "taken"),
            identity=(CARD, 1, 0),
            phone="ada",
        ),
        exchange("other keys under the same secrets", report("ada", code(1, 2), key("x")), "mismatch"),
        exchange("two keys and an onset", bob, "taken", "taken", "taken", identity=(CARD, 1, 1), phone="bob"),
        exchange(
            "one key of five is good",
            report("odd", code(1, 3), *odd),
            *("taken", "taken", "bad_length", "bad_period", "too_old", "future"),
            identity=(CARD, 1, 3),
            phone="odd",
        ),
        exchange("no key is left", report("old", code(1, 4), odd[3]), "no_key_left", "too_old"),
        exchange("no key was sent", report("old", code(1, 4)) | {"keys": []}, "no_key_left"),
        exchange(
            "no key is left, and the code would be unknown: not looked at",
            report("old", "no code", odd[1]),
            *("no_key_left", "bad_length"),
        ),
        exchange("keys that overlap", report("e", code(1, 4), key("1"), key("2", YESTERDAY + 9)), "report_refused"),
        exchange(
            "31 keys", report("e", code(1, 4), *(key(f"{n}", YESTERDAY - n, 1) for n in range(31))), "report_refused"
        ),
        exchange("a code that was used", report("eve", code(1, 0)), "code_spent"),
        exchange("a misspelt code", report("eve", code(1, 5)[:-1] + "U"), "code_unknown"),
        exchange("an empty code", report("eve", ""), "code_unknown"),
        exchange("a code of a batch that was never issued", report("eve", code(9, 0)), "code_unknown"),
        exchange("a serial that the batch does not have", report("eve", code(1, 20)), "code_unknown"),
        exchange("a dormant code", report("eve", code(2, 0)), "code_unknown"),
        exchange("a training code", report("eve", code(5, 0, TRAINING)), "code_unknown"),
        exchange("an expired code", report("eve", code(3, 0)), "code_expired"),
        exchange("a code that is cut off", report("eve", code(4, 0)), "code_cut_off"),
        exchange("no code, where none is taken without", report("eve", None), "unsupported"),
    ]


def continuations() -> list[Fields]:
    more = {
        "act": "continue",
        "continuation_secret": text_of(id_of("ada c")),
        "continue_id": text_of(hashed("continue", id_of("ada c 2"))),
        "keys": [key("ada, later", YESTERDAY - 144)],
    }
    return [
        exchange("a key more, with the continuation secret", more, "taken", "taken"),
        exchange("the same bytes again", more, "taken", "taken"),
        exchange("the secret is good once", more | {"keys": [key("ada, other", YESTERDAY - 288)]}, "mismatch"),
        exchange("a secret that leads nowhere", more | {"continuation_secret": text_of(id_of("nobody"))}, "unknown"),
        exchange(
            "the next secret",
            more
            | {
                "continuation_secret": text_of(id_of("ada c 2")),
                "continue_id": text_of(hashed("continue", id_of("ada c 3"))),
                "keys": [key("ada, still later", YESTERDAY - 288)],
            },
            *("taken", "taken"),
        ),
    ]


def the_rest() -> list[Fields]:
    return [
        exchange("track", track("ada"), "taken"),
        exchange("track what nobody reported", track("nobody"), "unknown"),
        exchange("withdraw what nobody reported", withdraw("nobody"), "unknown"),
        exchange("withdraw", withdraw("ada"), "withdrawn"),
        exchange("withdraw again", withdraw("ada"), "withdrawn"),
        exchange("track what is withdrawn", track("ada"), "withdrawn"),
        exchange("a withdrawn report again: the receipt of its taking", report("ada", code(1, 0)), "taken", "taken"),
        exchange("its code stays spent", report("eve", code(1, 0)), "code_spent"),
        exchange("a decoy", {"act": "decoy"}, "noted"),
        exchange("an act that is not known", {"act": "dance"}, "unsupported"),
        exchange("a report without its fields", {"act": "report"}, "malformed"),
        exchange("a field that is not known", track("ada") | {"x": 1}, "malformed"),
        exchange("a name twice", '{"act":"decoy","act":"decoy"}', "malformed"),
        exchange("no JSON", "decoy", "malformed"),
    ]


def vectors() -> dict[str, object]:
    return {
        "issuing_secret": ISSUING_SECRET.hex(),
        "received_at": RECEIVED_AT,
        "batches": BATCHES,
        "exchanges": [*reports(), *continuations(), *the_rest()],
    }
