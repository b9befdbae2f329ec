"""Vectors of ``docs/formats/call.md``: bodies with the call they hold or why they hold none, answers, and `sent`.

A body is `start` (text, written as UTF-8) or `start_hex`, then spaces up to `length` bytes (4,096; answers 1,024).
"""

import base64
import hashlib
import json
import struct
from typing import Any

Fields = dict[str, Any]
VERDICTS = (
    "taken",
    "provisional",
    "code_unknown",
    "code_spent",
    "code_expired",
    "code_cut_off",
    "no_key_left",
    "report_refused",
    "mismatch",
    "malformed",
    "unsupported",
    "over_allowance",
    "withdrawn",
    "cut_off",
    "unknown",
    "too_old",
    "noted",
)
BYTE_FIELDS = ("tracking_id", "continue_id", "withdrawal_secret", "continuation_secret")


def text_of(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def id_of(seed: str) -> bytes:
    return hashlib.sha256(seed.encode()).digest()


def key(seed: int, start: int = 2_650_000, period: int = 144, length: int = 16) -> Fields:
    data = hashlib.sha256(b"key %d" % seed).digest()[:length]
    return {"key_data": text_of(data), "rolling_start_interval_number": start, "rolling_period": period}


TRACK: Fields = {"act": "track", "tracking_id": text_of(id_of("tracking"))}
WITHDRAW: Fields = {"act": "withdraw", "withdrawal_secret": text_of(id_of("withdrawal"))}
REPORT: Fields = {
    "act": "report",
    "code": "C123-4567-89AB-CDEF-GH94",
    "tracking_id": text_of(id_of("tracking")),
    "continue_id": text_of(id_of("continue")),
    "onset_day": 18_402,
    "keys": [key(1), key(2, 2_650_144, 100)],
}
CONTINUE: Fields = {
    "act": "continue",
    "continuation_secret": text_of(id_of("continuation")),
    "continue_id": text_of(id_of("continue 2")),
    "code": "C123-4567-89AB-CDEF-GH94",
    "onset_day": 18_402,
    "test_day": 18_404,
    "keys": [key(3, 2_650_244, 44)],
}
LONGEST: Fields = REPORT | {"keys": [key(i, 2_650_000 + 144 * i) for i in range(30)]}
EVERY_FIELD: Fields = REPORT | {
    "act": "decoy",
    "test_day": 18_404,
    "withdrawal_secret": text_of(id_of("withdrawal")),
    "continuation_secret": text_of(id_of("continuation")),
}
BY_ACT: dict[str, Fields] = {
    "report": REPORT,
    "continue": CONTINUE,
    "track": TRACK,
    "withdraw": WITHDRAW,
    "decoy": EVERY_FIELD,
}


def compact(fields: Fields) -> str:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


def without(fields: Fields, *names: str) -> Fields:
    return {name: value for name, value in fields.items() if name not in names}


def sent(fields: Fields, kind: int, batch: int, serial: int) -> str:
    """The digest of ``docs/formats/call.md``, spelled out."""
    test_day = fields.get("test_day")
    message = b"\x0etocsin/v1/sent" if test_day is None else b"\x15tocsin/v1/sent-tested"
    message += struct.pack(">BIH", kind, batch, serial)
    message += base64.urlsafe_b64decode(fields["continue_id"] + "=")
    message += struct.pack(">iB", fields.get("onset_day", -(2**31)), len(fields["keys"]))
    for sent_key in fields["keys"]:
        data = base64.urlsafe_b64decode(sent_key["key_data"] + "==")
        numbers = struct.pack(">II", sent_key["rolling_start_interval_number"], sent_key["rolling_period"])
        message += struct.pack(">H", len(data)) + data + numbers
    message += b"" if test_day is None else struct.pack(">i", test_day)
    return hashlib.sha256(message).hexdigest()


def good_calls() -> list[Fields]:
    numbers = REPORT | {
        "onset_day": 1 - 2**31,
        "keys": [key(1, 0, 0, 0), key(2, 2**32 - 1, 2**32 - 1, 5), key(3, 1, 1, 32)],
    }
    escaped = compact(REPORT).replace('"act"', '"\\u0061ct"').replace("C123", "\\u00433\\uD83D\\uDE00")
    spaced = json.dumps(REPORT, indent="\t").replace("\n", "\r\n")
    cases = [
        ("report", compact(REPORT)),
        ("report without a code and without onset", compact(without(REPORT, "code", "onset_day"))),
        ("report with an empty code, which is one that does not parse", compact(REPORT | {"code": ""})),
        ("report with 30 keys", compact(LONGEST)),
        ("report without keys", compact(REPORT | {"keys": []})),
        ("numbers and lengths that are for the rules to judge", compact(numbers)),
        ("fields in another order", compact(dict(reversed(REPORT.items())))),
        ("escapes, also in a name", escaped),
        ("white space between tokens", spaced),
        ("template and markup in the code", compact(REPORT | {"code": "{{7*7}} %s <b> ${x} \u0130 \u200b"})),
        ("track", compact(TRACK)),
        ("withdraw", compact(WITHDRAW)),
        ("decoy", compact({"act": "decoy"})),
        ("decoy with every field", compact(EVERY_FIELD)),
        ("report with a day of a test", compact(REPORT | {"test_day": 2**31 - 1})),
        ("continue", compact(CONTINUE)),
        ("continue without keys", compact(CONTINUE | {"keys": []})),
        ("continue without a code and without days", compact(without(CONTINUE, "code", "onset_day", "test_day"))),
        ("continue with 30 keys", compact(CONTINUE | {"keys": LONGEST["keys"]})),
        ("an act that is not known", compact({"act": "Report"})),
        ("an empty act", compact({"act": ""})),
        ("exactly 4,096 bytes", compact(REPORT | {"code": "x" * (4096 - len(compact(REPORT | {"code": ""})))})),
    ]
    return [{"name": name, "start": start, "call": expected(json.loads(start))} for name, start in cases]


def expected(fields: Fields) -> Fields:
    """A decoy and an unsupported act say nothing; byte strings are in hexadecimal."""
    if fields["act"] not in ("report", "continue", "track", "withdraw"):
        return {"act": "decoy" if fields["act"] == "decoy" else "unsupported"}
    call = dict(fields)
    for name in BYTE_FIELDS:
        if name in call:
            call[name] = base64.urlsafe_b64decode(call[name] + "=").hex()
    if "keys" in call:
        call["keys"] = [k | {"key_data": base64.urlsafe_b64decode(k["key_data"] + "==").hex()} for k in call["keys"]]
    return call


def bad_calls() -> list[Fields]:
    cases = [*bad_frames(), *bad_json(), *bad_fields()]
    texts = [{"name": name, "start": compact(fields)} for name, fields in bad_values()]
    return [case | {"verdict": "malformed"} for case in [*cases, *texts]]


def bad_frames() -> list[Fields]:
    start = compact(TRACK)
    return [
        {"name": "4,095 bytes", "start": start, "length": 4095},
        {"name": "4,097 bytes", "start": start, "length": 4097},
        {"name": "no byte", "start": "", "length": 0},
        {"name": "spaces only", "start": ""},
        {"name": "a space before the object", "start": " " + start},
        *({"name": f"U+{ord(c):04X} after the object", "start": start + c} for c in "\n\t\r\0\u00a0,"),
        {"name": "two objects", "start": start + start},
        {"name": "two objects, spaces between", "start": f"{start} {start}"},
        {"name": "byte order mark", "start": "\ufeff" + start},
        {"name": "UTF-16", "start_hex": start.encode("utf-16-le").hex()},
        {"name": "UTF-16 with byte order mark", "start_hex": start.encode("utf-16").hex()},
        {"name": "not UTF-8", "start_hex": b'{"act":"decoy","code":"\xff"}'.hex()},
        {"name": "a surrogate in UTF-8", "start_hex": b'{"act":"decoy","code":"\xed\xa0\x80"}'.hex()},
        {"name": "overlong UTF-8", "start_hex": b'{"act":"decoy","code":"\xc0\x80"}'.hex()},
    ]


def bad_json() -> list[Fields]:
    texts = {
        "an array": "[]",
        "a string": '"report"',
        "null": "null",
        "cut short": compact(REPORT)[:-1],
        "comma at the end": '{"act":"decoy",}',
        "comment": '{"act":"decoy"/**/}',
        "single quotes": "{'act':'decoy'}",
        "raw control character": '{"act":"decoy","code":"\n"}',
        "lone high surrogate": '{"act":"decoy","code":"\\ud800"}',
        "lone high surrogate before a letter": '{"act":"decoy","code":"\\ud800\\u0041"}',
        "lone low surrogate": '{"act":"decoy","code":"\\udc00"}',
        "deep arrays": "[" * 2048 + "]" * 2048,
        "deep arrays, open": "[" * 4096,
        "deep arrays in a field": '{"act":"decoy","keys":' + "[" * 2000 + "]" * 2000 + "}",
        "deep objects in an unknown field": '{"act":"decoy","x":' + '{"x":' * 600 + "1" + "}" * 601,
        "name twice": '{"act":"decoy","act":"decoy"}',
        "name twice, other value first": '{"act":"report","act":"decoy"}',
        "name twice, one escaped": '{"act":"decoy","\\u0061ct":"decoy"}',
        "name twice in a key": compact(REPORT).replace(
            '"rolling_period":144', '"rolling_period":9,"rolling_period":144'
        ),
        "name twice in a key, one escaped": compact(REPORT).replace(
            '"rolling_period":144', '"rolling\\u005fperiod":9,"rolling_period":144'
        ),
    }
    numbers = ("NaN", "Infinity", "-Infinity", "1.0", "1e0", "1E400", "01", "+1", "-", "0x10", "9" * 3000)
    texts |= {f"onset_day {n[:12]}": compact(REPORT).replace('"onset_day":18402', f'"onset_day":{n}') for n in numbers}
    return [{"name": name, "start": text} for name, text in texts.items()]


def bad_fields() -> list[Fields]:
    """Each field of each act: absent where it is needed, null, of another type, empty where that can't be."""
    cases: list[tuple[str, Fields]] = []
    for act, fields in BY_ACT.items():
        for name, value in fields.items():
            needed = act != "decoy" and name not in ("code", "onset_day", "test_day")
            cases += [(f"{act}: {name} absent", without(fields, name))] if needed or name == "act" else []
            wrong: list[Any] = [None, True, 1.5, {}, [1]] + ([[], 5] if isinstance(value, str) else ["", "5"])
            cases += [(f"{act}: {name} is {json.dumps(w)}", fields | {name: w}) for w in wrong]
            cases += [(f"{act}: {name} empty", fields | {name: ""})] if name in BYTE_FIELDS else []
        cases.append((f"{act}: unknown field", fields | {"tan": "x"}))
        cases.append((f"{act}: name in capitals", fields | {"Code": "x"}))
    for act in ("report", "continue", "track", "withdraw"):
        foreign = [name for name in EVERY_FIELD if name not in BY_ACT[act] and (act, name) != ("report", "test_day")]
        cases += [(f"{act}: has no {name}", BY_ACT[act] | {name: EVERY_FIELD[name]}) for name in foreign]
    nulls: list[Any] = [None, [], 1.5]
    for name in REPORT["keys"][0]:
        cases.append((f"key: {name} absent", REPORT | {"keys": [without(key(1), name)]}))
        cases += [(f"key: {name} is {json.dumps(w)}", REPORT | {"keys": [key(1) | {name: w}]}) for w in nulls]
    cases.append(("key: unknown field", REPORT | {"keys": [key(1) | {"transmission_risk_level": 1}]}))
    return [{"name": name, "start": compact(fields)} for name, fields in cases]


def bad_values() -> list[tuple[str, Fields]]:
    cases: list[tuple[str, Fields]] = []
    last = REPORT["tracking_id"][-1]
    spoilt_ids = {
        "31 bytes": text_of(bytes(31)),
        "33 bytes": text_of(bytes(33)),
        "padding": text_of(bytes(32)) + "=",
        "spare bits": text_of(bytes(32))[:-1] + "B",
        "standard alphabet": "+/" + text_of(bytes(32))[2:],
        "line feed at the end": text_of(bytes(32)) + "\n",
        "space": " " + text_of(bytes(32))[1:],
        "full-width": text_of(bytes(32))[:-1] + chr(ord(last) + 0xFEE0),
    }
    for what, spoilt in spoilt_ids.items():
        cases += [(f"decoy: {name} with {what}", {"act": "decoy", name: spoilt}) for name in BYTE_FIELDS]
    for data in ("A", "AAAAA", "AB", "AAB", "AA==", "AAAA\n", "++++", "AA A", "é"):
        cases.append((f"key_data {data!r}", REPORT | {"keys": [key(1) | {"key_data": data}]}))
    for name in ("rolling_start_interval_number", "rolling_period"):
        for number in (-1, 2**32, 2**64, 2**200):
            cases.append((f"{name} {number}", REPORT | {"keys": [key(1) | {name: number}]}))
    cases += [(f"onset_day {number}", REPORT | {"onset_day": number}) for number in (2**31, -(2**31), -(2**70))]
    cases += [(f"test_day {number}", CONTINUE | {"test_day": number}) for number in (2**31, -(2**31), -(2**70))]
    cases.append(("unsupported act, malformed field", {"act": "dance", "tracking_id": "AA"}))
    cases.append(("unsupported act, unknown field", {"act": "dance", "x": 1}))
    return cases


def answers() -> Fields:
    taken = {"verdict": "taken", "keys": ["taken", "too_old", "future", "bad_length", "bad_period"]}
    good = [taken, taken | {"keys": ["bad_length"] * 30}, {"verdict": "no_key_left", "keys": ["future"]}]
    good += [{"verdict": verdict, "keys": []} for verdict in VERDICTS]
    bad: dict[str, Fields] = {
        "verdict absent": {"keys": []},
        "keys absent": {"verdict": "noted"},
        "unknown verdict": {"verdict": "Taken", "keys": []},
        "unknown verdict of a key": {"verdict": "taken", "keys": ["expired"]},
        "unknown field": taken | {"version": 7},
        "keys of a verdict that has none": {"verdict": "mismatch", "keys": ["taken"]},
        "keys is null": {"verdict": "noted", "keys": None},
        "verdict is null": {"verdict": None, "keys": []},
    }
    frames = [
        {"name": "1,023 bytes", "start": compact(taken), "length": 1023},
        {"name": "1,025 bytes", "start": compact(taken), "length": 1025},
        {"name": "name twice", "start": '{"verdict":"noted","verdict":"noted","keys":[]}'},
        {"name": "line feed at the end", "start": compact(taken) + "\n"},
    ]
    return {
        "good": [{"start": compact(answer), "answer": answer} for answer in good],
        "bad": [{"name": name, "start": compact(answer)} for name, answer in bad.items()] + frames,
    }


def digests() -> list[Fields]:
    cases = [
        ("with a card code", REPORT, (12, 4711, 42)),
        ("code that does not parse", REPORT, (0, 0, 0)),
        ("no code, no onset", without(REPORT, "code", "onset_day"), (0, 0, 0)),
        ("no keys", REPORT | {"keys": []}, (12, 2**18 - 1, 2047)),
        ("30 keys", LONGEST, (22, 2**18, 65535)),
        ("keys in another order", REPORT | {"keys": REPORT["keys"][::-1]}, (12, 4711, 42)),
        ("continue, with a day of a test", CONTINUE, (12, 4711, 43)),
        ("the day of a test, no onset", without(REPORT, "onset_day") | {"test_day": -1}, (12, 4711, 42)),
        (
            "odd keys",
            REPORT | {"onset_day": -1, "keys": [key(1, 2**32 - 1, 2**32 - 1, 0), key(2, 0, 0, 32)]},
            (12, 1, 0),
        ),
    ]
    return [
        {"name": name, "start": compact(fields), "kind": code[0], "batch": code[1], "serial": code[2]}
        | {"sent": sent(fields, *code)}
        for name, fields, code in cases
    ]


def vectors() -> dict[str, object]:
    return {
        "calls": {"good": good_calls(), "bad": bad_calls()},
        "answers": answers(),
        "sent": digests(),
        "request_bytes": 4096,
        "answer_bytes": 1024,
    }
