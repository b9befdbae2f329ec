"""Functions that are called like decoders and have no target, each with the reason."""

from typing import Final

APART: Final[dict[str, str]] = {
    "tocsin.cli.reading.read_file": "hands bytes on as they are; what reads them has a target",
    "tocsin.journal.postgres.open": "libpq reads what the server sends; a column goes through verify and opener",
    "tocsin.journal.sqlite.open": "SQLite reads the file; damaged ones are tests/faults/test_damaged_journal.py",
    "tocsin.service.codes.read_code": "reads a text by parse_card alone; the rest is arithmetic on its numbers",
    "tocsin.stores.folder.FolderBucket.open": "takes a name of ours; foreign names are judged in web/apps/files.py",
    "tocsin.stores.folder.FolderBucket.read": "as open",
    "tocsin.stores.place.Place.read": "the port of the two below",
    "tocsin.stores.place_folder.FolderPlace.read": "takes a name of ours, hands bytes on as they are",
    "tocsin.stores.place_s3.S3Place.read": "as FolderPlace.read",
    "tocsin.stores.port.Bucket.read": "the port of FolderBucket",
}
