"""A saved ledger that somebody has put there: the file, its header, and what its sections hold once they are open."""

from functools import cache, partial

from tests.fuzz.target import Target, scratch
from tests.journal.vectors import JOURNAL, OneDayKey
from tests.sites import MORNING
from tocsin.journal.content import Opener
from tocsin.journal.port import Tip
from tocsin.ledger.checkpoint import Written
from tocsin.ledger.fold import fold
from tocsin.ledger.restore import restore
from tocsin.ledger.state import Ledger
from tocsin.model.times import Day, day_of
from tocsin.service.checkpoint_file import decode_header, open_checkpoint, sections
from tocsin.service.key_folder import KeyFolder

_FILE = scratch() / "checkpoint"


@cache
def _keys() -> KeyFolder:
    return KeyFolder.create(scratch() / "keys", day_of(MORNING), ())


def _ledger(end: int | None = None) -> Ledger:
    """The journal of the vectors, which has every kind of event, as far as `end`."""
    ledger, opener = Ledger(), Opener(OneDayKey())
    fold(ledger, [opener.event(stored) for stored in JOURNAL[:end]])
    return ledger


def _read_header(data: bytes) -> None:
    header = decode_header(data)
    assert data.startswith(header.encoded)


def _read_file(data: bytes) -> None:
    _FILE.write_bytes(data)
    with open_checkpoint(_FILE, _keys()) as saved:
        saved.ledger()


def _read_sections(data: bytes) -> None:
    """The numbers, behind their length; what comes then is the part of every day."""
    length = int.from_bytes(data[:2], "big")
    numbers, part = data[2 : 2 + length], data[2 + length :]
    restore(numbers, {Day(day): partial(bytes, part) for day in range(30_000) if part})


def _file_seeds() -> list[bytes]:
    return [b"".join(sections(Ledger(), Tip(1, bytes(32), 900), _keys()))]


def _section_seeds() -> list[bytes]:
    seeds = []
    for end in range(1, len(JOURNAL) + 1):
        written = Written(_ledger(end))
        numbers = written.numbers()
        seeds.append(len(numbers).to_bytes(2, "big") + numbers + b"".join(map(written.day_part, written.days)))
    return seeds


TARGETS = (
    Target("checkpoint_header", ("tocsin.service.checkpoint_file.decode_header",), _read_header, _file_seeds),
    Target("checkpoint_file", ("tocsin.service.checkpoint_file.open_checkpoint",), _read_file, _file_seeds),
    Target("checkpoint", ("tocsin.ledger.restore.restore",), _read_sections, _section_seeds),
)
