"""What is handed out: the bucket's objects, and the trust file. So one machine is one base URL; a CDN does as well.

A name is served only if it is spelled as a public name is, so no path can lead out of the folder, to a hidden file or
to a list. No cookie, no entity tag, no time of a file, no use of a query: everyone is answered the same.
"""

import asyncio
import os
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tocsin.formats.gaen.index import INDEX_CACHING, INDEX_TYPE, index_name
from tocsin.formats.leaf import HEAD_NAME, Profile
from tocsin.model.errors import Unavailable
from tocsin.web.problems import Problem, problem_response

HEAD_CACHING: Final = "public, max-age=60"
OBJECT_CACHING: Final = "public, max-age=31536000, immutable"
TRUST_CACHING: Final = "public, max-age=300"
TEXT: Final = "text/plain; charset=utf-8"
ZIP: Final = "application/zip"
OCTETS: Final = "application/octet-stream"
JSON: Final = "application/json"

_OBJECT: Final = re.compile(f"/(?P<name>v1/[a-z0-9-]{{1,32}}/(?P<profile>{'|'.join(Profile)})/[0-9a-f]{{64}})")
_INDEX: Final = re.compile(f"/(?P<name>{index_name('[a-z0-9-]{1,32}').replace('.', '[.]')})")
_ZIP_MAGIC: Final = b"PK\x03\x04"
_CHUNK_BYTES: Final = 65_536


class Files:
    """The files of a deployment: `bucket` is its folder of public objects, `trust` its trust file."""

    def __init__(self, bucket: Path, trust: Path) -> None:
        self._bucket = bucket
        self._trust = trust

    async def head(self, request: Request) -> Response:
        """The one mutable object."""
        return await _respond(request, self._bucket / HEAD_NAME, TEXT, HEAD_CACHING)

    async def object(self, request: Request) -> Response:
        """An immutable object, by its name."""
        found = _OBJECT.fullmatch(request.scope["path"])
        if found is None:
            return problem_response(Problem.NOT_FOUND)
        content_type = None if found["profile"] == Profile.GAEN else OCTETS
        return await _respond(request, self._bucket / found["name"], content_type, OBJECT_CACHING)

    async def index(self, request: Request) -> Response:
        """What existing GAEN clients read: mutable, so no cache may keep it."""
        found = _INDEX.fullmatch(request.scope["path"])
        if found is None:
            return problem_response(Problem.NOT_FOUND)
        return await _respond(request, self._bucket / found["name"], INDEX_TYPE, INDEX_CACHING)

    async def trust(self, request: Request) -> Response:
        """What an app is built with: to be compared with, not to be trusted because it is here."""
        return await _respond(request, self._trust, JSON, TRUST_CACHING)


class _Opened(Struct, frozen=True, eq=False):
    """A file to be sent: its length when it was opened, and whether it begins as a zip does."""

    file: BinaryIO
    length: int
    is_zip: bool


class _FileResponse(StreamingResponse):
    """Sends a file piece by piece, and closes it, whatever becomes of the reader."""

    def __init__(self, opened: _Opened, headers: dict[str, str]) -> None:
        super().__init__(_chunks(opened.file, opened.length), headers=headers)
        self._file = opened.file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)


async def _respond(request: Request, path: Path, content_type: str | None, caching: str) -> Response:
    """The file at `path`; `content_type` None stands for a GAEN object, which is a zip or a list of them."""
    try:
        opened = await asyncio.to_thread(_open, path)
    except Unavailable:
        return problem_response(Problem.NOT_NOW)
    if opened is None:
        return problem_response(Problem.NOT_FOUND)
    headers = {
        "content-type": content_type or (ZIP if opened.is_zip else TEXT),
        "content-length": str(opened.length),
        "cache-control": caching,
    }
    if request.method == "HEAD":
        opened.file.close()
        return Response(headers=headers)
    return _FileResponse(opened, headers)


def _open(path: Path) -> _Opened | None:
    """The file, open at its start, or None if there is none. Raises `Unavailable` if the disk says anything else."""
    try:
        file = path.open("rb")
        try:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                is_zip = file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
                file.seek(0)
                return _Opened(file, status.st_size, is_zip)
        except BaseException:
            file.close()
            raise
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise Unavailable(f"a public file can't be read: {os.strerror(error.errno or 0)}") from None
    file.close()
    return None


async def _chunks(file: BinaryIO, length: int) -> AsyncIterator[bytes]:
    """`length` bytes of the file in pieces, so that a slow reader holds one piece and not the file."""
    while length > 0 and (chunk := await asyncio.to_thread(file.read, min(_CHUNK_BYTES, length))):
        length -= len(chunk)
        yield chunk
