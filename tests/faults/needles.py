"""Looking for what was planted: values in every spelling in which somebody might have written them down."""

import base64
import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

_HEAD = 8
"""Bytes of a spelling by which it is looked up; shorter spellings are looked for by themselves."""


class Planted(Struct, frozen=True):
    """A value that was sent, what it is, and the folders of a deployment in which it has to lie."""

    kind: str
    value: bytes
    at_home: tuple[str, ...] = ()


class Found(Struct, frozen=True):
    """A planted value in a file, and how it is spelt there."""

    planted: Planted
    spelling: str
    file: str


def spellings(value: bytes) -> Iterator[tuple[str, bytes]]:
    """`value` as it is, in hexadecimal, and in base64 and base64url of anything longer, wherever it begins."""
    yield "plain", value
    yield "hex", value.hex().encode()
    yield "HEX", value.hex().upper().encode()
    for name, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
        for before in range(3):
            whole = encode(bytes(before) + value + bytes(3))
            first = -(-8 * before // 6)  # characters that hold a bit of what stands before
            last = 8 * (before + len(value)) // 6
            yield f"{name}, {before} bytes in", whole[first:last]


def address_spellings(value: bytes) -> Iterator[tuple[str, bytes]]:
    """An address, given packed, as text besides: dotted or with colons, and as a decimal number."""
    address = ipaddress.ip_address(value)
    yield "text", str(address).encode()
    yield "decimal", str(int(address)).encode()
    yield "hex", value.hex().encode()
    yield "HEX", value.hex().upper().encode()
    if len(value) > 4:
        yield "exploded", address.exploded.encode()
        yield "packed", value
    # four bytes alone stand somewhere by chance in a few megabytes of ciphertext: see `Haystack`


class Needles:
    """All planted values, to be looked for at once."""

    def __init__(self, planted: Iterable[Planted]) -> None:
        self._by_head: dict[bytes, list[tuple[bytes, str, Planted]]] = defaultdict(list)
        self._packed: list[Planted] = []
        for each in planted:
            is_address = each.kind == "address"
            if is_address and len(each.value) == 4:
                self._packed.append(each)
            for spelling, text in address_spellings(each.value) if is_address else spellings(each.value):
                assert len(text) >= _HEAD, (each.kind, spelling)
                self._by_head[text[:_HEAD]].append((text, spelling, each))

    def found_in(self, data: bytes, file: str, folder: str = "") -> list[Found]:
        """Every planted value in `data` that is not at home in `folder`."""
        found = set()
        heads = self._by_head
        for start in range(len(data) - _HEAD + 1):
            for text, spelling, planted in heads.get(data[start : start + _HEAD], ()):
                if folder not in planted.at_home and data.startswith(text, start):
                    found.add(Found(planted, spelling, file))
        for planted in self._packed:  # each address calls many times; once or twice may be chance, in ciphertext
            most = 2 if folder in ("journal", "bucket") else 0
            if max(data.count(planted.value), data.count(planted.value[::-1])) > most:
                found.add(Found(planted, "packed", file))
        return list(found)

    def found_below(self, top: Path) -> list[Found]:
        """Every planted value in a file below `top`, or in a name there, that is not at home in its folder."""
        found = []
        for path in sorted(top.rglob("*")):
            name = path.relative_to(top)
            folder = name.parts[0]
            found += self.found_in(str(name).encode("utf-8", "surrogateescape"), f"the name {name}", folder)
            if path.is_file():
                found += self.found_in(path.read_bytes(), str(name), folder)
        return found
