"""The settings of the operations listener: where operators' machines ask, and how the server writes its log."""

import ipaddress
from typing import Final

from msgspec import Struct

LOG_FORMATS: Final = ("text", "json")


class Operations(Struct, frozen=True, kw_only=True):
    """The table ``[operations]`` of `tocsin.toml`."""

    listen: str = ""
    """``ADDRESS:PORT`` for metrics, health and readiness; empty: there is no such listener."""
    beyond_loopback: bool = False
    """Whether an address is meant that other machines can reach: whoever does reads all metrics."""
    log_format: str = "text"
    """How `tocsin serve` writes: ``text`` for a person, ``json`` for a program, one object a line."""

    def __post_init__(self) -> None:
        if self.listen and not (_is_loopback(self.address[0]) or self.beyond_loopback):
            raise ValueError(
                "listen is an address that other machines can reach, and whoever does reads all metrics: name one of"
                " this machine, such as 127.0.0.1:9787, or set beyond_loopback = true if that is meant"
            )
        if self.log_format not in LOG_FORMATS:
            raise ValueError('log_format must be "text" or "json"')

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`. Raises `ValueError` if it is empty or not of that form."""
        host, colon, port = self.listen.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not (host and colon and port.isascii() and port.isdigit() and int(port) <= 65_535):
            raise ValueError("listen must be ADDRESS:PORT, such as 127.0.0.1:9787, or empty")
        return host, int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
