"""Files that a person hands to `tocsin client`: whom to trust, keys, sightings. What is wrong names the file."""

from pathlib import Path
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Struct

from tocsin.cli.reading import read_file
from tocsin.client.match import DP3T_SIGHTING, SIGHTING, Dp3tSightings, Sightings
from tocsin.client.trust import Trust, parse_trust
from tocsin.formats.wire import DiagnosisKey
from tocsin.model.base64url import decode
from tocsin.model.calls import SentKey
from tocsin.model.errors import Invalid

IDENTIFIER_BYTES: Final = 16
"""Of an RPI as of an EphID."""
AEM_BYTES: Final = 4
"""Associated encrypted metadata (Exposure Notification cryptography specification v1.2)."""


class Seen(Struct, frozen=True, forbid_unknown_fields=True):
    """A sighting, as a file for `tocsin client match` spells it: of an `rpi` (GAEN) or an `ephid` (DP-3T)."""

    interval: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    rpi: str | None = None
    ephid: str | None = None
    aem: str = "00000000"


class Heard(Struct, frozen=True, eq=False):
    """The sightings of a file, by what was heard."""

    gaen: Sightings
    dp3t: Dp3tSightings


def read_trust(path: Path) -> Trust:
    """The trust in a file. Raises `Invalid`."""
    try:
        return parse_trust(read_file(path))
    except Invalid as invalid:
        raise Invalid(
            f"{path}: {invalid}. Take the trust.json that `tocsin init` made in the deployment's folder."
        ) from None


def read_sightings(path: Path) -> Heard:
    """The sightings in a file. Raises `Invalid`."""
    try:
        listed = msgspec.json.decode(read_file(path), type=list[Seen])
        gaen = [(bytes.fromhex(s.rpi), s.interval, bytes.fromhex(s.aem)) for s in listed if s.rpi is not None]
        dp3t = [(bytes.fromhex(s.ephid), s.interval) for s in listed if s.ephid is not None]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise Invalid(f"{path} is no JSON list of sightings, each with rpi or ephid, and interval.") from None
    if any((seen.rpi is None) == (seen.ephid is None) for seen in listed):
        raise Invalid(f"{path}: a sighting has either an rpi or an ephid.")
    if any(len(rpi) != IDENTIFIER_BYTES or len(aem) != AEM_BYTES for rpi, _, aem in gaen):
        raise Invalid(f"{path}: an rpi has 16 bytes, an aem 4, in hexadecimal.")
    if any(len(ephid) != IDENTIFIER_BYTES for ephid, _ in dp3t):
        raise Invalid(f"{path}: an ephid has 16 bytes, in hexadecimal.")
    return Heard(np.array(gaen, SIGHTING), np.array(dp3t, DP3T_SIGHTING))


def read_keys(path: Path) -> list[SentKey]:
    """The diagnosis keys in a file. Raises `Invalid`; whether a key will do is the server's to say."""
    try:
        listed = msgspec.json.decode(read_file(path), type=list[DiagnosisKey])
        return [SentKey(decode(key.key_data), key.rolling_start_interval_number, key.rolling_period) for key in listed]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Invalid):
        raise Invalid(
            f"{path} is no JSON list of diagnosis keys, each with key_data (base64url),"
            " rolling_start_interval_number and rolling_period."
        ) from None
