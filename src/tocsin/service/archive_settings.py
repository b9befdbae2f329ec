"""The settings of the archive: where it lies, what opens it, how often it is brought up to the journal."""

import re
from pathlib import Path
from typing import Final

from msgspec import Struct

MOST_SECONDS: Final = 3600

_PLACE: Final = re.compile(r"(s3://[a-z0-9][a-z0-9.-]{1,62}(/[A-Za-z0-9._=-]+)*/?|(file://)?/[^?#]*)")


class ArchiveSettings(Struct, frozen=True, kw_only=True):
    """The table ``[archive]`` of `tocsin.toml`."""

    url: str = ""
    """Where it lies: ``s3://BUCKET/PREFIX`` or ``/FOLDER``; empty: there is none."""
    credentials: str = ""
    """The file that opens the bucket, ``NAME=value`` a line; empty: the variables ``AWS_…`` of the environment."""
    every_seconds: int = 60
    """How often what the journal has by then is archived; a version that is to go out does not wait for it."""

    def __post_init__(self) -> None:
        if self.url and not _PLACE.fullmatch(self.url):
            raise ValueError("url must be s3://BUCKET/PREFIX or /FOLDER, and nothing secret in it")
        if self.credentials and not Path(self.credentials).is_absolute():
            raise ValueError("credentials must be the path of a file, from the root on")
        if not 1 <= self.every_seconds <= MOST_SECONDS:
            raise ValueError(f"every_seconds must be from 1 to {MOST_SECONDS}")
