"""The zip around an export: written plainly, read strictly.

Two programs must never see two different things in one zip, so the reader takes only archives in which nothing is left
to interpretation: members lie side by side from the first byte to the central directory, both records of each member
agree, no comment, no encryption, no Zip64. The form of the archive is judged first, then its names and sizes, and only
then is anything unpacked. Source: PKWARE's APPNOTE.TXT, §4.3 and §4.4; sizes are taken from the central directory,
since real exports are streamed and have none in their local records.
"""

import stat
import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from struct import Struct as Layout
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from msgspec import Struct

from tocsin.formats.gaen.refusals import ExportInvalid, ExportReason

_END: Final = Layout("<4s4H2LH")
_CENTRAL: Final = Layout("<4s6H3L5H2L")
_LOCAL: Final = Layout("<4s5H3L2H")
_DESCRIPTOR: Final = Layout("<3L")
_EXTRA: Final = Layout("<2H")
_END_MARK: Final = b"PK\x05\x06"
_END_64_MARK: Final = b"PK\x06\x07"
_END_64_BYTES: Final = 20
_DESCRIPTOR_MARK: Final = b"PK\x07\x08"
_LONGEST_COMMENT: Final = 0xFFFF

_STORED, _DEFLATED = 0, 8
_HAS_DESCRIPTOR: Final = 0x0008
_KNOWN_FLAGS: Final = 0x0006 | _HAS_DESCRIPTOR | 0x0800
"""Effort of the compressor, data descriptor, names in UTF-8. Anything else changes how the bytes are to be read."""
_LAST_VERSION: Final = 63
"""Of the format, ten times; a member that needs a later one is refused by some readers and read by others."""
_ENCRYPTED: Final = 0x0001 | 0x0040 | 0x2000
"""Encryption, strong encryption, masked directory."""
_EXTRA_64: Final = 0x0001
_EXTRA_SECOND_NAMES: Final = {0x6375, 0x7075}
"""Extra fields that replace a comment or a name."""
_UNIX: Final = 3
_FOLDER_ATTRIBUTE: Final = 0x10
_MOST_MEMBERS: Final = 16
"""Looked at, to tell what is wrong with them; an export has two or three."""
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
    is_file: bool


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


def seems_zip(data: bytes) -> bool:
    """Whether `data` is meant to be a zip, sound or not: by its first bytes, or by an end record near its end."""
    return data.startswith(b"PK") or _END_MARK in data[-_END.size - _LONGEST_COMMENT :]


def read_members(data: bytes, limits: Mapping[str, int]) -> dict[str, bytes]:
    """The members of a zip. `limits`: the names it may hold, and the most bytes of each.

    Memory and time are bounded by `limits`, whatever the zip claims. Raises `ExportInvalid` for other or repeated names
    and for every archive that two programs could read differently.
    """
    entries, directory_offset = _directory(data)
    starts = _data_starts(data, entries, directory_offset)
    for entry in entries:
        limit = limits.get(entry.name.decode("ascii", "replace"))
        if limit is None:
            raise ExportInvalid(ExportReason.MEMBER_NAME)
        if not entry.is_file:
            raise ExportInvalid(ExportReason.ZIP_NO_FILE)
        if entry.size > limit:
            raise ExportInvalid(ExportReason.MEMBER_SIZE)
    if len({entry.name for entry in entries}) != len(entries):
        raise ExportInvalid(ExportReason.MEMBER_TWICE)
    return {
        entry.name.decode("ascii"): _inflate(data[start : start + entry.packed], entry)
        for entry, start in zip(entries, starts, strict=True)
    }


def _unpack(layout: Layout, mark: bytes, data: bytes, offset: int, otherwise: ExportReason) -> tuple[int, ...]:
    """The numbers of a record after its mark, or `ExportInvalid`."""
    if offset < 0 or offset + layout.size > len(data) or not data.startswith(mark, offset):
        raise ExportInvalid(otherwise)
    numbers: tuple[int, ...] = layout.unpack_from(data, offset)[1:]
    return numbers


def _directory(data: bytes) -> tuple[list[_Entry], int]:
    """The entries of the central directory by their place in the zip, and where the directory begins."""
    end = len(data) - _END.size
    has_trailer = _END_MARK in data[-_END.size - _LONGEST_COMMENT :]
    otherwise = ExportReason.ZIP_TRAILER if has_trailer else ExportReason.NO_ZIP
    disk, first_disk, here, total, size, offset, comment = _unpack(_END, _END_MARK, data, end, otherwise)
    if data.startswith(_END_64_MARK, max(0, end - _END_64_BYTES)):
        raise ExportInvalid(ExportReason.ZIP_64)
    if disk or first_disk:
        raise ExportInvalid(ExportReason.ZIP_DISKS)
    if here != total or comment or offset + size != end:
        raise ExportInvalid(ExportReason.ZIP_DIRECTORY)
    if total > _MOST_MEMBERS:
        raise ExportInvalid(ExportReason.MEMBER_COUNT)
    entries = []
    at = offset
    for _ in range(total):
        made_by, needed, flags, method, _, _, crc, packed, unpacked, name, extra, remark, _, _, attributes, local = (
            _unpack(_CENTRAL, b"PK\x01\x02", data, at, ExportReason.ZIP_DIRECTORY)
        )
        at += _CENTRAL.size
        _check_member(needed, flags, method, data[at + name : at + name + extra])
        if remark:
            raise ExportInvalid(ExportReason.ZIP_COMMENT)
        is_file = _is_file(made_by >> 8, attributes)
        entries.append(_Entry(data[at : at + name], flags, method, crc, packed, unpacked, local, is_file))
        at += name + extra
    if at != end:
        raise ExportInvalid(ExportReason.ZIP_DIRECTORY)
    return sorted(entries, key=lambda entry: entry.offset), offset


def _check_member(needed: int, flags: int, method: int, extra: bytes) -> None:
    """Refuse features that change what the bytes mean."""
    if flags & _ENCRYPTED:
        raise ExportInvalid(ExportReason.ZIP_ENCRYPTED)
    if flags & ~_KNOWN_FLAGS or needed > _LAST_VERSION:
        raise ExportInvalid(ExportReason.ZIP_FLAGS)
    if method not in (_STORED, _DEFLATED):
        raise ExportInvalid(ExportReason.ZIP_METHOD)
    at = 0
    while at < len(extra):
        if at + _EXTRA.size > len(extra):
            raise ExportInvalid(ExportReason.ZIP_EXTRA)
        tag, length = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size + length
        if at > len(extra):
            raise ExportInvalid(ExportReason.ZIP_EXTRA)
        if tag == _EXTRA_64:
            raise ExportInvalid(ExportReason.ZIP_64)
        if tag in _EXTRA_SECOND_NAMES:
            raise ExportInvalid(ExportReason.ZIP_SECOND_NAME)


def _is_file(system: int, attributes: int) -> bool:
    """Whether a member is neither a link nor a folder; most writers say nothing of it."""
    kind = stat.S_IFMT(attributes >> 16) if system == _UNIX else 0
    return kind in (0, stat.S_IFREG) and not attributes & _FOLDER_ATTRIBUTE


def _data_starts(data: bytes, entries: Sequence[_Entry], directory_offset: int) -> list[int]:
    """Where each member's bytes begin, once members are known to lie side by side up to the directory."""
    starts = []
    end = 0
    for entry in entries:
        _check_meets(end, entry.offset)
        starts.append(_data_start(data, entry))
        end = _data_end(data, entry, starts[-1] + entry.packed)
    _check_meets(end, directory_offset)
    return starts


def _check_meets(end: int, following: int) -> None:
    if end != following:
        raise ExportInvalid(ExportReason.ZIP_STRAY_BYTES if end < following else ExportReason.ZIP_OVERLAP)


def _data_start(data: bytes, entry: _Entry) -> int:
    """Where the member's bytes begin, once its local record agrees with the directory."""
    needed, flags, method, _, _, crc, packed, size, name, extra = _unpack(
        _LOCAL, b"PK\x03\x04", data, entry.offset, ExportReason.ZIP_DIRECTORY
    )
    at = entry.offset + _LOCAL.size
    _check_member(needed, flags, method, data[at + name : at + name + extra])
    agrees = (data[at : at + name], flags, method) == (entry.name, entry.flags, entry.method)
    if not flags & _HAS_DESCRIPTOR:
        agrees = agrees and (crc, packed, size) == (entry.crc, entry.packed, entry.size)
    if not agrees:
        raise ExportInvalid(ExportReason.ZIP_TWO_RECORDS)
    return at + name + extra


def _data_end(data: bytes, entry: _Entry, at: int) -> int:
    """Where the member ends, its data descriptor (if it has one) included and compared."""
    if not entry.flags & _HAS_DESCRIPTOR:
        return at
    if data.startswith(_DESCRIPTOR_MARK, at):
        at += len(_DESCRIPTOR_MARK)
    if data[at : at + _DESCRIPTOR.size] != _DESCRIPTOR.pack(entry.crc, entry.packed, entry.size):
        raise ExportInvalid(ExportReason.ZIP_DESCRIPTOR)
    return at + _DESCRIPTOR.size


def _inflate(packed: bytes, entry: _Entry) -> bytes:
    """The member's bytes: never more than the size that was checked, and exactly that."""
    if entry.size > max(_RATIO_FLOOR, _MAX_RATIO * entry.packed):
        raise ExportInvalid(ExportReason.MEMBER_RATIO)
    data, whole = packed, True
    if entry.method == _DEFLATED:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = inflater.decompress(packed, entry.size + 1)  # one more: a longer member shows, and costs a byte
        except zlib.error:
            raise ExportInvalid(ExportReason.MEMBER_DAMAGED) from None
        whole = inflater.eof and not inflater.unused_data
    if not whole or len(data) != entry.size:
        raise ExportInvalid(ExportReason.MEMBER_DAMAGED)
    if zlib.crc32(data) != entry.crc:
        raise ExportInvalid(ExportReason.MEMBER_CHECKSUM)
    return data
