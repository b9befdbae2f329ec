"""`tocsin serve` as a process: of a thousand callers no file of the deployment and no line names the address (T-P4)."""

import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.servers import Server
from tests.sites import FixedClock, Site, guess, report
from tests.web.wire import Wire, call_bytes, request_bytes
from tocsin.service.clock import SystemClock

CALLERS = 1000


def addresses_in(folder: Path) -> set[str]:
    """The addresses of this network that stand in a file: with dots, in hexadecimal, as bytes in either order."""
    found = set()
    for path in folder.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        found |= {text.decode() for text in re.findall(rb"127(?:\.\d{1,3}){3}", data)}
        packed = [bytes.fromhex(text.decode()) for text in re.findall(rb"(?i)(?=(7f[0-9a-f]{6}))", data)]
        packed += re.findall(rb"(?s)(?=(\x7f...))", data)
        packed += [four[::-1] for four in re.findall(rb"(?s)(?=(...\x7f))", data)]
        found |= {".".join(map(str, four)) for four in packed}
    return found


@pytest.mark.faults
def test_a_thousand_callers_leave_no_address(tmp_path: Path) -> None:  # T-P4
    """Each guesses a phone code, so each is counted; some speak nonsense, some write another address themselves."""
    site = Site(tmp_path / "site", FixedClock(SystemClock().now()))
    site.phone_codes("hotline")
    site.deployment.close()
    addresses = [f"127.{1 + number % 250}.{number % 199}.{2 + number % 241}" for number in range(CALLERS)]
    assert len(set(addresses)) == CALLERS
    by_chance = addresses_in(site.top) & set(addresses)  # four bytes of some digest
    server = Server.real(site.top, tmp_path / "said")
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.port, address)) for address in addresses]
        for number, (wire, address) in enumerate(zip(wires, addresses, strict=True)):
            wire.send(call_bytes(report(f"phone {number}", guess(number), 3, site.clock.now()).body))
            if number % 10 == 0:
                headers = {"X-Forwarded-For": address, "Forwarded": f"for={address}", "User-Agent": address}
                wire.send(request_bytes("GET", f"/{address}", headers) + address.encode() + b"\r\n\r\n")
        assert {wire.reply().status for wire in wires} == {200}
        assert {wire.reply().status for wire in wires[::10]} == {404}
    while_it_runs = addresses_in(tmp_path)
    server.stop()
    left = (while_it_runs | addresses_in(tmp_path)) & set(addresses)
    assert left <= by_chance


def test_an_address_would_be_found_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"::ffff:127.1.2.3 said 7F040506, \x7f\x7f\x08\x09 and \x0c\x0b\x0a\x7f")
    assert {"127.1.2.3", "127.4.5.6", "127.127.8.9", "127.10.11.12"} <= addresses_in(tmp_path)
