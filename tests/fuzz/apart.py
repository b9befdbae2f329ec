"""Functions that are called like decoders and have no target, each with the reason."""

from typing import Final

APART: Final[dict[str, str]] = {
    "tocsin.cli.reading.read_file": "hands bytes on as they are; what reads them has a target",
    "tocsin.journal.sqlite.open": "SQLite reads the file; damaged ones are tests/faults/test_damaged_journal.py",
    "tocsin.service.codes.read_code": "reads a text by parse_card alone; the rest is arithmetic on its numbers",
    "tocsin.stores.folder.FolderBucket.open": "takes a name of ours; foreign names are judged in web/apps/files.py",
    "tocsin.stores.folder.FolderBucket.read": "as open",
    "tocsin.stores.port.Bucket.read": "the port of FolderBucket",
}
