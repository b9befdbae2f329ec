"""Where the files of a private table lie: a folder, or a prefix of an S3 bucket. What a table's keeper asks of either.

``/srv/archive``, ``file:///srv/archive`` and ``s3://bucket/prefix`` name one. What opens an S3 bucket comes from the
environment or a file that only its owner can read (`tocsin.stores.place_s3`), never from a URL.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from tocsin.model.errors import Invalid


class Found(Struct, frozen=True):
    """A file of a place: its name below it, its length in bytes, and when it was written, in UTC seconds."""

    name: str
    length: int
    written_at: int


class Place(Protocol):
    """Named files. Every method raises `Unavailable` if the store can't be reached or says no."""

    @property
    def uri(self) -> str:
        """Its name, for a person and for the libraries that read tables. No secret is in it."""
        ...

    @property
    def options(self) -> Mapping[str, str]:
        """What else a library needs to open it. Secrets are among it: never to be written anywhere."""
        ...

    def refuse_unfit(self) -> None:
        """Raises `Invalid` if the store can't keep a table: two writers could both believe that they were first."""
        ...

    def keeps_versions(self) -> bool:
        """Whether the store keeps what is removed or replaced, as an older version. Asked of a place that is fit."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Makes the file `name`, durable when this returns; False, and no change, if it is there."""
        ...

    def read(self, name: str) -> bytes | None:
        """The file, or None if there is none."""
        ...

    def settle(self, names: Iterable[str]) -> None:
        """Makes durable what a library wrote under these names; those that are not there are passed over."""
        ...

    def found(self) -> list[Found]:
        """Every file, in no order."""
        ...

    def remove(self, names: Iterable[str]) -> None:
        """Removes these files; those that are not there are passed over."""
        ...


def place_at(url: str, credentials: Path | None = None) -> Place:
    """The place that `url` names; `credentials`: the file that opens it, where it is a bucket.

    Raises `Invalid` for what names none, or holds a user's name or a password.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3" and parts.netloc:
        from tocsin.stores.place_s3 import S3Place, access

        if "@" in parts.netloc or parts.query or parts.fragment:
            raise Invalid("a bucket is named s3://BUCKET/PREFIX: what opens it comes from the environment or a file")
        return S3Place(parts.netloc, parts.path.strip("/"), access(credentials))
    folder = Path(unquote(parts.path) if parts.scheme == "file" and not parts.netloc else url)
    if ("://" in url and parts.scheme != "file") or not folder.is_absolute():
        raise Invalid("a place is named s3://BUCKET/PREFIX, file:///FOLDER, or /FOLDER from the root on")
    from tocsin.stores.place_folder import FolderPlace

    return FolderPlace(folder)
