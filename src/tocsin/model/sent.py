"""The digest of a report as it was sent: it tells a repeated call from another one with the same ID."""

import struct
from typing import Final

from tocsin.model.calls import ContinueCall, ReportCall
from tocsin.model.labels import labelled_hash

NO_ONSET_DAY: Final = -(2**31)
"""Stands for an absent `onset_day` in the digest; no call can carry it (``docs/formats/call.md``)."""


def sent_digest(call: ReportCall | ContinueCall, kind: int, batch: int, serial: int) -> bytes:
    """32 bytes over the decoded fields of `call`, so that its spelling in JSON does not matter.

    `kind`, `batch` and `serial` are those of its code: all 0 where none was sent or what was sent does not parse.
    Source: ``docs/formats/call.md``, *sent*.
    """
    onset_day = NO_ONSET_DAY if call.onset_day is None else call.onset_day
    parts = [
        struct.pack(">BIH", kind, batch, serial),
        call.continue_id,
        struct.pack(">iB", onset_day, len(call.keys)),
    ]
    for key in call.keys:
        parts += (
            struct.pack(">H", len(key.key_data)),
            key.key_data,
            struct.pack(">II", key.rolling_start_interval_number, key.rolling_period),
        )
    if call.test_day is None:
        return labelled_hash("sent", b"".join(parts))
    return labelled_hash("sent-tested", b"".join([*parts, struct.pack(">i", call.test_day)]))
