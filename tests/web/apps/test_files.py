"""What is handed out: every public object as it lies in the bucket, and nothing else (cases 45, 46; T-L10)."""

import asyncio
import hashlib
import os
import threading
from pathlib import Path
from typing import BinaryIO

import pytest
from starlette.requests import Request

from tests.sites import Site
from tests.web.wire import TIMEOUT_SECONDS, ask, request_bytes
from tocsin.formats.leaf import Profile, object_name
from tocsin.model.errors import Unavailable
from tocsin.model.times import QUARTER_SECONDS
from tocsin.stores.folder import FolderBucket
from tocsin.web.apps.files import Files
from tocsin.web.problems import Problem

INDEX = "v1/utopia/gaen/index.txt"
FOREVER = "public, max-age=31536000, immutable"


@pytest.fixture
def published(site: Site) -> list[Path]:
    """The objects of a site that published a report: keyset files, a GAEN zip, lists, the head."""
    site.report("ada", 0)
    site.clock.wait(QUARTER_SECONDS)
    site.deployment.publisher().publish()
    bucket = site.deployment.bucket.folder
    return [path for path in bucket.rglob("*") if path.is_file() and not path.name.startswith(".")]


def test_every_object_is_handed_out_as_it_is(site: Site, port: int, published: list[Path]) -> None:
    bucket = site.deployment.bucket.folder
    seen = set()
    for path in published:
        name = str(path.relative_to(bucket))
        reply = ask(port, request_bytes("GET", f"/{name}"))
        assert (reply.status, reply.body) == (200, path.read_bytes()), name
        headers = reply.headers
        assert headers.keys() == {"date", "content-type", "content-length", "cache-control"}
        if name == "v1/head":
            assert (headers["content-type"], headers["cache-control"]) == (
                "text/plain; charset=utf-8",
                "public, max-age=60",
            )
        elif name == INDEX:  # case 45: it names what was not there a moment ago
            assert (headers["content-type"], headers["cache-control"]) == ("text/plain", "no-cache, max-age=0")
        else:
            assert headers["cache-control"] == FOREVER
        seen.add(("head" if name == "v1/head" else name.split("/")[2], headers["content-type"]))
        head = ask(port, request_bytes("HEAD", f"/{name}"))
        assert head.body == b""
        assert {**head.headers, "date": ""} == {**headers, "date": ""}
    assert seen == {
        ("head", "text/plain; charset=utf-8"),
        ("keyset", "application/octet-stream"),
        ("gaen", "application/zip"),
        ("gaen", "text/plain; charset=utf-8"),
        ("gaen", "text/plain"),
    }


def test_every_line_of_the_index_is_handed_out(port: int, published: list[Path]) -> None:
    lines = ask(port, request_bytes("GET", f"/{INDEX}")).body.decode("ascii").split("\n")
    assert len(lines) == 1
    for line in lines:
        reply = ask(port, request_bytes("GET", f"/{line}"))
        assert (reply.status, reply.headers["content-type"]) == (200, "application/zip")
    for other in ("v1/utopia/keyset/index.txt", "v1/Utopia/gaen/index.txt", "v1/utopia/gaen/indexatxt"):
        assert ask(port, request_bytes("GET", f"/{other}")).status == 404


def test_the_index_is_not_there_before_the_first_version(port: int) -> None:
    reply = ask(port, request_bytes("GET", f"/{INDEX}"))
    assert (reply.status, reply.headers["cache-control"]) == (404, "public, max-age=5")  # case 45


def test_a_query_changes_nothing(port: int, published: list[Path]) -> None:
    plain, queried = (ask(port, request_bytes("GET", path)) for path in ("/v1/head", "/v1/head?who=me"))
    assert plain.body == queried.body


def test_the_head_is_not_there_before_the_first_version(port: int) -> None:
    reply = ask(port, request_bytes("GET", "/v1/head"))
    assert (reply.status, reply.headers["cache-control"]) == (404, "public, max-age=5")  # case 45


def test_the_trust_file(site: Site, port: int) -> None:
    reply = ask(port, request_bytes("GET", "/trust.json"))
    assert reply.body == (site.top / "trust.json").read_bytes()
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "public, max-age=300"


def test_a_large_object_comes_whole(site: Site, port: int) -> None:
    data = bytes(range(256)) * 4096 * 3
    name = named(data)
    site.deployment.bucket.create(name, data)
    for _ in range(2):
        assert ask(port, request_bytes("GET", f"/{name}")).body == data


def named(data: bytes, region: str = "utopia") -> str:
    """The name of a keyset object that holds `data`."""
    return object_name(region, Profile.KEYSET, hashlib.sha256(data).digest())


def test_what_does_not_hold_what_its_name_says_is_not_there(site: Site, port: int, published: list[Path]) -> None:
    """Damaged before or after it was served, or put there by somebody: no cache may keep it for a year."""
    for path in published:
        if path.name in ("head", "index.txt"):
            continue
        asked = request_bytes("GET", f"/{path.relative_to(site.deployment.bucket.folder)}")
        whole = path.read_bytes()
        assert ask(port, asked).status == 200
        damaged = bytearray(whole)
        damaged[len(damaged) // 2] ^= 1
        for wrong in (bytes(damaged), whole[:-1], b"", whole + b"x", b"foreign"):
            path.write_bytes(wrong)
            reply = ask(port, asked)
            assert (reply.status, reply.headers["cache-control"]) == (404, "public, max-age=5"), path
        path.write_bytes(whole)
        assert ask(port, asked).body == whole


def test_another_region_is_not_served(site: Site, port: int) -> None:
    name = named(b"an object", "elsewhere")
    site.deployment.bucket.create(name, b"an object")
    assert ask(port, request_bytes("GET", f"/{name}")).status == 404


def test_no_link_is_followed_and_no_pipe_waited_for(site: Site, port: int, tmp_path: Path) -> None:
    folder = site.deployment.bucket.folder / "v1" / "utopia" / "keyset"
    folder.mkdir(parents=True)
    name = named(b"an object").rpartition("/")[2]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / name).write_bytes(b"an object")
    place = folder / name
    for target in (tmp_path / "elsewhere" / name, "nowhere", name, None):
        os.mkfifo(place) if target is None else place.symlink_to(target)
        assert ask(port, request_bytes("GET", f"/v1/utopia/keyset/{name}")).status == 404
        place.unlink()
    folder.rmdir()
    folder.symlink_to(tmp_path / "elsewhere")
    assert ask(port, request_bytes("GET", f"/v1/utopia/keyset/{name}")).status == 404
    assert ask(port, request_bytes("GET", "/v1/head")).status == 404


HASH = "0" * 64
TRAVERSALS = [
    "/../tocsin.toml",
    "/v1/../../tocsin.toml",
    "/v1/head/../../../tocsin.toml",
    "/v1/%2e%2e/%2e%2e/tocsin.toml",
    "/v1/..%2f..%2ftocsin.toml",
    "/v1/..%5c..%5ctocsin.toml",
    "/v1/%252e%252e/%252e%252e/tocsin.toml",
    "/v1/utopia/keyset/..%2f..%2f..%2f..%2ftocsin.toml",
    "/v1/utopia/../utopia/secret",
    "/v1//keyset/secret",
    "/v1/utopia/keyset/.lock",
    "/v1/utopia/keyset/",
    "/v1/utopia/keyset",
    "/v1/utopia",
    "/v1/utopia/journal/" + HASH,
    "/v1/utopia/keyset/" + HASH + "%00",
    "/v1/utopia/keyset/" + HASH + "%0a",
    "/v1/utopia/keyset/" + HASH.replace("0", "%30", 1) + "x",
    "/v1/utopia/keyset/" + "A" * 64,
    "/v1/utopia/keyset/" + HASH[1:],
    "/.lock",
    "/v1/.head",
    "/v1/%C0%AE%C0%AE/keyset/" + HASH,
    "/v1/\\..\\..\\tocsin.toml",
    "/tocsin.toml",
    "/journal/journal.sqlite",
    "/keys/head",
    "file:///etc/passwd",
    "http://x/../../etc/passwd",
]


def test_no_path_leads_out_of_the_public_names(site: Site, port: int) -> None:
    bucket = site.deployment.bucket.folder
    (bucket / "v1" / "utopia" / "keyset").mkdir(parents=True)
    for hidden in (bucket / ".lock", bucket / "v1" / ".head", bucket / "v1" / "utopia" / "keyset" / ".lock"):
        hidden.write_text("hidden")
    (bucket / "v1" / "utopia" / "secret").write_text("hidden")
    for path in TRAVERSALS:
        reply = ask(port, request_bytes("GET", path))
        assert reply.status in (400, 404), path
        assert reply.body in (Problem.BAD_REQUEST.body, Problem.NOT_FOUND.body), path


def test_an_object_has_one_name(site: Site, port: int) -> None:
    site.deployment.bucket.create(named(b"an object"), b"an object")
    name = f"/{named(b'an object')}"
    assert ask(port, request_bytes("GET", name)).status == 200
    for other in (f"{name}x", f"{name}%0a", f"{name}%00", f"{name}/", f"/{name}", f"{name}.zip"):
        assert ask(port, request_bytes("GET", other)).status == 404, other


def test_what_has_the_name_of_an_object_and_is_none(site: Site, port: int) -> None:
    (site.deployment.bucket.folder / "v1" / "utopia" / "keyset" / HASH).mkdir(parents=True)
    assert ask(port, request_bytes("GET", f"/v1/utopia/keyset/{HASH}")).status == 404


def test_a_file_that_is_opened_for_nobody_any_more_is_closed(site: Site) -> None:
    """The server stops, or the client is gone, after a thread began to open the file and before it was there."""
    began, may_open = threading.Event(), threading.Event()
    opened: list[BinaryIO] = []

    class SlowBucket(FolderBucket):
        def open(self, name: str) -> BinaryIO | None:
            began.set()
            assert may_open.wait(TIMEOUT_SECONDS)
            opened.append((site.top / "trust.json").open("rb"))
            return opened[0]

    files = Files(SlowBucket(site.deployment.bucket.folder), "utopia", site.top)

    async def asked_and_gone() -> None:
        asking = asyncio.ensure_future(files.head(Request({"type": "http", "method": "GET"})))
        await asyncio.to_thread(began.wait)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        may_open.set()

    asyncio.run(asked_and_gone())
    assert [file.closed for file in opened] == [True]


def test_a_disk_that_fails_is_not_a_missing_object(site: Site, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise Unavailable("the disk failed")

    monkeypatch.setattr(site.deployment.bucket, "open", fail)
    reply = ask(port, request_bytes("GET", "/v1/head"))
    assert (reply.status, reply.headers["cache-control"]) == (503, "no-store")  # no cache keeps it
