"""The spool with the day keys at hand: calls are sealed as they are kept, and opened to be compared or delivered."""

import secrets
import struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tocsin.formats.wire import decode_call
from tocsin.ledger.state import Ledger
from tocsin.model.calls import ReportCall
from tocsin.model.claims import Claim
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.labels import prefix
from tocsin.model.ports import DayKeys
from tocsin.model.sent import sent_digest
from tocsin.model.times import Instant, day_of
from tocsin.service.codes import reading_of
from tocsin.service.key_folder import KeyFolder
from tocsin.stores.spool import Record, SpoolGroup

NONCE_BYTES: Final = 12
_DAY: Final = struct.Struct(">I")
_BOUND: Final = struct.Struct(">IQB")


def seal_call(keys: DayKeys, body: bytes, received_at: Instant, claims: tuple[Claim, ...]) -> bytes:
    """The 4,096 bytes of a call as they are kept. Raises `Unavailable` without the key of its day."""
    day_key = keys.day_key(day_of(received_at))
    if day_key is None:
        raise Unavailable("there is no key for today: run `tocsin serve`, which makes them ahead")
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(day_key).encrypt(nonce, body, _bound_to(received_at, claims))
    return _DAY.pack(day_of(received_at)) + nonce + sealed


def open_call(keys: DayKeys, record: Record) -> bytes | None:
    """The call that `record` keeps; None if its day key is destroyed. Raises `Invalid` if it was changed."""
    day_key = keys.day_key(day_of(record.received_at))
    if day_key is None:
        return None
    nonce, sealed = record.sealed[_DAY.size : _DAY.size + NONCE_BYTES], record.sealed[_DAY.size + NONCE_BYTES :]
    try:
        return AESGCM(day_key).decrypt(nonce, sealed, _bound_to(record.received_at, record.claims))
    except (InvalidTag, ValueError):
        raise Invalid("a record of the spool does not open: it was changed, or another key sealed it") from None


class Kept:
    """A `rules.spooled.InSpool`: what lies in the spool, this group's own included."""

    def __init__(self, group: SpoolGroup, ledger: Ledger, keys: KeyFolder) -> None:
        self._group = group
        self._ledger = ledger
        self._keys = keys

    def number(self, claim: Claim) -> int | None:
        """As `SpoolGroup.number`."""
        return self._group.number(claim)

    def sent(self, claim: Claim) -> bytes | None:
        """The digest of the report that is kept under `claim`; 32 zeros, which no report has, if it can't be opened."""
        number = self._group.number(claim)
        if number is None:
            return None
        try:
            body = open_call(self._keys, self._group.record(number))
            call = None if body is None else decode_call(body)
        except Invalid:
            call = None
        if not isinstance(call, ReportCall):
            return bytes(32)
        return sent_digest(call, *reading_of(call, self._ledger, self._keys).spelt)


def _bound_to(received_at: Instant, claims: tuple[Claim, ...]) -> bytes:
    return prefix("spool") + _BOUND.pack(day_of(received_at), received_at, len(claims)) + b"".join(claims)
