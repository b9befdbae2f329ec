"""Whether an export was signed by a key that the reader holds: ECDSA P-256, SHA-256, DER, over all of export.bin."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tocsin.formats.gaen.reader import FileSignature
from tocsin.formats.gaen.refusals import ExportInvalid, ExportReason
from tocsin.formats.gaen.schema import ECDSA_SHA256
from tocsin.model.errors import Invalid
from tocsin.model.policy import SignatureInfo

PublicKey = EllipticCurvePublicKey

_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,32}")
"""What ids and versions of keys are made of (google/exposure-notifications-server): safe to show to a person."""


def parse_public_key(pem: bytes) -> PublicKey:
    """The P-256 public key in a PEM file (``BEGIN PUBLIC KEY``). Raises `Invalid` for anything else."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid("not a public key in PEM") from None
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise Invalid("not a public key on the curve P-256")
    return key


def is_signed_by(public_key: PublicKey, export_bin: bytes, signature: bytes) -> bool:
    """Whether `signature` (DER) over the whole of `export_bin` is that key's."""
    try:
        public_key.verify(signature, export_bin, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def verify_export(
    export_bin: bytes, signatures: Sequence[FileSignature], public_keys: Mapping[SignatureInfo, PublicKey]
) -> tuple[SignatureInfo, ...]:
    """The keys of `public_keys` that signed `export_bin`: at least one, and every one that is named.

    During a change of keys files carry both signatures and a reader may hold either key. Raises `Invalid` if no key is
    named that the reader holds (and says which it would need), if a named key's signature is wrong, or if it claims
    another algorithm than the one that phones take.
    """
    verified = []
    for entry in signatures:
        public_key = public_keys.get(entry.info.key)
        if public_key is None:
            continue
        if entry.info.algorithm != ECDSA_SHA256:
            raise ExportInvalid(ExportReason.ALGORITHM, f": {ECDSA_SHA256}")
        if not is_signed_by(public_key, export_bin, entry.signature):
            raise ExportInvalid(ExportReason.WRONG_SIGNATURE)
        verified.append(entry.info.key)
    if not verified:
        raise ExportInvalid(ExportReason.KEY_NOT_HELD, f"; its keys are: {shown_keys(signatures)}")
    return tuple(verified)


def shown_keys(signatures: Sequence[FileSignature]) -> str:
    """The keys that a file's signatures name, for a person; ``none at all`` if there is no signature."""
    return ", ".join(_shown(entry.info.key) for entry in signatures) or "none at all"


def _shown(info: SignatureInfo) -> str:
    """Id and version of a key, if they are of the form that ids and versions have: errors do not echo input."""
    parts = (info.verification_key_id, info.verification_key_version)
    return " ".join(parts) if all(_NAME.fullmatch(part) for part in parts) else "one without a proper name"
