"""The zip around an export: written plainly, read strictly.

Two programs must never see two different things in one zip, so the reader takes only archives in which nothing is left
to interpretation: members lie side by side from the first byte to the central directory, both records of each member
agree, no comment, no encryption, no Zip64. Source: PKWARE's APPNOTE.TXT, §4.3; sizes are taken from the central
directory, since real exports are streamed and have none in their local records.
"""

import zlib
from collections.abc import Mapping
from io import BytesIO
from struct import Struct as Layout
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from msgspec import Struct

from tocsin.model.errors import Invalid

_END: Final = Layout("<4s4H2LH")
_CENTRAL: Final = Layout("<4s6H3L5H2L")
_LOCAL: Final = Layout("<4s5H3L2H")
_DESCRIPTOR: Final = Layout("<3L")
_EXTRA: Final = Layout("<2H")
_DESCRIPTOR_MARK: Final = b"PK\x07\x08"

_STORED, _DEFLATED = 0, 8
_HAS_DESCRIPTOR: Final = 0x0008
_KNOWN_FLAGS: Final = 0x0006 | _HAS_DESCRIPTOR | 0x0800
"""Effort of the compressor, data descriptor, names in UTF-8. Anything else changes how the bytes are to be read."""
_REINTERPRETING_EXTRAS: Final = {0x0001, 0x6375, 0x7075}
"""Extra fields that replace a size, a comment or a name: Zip64, Unicode comment, Unicode path."""
_MAX_RATIO: Final = 100
"""Keys are random and do not compress: the most seen in a real export is 2."""
_RATIO_FLOOR: Final = 1 << 16
"""Members below this may be as compressible as they like."""


class _Entry(Struct, frozen=True):
    """One member, as the central directory tells it."""

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def write_members(members: Mapping[str, bytes]) -> bytes:
    """A zip of `members` in their order: deflated, dated 1980-01-01, no attribute of this machine."""
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            info = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, data, ZIP_DEFLATED, compresslevel=6)
    return buffer.getvalue()


def read_members(data: bytes, limits: Mapping[str, int]) -> dict[str, bytes]:
    """The members of a zip. `limits`: the names it may hold, and the most bytes of each.

    Memory and time are bounded by `limits`, whatever the zip claims. Raises `Invalid` for other or repeated names and
    for every archive that two programs could read differently.
    """
    entries, directory_offset = _directory(data)
    for entry in entries:
        limit = limits.get(entry.name.decode("ascii", "replace"))
        if limit is None:
            raise Invalid("the zip holds a member under a name that no export has")
        if entry.size > limit:
            raise Invalid("a member of the zip is larger than it may be")
    if len({entry.name for entry in entries}) != len(entries):
        raise Invalid("the zip holds a member twice")
    members = {}
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if entry.offset != end:
            raise Invalid("the zip has bytes that belong to no member, or members that overlap")
        start = _data_start(data, entry)
        members[entry.name.decode("ascii")] = _inflate(data[start : start + entry.packed], entry)
        end = _data_end(data, entry, start + entry.packed)
    if end != directory_offset:
        raise Invalid("the zip has bytes that belong to no member, or members that overlap")
    return members


def _unpack(layout: Layout, mark: bytes, data: bytes, offset: int) -> tuple[int, ...]:
    """The numbers of a record after its mark, or `Invalid`."""
    if offset < 0 or offset + layout.size > len(data) or not data.startswith(mark, offset):
        raise Invalid("not a zip, or a damaged one")
    numbers: tuple[int, ...] = layout.unpack_from(data, offset)[1:]
    return numbers


def _directory(data: bytes) -> tuple[list[_Entry], int]:
    """The entries of the central directory, and where it begins."""
    end = len(data) - _END.size
    disk, first_disk, here, total, size, offset, comment = _unpack(_END, b"PK\x05\x06", data, end)
    if disk or first_disk or here != total or comment or offset + size != end:
        raise Invalid("the zip's directory does not fit the zip")
    entries = []
    at = offset
    for _ in range(total):
        _, _, flags, method, _, _, crc, packed, unpacked, name, extra, remark, _, _, _, local = _unpack(
            _CENTRAL, b"PK\x01\x02", data, at
        )
        at += _CENTRAL.size
        _check_member(flags, method, remark, data[at + name : at + name + extra])
        entries.append(_Entry(data[at : at + name], flags, method, crc, packed, unpacked, local))
        at += name + extra
    if at != end:
        raise Invalid("the zip's directory does not fit the zip")
    return entries, offset


def _check_member(flags: int, method: int, comment_bytes: int, extra: bytes) -> None:
    """Refuse features that change what the bytes mean."""
    if flags & ~_KNOWN_FLAGS or method not in (_STORED, _DEFLATED) or comment_bytes:
        raise Invalid("the zip uses a feature that no export needs")
    at = 0
    while at < len(extra):
        if at + _EXTRA.size > len(extra):
            raise Invalid("the zip has a damaged extra field")
        tag, length = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size + length
        if at > len(extra):
            raise Invalid("the zip has a damaged extra field")
        if tag in _REINTERPRETING_EXTRAS:
            raise Invalid("the zip uses a feature that no export needs")


def _data_start(data: bytes, entry: _Entry) -> int:
    """Where the member's bytes begin, once its local record agrees with the directory."""
    _, flags, method, _, _, crc, packed, size, name, extra = _unpack(_LOCAL, b"PK\x03\x04", data, entry.offset)
    at = entry.offset + _LOCAL.size
    _check_member(flags, method, 0, data[at + name : at + name + extra])
    agrees = (data[at : at + name], flags, method) == (entry.name, entry.flags, entry.method)
    if not flags & _HAS_DESCRIPTOR:
        agrees = agrees and (crc, packed, size) == (entry.crc, entry.packed, entry.size)
    if not agrees:
        raise Invalid("the zip tells two different things of a member")
    return at + name + extra


def _data_end(data: bytes, entry: _Entry, at: int) -> int:
    """Where the member ends, its data descriptor (if it has one) included and compared."""
    if not entry.flags & _HAS_DESCRIPTOR:
        return at
    if data.startswith(_DESCRIPTOR_MARK, at):
        at += len(_DESCRIPTOR_MARK)
    if data[at : at + _DESCRIPTOR.size] != _DESCRIPTOR.pack(entry.crc, entry.packed, entry.size):
        raise Invalid("the zip tells two different things of a member")
    return at + _DESCRIPTOR.size


def _inflate(packed: bytes, entry: _Entry) -> bytes:
    """The member's bytes: never more than the size that was checked, and exactly that."""
    if entry.size > max(_RATIO_FLOOR, _MAX_RATIO * entry.packed):
        raise Invalid("a member of the zip is compressed beyond reason")
    data, whole = packed, len(packed) == entry.packed
    if entry.method == _DEFLATED:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = inflater.decompress(packed, entry.size + 1)  # one more: a longer member shows, and costs a byte
        except zlib.error:
            raise Invalid("a member of the zip is damaged") from None
        whole = whole and inflater.eof and not inflater.unused_data
    if not whole or len(data) != entry.size or zlib.crc32(data) != entry.crc:
        raise Invalid("a member of the zip is damaged")
    return data
