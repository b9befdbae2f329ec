"""What an app trusts from the start, pinned in its package (``trust.json``): names, public keys, limits, addresses."""

from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from msgspec import Struct

from tocsin.formats.set_digest import region_field
from tocsin.model.errors import Invalid
from tocsin.transparency.note import NoteVerifier, parse_verifier


class GaenKey(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A public key that signs GAEN exports, as its signature infos name it; `pem` is an ECDSA P-256 key.

    `signs_from`: it is announced, and signs nothing before this instant (UTC seconds). Readers accept it at once.
    """

    verification_key_id: str
    verification_key_version: str
    pem: str
    signs_from: int = 0

    def __post_init__(self) -> None:
        try:
            key = load_pem_public_key(self.pem.encode())
        except (ValueError, UnsupportedAlgorithm):
            raise Invalid("a GAEN key is no public key in PEM") from None
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
            raise Invalid("a GAEN key is not on the curve P-256")
        if self.signs_from < 0:
            raise Invalid("a GAEN key signs from before 1970")


class Trust(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The pinned facts of one deployment. Raises `Invalid` where one is impossible.

    `origin`: the head's first line. `vkeys`: who may sign heads; one of them must. `freshness_seconds`: a head older
    than this is stale. `reports_url`: where calls are posted. `bucket_url`: before an object's name, after it a slash.
    """

    origin: str
    vkeys: tuple[str, ...]
    region: str
    freshness_seconds: int
    reports_url: str
    bucket_url: str
    gaen_keys: tuple[GaenKey, ...]

    def __post_init__(self) -> None:
        region_field(self.region)
        if not self.origin or not self.origin.isprintable():
            raise Invalid("the origin is one line of text")
        if not self.verifiers:
            raise Invalid("at least one key must be trusted to sign heads")
        if self.freshness_seconds <= 0:
            raise Invalid("the freshness limit is a number of seconds above 0")
        for url in (self.reports_url, self.bucket_url):
            if not url.startswith(_SCHEMES) or url.endswith("/"):
                raise Invalid("an address begins with https:// or http:// and does not end with a slash")

    @property
    def verifiers(self) -> tuple[NoteVerifier, ...]:
        """The keys that may sign heads."""
        return tuple(parse_verifier(vkey) for vkey in self.vkeys)


_SCHEMES: Final = ("https://", "http://")  # the latter for one machine and for tests; heads are signed either way


def encode_trust(trust: Trust) -> bytes:
    """`trust` as JSON, indented, one line feed at the end.

    The instant of a key that always signed is left out: clients of 0.1.0 know no such field, and refuse it.
    """
    fields = msgspec.to_builtins(trust)
    fields["gaen_keys"] = [[*key, signs_from] if signs_from else key for *key, signs_from in fields["gaen_keys"]]
    return msgspec.json.format(msgspec.json.encode(fields), indent=2) + b"\n"


def parse_trust(data: bytes) -> Trust:
    """The trust in `data`. Raises `Invalid` for anything but its fields, each of its type and possible.

    >>> parse_trust(b"{}")
    Traceback (most recent call last):
    tocsin.model.errors.Invalid: not a trust file
    """
    try:
        return msgspec.json.decode(data, type=Trust)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Invalid("not a trust file") from None
