"""``index.txt``: the names of an export's files, as clients of the reference server read them.

US-ASCII, one path below the bucket's address a line, line feeds between, none at the end, oldest file first, unsigned.
Source: google/exposure-notifications-server, ``internal/export``.
"""

import re
from collections.abc import Sequence
from typing import Final

from tocsin.model.errors import Invalid

INDEX_TYPE: Final = "text/plain"
INDEX_CACHING: Final = "no-cache, max-age=0"
_PATH: Final = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")


def index_name(region: str) -> str:
    """The name of a region's index in the bucket, beside its GAEN files."""
    return f"v1/{region}/gaen/index.txt"


def encode_index(paths: Sequence[str]) -> bytes:
    """The index of these files, in their order; no file, no bytes. Raises `Invalid` for what is no plain path.

    >>> encode_index(["v1/xx/gaen/aa", "v1/xx/gaen/bb"])
    b'v1/xx/gaen/aa\\nv1/xx/gaen/bb'
    """
    if len(set(paths)) != len(paths) or not all(_PATH.fullmatch(path) for path in paths):
        raise Invalid("an index names plain paths, each once")
    return "\n".join(paths).encode("ascii")
