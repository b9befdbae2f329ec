"""What is handed out: the bucket's objects, and the trust file. So one machine is one base URL; a CDN does as well.

A name is served only if it is spelled as a public name of this region is, so no path can lead out of the folder, to a
hidden file or to a list; and only if the file holds what its name says, since caches keep it for a year: one that is
damaged, or was put there by somebody, is not there. No cookie, no entity tag, no time of a file, no use of a query:
everyone is answered the same.
"""

import asyncio
import os
import re
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tocsin.formats.gaen.index import INDEX_CACHING, INDEX_TYPE, index_name
from tocsin.formats.leaf import HEAD_NAME, Profile
from tocsin.model.errors import Unavailable
from tocsin.publication.in_force import holds
from tocsin.stores.folder import FolderBucket
from tocsin.web.problems import Problem, problem_response

HEAD_CACHING: Final = "public, max-age=60"
OBJECT_CACHING: Final = "public, max-age=31536000, immutable"
TRUST_CACHING: Final = "public, max-age=300"
TEXT: Final = "text/plain; charset=utf-8"
ZIP: Final = "application/zip"
OCTETS: Final = "application/octet-stream"
JSON: Final = "application/json"

_OBJECT: Final = f"/(?P<name>v1/{{region}}/(?P<profile>{'|'.join(Profile)})/[0-9a-f]{{{{64}}}})"
_KEPT_CHECKS: Final = 4096
_ZIP_MAGIC: Final = b"PK\x03\x04"
_CHUNK_BYTES: Final = 32_768


class Files:
    """The files of a deployment: the public objects of its region in `bucket`, and its trust file."""

    def __init__(self, bucket: FolderBucket, region: str, trust: Path) -> None:
        self._bucket = bucket
        self._object = re.compile(_OBJECT.format(region=re.escape(region)))
        self._index = index_name(region)
        self._trust = trust
        self._checks = _Checks()

    async def head(self, request: Request) -> Response:
        """The one mutable object."""
        return await _respond(request, lambda: self._bucket.open(HEAD_NAME), TEXT, HEAD_CACHING)

    async def object(self, request: Request) -> Response:
        """An immutable object, by its name."""
        found = self._object.fullmatch(request.scope["path"])
        if found is None:
            return problem_response(Problem.NOT_FOUND)
        content_type = None if found["profile"] == Profile.GAEN else OCTETS
        return await _respond(request, lambda: self._open_whole(found["name"]), content_type, OBJECT_CACHING)

    async def index(self, request: Request) -> Response:
        """What existing GAEN clients read: mutable, so no cache may keep it."""
        if request.scope["path"] != f"/{self._index}":
            return problem_response(Problem.NOT_FOUND)
        return await _respond(request, lambda: self._bucket.open(self._index), INDEX_TYPE, INDEX_CACHING)

    async def trust(self, request: Request) -> Response:
        """What an app is built with: to be compared with, not to be trusted because it is here."""
        return await _respond(request, lambda: _open_file(self._trust), JSON, TRUST_CACHING)

    def _open_whole(self, name: str) -> BinaryIO | None:
        """The object, open at its start; None also if it does not hold what its name says."""
        file = self._bucket.open(name)
        if file is None:
            return None
        try:
            if self._checks.holds(name, file):
                return file
        except BaseException:
            file.close()
            raise
        file.close()
        return None


class _Checks:
    """Which files hold what their names say: each is read whole when it is first asked for, or was changed."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int, int, int], bool] = {}
        self._one_at_a_time = threading.Lock()  # many ask at once for what is new, and each would read it

    def holds(self, name: str, file: BinaryIO) -> bool:
        """Whether `file`, which is at its start before and after, holds what the object `name` must."""
        status = os.fstat(file.fileno())
        identity = (name, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = self._known.get(identity)
        if known is not None:
            return known
        with self._one_at_a_time:
            known = self._known.get(identity)
            if known is None:
                if len(self._known) == _KEPT_CHECKS:
                    self._known.clear()
                known = self._known[identity] = holds(name, file.read())
                file.seek(0)
        return known


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


async def _respond(
    request: Request, open_: Callable[[], BinaryIO | None], content_type: str | None, caching: str
) -> Response:
    """The file that `open_` opens; `content_type` None stands for a GAEN object, which is a zip or a list of them."""
    try:
        opened = await _in_thread(open_)
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


async def _in_thread(open_: Callable[[], BinaryIO | None]) -> _Opened | None:
    """What `_opened` returns, from a thread. Who asks may be gone before it is there: then it is closed."""
    opening = asyncio.get_running_loop().run_in_executor(None, _opened, open_)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unsent)
        raise


def _close_unsent(opening: "asyncio.Future[_Opened | None]") -> None:
    if opening.exception() is None and (opened := opening.result()) is not None:
        opened.file.close()


def _opened(open_: Callable[[], BinaryIO | None]) -> _Opened | None:
    """The file, open at its start, or None if there is none. Raises `Unavailable` if the disk says anything else."""
    try:
        file = open_()
        if file is None:
            return None
        try:
            is_zip = file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
            file.seek(0)
            return _Opened(file, os.fstat(file.fileno()).st_size, is_zip)
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise Unavailable(f"a public file can't be read: {os.strerror(error.errno or 0)}") from None


def _open_file(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        return None


async def _chunks(file: BinaryIO, length: int) -> AsyncIterator[bytes]:
    """`length` bytes of the file in pieces, so that a slow reader holds one piece and not the file."""
    while length > 0 and (chunk := await asyncio.to_thread(file.read, min(_CHUNK_BYTES, length))):
        length -= len(chunk)
        yield chunk
