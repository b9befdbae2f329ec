"""Vectors of ``docs/formats/events.md``, restated from that page with json, hashlib and struct.

One journal with an event of every kind; contents, plain and sealed (AES-GCM is its library's); bytes to refuse.
"""

import base64
import hashlib
import json
import struct
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

QUARTER = 900
DAY = 20_800
START = DAY * 86_400 + 8 * 3600
DAY_KEY = bytes(range(100, 132))
NONCE = bytes(range(12))
ACT = {"who": "Łucja", "why": 'a "test"\\\n\x1b/', "approved_by": None}

Fields = dict[str, Any]


def label(name: str) -> bytes:
    text = b"tocsin/v1/" + name.encode("ascii")
    return bytes([len(text)]) + text


def hashed(name: str, data: bytes) -> bytes:
    return hashlib.sha256(label(name) + data).digest()


def text64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


TRACKING_ID = hashed("tracking", b"w" * 32)
CONTINUE_ID = hashed("continue", b"c" * 32)
NEXT_CONTINUE_ID = hashed("continue", b"C" * 32)
CONTINUATION = hashed("claim-continue", CONTINUE_ID)
REPORT_ID = hashed("claim-tracking", TRACKING_ID)
DECLINED_ID = hashed("claim-tracking", b"v" * 32)


def number_claim(claim_class: int, number: int) -> bytes:
    return struct.pack(">B24xQ", claim_class, number)


def request_claim(request: int) -> bytes:
    return b"\x02" + hashed("claim-request", bytes([request]) * 16)


def record(fill: int, start: int) -> bytes:
    return struct.pack(">16sIBBbB", bytes([fill]) * 16, start, 144, 1, -128, 0)


def plain_content() -> bytes:
    first = DAY * 144
    keys = struct.pack(">BB", 1, 0) + record(0xA1, first - 144) + struct.pack(">BB", 1, 2) + record(0xA2, first - 288)
    return struct.pack(">BIHI32sB", 1, 4711, 42, 3, b"s" * 32, 2) + keys


def sealed(plain: bytes, kind: bytes = b"reported", own_id: bytes = REPORT_ID) -> bytes:
    bound = label("content") + bytes([len(kind)]) + kind + struct.pack(">I", DAY) + own_id
    return struct.pack(">I", DAY) + NONCE + AESGCM(DAY_KEY).encrypt(NONCE, plain, bound)


def body_text(fields: Fields) -> str:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


def facts() -> list[tuple[str, Fields, bytes | None, list[bytes]]]:
    """Kind, fields, content and claims of each event."""
    batch = {
        "batch": 4711,
        "provider": 3,
        "code_kind": 12,
        "count": 100,
        "issuing_period": 1,
        "valid_from": START // QUARTER,
        "valid_until": START // QUARTER + 8640,
        "report_type": 1,
    }
    report = {
        "id": text64(REPORT_ID),
        "received_at": START,
        "report_type": 1,
        "verdicts": "tot",
        "hold": [4, 0, 1],
    }
    published = {
        "version": 1,
        "at": START + 9 * QUARTER,
        "due": START + 10 * QUARTER,
        "up_to": 5,
        "first_day": DAY - 14,
        "useful_days": 14,
        "entering": [[5, 5, 1]],
        "leaving": [],
        "padding": [],
        "set_digest": text64(b"d" * 32),
        "term": 1,
        "files": [["keyset", "delta", 0, 0, 0, []], ["gaen", "dump", 0, 0, 500_000, [["310", "v1"]]]],
        "made": [["keyset", "delta", 0, 1, 1, 1, text64(b"h" * 32), 240]],
    }
    phone_codes = {
        "batch": 2**18,
        "provider": 3,
        "issuing_period": 1,
        "first_serial": 0,
        "valid_from": START // QUARTER,
        "valid_until": START // QUARTER + 5,
        "report_type": 1,
        "attempts": [0, 2],
        "hashes": [text64(b"g" * 16), text64(b"h" * 16)],
    }
    fingerprint = hashed("day-key", struct.pack(">I", DAY) + DAY_KEY)
    whole_batch = {"provider": None, "batch": 4711, "first": None, "last": None}
    card = b"\x03" + hashlib.sha256(b"stands for a card's MAC").digest()
    return [
        ("founded", {"region": "xx-test", "deployment_id": text64(bytes(range(32)))}, None, []),
        ("provider_added", {"provider": 3, "name": "St. Elsewhere", **ACT}, None, [request_claim(1)]),
        ("batch_issued", {**batch, **ACT}, None, [request_claim(2), number_claim(6, 4711)]),
        ("batch_activated", {"batch": 4711, **ACT, "approved_by": "Ada"}, None, [request_claim(3)]),
        (
            "reported",
            report,
            sealed(plain_content()),
            [b"\x01" + REPORT_ID, card, b"\x07" + hashed("claim-continue", CONTINUE_ID)],
        ),
        ("published", published, None, [number_claim(5, 1)]),
        ("revoked", {"target": whole_batch, "since": 5, **ACT}, None, [request_claim(4)]),
        ("reinstated", {"objection": 7, **ACT}, None, [request_claim(5)]),
        ("rolled_back", {"reports": [5], **ACT}, None, [request_claim(6)]),
        ("paused", ACT, None, [request_claim(7)]),
        ("resumed", ACT, None, [request_claim(8)]),
        ("withdrawn", {"report": 5}, None, [b"\x08" + REPORT_ID]),
        ("erased", {"day": DAY, "objected": []}, None, []),
        ("provider_suspended", {"provider": 3, **ACT}, None, [request_claim(9)]),
        ("provider_restored", {"provider": 3, **ACT, "approved_by": "Ada"}, None, [request_claim(10)]),
        ("phone_codes_issued", {**phone_codes, **ACT}, None, [request_claim(11), number_claim(6, 2**18)]),
        (
            "continued",
            {
                "id": text64(CONTINUATION),
                "received_at": START + 17 * QUARTER,
                "report_type": 1,
                "verdicts": "tot",
                "hold": [4, 0, 1],
                "report": 5,
            },
            sealed(plain_content(), b"continued", CONTINUATION),
            [b"\x07" + hashed("claim-continue", NEXT_CONTINUE_ID), b"\x09" + CONTINUATION],
        ),
        ("quarantined", {"target": whole_batch, **ACT}, None, [request_claim(13)]),
        ("quarantine_lifted", {"quarantine": 18, **ACT}, None, [request_claim(14)]),
        (
            "declined",
            {"id": text64(DECLINED_ID), "received_at": START + 20 * QUARTER, "verdict": "code_spent"},
            None,
            [b"\x01" + DECLINED_ID],
        ),
        ("day_key_made", {"day": DAY, "fingerprint": text64(fingerprint)}, None, []),
    ]


def chained() -> list[Fields]:
    previous = bytes(32)
    events: list[Fields] = []
    for sequence, (kind, fields, content, claims) in enumerate(facts(), 1):
        recorded_at = START + sequence * QUARTER
        body = body_text(fields).encode("utf-8")
        content_digest = bytes(32) if content is None else hashlib.sha256(content).digest()
        data = previous + struct.pack(">QQB", sequence, recorded_at, len(kind)) + kind.encode("ascii")
        data += struct.pack(">I", len(body)) + body + content_digest + bytes([len(claims)]) + b"".join(sorted(claims))
        previous = hashed("event", data)
        events.append(
            {
                "sequence": sequence,
                "recorded_at": recorded_at,
                "kind": kind,
                "body": body.decode("utf-8"),
                "content": None if content is None else content.hex(),
                "content_digest": content_digest.hex(),
                "claims": [claim.hex() for claim in sorted(claims)],
                "digest": previous.hex(),
            }
        )
    return events


def changed(sequence: int, **fields: object) -> list[Fields | int]:
    return [{**event, **fields} if number == sequence else number for number, event in enumerate(chained(), 1)]


def index_rows(sequence: int) -> list[list[Any]]:
    return [[claim, sequence] for claim in chained()[sequence - 1]["claims"]]


def broken_journals() -> list[Fields]:
    """Each made of the whole journal: its rows are numbers of events there, or an event in full; the rows of the claim
    index that are left out or added; and the first event that shows it, null if the journal is whole."""
    events = chained()
    last = len(events)
    whole: list[Fields | int] = list(range(1, last + 1))
    body3 = events[2]["body"].replace('"count":100', '"count":999')
    content5 = events[4]["content"][:-2] + "00"
    swapped = [1, {**events[2], "sequence": 2}, {**events[1], "sequence": 3}, *whole[3:]]
    row2, row6 = index_rows(2), index_rows(6)
    stranger = "04" + "ee" * 32
    cases: list[tuple[str, list[Fields | int], list[Any], list[Any], int | None]] = [
        ("whole", whole, [], [], None),
        ("content erased", changed(5, content=None), [], [], None),
        ("a body changed", changed(3, body=body3), [], [], 3),
        ("a kind changed", changed(10, kind="resumed"), [], [], 10),
        ("a kind that is not ASCII", changed(10, kind="pausé"), [], [], 10),
        ("a time changed, off the quarter-hour", changed(4, recorded_at=START + 4 * QUARTER + 1), [], [], 4),
        ("a time changed, before the last", changed(4, recorded_at=START), [], [], 4),
        ("a content changed", changed(5, content=content5), [], [], 5),
        ("a content digest changed", changed(5, content=None, content_digest="00" * 32), [], [], 5),
        ("a digest changed", changed(6, digest="00" * 32), [], [], 6),
        ("the last digest changed", changed(last, digest="00" * 32), [], [], last),
        ("a claim taken from an event", changed(5, claims=events[4]["claims"][1:]), [], [], 5),
        ("claims out of order", changed(5, claims=events[4]["claims"][::-1]), [], [], 5),
        ("two events swapped", swapped, [], [], 2),
        ("an event left out", whole[:6] + whole[7:], [], [], 7),
        ("the first left out", whole[1:], [], [], 1),
        ("the last left out", whole[:-1], [], [], last),
        ("one put behind the tip", [*whole, {**events[-1], "sequence": last + 1}], [], [], last + 1),
        ("a claim left out of the index", whole, row6, [], 6),
        ("a claim in the index for another event", whole, row2, [[row2[0][0], 4]], 2),
        ("a foreign claim in the index", whole, [], [[stranger, 4]], 4),
        ("a foreign claim for no event", whole, [], [[stranger, 99]], 99),
    ]
    return [
        {"case": case, "rows": rows, "index_without": without, "index_with": with_, "broken_at": broken_at}
        for case, rows, without, with_, broken_at in cases
    ]


def refused_bodies() -> list[Fields]:
    cases = [
        ("a kind of a later version", "merged", "{}", "unknown_kind"),
        ("empty", "withdrawn", "", "invalid"),
        ("not an object", "withdrawn", "[5]", "invalid"),
        ("a field missing", "withdrawn", "{}", "invalid"),
        ("a number as text", "withdrawn", '{"report":"5"}', "invalid"),
        ("a number with a fraction", "withdrawn", '{"report":5.5}', "invalid"),
        ("no number", "withdrawn", '{"report":NaN}', "invalid"),
        ("bytes behind it", "withdrawn", '{"report":5}{}', "invalid"),
        ("half a surrogate pair", "paused", '{"who":"\\ud800","why":"","approved_by":null}', "invalid"),
    ]
    return [{"case": case, "kind": kind, "body": body, "refusal": refusal} for case, kind, body, refusal in cases]


def refused_contents() -> list[Fields]:
    good = plain_content()
    cases = {
        "empty": b"",
        "head cut": good[:43],
        "a key missing": good[:-26],
        "a byte too many": good + b"\0",
        "layout 2": b"\x02" + good[1:],
        "key kind 2": good[:44] + b"\x02" + good[45:],
        "positions descend": good[:44] + good[70:] + good[44:70],
        "a position twice": good[:71] + good[45:46] + good[72:],
        "position 30": good[:71] + b"\x1e" + good[72:],
    }
    return [{"case": case, "plain": plain.hex()} for case, plain in cases.items()]


def refused_seals() -> list[Fields]:
    good = sealed(plain_content())
    cases = {
        "too short": good[:31],
        "another day": struct.pack(">I", DAY + 1) + good[4:],
        "nonce changed": good[:4] + b"\xff" + good[5:],
        "ciphertext changed": good[:16] + bytes([good[16] ^ 1]) + good[17:],
        "tag cut": good[:-1],
        "sealed for another event": sealed(plain_content(), own_id=bytes(32)),
        "sealed for another kind": sealed(plain_content(), kind=b"withdrawn"),
    }
    return [{"case": case, "stored": stored.hex()} for case, stored in cases.items()]


def vectors() -> dict[str, object]:
    return {
        "day": DAY,
        "day_key": DAY_KEY.hex(),
        "report_id": REPORT_ID.hex(),
        "content": {
            "batch": 4711,
            "serial": 42,
            "provider": 3,
            "sent": (b"s" * 32).hex(),
            "positions": [0, 2],
            "records": [record(0xA1, DAY * 144 - 144).hex(), record(0xA2, DAY * 144 - 288).hex()],
            "plain": plain_content().hex(),
            "nonce": NONCE.hex(),
            "stored": sealed(plain_content()).hex(),
        },
        "journal": chained(),
        "broken_journals": broken_journals(),
        "refused_bodies": refused_bodies(),
        "refused_contents": refused_contents(),
        "refused_seals": refused_seals(),
    }
