"""From where a call comes: the peer's address, or what the proxies before this server say of it.

An address that was sent is believed only where a trusted proxy wrote it: with N of them, the N-th entry from the right
of ``X-Forwarded-For``. Whatever stands to the left of it was written by strangers.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from msgspec import Struct

_FORWARDED_FOR: Final = b"x-forwarded-for"
_BRACKETED: Final = re.compile(r"\[([^]]*)\](?::\d{1,5})?")
_WITH_PORT: Final = re.compile(r"([\d.]+):\d{1,5}")
_OWN_BYTES: Final = 8
"""Of an IPv6 address: its /64, which is one household or one phone."""
_NETWORK_BYTES: Final = 6
"""Of an IPv6 address: its /48, the most that one customer is usually given (RFC 6177)."""


class Caller(Struct, frozen=True):
    """Who calls, as far as addresses tell: `own` is an IPv4 address or an IPv6 /64, `network` the /48 around it.

    Both are the address's leading bytes; of an IPv4 address they are the same 4.
    """

    own: bytes
    network: bytes


NOWHERE: Final = Caller(b"", b"")
"""A peer without an address, as on a Unix socket: all such peers are one."""


def caller_of_peer(peer: str | None) -> Caller:
    """The caller behind the other end of a socket."""
    return (_caller(peer) if peer is not None else None) or NOWHERE


def caller_of_call(peer: str | None, headers: Iterable[tuple[bytes, bytes]], trusted_proxies: int) -> Caller:
    """The caller behind a request that came over `peer` through so many trusted proxies; 0: no header is read.

    `headers`: names in lower case, in the order in which they came. An entry that is not there, or is no address,
    leaves the peer's own.

    >>> lines = [(b"x-forwarded-for", b"10.9.9.9, 192.0.2.7"), (b"x-forwarded-for", b"198.51.100.1")]
    >>> list(caller_of_call("127.0.0.1", lines, 2).own)
    [192, 0, 2, 7]
    """
    if trusted_proxies > 0:
        joined = b",".join(value for name, value in headers if name == _FORWARDED_FOR).decode("latin-1")
        entries = joined.rsplit(",", trusted_proxies)[-trusted_proxies:]
        if len(entries) == trusted_proxies and (caller := _caller(_without_port(entries[0].strip()))) is not None:
            return caller
    return caller_of_peer(peer)


def _caller(text: str) -> Caller | None:
    try:
        address: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return Caller(address.packed[:_OWN_BYTES], address.packed[:_NETWORK_BYTES])
        address = address.ipv4_mapped
    return Caller(address.packed, address.packed)


def _without_port(entry: str) -> str:
    """Some proxies write ``192.0.2.7:4711`` and ``[2001:db8::1]:4711``."""
    found = _BRACKETED.fullmatch(entry) or _WITH_PORT.fullmatch(entry)
    return entry if found is None else found[1]
