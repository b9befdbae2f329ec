"""A ledger as bytes: what a checkpoint holds. Pure. Source: ``docs/formats/checkpoint.md``.

`Written.numbers` is what may stay for ever; `Written.day_part` what is erased with a UTC day: keys, and where reports
came from. `tocsin.ledger.restore` reads them; sealing, files and folders are left to `tocsin.service`.
"""

import struct
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import DTypeLike, NDArray

from tocsin.ledger.issued import IssuedCodes
from tocsin.ledger.key_index import Places
from tocsin.ledger.key_table import KeyTable
from tocsin.ledger.phone_codes import PhoneCodes
from tocsin.ledger.state import (
    Batch,
    Ledger,
    PhoneBatchKey,
    Provider,
    Quarantine,
    Revocation,
    Rollback,
    Version,
)
from tocsin.model.calls import Verdict
from tocsin.model.events import MadeFile
from tocsin.model.keys import RECORDS, KeyKind, rows_of
from tocsin.model.times import DAY_SECONDS, Day

Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]

LENGTH: Final = struct.Struct("<I")
_ERASED_WITH_ITS_DAY: Final = ("batch", "serial", "provider", "sent")
_ELSEWHERE: Final = ("first_row", "letters")
"""The first follows from others, the second stands at the end."""
OF_A_KEY: Final = ("first_entered", "changed", "left")
"""Versions that stand in the row of a key's first holder; each holder's row takes them along."""
WAS_PUBLIC, PUBLIC, LAST, FINAL, HEAD = (1 << bit for bit in range(5))


class State(Struct, frozen=True):
    """What of a ledger is neither a table nor follows from one, by the names of its attributes.

    `objections` are parted by their kind. `letters`: those of the ledger, in order; `reports`: how many rows there are;
    `index_bits`: of the index of each kind's keys.
    """

    sequence: int
    recorded_at: int
    region: str
    deployment_id: bytes
    founded_at: int
    paused: bool
    providers: dict[int, Provider]
    batches: dict[int, Batch]
    issued_cards: IssuedCodes
    issued_phone_codes: IssuedCodes
    phone_codes: PhoneCodes
    phone_batches: dict[PhoneBatchKey, int]
    secret_ends: dict[int, int]
    revocations: dict[tuple[int | None, int | None], list[int]]
    quarantines: dict[int, Quarantine]
    versions: list[Version]
    made: list[MadeFile]
    sealed_days: set[int]
    erased_days: set[int]
    day_keys: dict[int, bytes]
    acts: int
    declined: dict[bytes, Verdict]
    revoked: dict[int, Revocation]
    rolled_back: dict[int, Rollback]
    letters: list[str]
    reports: int
    index_bits: dict[KeyKind, int]


SAME: Final[tuple[str, ...]] = tuple(
    name for name in State.__struct_fields__ if name in vars(Ledger()) and name not in ("reports", "letters")
)
"""The fields that the ledger has under the same names."""
DECODER: Final = msgspec.msgpack.Decoder(State)
_ENCODER: Final = msgspec.msgpack.Encoder()


def held_days(ledger: Ledger) -> list[Day]:
    """The UTC days of the reports that are not erased, ascending: there is a part for each."""
    received_at = ledger.reports["received_at"][~ledger.reports["erased"]]
    return [Day(day) for day in np.unique(received_at // DAY_SECONDS).tolist()]


class Written:
    """A ledger as it stands, to be written down; it must not change meanwhile."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        reports = ledger.reports
        self._days = np.where(reports["erased"], -1, reports["received_at"] // DAY_SECONDS).astype(np.int32)
        self.days = held_days(ledger)
        self._places = {kind: keys.index.places(keys["head"]) for kind, keys in ledger.keys.items()}

    def numbers(self) -> bytes:
        """All that is not erased with a day."""
        ledger, reports = self._ledger, self._ledger.reports
        state = State(
            **{name: getattr(ledger, name) for name in SAME},
            revoked={n: each for n, each in ledger.objections.items() if isinstance(each, Revocation)},
            rolled_back={n: each for n, each in ledger.objections.items() if isinstance(each, Rollback)},
            letters=list(ledger.letters),
            reports=reports.count,
            index_bits={kind: keys.index.bits for kind, keys in ledger.keys.items()},
        )
        encoded = _ENCODER.encode(state)
        return b"".join(
            (
                LENGTH.pack(len(encoded)),
                encoded,
                *(_bytes(reports[name], dtype) for name, dtype in number_columns().items()),
                b"".join(ledger.report_by_id),
                _bytes(reports["letters"], np.uint32),
            )
        )

    def day_part(self, day: Day) -> bytes:
        """What is erased with this day."""
        reports = np.nonzero(self._days == day)[0]
        columns = self._ledger.reports
        parts = [_bytes(columns[name][reports], dtype) for name, dtype in report_columns().items()]
        for kind, keys in self._ledger.keys.items():
            parts += _key_rows(keys, self._places[kind], np.nonzero(self._days[keys["report"]] == day)[0])
        return b"".join(parts)


def _key_rows(keys: KeyTable, places: Places, rows: Rows) -> list[bytes]:
    """What is written of these rows. What stands in the row of a key's head is said of each that holds the key."""
    heads, by_place = keys["head"][rows], np.argsort(places[rows], kind="stable")
    flags = (
        WAS_PUBLIC * keys["was_public"][rows]
        | PUBLIC * keys["public"][heads]
        | LAST * (keys["last_row"][heads] == rows)
        | FINAL * keys["final"][heads]
        | HEAD * (heads == rows)
    )
    written = {
        "record": rows_of(keys["record"], rows).view(f"V{keys['record'].itemsize}"),
        **{name: keys[name][rows] for name in ("position", "day", "release_at")},
        "flags": flags,
        **{name: keys[name][heads] for name in OF_A_KEY},
        "by_place": by_place,
        "place": places[rows[by_place]],
    }
    stints = [
        (int(at), ended)
        for stints in keys.stints.values()
        for row, ended in stints
        if (at := np.searchsorted(rows, row)) < len(rows) and rows[at] == row
    ]
    return [
        *(_bytes(written[name], dtype) for name, dtype in key_columns(keys.kind).items()),
        LENGTH.pack(len(stints)),
        _bytes(np.array(sorted(stints)).reshape(-1, 2), np.uint32),
    ]


def stored(dtype: DTypeLike) -> np.dtype[Any]:
    """How values of this type are stored: numbers little-endian, records as they are."""
    plain = np.dtype(dtype)
    return plain if plain.kind == "V" else plain.newbyteorder("<")


def _bytes(column: NDArray[Any], dtype: DTypeLike) -> bytes:
    return column.astype(stored(dtype), copy=False).tobytes()


def number_columns() -> dict[str, np.dtype[Any]]:
    """The columns of `reports` that stay, in their order."""
    return {
        name: dtype for name, dtype in Ledger().reports.dtypes.items() if name not in _ERASED_WITH_ITS_DAY + _ELSEWHERE
    }


def report_columns() -> dict[str, np.dtype[Any]]:
    """The columns of `reports` that are erased with a day."""
    return {name: dtype for name, dtype in Ledger().reports.dtypes.items() if name in _ERASED_WITH_ITS_DAY}


def key_columns(kind: KeyKind) -> dict[str, Any]:
    """What a day's part says of each key that a report holds."""
    return {
        "record": f"V{RECORDS[kind].itemsize}",
        "position": np.uint8,
        "day": np.int32,
        "release_at": np.int64,
        "flags": np.uint8,
        **dict.fromkeys(OF_A_KEY, np.int32),
        "by_place": np.uint32,
        "place": np.uint32,
    }
