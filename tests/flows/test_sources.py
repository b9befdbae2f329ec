"""Over HTTP: who a caller is, straight and through proxies, and what a guesser at the same address does to others."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec.structs import replace

from tests.sites import FixedClock, Site, guess, report
from tests.web.wire import Wire, ask, request_bytes
from tocsin.formats.wire import decode_answer
from tocsin.model.calls import Verdict
from tocsin.web.server import running_server

JSON = {"Content-Type": "application/json", "Content-Length": "4096"}


@contextmanager
def served(top: Path, trusted_proxies: int) -> Iterator[tuple[Site, int]]:
    site = Site(top, FixedClock())
    site.deployment.settings = replace(site.deployment.settings, trusted_proxies=trusted_proxies)
    with running_server(site.deployment, "127.0.0.1", 0, grid_seconds=0) as base_url:
        yield site, int(base_url.rpartition(":")[2])


class Caller:
    """Guesses over one connection; `forwarded` are the lines of ``X-Forwarded-For`` as they reach the server."""

    def __init__(self, site: Site, port: int, *forwarded: str, peer: str = "127.0.0.1") -> None:
        self._site = site
        self._port = port
        self._peer = peer
        self._lines = "".join(f"X-Forwarded-For: {line}\r\n" for line in forwarded).encode()

    def tell(self, code: str, name: str = "phone") -> Verdict:
        body = report(name, code, 3, self._site.clock.now()).body
        request = request_bytes("POST", "/v1/reports", JSON).replace(b"\r\n\r\n", b"\r\n" + self._lines + b"\r\n")
        return decode_answer(ask(self._port, request + body, self._peer).body).verdict

    def uses_up_its_allowance(self) -> None:
        told = [self.tell(guess(number)) for number in range(21)]
        assert told == [Verdict.CODE_UNKNOWN] * 20 + [Verdict.OVER_ALLOWANCE]

    @property
    def is_stopped(self) -> bool:
        """Guesses once more."""
        return self.tell(guess(77)) is Verdict.OVER_ALLOWANCE


def test_the_peer_is_the_source_and_what_it_writes_is_not_believed(tmp_path: Path) -> None:  # case 25
    with served(tmp_path / "site", 0) as (site, port):
        Caller(site, port).uses_up_its_allowance()
        assert Caller(site, port, "192.0.2.1").is_stopped
        assert Caller(site, port, "192.0.2.1, 192.0.2.2").is_stopped
        assert not Caller(site, port, peer="127.0.0.2").is_stopped


def test_through_one_proxy_the_address_that_it_saw_is_the_source(tmp_path: Path) -> None:  # case 25
    with served(tmp_path / "site", 1) as (site, port):
        Caller(site, port, "192.0.2.1").uses_up_its_allowance()
        assert Caller(site, port, "10.1.1.1, 192.0.2.1").is_stopped
        assert Caller(site, port, "10.1.1.1", "10.2.2.2, 192.0.2.1:4711").is_stopped
        assert Caller(site, port, "::ffff:192.0.2.1", peer="127.0.0.2").is_stopped, "another proxy, the same caller"
        assert not Caller(site, port, "192.0.2.1, 192.0.2.2").is_stopped
        assert not Caller(site, port).is_stopped, "the proxy itself, or who came past it"


def test_through_two_proxies_the_same_caller_is_the_same_source(tmp_path: Path) -> None:  # case 25
    with served(tmp_path / "site", 2) as (site, port):
        Caller(site, port, "2001:db8:1:2::3, 198.51.100.1").uses_up_its_allowance()
        assert Caller(site, port, "2001:db8:1:2::ffff", "198.51.100.2").is_stopped, "the same /64, another way"
        assert Caller(site, port, "192.0.2.9, [2001:db8:1:2::3]:99, 198.51.100.1").is_stopped
        assert not Caller(site, port, "2001:db8:1:3::3, 198.51.100.1").is_stopped
        assert not Caller(site, port, "2001:db8:1:2::3").is_stopped, "one entry where two proxies should have written"


def test_300_guesses_at_once_over_300_connections(tmp_path: Path) -> None:  # case 24
    """Twenty are looked at, whatever their order; a card from the same address is taken in their midst."""
    with served(tmp_path / "site", 0) as (site, port), ExitStack() as stack:
        now = site.clock.now()
        wires = [stack.enter_context(Wire(port)) for _ in range(300)]
        for number, wire in enumerate(wires):  # all but the last byte, so that they come together
            wire.send(request_bytes("POST", "/v1/reports", JSON) + report("eve", guess(number), 3, now).body[:-1])
        card = report("ada", site.cards[0], 3, now).body
        told: list[Verdict] = []
        patient = threading.Thread(
            target=lambda: told.append(
                decode_answer(ask(port, request_bytes("POST", "/v1/reports", JSON) + card).body).verdict
            )
        )
        for number, wire in enumerate(wires):
            if number == 150:
                patient.start()
            wire.send(b" ")
        replies = [wire.reply() for wire in wires]
        patient.join()
    verdicts = Counter(decode_answer(reply.body).verdict for reply in replies)
    assert verdicts == {Verdict.CODE_UNKNOWN: 20, Verdict.OVER_ALLOWANCE: 280}
    assert told == [Verdict.TAKEN]
    assert len({(reply.status, reply.size, tuple(reply.headers)) for reply in replies}) == 1
