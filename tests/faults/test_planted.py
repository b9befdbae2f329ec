"""Nothing of what is sent is found anywhere but where it has to be. The long run: `make test-planted`."""

import base64
import secrets
from pathlib import Path

import pytest

from tests.faults.needles import Needles, Planted, address_spellings, spellings
from tests.faults.planted import Run, lines

REQUESTS = 300


@pytest.mark.faults
def test_no_trace_of_a_request(tmp_path: Path) -> None:
    """Case 40, T-P4, T-D9: searched in the log, every scrape, what commands say and every file, after a crash too."""
    run = Run(tmp_path, seed=5)
    server = run.serve()
    run.send(server, REQUESTS)
    run.crash(server)
    assert run.look() == []
    assert {"200", "400", "404", "415", "500", "503"} <= set(run.statuses)  # each way was gone
    assert list(run.cwd.iterdir()) == [] and server.err == ""  # no core, no traceback
    assert {"fault", "trouble", "version_out"} <= {str(line["event"]) for line in lines(server)}
    taken = b'tocsin_calls_answered_total{verdict="taken"} 0.0'
    assert any(b"tocsin_calls_answered_total" in scrape and taken not in scrape for scrape in run.scrapes)
    at_large = Needles(Planted(each.kind, each.value) for each in run.planted)
    everywhere = {(found.planted.kind, found.file.partition("/")[0]) for found in at_large.found_below(run.top)}
    assert everywhere == {("key", "bucket")}  # the search finds what is there


@pytest.mark.faults
def test_a_server_that_leaks_is_found_out(tmp_path: Path) -> None:
    run = Run(tmp_path, seed=6)
    (run.top / "leak").touch()
    server = run.serve()
    run.send(server, 120)
    server.kill()
    kinds = {found.planted.kind for found in run.look()}
    assert {"cookie", "agent", "host", "header value", "address"} <= kinds


@pytest.mark.parametrize("shift", [0, 1, 2, 5])
def test_every_spelling_is_found(tmp_path: Path, shift: int) -> None:
    value, packed, far = secrets.token_bytes(16), bytes([127, 171, 205, 239]), secrets.token_bytes(16)
    needles = Needles([Planted("key", value), Planted("address", packed), Planted("address", far)])
    padding = b"." * shift
    encoded = [encode(padding + value + b"...") for encode in (base64.b64encode, base64.urlsafe_b64encode)]
    for data in (*encoded, *(text for _, text in spellings(value))):
        (tmp_path / "file").write_bytes(padding + data + b"!")
        assert {found.planted.kind for found in needles.found_below(tmp_path)} == {"key"}
    for address in (packed, far):
        for data in (address, *(text for _, text in address_spellings(address))):
            assert {found.planted.value for found in needles.found_in(padding + data, "a file")} == {address}
    assert needles.found_in(secrets.token_bytes(100_000), "noise") == []


def test_a_name_of_a_file_is_searched_too(tmp_path: Path) -> None:
    (tmp_path / "x-0123456789abcdef.tmp").touch()
    assert Needles([Planted("word", b"0123456789abcdef")]).found_below(tmp_path)
