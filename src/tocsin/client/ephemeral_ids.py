"""What a phone broadcasts, derived from a diagnosis key: rolling proximity identifiers with metadata, or EphIDs.

Sources: Apple/Google, Exposure Notification Cryptography Specification v1.2; DP-3T white paper of 25 May 2020, 2.1,
with the epochs of 15 minutes of its code. Names are theirs.
"""

import hmac
from typing import Any, Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from tocsin.model.keys import KEY_BYTES, Records
from tocsin.model.times import INTERVALS_PER_DAY

_BLOCK_BYTES: Final = 16
_ROW_BYTES: Final = INTERVALS_PER_DAY * _BLOCK_BYTES
_NO_SALT: Final = bytes(32)
_ECB: Final = modes.ECB()  # the specification's own: single blocks, each encrypted once
_PADDED_DATA: Final = np.frombuffer(b"EN-RPI".ljust(_BLOCK_BYTES, b"\0"), "<u4")
"""Words 0 to 2 are the same for every identifier; word 3 is the interval, little-endian."""


EPOCHS_PER_DAY: Final = 96
"""Of 15 minutes each, in all of DP-3T's code."""
_COUNTER_FROM_ZERO: Final = modes.CTR(bytes(_BLOCK_BYTES))  # DP-3T's own: the key is used for this stream alone


def _derive(diagnosis_key: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 without salt, 16 bytes: one block of output, so expanding is a single HMAC."""
    return hmac.digest(hmac.digest(_NO_SALT, diagnosis_key, "sha256"), info + b"\x01", "sha256")[:KEY_BYTES]


def rolling_proximity_identifier_key(diagnosis_key: bytes) -> bytes:
    """RPIK, 16 bytes."""
    return _derive(diagnosis_key, b"EN-RPIK")


def associated_encrypted_metadata_key(diagnosis_key: bytes) -> bytes:
    """AEMK, 16 bytes."""
    return _derive(diagnosis_key, b"EN-AEMK")


def crypt_metadata(diagnosis_key: bytes, rpi: bytes, metadata: bytes) -> bytes:
    """The 4 bytes of metadata that go out with `rpi`, encrypted; or, given those, decrypted: it is one operation."""
    aemk = associated_encrypted_metadata_key(diagnosis_key)
    return Cipher(algorithms.AES(aemk), modes.CTR(rpi)).encryptor().update(metadata)


def _padded_data(starts: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """PaddedData of the 144 intervals from each start on: one row a start, 2,304 bytes."""
    padded = np.empty((len(starts), INTERVALS_PER_DAY, _PADDED_DATA.size), "<u4")
    padded[:] = _PADDED_DATA
    padded[:, :, 3] = starts[:, None] + np.arange(INTERVALS_PER_DAY, dtype=np.uint32)
    return padded.view(np.uint8).reshape(-1, _ROW_BYTES)


def rolling_proximity_identifiers(records: Records) -> NDArray[Any]:
    """The RPIs of each record as ``V16``, one row a record, 144 a row from the record's start on.

    Those past the record's period are never broadcast; whoever matches leaves them out. About 7 µs a record.

    >>> from tocsin.model.keys import RECORD
    >>> rolling_proximity_identifiers(np.zeros(2, RECORD)).shape
    (2, 144)
    """
    # Keys of a day mostly start together: PaddedData is made once a start.
    starts, start_of = np.unique(records["rolling_start_interval_number"].astype(np.uint32), return_inverse=True)
    plain = [memoryview(row) for row in _padded_data(starts)]
    length = len(records) * _ROW_BYTES
    room = memoryview(bytearray(length + _BLOCK_BYTES))  # update_into wants a block of room beyond what it writes
    keys = zip(range(0, length, _ROW_BYTES), records["key_data"].tolist(), start_of.tolist(), strict=True)
    for begin, diagnosis_key, start in keys:
        cipher = Cipher(algorithms.AES(rolling_proximity_identifier_key(diagnosis_key)), _ECB)
        cipher.encryptor().update_into(plain[start], room[begin:])
    return np.frombuffer(room[:length], "V16").reshape(-1, INTERVALS_PER_DAY)


def ephemeral_ids(records: Records) -> NDArray[Any]:
    """The EphIDs of each DP-3T day key as ``V16``, one row a record, 96 a row. About 7 µs a record.

    A phone broadcasts those of a day in random order: where one stands in its row says nothing of the time of day.

    >>> from tocsin.model.keys import DP3T_RECORD
    >>> ephemeral_ids(np.zeros(2, DP3T_RECORD)).shape
    (2, 96)
    """
    zeros = bytes(EPOCHS_PER_DAY * _BLOCK_BYTES)
    seeds = (hmac.digest(day_key, b"broadcast key", "sha256") for day_key in records["key_data"].tolist())
    streams = [Cipher(algorithms.AES(seed), _COUNTER_FROM_ZERO).encryptor().update(zeros) for seed in seeds]
    return np.frombuffer(b"".join(streams), "V16").reshape(-1, EPOCHS_PER_DAY)
