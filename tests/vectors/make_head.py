"""Vectors of ``docs/formats/leaf.md``, *Head*: signed notes around a leaf, good and bad; the keys' seeds stand here."""

import base64
import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.vectors import make_leaf

ORIGIN = "tocsin.example/utopia"
SEED, WITNESS_SEED, STRANGER_SEED = (hashlib.sha256(name).digest() for name in (b"head", b"witness", b"stranger"))


def public(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def key_id(name: str, seed: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n\x01" + public(seed)).digest()[:4]


def vkey(name: str, seed: bytes) -> str:
    typed_key = base64.b64encode(b"\x01" + public(seed)).decode()
    return f"{name}+{key_id(name, seed).hex()}+{typed_key}"


def line(name: str, seed: bytes, text: str) -> str:
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(text.encode())
    return f"\u2014 {name} {base64.b64encode(key_id(name, seed) + signature).decode()}\n"


LEAF = make_leaf.spell(make_leaf.LEAF)
TEXT = f"{ORIGIN}\nhead\n{LEAF}"
OWN = line(ORIGIN, SEED, TEXT)
WITNESS = line("witness.example", WITNESS_SEED, TEXT)
STRANGER = line("stranger", STRANGER_SEED, TEXT)
SAME_NAME = line(ORIGIN, STRANGER_SEED, TEXT)


def good() -> dict[str, str]:
    return {
        "one signature": f"{TEXT}\n{OWN}",
        "a witness too": f"{TEXT}\n{OWN}{WITNESS}",
        "a stranger's line is ignored": f"{TEXT}\n{STRANGER}{OWN}",
        "a line with the name of the known key, but another ID, is ignored": f"{TEXT}\n{SAME_NAME}{OWN}",
        "100 lines": f"{TEXT}\n{STRANGER * 99}{OWN}",
    }


def bad_notes() -> dict[str, str]:
    forged = line(ORIGIN, SEED, TEXT + "x\n")
    short = base64.b64encode(key_id("stranger", STRANGER_SEED)).decode()
    return {
        "nothing": "",
        "no signature": TEXT,
        "no line after the empty line": TEXT + "\n",
        "no known key": f"{TEXT}\n{STRANGER}",
        "the known name with another key": f"{TEXT}\n{SAME_NAME}",
        "the known ID under another name": f"{TEXT}\n{OWN.replace(ORIGIN, 'other')}",
        "signature over another text": f"{TEXT}\n{forged}",
        "one known key right, one wrong": f"{TEXT}\n{OWN}{line('witness.example', WITNESS_SEED, 'other')}",
        "right, then wrong by the same key": f"{TEXT}\n{OWN}{forged}",
        "one digit of the text changed": f"{TEXT.replace('version 1343', 'version 1342')}\n{OWN}",
        "a line feed more in the text": f"{TEXT}\n\n{OWN}",
        "no last line feed": f"{TEXT}\n{OWN[:-1]}",
        "line after the signatures": f"{TEXT}\n{OWN}more\n",
        "empty line after the signatures": f"{TEXT}\n{OWN}\n",
        "no empty line": f"{TEXT}{OWN}",
        "hyphen for the dash": f"{TEXT}\n{OWN.replace(chr(0x2014), '-')}",
        "two spaces": f"{TEXT}\n{OWN.replace(' ', '  ', 1)}",
        "signature without a key name": f"{TEXT}\n\u2014  {OWN.split()[2]}\n",
        "no signature after the key ID": f"{TEXT}\n{OWN}\u2014 stranger {short}\n",
        "base64url": f"{TEXT}\n{OWN}\u2014 other -_-_-_-_\n",
        "carriage returns": f"{TEXT}\n{OWN}".replace("\n", "\r\n"),
        "a tab": f"{TEXT}\t\n\n{OWN}",
        "101 lines": f"{TEXT}\n{STRANGER * 100}{OWN}",
    }


def bad_vkeys() -> dict[str, str]:
    own, (name, identifier, typed_key) = vkey(ORIGIN, SEED), vkey(ORIGIN, SEED).split("+", 2)
    other_type = base64.b64encode(b"\x04" + public(SEED)).decode()
    return {
        "nothing": "",
        "no key": f"{name}+{identifier}",
        "no ID": f"{name}+{typed_key}",
        "no name": own.removeprefix(name),
        "another name": own.replace(name, "other"),
        "ID in capitals": own.replace(identifier, identifier.upper()),
        "ID of another key": own.replace(identifier, key_id(ORIGIN, WITNESS_SEED).hex()),
        "another type": own.replace(typed_key, other_type),
        "key of 31 bytes": own.replace(typed_key, base64.b64encode(b"\x01" + public(SEED)[:-1]).decode()),
        "line feed at the end": own + "\n",
        "white space in the name": own.replace(name, "a b"),
        "private key of another convention": f"PRIVATE+KEY+{own}",
    }


def signed(text: str) -> str:
    return f"{text}\n{line(ORIGIN, SEED, text)}"


def bad_heads() -> dict[str, str]:
    """Rightly signed, and yet no head of this origin: the purpose stands inside the signed bytes."""
    return {
        "another origin": signed(f"tocsin.example/dystopia\nhead\n{LEAF}"),
        "no origin": signed(f"head\n{LEAF}"),
        "another purpose": signed(f"{ORIGIN}\ntrust\n{LEAF}"),
        "a leaf without purpose": signed(f"{ORIGIN}\n{LEAF}"),
        "empty line before the leaf": signed(f"{ORIGIN}\nhead\n\n{LEAF}"),
        "line after the leaf": signed(f"{ORIGIN}\nhead\n{LEAF}more\n"),
        "not ASCII": signed(TEXT.replace("region utopia", "region utopi\u0430")),
        "a checkpoint": signed(f"{ORIGIN}\n7\n{base64.b64encode(bytes(32)).decode()}\n"),
    }


def vectors() -> dict[str, object]:
    def listed(notes: dict[str, str]) -> list[dict[str, Any]]:
        return [{"name": name, "note": note} for name, note in notes.items()]

    return {
        "origin": ORIGIN,
        "seed": SEED.hex(),
        "vkey": vkey(ORIGIN, SEED),
        "witness_vkey": vkey("witness.example", WITNESS_SEED),
        "text": TEXT,
        "leaf": LEAF,
        "signed": signed(TEXT),
        "bad_vkeys": [{"name": name, "vkey": bad} for name, bad in bad_vkeys().items()],
        "good": listed(good()),
        "bad_notes": listed(bad_notes()),
        "bad_heads": listed(bad_heads()),
    }
