"""Labelled hashes and derivations: one table of labels, so that no two purposes can ever share a value.

Source: ``docs/formats/labels.md``. Every hash, MAC and derivation of tocsin begins with :func:`prefix` of its label.
"""

import hashlib
import hmac
from functools import cache
from typing import Final

LABELS: Final = frozenset(
    {
        "batch-key",
        "claim-card",
        "claim-continue",
        "claim-phone",
        "claim-request",
        "claim-tracking",
        "card-mac",
        "checkpoint",
        "checkpoint-key",
        "content",
        "day-key",
        "continue",
        "event",
        "leaf",
        "phone-code",
        "phone-hash",
        "sent",
        "sent-tested",
        "set",
        "source",
        "source-network",
        "spool",
        "tracking",
        "training-batch-key",
    }
)


@cache
def prefix(label: str) -> bytes:
    """The bytes that stand before everything hashed under `label`: u8 length of the text, then the text.

    >>> prefix("event")
    b'\\x0ftocsin/v1/event'
    """
    if label not in LABELS:
        raise KeyError(label)
    text = f"tocsin/v1/{label}".encode("ascii")
    return bytes([len(text)]) + text


def labelled_hash(label: str, *parts: bytes | memoryview) -> bytes:
    """SHA-256 over ``prefix(label)`` and `parts`, one behind the other: 32 bytes."""
    hasher = hashlib.sha256(prefix(label))
    for part in parts:
        hasher.update(part)
    return hasher.digest()


def derive(secret: bytes, label: str, context: bytes = b"") -> bytes:
    """32 bytes of HKDF-SHA256 (RFC 5869) from `secret`: empty salt, info = ``prefix(label) ‖ context``.

    One block of output is all there is, so expanding is a single HMAC.
    """
    pseudo_random_key = hmac.digest(b"\0" * 32, secret, "sha256")
    return hmac.digest(pseudo_random_key, prefix(label) + context + b"\x01", "sha256")
