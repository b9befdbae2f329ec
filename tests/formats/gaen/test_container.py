"""Zips: other programs read ours; theirs are read strictly, and the hostile ones are refused."""

import struct
import tracemalloc
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.gaen.material import VECTORS
from tocsin.formats.gaen.container import read_members, seems_zip, write_members
from tocsin.formats.gaen.reader import LIMITS, MAX_EXPORT_BYTES, read_zip
from tocsin.formats.gaen.refusals import ExportInvalid
from tocsin.formats.gaen.writer import zip_export
from tocsin.model.errors import Invalid

SANE_AND_PLAIN = {"normal_deflate.zip", "nosubdir.zip"}
"""The rest of the sane ones use Zip64, or inflate to more than they say: no export needs either."""


class AnyName(dict[str, int]):
    """Limits that let every name pass, so that the structure alone decides."""

    def get(self, name: str, default: object = None) -> int:
        return 1 << 20


@pytest.mark.parametrize("vector", VECTORS["refused_zips"], ids=lambda vector: vector["name"])
def test_refused_for_its_own_reason(vector: dict[str, str]) -> None:
    with pytest.raises(ExportInvalid) as refusal:
        read_zip(bytes.fromhex(vector["zip"]))
    assert refusal.value.reason == vector["refusal"]


def test_hostile_zips_are_refused_whatever_their_names(shared: Path) -> None:
    paths = sorted((shared / "data" / "zip-hostile" / "reject").iterdir())
    assert len(paths) == 18
    for path in paths:
        with pytest.raises(Invalid):
            read_members(path.read_bytes(), AnyName())
        with pytest.raises(Invalid):
            read_zip(path.read_bytes())


def test_sane_zips_are_no_exports(shared: Path) -> None:
    paths = sorted((shared / "data" / "zip-hostile" / "accept").iterdir())
    assert len(paths) == 5
    for path in paths:
        with pytest.raises(Invalid):
            read_zip(path.read_bytes())
        if path.name in SANE_AND_PLAIN:
            assert len(read_members(path.read_bytes(), AnyName())) == 1


def test_ours_are_read_by_another_program() -> None:
    members = {"export.bin": b"b" * 1000, "export.sig": b"s"}
    with zipfile.ZipFile(BytesIO(zip_export(*members.values()))) as archive:
        assert archive.namelist() == ["export.bin", "export.sig"]
        assert {name: archive.read(name) for name in members} == members
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {(info.create_system, info.external_attr) for info in archive.infolist()} == {(3, 0o644 << 16)}
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_DEFLATED}


# --- what Python's own zipfile writes, one thing at a time -----------------------------------------------------------

BEFORE, AFTER = b"\x99\x99\0\0", b"\x99\x99\x02\0ab"
"""Extra fields of no known meaning, empty and with two bytes."""


def zip_with(extra: bytes = b"", system: int = 3, attributes: int = 0, data: bytes = b"export") -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("export.bin", "export.sig"):
            info = zipfile.ZipInfo(name)
            info.extra, info.create_system, info.external_attr = extra, system, attributes
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def reason(data: bytes) -> str:
    with pytest.raises(ExportInvalid) as refusal:
        read_zip(data)
    return refusal.value.reason


@pytest.mark.parametrize("extra", [b"", BEFORE, AFTER, BEFORE + AFTER, AFTER + BEFORE + AFTER])
def test_extra_fields_of_no_meaning_are_passed_over(extra: bytes) -> None:
    assert read_zip(zip_with(extra)) == (b"export", b"export")


@pytest.mark.parametrize("before", [b"", BEFORE, AFTER, AFTER + BEFORE])
def test_an_extra_field_that_has_a_meaning_is_found_behind_others(before: bytes) -> None:
    assert reason(zip_with(before + b"\x01\0\0\0" + AFTER)) == "zip_64"
    assert reason(zip_with(before + b"up\0\0" + AFTER)) == "zip_second_name"
    assert reason(zip_with(before + b"\x99\x99\x02\0a")) == "zip_extra"
    assert reason(zip_with(before + b"\x99\x99\0")) == "zip_extra"


@pytest.mark.parametrize("at", range(14, 26))
def test_checksum_and_sizes_stand_twice_and_must_agree(at: int) -> None:
    """The directory is what is read by; another program may read by the record before the member."""
    changed = bytearray(zip_with())
    changed[at] ^= 1
    assert reason(bytes(changed)) == "zip_two_records"


FILES = [(3, 0), (3, 0o100644 << 16), (0, 0), (0, 0x20), (0, 0o120777 << 16)]
"""By Unix and by DOS, where the upper half says nothing."""


@pytest.mark.parametrize(("system", "attributes"), FILES)
def test_files_are_files(system: int, attributes: int) -> None:
    assert read_zip(zip_with(system=system, attributes=attributes)) == (b"export", b"export")


@pytest.mark.parametrize(("system", "attributes"), [(3, 0o120777 << 16), (3, 0o040755 << 16), (3, 0x10), (0, 0x10)])
def test_links_and_folders_are_none(system: int, attributes: int) -> None:
    assert reason(zip_with(system=system, attributes=attributes)) == "zip_no_file"


def test_small_members_may_be_as_compressible_as_they_like() -> None:
    small, large = bytes(1 << 16), bytes((1 << 16) + 1)
    assert read_members(zip_with(data=small), AnyName())["export.bin"] == small
    with pytest.raises(ExportInvalid) as refusal:
        read_members(zip_with(data=large), AnyName())
    assert refusal.value.reason == "member_ratio"


ZIP = zip_with()


@pytest.mark.parametrize("behind", range(22))
def test_an_end_record_that_stands_alone_or_is_cut_short(behind: int) -> None:
    """Shorter than the record itself: counting back from its end would lead before the first byte."""
    assert reason(ZIP[-22:][: 22 - behind]) in ("no_zip", "zip_trailer", "zip_directory")


def test_a_member_that_begins_in_the_directory_and_ends_nowhere() -> None:
    """The first member is so long that the second begins in its own name, seven bytes before the end record."""
    first, second = b"export.bin", b"PK\3\4abc"
    begins = 30 + len(first) + 46 + len(first) + 46
    packed = begins - 30 - len(first)
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, packed, packed, len(first), 0) + first
    directory = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, size, size, len(name), 0, 0, 0, 0, 0, offset)
        + name
        for name, size, offset in ((first, packed, 0), (second, 0, begins))
    )
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(directory), len(local), 0)
    assert (local + directory + end).index(second) == begins
    assert reason(local + directory + end) == "zip_directory"


def test_a_trailer_is_told_from_what_is_no_zip() -> None:
    """A comment has 65,535 bytes at most."""
    assert reason(ZIP + bytes(65_535)) == "zip_trailer"
    assert reason(ZIP + bytes(65_536)) == "no_zip"


def test_a_zip_that_is_nothing_but_two_end_records() -> None:
    assert reason(b"PK\6\7" + bytes(16) + b"PK\5\6" + bytes(18)) == "zip_64"


@pytest.mark.parametrize("members", [16, 17])
def test_sixteen_members_are_looked_at_and_no_more(members: int) -> None:
    data = write_members({f"{number}": b"" for number in range(members)})
    if members == 16:
        assert len(read_members(data, AnyName())) == 16
        return
    with pytest.raises(ExportInvalid) as refusal:
        read_members(data, AnyName())
    assert refusal.value.reason == "member_count"


@pytest.mark.parametrize("data", [ZIP, ZIP[:-5], b"PK", b"junk" + ZIP, b"junk" + ZIP + bytes(65_535)])
def test_what_is_meant_to_be_a_zip(data: bytes) -> None:
    assert seems_zip(data)


@pytest.mark.parametrize("data", [b"", b"junk", b"pk", ZIP[2:-22], b"junk" + ZIP + bytes(65_536)])
def test_what_is_not(data: bytes) -> None:
    assert not seems_zip(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_streamed_zips_are_read(method: int) -> None:
    """Real servers stream: sizes stand behind the member, in a data descriptor."""

    class Pipe(BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise OSError

        def tell(self) -> int:
            raise OSError

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:
        archive.writestr("export.sig", b"signature")
        archive.writestr("export.bin", b"export")
    assert read_zip(pipe.getvalue()) == (b"export", b"signature")


def test_a_zip_that_unpacks_to_too_much_is_refused_in_little_memory() -> None:
    size = MAX_EXPORT_BYTES + 1
    honest = zip_export(bytes(size), b"")
    lying = honest.replace(size.to_bytes(4, "little"), (60_000).to_bytes(4, "little"))
    tracemalloc.start()
    with pytest.raises(Invalid, match="larger than it may be"):
        read_zip(honest)
    with pytest.raises(Invalid, match="damaged"):
        read_zip(lying)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_limits_are_of_a_size_that_a_phone_can_hold() -> None:
    assert MAX_EXPORT_BYTES >= 500_000 * 36, "the reference server's largest file must pass"
    assert sum(LIMITS.values()) < 64 << 20


@given(st.binary(max_size=200))
def test_any_bytes_give_members_or_invalid(data: bytes) -> None:
    with pytest.raises(Invalid):
        read_zip(data)


@given(st.data())
def test_a_changed_byte_gives_the_members_or_invalid(data: st.DataObject) -> None:
    whole = write_members({"export.bin": b"export" * 9, "export.sig": b"signature"})
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    try:
        members = read_zip(bytes(changed))
    except Invalid:
        return
    assert members == (b"export" * 9, b"signature"), "a date or an attribute may change, the bytes may not"
