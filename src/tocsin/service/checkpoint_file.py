"""A checkpoint as a file: a ledger's parts, each sealed. Source: ``docs/formats/checkpoint.md``.

What is erased with a day is sealed under the key of that day, all else under a key of the deployment's own; so who can
write the folder, and has no keys, can neither read a checkpoint nor make one that is believed.
"""

import os
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from tocsin import __version__
from tocsin.journal.content import NONCE_BYTES, TAG_BYTES
from tocsin.journal.port import Tip
from tocsin.ledger.checkpoint import Written
from tocsin.ledger.restore import restore
from tocsin.ledger.state import Ledger
from tocsin.model.errors import Invalid, Unavailable
from tocsin.model.labels import prefix
from tocsin.model.times import Day
from tocsin.service.key_folder import KeyFolder
from tocsin.stores.durable import in_words

LAYOUT: Final = 1
MOST_DAYS: Final = 1000
_MAGIC: Final = prefix("checkpoint")
_FIRST: Final = struct.Struct(">H16sQ32sQ12sH")
"""Layout, version of tocsin, sequence, digest, recorded_at, nonce of the numbers, how many days."""
_SECTION: Final = struct.Struct(">I12s")
_LENGTH: Final = struct.Struct(">Q")


class Header(Struct, frozen=True):
    """What stands before the sections: where in the journal the ledger stands, and which days it holds."""

    made_by: str
    last: Tip
    nonce: bytes
    days: dict[Day, bytes]
    """Each day's nonce, in the order of their sections."""

    @property
    def encoded(self) -> bytes:
        """The bytes of it, to which every section is bound."""
        last = self.last
        first = _FIRST.pack(
            LAYOUT, self.made_by.encode(), last.sequence, last.digest, last.recorded_at, self.nonce, len(self.days)
        )
        return b"".join((_MAGIC, first, *(_SECTION.pack(*each) for each in self.days.items())))


def decode_header(data: bytes) -> Header:
    """The header that a file begins with. Raises `Invalid` for any other bytes."""
    layout_end, end = len(_MAGIC) + 2, len(_MAGIC) + _FIRST.size
    if data[:layout_end] != _MAGIC + struct.pack(">H", LAYOUT):
        raise Invalid("it has a layout that this version does not know, or is no checkpoint")
    if len(data) < end:
        raise Invalid("it is cut off")
    _, made_by, sequence, digest, recorded_at, nonce, count = _FIRST.unpack_from(data, len(_MAGIC))
    if count > MOST_DAYS or len(data) < end + count * _SECTION.size:
        raise Invalid("it is cut off, or damaged")
    days = {Day(day): own for day, own in _SECTION.iter_unpack(data[end : end + count * _SECTION.size])}
    header = Header(made_by.rstrip(b"\0").decode("ascii", "replace"), Tip(sequence, digest, recorded_at), nonce, days)
    if header.encoded != data[: len(header.encoded)] or len(days) != count:
        raise Invalid("it is damaged")
    return header


def sections(ledger: Ledger, last: Tip, keys: KeyFolder) -> Iterator[bytes]:
    """The pieces of the file for this ledger, which stands right behind the event `last`.

    Raises `Unavailable` if the key of a day is away whose reports the ledger has read.
    """
    written = Written(ledger)
    nonces = {day: secrets.token_bytes(NONCE_BYTES) for day in written.days}
    header = Header(__version__, last, secrets.token_bytes(NONCE_BYTES), nonces)
    yield header.encoded
    yield from _sealed(keys.checkpoint_key(), header.nonce, written.numbers(), header.encoded)
    for day, nonce in nonces.items():
        day_key = keys.day_key(day)
        if day_key is None:
            raise Unavailable(f"the day key {day} is missing from the key folder")
        yield from _sealed(day_key, nonce, written.day_part(day), header.encoded)


def _sealed(key: bytes, nonce: bytes, plain: bytes, bound_to: bytes) -> Iterator[bytes]:
    yield _LENGTH.pack(len(plain) + TAG_BYTES)
    yield AESGCM(key).encrypt(nonce, plain, bound_to)


class CheckpointFile:
    """A checkpoint that is open to be read. Its methods raise `Invalid` for what is none."""

    def __init__(self, file: FileIO, keys: KeyFolder) -> None:
        self._file = file
        self._keys = keys
        self._room = np.empty((2, 0), np.uint8)
        """For a section as it is stored, and as it is opened: memory for each anew would cost more than opening it."""
        self.header = decode_header(file.read(len(_MAGIC) + _FIRST.size + MOST_DAYS * _SECTION.size))

    def ledger(self) -> Ledger:
        """The ledger, without the days whose key is not at hand."""
        (numbers, *days), keys = self._places(), self._keys
        parts = {}
        for (day, nonce), place in zip(self.header.days.items(), days, strict=True):
            day_key = keys.day_key(day)
            if day_key is not None:
                parts[day] = partial(self._opened, day_key, nonce, place)
        return restore(self._opened(keys.checkpoint_key(), self.header.nonce, numbers), parts)

    def _places(self) -> list[slice]:
        """Where the sections are."""
        places = []
        at, end = len(self.header.encoded), os.fstat(self._file.fileno()).st_size
        for _ in range(1 + len(self.header.days)):
            self._file.seek(at)
            length = int.from_bytes(self._file.read(_LENGTH.size), "big")
            places.append(slice(at + _LENGTH.size, at + _LENGTH.size + length))
            at = places[-1].stop
            if not length >= TAG_BYTES or at > end:
                raise Invalid("it is cut off, or damaged")
        if at != end:
            raise Invalid("it does not end where it should")
        return places

    def _opened(self, key: bytes, nonce: bytes, place: slice) -> memoryview:
        """What a section holds, until the next one is opened."""
        length = place.stop - place.start
        if self._room.shape[1] < length:
            self._room = np.empty((2, length), np.uint8)
        sealed, plain = self._room[0, :length].data, self._room[1, : length - TAG_BYTES].data
        self._file.seek(place.start)
        if self._file.readinto(sealed) != length:
            raise Invalid("it is cut off")
        try:
            AESGCM(key).decrypt_into(nonce, sealed, self.header.encoded, plain)
        except InvalidTag:
            raise Invalid("it does not open: it is damaged, or of another deployment") from None
        return plain


@contextmanager
def open_checkpoint(path: Path, keys: KeyFolder) -> Iterator[CheckpointFile]:
    """The checkpoint in the file `path`. Raises `Invalid` if it is none, `Unavailable` if the disk says no."""
    try:
        with path.open("rb", buffering=0) as file:
            yield CheckpointFile(file, keys)
    except OSError as error:
        raise Unavailable(f"it can't be read: {in_words(error)}") from None
