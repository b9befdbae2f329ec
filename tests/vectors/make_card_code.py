"""Vectors of ``docs/formats/card-code.md``, restated from that page with nothing but hmac, hashlib and struct.

The check symbols are found by trying all 1,024 pairs against the page's two sums, slips by trying every single one.
"""

import hashlib
import hmac
import struct
from itertools import product

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CARD, TRAINING = ALPHABET.index("C"), ALPHABET.index("T")
SECRETS = (bytes(range(32)), hashlib.sha256(b"another issuing secret").digest())
CARDS = ((CARD, 1, 0), (CARD, 2**18 - 1, 2047), (CARD, 4711, 42), (TRAINING, 4711, 42), (TRAINING, 1, 2047))
CHECK_VECTOR = "C123456789ABCDEFGH94"


def times(left: int, right: int) -> int:
    """Schoolbook: multiply polynomials over GF(2), then reduce by x^5 + x^2 + 1."""
    product_ = 0
    for bit in range(5):
        if right >> bit & 1:
            product_ ^= left << bit
    for bit in range(9, 4, -1):
        if product_ >> bit & 1:
            product_ ^= 0b100101 << (bit - 5)
    return product_


def power(exponent: int) -> int:
    value = 1
    for _ in range(exponent):
        value = times(value, 2)
    return value


WEIGHTS = [power(20 - i) for i in range(1, 21)]


def well_spelt(code: str) -> bool:
    plain = weighted = 0
    for symbol, weight in zip(code, WEIGHTS, strict=True):
        plain ^= ALPHABET.index(symbol)
        weighted ^= times(ALPHABET.index(symbol), weight)
    return plain == 0 and weighted == 0


def with_check(data: str) -> str:
    (code,) = [data + a + b for a, b in product(ALPHABET, repeat=2) if well_spelt(data + a + b)]
    return code


def from_number(number: int) -> str:
    bits = f"{number:090b}"
    return with_check("".join(ALPHABET[int(bits[start : start + 5], 2)] for start in range(0, 90, 5)))


def label(name: str) -> bytes:
    text = b"tocsin/v1/" + name.encode("ascii")
    return bytes([len(text)]) + text


def hkdf(secret: bytes, info: bytes) -> bytes:
    extracted = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def grouped(code: str) -> str:
    return "-".join(code[start : start + 4] for start in range(0, 20, 4))


def card(secret: bytes, kind: int, batch: int, serial: int) -> dict[str, object]:
    batch_label = "batch-key" if kind == CARD else "training-batch-key"
    key = hkdf(secret, label(batch_label) + struct.pack(">I", batch))
    identity = struct.pack(">BIH", kind, batch, serial)
    mac = hmac.new(key, label("card-mac") + identity, hashlib.sha256).digest()[:7]
    claim_key = hkdf(secret, label("claim-card"))
    claim = b"\x03" + hmac.new(claim_key, identity, hashlib.sha256).digest()
    number = (kind << 85) | (batch << 67) | (serial << 56) | int.from_bytes(mac, "big")
    return {
        "issuing_secret": secret.hex(),
        "kind": kind,
        "batch": batch,
        "serial": serial,
        "batch_key": key.hex(),
        "mac": mac.hex(),
        "code": grouped(from_number(number)),
        "claim": claim.hex(),
    }


def full_width(text: str) -> str:
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


def spellings() -> dict[str, object]:
    code = with_check("C" + "01" * 8 + "Z")
    look_alike = code.replace("0", "O").replace("1", "I")
    texts = {
        "canonical": grouped(code),
        "no separators": code,
        "small letters": grouped(code).lower(),
        "spaces around and between": " " + grouped(code).replace("-", "  ") + "\n",
        "a space after each symbol": " ".join(code),
        "look-alikes": look_alike,
        "small look-alikes": look_alike.lower().replace("i", "l"),
        "capital L": code.replace("1", "L"),
        "full-width": full_width(grouped(code)),
        "full-width, small, look-alikes": full_width(look_alike.lower()),
        "dashes of six kinds": "\u2010".join(code[:12]) + "\u2013\u2014\u2212\uff0d" + "\u058a".join(code[12:]),
        "no-break and ideographic spaces": code[:8] + "\u00a0\u3000\u202f" + code[8:],
        "100 code points": code + " " * 80,
    }
    return {"code": grouped(code), "texts": texts}


def refused() -> list[dict[str, str]]:
    good = with_check("C" + "01" * 8 + "Z")
    rest = good[1:]
    rows = {
        "empty": ("", "length"),
        "separators only": (" - ", "length"),
        "19 symbols": (good[:-1], "length"),
        "21 symbols": (good + "0", "length"),
        "101 code points": (good + " " * 81, "length"),
        "U": ("CU" + good[2:], "character"),
        "dotless i": (good.replace("1", "\u0131", 1), "character"),
        "capital I with dot": (good.replace("1", "\u0130", 1), "character"),
        "long s": (good[:-1] + "\u017f", "character"),
        "Kelvin sign": (good[:-1] + "\u212a", "character"),
        "Arabic-Indic digits": (good.replace("0", "\u0660").replace("1", "\u0661"), "character"),
        "Cyrillic Es": ("\u0421" + rest, "character"),
        "mathematical bold digit": (good.replace("0", "\U0001d7ce", 1), "character"),
        "circled digit": (good.replace("1", "\u2460", 1), "character"),
        "superscript": (good.replace("1", "\u00b9", 1), "character"),
        "zero-width space": (good[:4] + "\u200b" + good[4:], "character"),
        "zero-width joiner": (good[:4] + "\u200d" + good[4:], "character"),
        "byte order mark": ("\ufeff" + good, "character"),
        "left-to-right mark": (good + "\u200e", "character"),
        "soft hyphen": (good[:4] + "\u00ad" + good[4:], "character"),
        "combining accent": (good + "\u0301", "character"),
        "null": (good + "\0", "character"),
        "underscore": (good.replace("0", "_", 1), "character"),
        "phone code's kind": (with_check("P" + good[1:18]), "kind"),
        "kind 0": (with_check("0" + good[1:18]), "kind"),
        "all zeros": ("0" * 20, "kind"),
        "batch 0": (with_check("C0003" + good[5:18]), "batch"),
        "one wrong symbol": (good[:6] + "Y" + good[7:], "check"),
        "swapped neighbours": (good[0] + good[2] + good[1] + good[3:], "check"),
        "check symbols swapped": (good[:18] + good[19] + good[18], "check"),
    }
    return [{"case": case, "text": text, "refusal": refusal} for case, (text, refusal) in rows.items()]


def slips(code: str) -> list[dict[str, object]]:
    """Every single slip that leads from a well-spelt card or training code to `code`."""
    found: list[dict[str, object]] = []
    for i in range(20):
        for symbol in ALPHABET:
            repaired = code[:i] + symbol + code[i + 1 :]
            if repaired != code and repaired[0] in "CT" and well_spelt(repaired):
                found.append({"slip": "wrong", "position": i + 1, "symbol": symbol})
    for i in range(19):
        repaired = code[:i] + code[i + 1] + code[i] + code[i + 2 :]
        if repaired != code and repaired[0] in "CT" and well_spelt(repaired):
            found.append({"slip": "swap", "position": i + 1})
    return found


def hints() -> list[dict[str, object]]:
    good = str(card(SECRETS[0], *CARDS[2])["code"]).replace("-", "")
    misspelt = [good[:i] + ALPHABET[(ALPHABET.index(good[i]) + 5) % 32] + good[i + 1 :] for i in range(20)]
    misspelt += [good[:i] + good[i + 1] + good[i] + good[i + 2 :] for i in range(19) if good[i] != good[i + 1]]
    misspelt += [good[:3] + ("0" if good[3] != "0" else "1") + good[4:i] + "Z" + good[i + 1 :] for i in range(8, 20)]
    return [{"text": grouped(text), "slips": slips(text)} for text in misspelt if not well_spelt(text)]


def vectors() -> dict[str, object]:
    return {
        "alphabet": ALPHABET,
        "check_symbols": {"data": CHECK_VECTOR[:18], "code": grouped(with_check(CHECK_VECTOR[:18]))},
        "cards": [card(secret, *identity) for secret in SECRETS for identity in CARDS],
        "spellings": spellings(),
        "refused": refused(),
        "hints": hints(),
    }
