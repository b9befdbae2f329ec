"""``tests/vectors/events.json`` as values of the journal's room."""

import json
from pathlib import Path
from typing import Any, Final

from tocsin.journal.encoding import StoredEvent
from tocsin.model.claims import Claim
from tocsin.model.times import Day

VECTORS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).resolve().parents[1] / "vectors" / "events.json").read_text("ascii")
)
DAY: Final = Day(VECTORS["day"])
DAY_KEY: Final = bytes.fromhex(VECTORS["day_key"])
REPORT_ID: Final = bytes.fromhex(VECTORS["report_id"])


def stored_event(row: dict[str, Any]) -> StoredEvent:
    """The event of one row."""
    content = row["content"]
    return StoredEvent(
        row["sequence"],
        row["recorded_at"],
        row["kind"],
        row["body"].encode("utf-8"),
        None if content is None else bytes.fromhex(content),
        bytes.fromhex(row["content_digest"]),
        tuple(Claim(bytes.fromhex(claim)) for claim in row["claims"]),
        bytes.fromhex(row["digest"]),
    )


JOURNAL: Final = [stored_event(row) for row in VECTORS["journal"]]
"""An event of every kind, chained."""


class OneDayKey:
    """The port `DayKeys`, with the key of the vectors' day."""

    def __init__(self, day: Day = DAY, key: bytes = DAY_KEY) -> None:
        self._keys = {day: key}

    def day_key(self, day: Day) -> bytes | None:
        return self._keys.get(day)


class NoDayKeys:
    """The port `DayKeys` when every key is destroyed."""

    def day_key(self, day: Day) -> bytes | None:
        return None
