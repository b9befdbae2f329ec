"""Vectors of ``docs/formats/phone-code.md``, restated from that page with nothing but hmac, hashlib and struct.

The check digit is found by trying all ten against Damm's table, whose rows are written out as he published them.
"""

import hashlib
import hmac
import struct

SECRETS = (bytes(range(32)), hashlib.sha256(b"another issuing secret").digest())
REQUEST_ID = hashlib.sha256(b"a request").digest()[:16]
CODES = ((0, 0), (0, 1), (1, 0), (999, 0), (65_535, 254))
ISSUED = ((2**18, 0), (2**18 + 1, 65_535), (2**32 - 1, 7))
TABLE = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2),
    (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9),
    (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8),
    (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4),
    (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5),
    (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)


def well_spelt(digits: str) -> bool:
    interim = 0
    for digit in digits:
        interim = TABLE[interim][int(digit)]
    return interim == 0


def with_check(digits: str) -> str:
    (code,) = [digits + check for check in "0123456789" if well_spelt(digits + check)]
    return code


def label(name: str) -> bytes:
    text = b"tocsin/v1/" + name.encode("ascii")
    return bytes([len(text)]) + text


def hkdf(secret: bytes, info: bytes) -> bytes:
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def grouped(code: str) -> str:
    return f"{code[:4]}-{code[4:8]}-{code[8:]}"


def code(secret: bytes, place: int, attempt: int) -> dict[str, object]:
    drawn = hmac.new(hkdf(secret, label("phone-code")), digestmod=hashlib.sha256)
    drawn.update(REQUEST_ID + struct.pack(">HB", place, attempt))
    number = int.from_bytes(drawn.digest()[:16], "big") % 10**11
    digits = with_check(f"{number:011d}")
    code_hash = hmac.new(hkdf(secret, label("phone-hash")), digits.encode("ascii"), hashlib.sha256).digest()[:16]
    return {
        "issuing_secret": secret.hex(),
        "request_id": REQUEST_ID.hex(),
        "place": place,
        "attempt": attempt,
        "code": grouped(digits),
        "hash": code_hash.hex(),
    }


def claim(secret: bytes, batch: int, serial: int) -> dict[str, object]:
    identity = struct.pack(">BIH", 22, batch, serial)
    value = hmac.new(hkdf(secret, label("claim-phone")), identity, hashlib.sha256).digest()
    return {"issuing_secret": secret.hex(), "batch": batch, "serial": serial, "claim": (b"\x04" + value).hex()}


def full_width(text: str) -> str:
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


GOOD = with_check("01100110010")


def spellings() -> dict[str, object]:
    look_alike = GOOD.replace("0", "O").replace("1", "I")
    texts = {
        "canonical": grouped(GOOD),
        "no separators": GOOD,
        "digit by digit": " ".join(GOOD),
        "spaces around and between": " " + grouped(GOOD).replace("-", "  ") + "\n",
        "look-alikes": look_alike,
        "small look-alikes": look_alike.lower().replace("i", "l"),
        "full-width": full_width(grouped(GOOD)),
        "dashes of six kinds": "\u2010".join(GOOD[:6]) + "\u2013\u2014\u2212\uff0d" + "\u058a".join(GOOD[6:]),
        "no-break and ideographic spaces": GOOD[:4] + "\u00a0\u3000\u202f" + GOOD[4:],
        "100 code points": GOOD + " " * 88,
    }
    return {"code": grouped(GOOD), "texts": texts}


def refused() -> list[dict[str, str]]:
    rows = {
        "empty": ("", "length"),
        "separators only": (" - ", "length"),
        "11 digits": (GOOD[:-1], "length"),
        "13 digits": (GOOD + "0", "length"),
        "101 code points": (GOOD + " " * 89, "length"),
        "a letter that cards have": ("A" + GOOD[1:], "digit"),
        "a card": ("C123-4567-89AB-CDEF-GH94", "digit"),
        "U": ("U" + GOOD[1:], "character"),
        "Arabic-Indic digits": (GOOD.replace("0", "\u0660").replace("1", "\u0661"), "character"),
        "mathematical bold digit": (GOOD.replace("0", "\U0001d7ce", 1), "character"),
        "dotless i": (GOOD.replace("1", "\u0131", 1), "character"),
        "zero-width space": (GOOD[:4] + "\u200b" + GOOD[4:], "character"),
        "plus": ("+" + GOOD, "character"),
        "one wrong digit": (GOOD[:5] + "9" + GOOD[6:], "check"),
        "swapped neighbours": (GOOD[1] + GOOD[0] + GOOD[2:], "check"),
        "wrong check digit": (GOOD[:11] + str((int(GOOD[11]) + 1) % 10), "check"),
    }
    return [{"case": case, "text": text, "refusal": refusal} for case, (text, refusal) in rows.items()]


def vectors() -> dict[str, object]:
    return {
        "check_digits": [with_check(digits) for digits in ("572", "0", "43881234567", "99999999999", "11294")],
        "codes": [code(secret, *made) for secret in SECRETS for made in CODES],
        "claims": [claim(secret, *issued) for secret in SECRETS for issued in ISSUED],
        "spellings": spellings(),
        "refused": refused(),
    }
