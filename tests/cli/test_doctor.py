"""`tocsin doctor`: its exit code, its words, its JSON, and the public address as a server hands it out."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.cli.conftest import Run
from tests.sites import FixedClock, Site
from tocsin.cli.fetch import seen
from tocsin.model.errors import Unavailable
from tocsin.web.server import running_server


class _Answers(BaseHTTPRequestHandler):
    """A cache that has had an answer for ten minutes."""

    def do_GET(self) -> None:
        self.send_response_only(203)
        self.send_header("Date", "Mon, 16 Feb 2026 09:00:00 GMT" if self.path == "/cached" else "yesterday")
        self.send_header("Age", "600")
        self.end_headers()
        self.wfile.write(b"x" * 100_000)


@pytest.fixture
def cache() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_warnings_alone_are_sound(run: Run, site: Site) -> None:
    done = run("doctor")
    assert done.code == 0 and "Sound: 0 things wrong" in done.words and "single_machine" in done.words


def test_what_is_wrong_stands_first_and_gives_exit_code_1(run: Run, site: Site) -> None:
    (site.deployment.folders.keys / "head").chmod(0o644)
    done = run("doctor")
    assert done.code == 1 and done.out.startswith("!  key_file_open: ") and "NOT SOUND: 1 thing wrong" in done.words
    found = run("doctor", "--json")
    assert found.code == 1 and found.json["sound"] is False
    assert found.json["findings"][0].keys() == {"code", "severity", "sentence"}
    assert [each["severity"] for each in found.json["findings"]] == ["wrong"] + ["warning"] * (
        len(found.json["findings"]) - 1
    )


def test_it_tells_no_secret(run: Run, site: Site) -> None:
    keys = site.deployment.folders.keys
    secret = (keys / "issuing-1").read_bytes()
    (keys / "issuing-1").write_bytes(secret.hex().encode())
    assert secret.hex() not in run("doctor").out


def test_beside_a_server_that_runs(run: Run, site: Site, data: Path) -> None:
    """The public address is the server itself; its clock is the machine's, and the site's stands in the past."""
    with running_server(site.deployment, "127.0.0.1", 0) as base_url:
        settings = data / "tocsin.toml"
        settings.write_text(settings.read_text().replace("http://127.0.0.1:8787", base_url))
        found = {each["code"]: each["sentence"] for each in run("doctor", "--json").json["findings"]}
    assert "third" in found["clock_wrong"] and "public_address_silent" not in found


def test_the_clock_of_an_answer_that_a_cache_has_kept(cache: str, clock: FixedClock) -> None:
    answer = seen(f"{cache}/cached")
    assert (answer.status, answer.clock_at, len(answer.body)) == (203, clock.at + 600, 65_536)
    assert seen(f"{cache}/other").clock_at is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1/head", "http://[/v1/head", "http://a\ud800/"])
def test_an_address_where_nobody_is(url: str) -> None:
    with pytest.raises(Unavailable):
        seen(url)
