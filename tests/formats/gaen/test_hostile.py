"""Files that somebody outside hands in: each is refused for its own reason, in little memory, or read as it is."""

import subprocess
import sys
import tracemalloc
import zlib
from functools import cache
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.gaen.material import VECTORS, public_keys
from tests.formats.gaen.test_container import AnyName
from tocsin.formats.gaen import reader
from tocsin.formats.gaen.container import read_members
from tocsin.formats.gaen.inspect import inspect
from tocsin.formats.gaen.reader import MAX_EXPORT_BYTES, decode_export, decode_signature_list, read_zip
from tocsin.formats.gaen.refusals import MAX_KEYS, ExportInvalid, ExportReason
from tocsin.formats.gaen.schema import HEADER, TemporaryExposureKeyExport
from tocsin.formats.gaen.signature import is_signed_by

REASONS = {  # of four of them the two records of a member differ in the very flag that a descriptor follows
    "cd_comment.zip": "zip_directory",
    "cd_extra_entry.zip": "zip_overlap",
    "cd_missing_entry.zip": "zip_stray_bytes",
    "data_descriptor.zip": "zip_two_records",
    "data_descriptor_bad_crc_0.zip": "zip_two_records",
    "data_descriptor_bad_csize.zip": "zip_two_records",
    "data_descriptor_bad_usize.zip": "zip_two_records",
    "data_descriptor_zip64.zip": "zip_64",
    "eocd64_locator_mismatch.zip": "zip_64",
    "eocd64_without_eocd.zip": "zip_64",
    "eocd64_without_locator.zip": "zip_directory",
    "non_ascii_original_name.zip": "zip_second_name",
    "prefix.zip": "zip_directory",
    "unicode_extra_chain.zip": "zip_second_name",
    "zip64_extra_csize.zip": "zip_64",
    "zip64_extra_too_short.zip": "zip_64",
    "zip64_extra_usize.zip": "zip_64",
    "zipinzip.zip": "zip_directory",
}


def reason_of(data: bytes) -> str | None:
    """Why `inspect` refuses these bytes; None if it does not."""
    try:
        inspect(data, {})
    except ExportInvalid as invalid:
        return invalid.reason
    return None


@pytest.mark.parametrize("name", REASONS)
def test_each_hostile_zip_for_its_own_reason(shared: Path, name: str) -> None:
    data = (shared / "data" / "zip-hostile" / "reject" / name).read_bytes()
    with pytest.raises(ExportInvalid) as refusal:
        read_members(data, AnyName())
    assert refusal.value.reason == reason_of(data) == REASONS[name]


def small_export(shared: Path) -> bytes:
    return (shared / "data/gaen/google-example-2-keys.zip").read_bytes()


def test_cut_short_at_every_byte(shared: Path) -> None:
    data = small_export(shared)
    export_bin, export_sig = read_zip(data)
    reasons = {reason_of(data[:length]) for length in range(len(data))}
    assert reasons == {ExportReason.UNKNOWN_FILE, ExportReason.NO_ZIP, ExportReason.ZIP_TRAILER}
    key = public_keys(shared)["google-example-public"]
    [signature] = decode_signature_list(export_sig)
    for length in range(len(export_bin)):
        assert not is_signed_by(key, export_bin[:length], signature.signature)
        try:
            decode_export(export_bin[:length])
        except ExportInvalid as invalid:
            assert invalid.reason in {"no_header", "cut_short", "key_length", "batch", "window"}
    for length in range(len(export_sig)):
        with pytest.raises(ExportInvalid):
            [entry] = decode_signature_list(export_sig[:length])
            assert not is_signed_by(key, export_bin, entry.signature)
            raise ExportInvalid(ExportReason.WRONG_SIGNATURE)


def test_every_bit_turned_in_a_real_zip(shared: Path) -> None:
    """What is read of it is what was signed, or it is refused."""
    data = small_export(shared)
    members = read_zip(data)
    taken = 0
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            assert read_zip(bytes(changed)) == members
            taken += 1
        except ExportInvalid:
            pass
    assert 0 < taken < len(data) * 2, "dates, versions and attributes only"


def test_every_bit_turned_in_a_real_export(shared: Path) -> None:
    """An export or a reason; and never one that its signature is good for."""
    export_bin, export_sig = read_zip(small_export(shared))
    key = public_keys(shared)["google-example-public"]
    [signature] = decode_signature_list(export_sig)
    for bit in range(8 * len(export_bin)):
        changed = bytearray(export_bin)
        changed[bit // 8] ^= 1 << bit % 8
        assert not is_signed_by(key, bytes(changed), signature.signature)
        try:
            export = decode_export(bytes(changed))
        except ExportInvalid:
            continue
        assert (export.keys["rolling_period"] >= 1).all() and (export.keys["rolling_start_interval_number"] >= 1).all()


def test_repeated_fields_count_as_the_library_counts_them() -> None:
    """The last one of its number; so a reader of pieces sees no other export than one of the whole."""
    sound = bytes.fromhex(VECTORS["exports"][1]["export_bin"])
    again = sound + b"\x1a\x02yy" + b"\x20\x03\x28\x04"
    export = decode_export(again)
    assert (export.region, export.batch_num, export.batch_size, len(export.keys)) == ("yy", 3, 4, 1)


def field(draw: st.DrawFn) -> bytes:
    number, wire = draw(st.integers(1, 12)), draw(st.sampled_from([0, 1, 2, 5]))
    wire = {1: 1, 2: 1, 3: 2, 4: 0, 5: 0, 6: 2, 7: 2, 8: 2}.get(number, wire)
    key = b"\x0a\x10" + draw(st.binary(min_size=16, max_size=16)) + b"\x18\x01"
    payload = {
        0: bytes([draw(st.integers(1, 9))]),
        1: draw(st.integers(0, 2**33)).to_bytes(8, "little"),
        2: b"\x14" + key if number in (7, 8) else b"\x00",
        5: b"\0" * 4,
    }[wire]
    return bytes([number << 3 | wire]) + payload


@given(st.lists(st.composite(field)(), max_size=20))
def test_in_pieces_as_in_one(fields: list[bytes]) -> None:
    data = HEADER + b"".join(fields)
    whole: Any = TemporaryExposureKeyExport.FromString(data[len(HEADER) :])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_PIECE_BYTES", 1)
        try:
            export = decode_export(data)
        except ExportInvalid as invalid:
            assert invalid.reason in {"batch", "window", "info_count"}
            return
    for records, keys in ((export.keys, whole.keys), (export.revised_keys, whole.revised_keys)):
        assert [bytes(key) for key in records["key_data"]] == [key.key_data for key in keys]
    assert (export.start_timestamp, export.end_timestamp) == (whole.start_timestamp, whole.end_timestamp)
    assert len(export.signature_infos) == len(whole.signature_infos)


# --- bounded memory ---------------------------------------------------------------------------------------------------


def zip_of(*entries: tuple[bytes, bytes, int], offsets: list[int] | None = None) -> bytes:
    """A zip of (name, deflated bytes, claimed size); `offsets`: where the directory says that they are."""
    body, places, lines = bytearray(), [], []
    for name, packed, size in entries:
        places.append(len(body))
        middle = pack("<5H3L", 20, 0, 8, 0, 33, 0, len(packed), size)
        body += b"PK\3\4" + middle + pack("<2H", len(name), 0) + name + packed
        lines.append(b"PK\1\2\x14\0" + middle + pack("<3H", len(name), 0, 0) + bytes(8))
    directory = b"".join(
        line + pack("<L", place) + name
        for line, place, (name, _, _) in zip(lines, offsets or places, entries, strict=True)
    )
    end = pack("<4H2LH", 0, 0, len(entries), len(entries), len(directory), len(body), 0)
    return bytes(body) + directory + b"PK\5\6" + end


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(1, wbits=-15)
    return packer.compress(data) + packer.flush()


@cache
def bombs() -> dict[str, tuple[bytes, str]]:
    """Small zips that would be large, with the reason for which they are refused."""
    zeros = deflated(bytes(MAX_EXPORT_BYTES))
    quine = deflated(b"PK\3\4" * 9)
    return {
        "32 MiB of zeros": (zip_of((b"export.bin", zeros, MAX_EXPORT_BYTES), (b"export.sig", b"", 0)), "member_ratio"),
        "32 MiB that claim to be few": (zip_of((b"export.bin", zeros, 60_000)), "member_damaged"),
        "a claim of 4 GiB": (zip_of((b"export.bin", zeros, 2**32 - 1)), "member_size"),
        "packed to 4 GiB": (
            zip_of((b"export.bin", zeros[:99], 99)).replace(pack("<L", 99), b"\xff" * 4),
            "zip_overlap",
        ),
        "the same bytes as 9 members": (zip_of(*[(b"export.bin", zeros, 99)] * 9, offsets=[0] * 9), "zip_overlap"),
        "65,535 members": (zip_of(*[(b"x", b"", 0)] * 65_535), "member_count"),
        "a zip within a zip": (zip_of((b"export.bin", quine, 36)), "member_checksum"),
    }


@pytest.mark.parametrize(
    "name",
    [
        "32 MiB of zeros",
        "32 MiB that claim to be few",
        "a claim of 4 GiB",
        "packed to 4 GiB",
        "the same bytes as 9 members",
        "65,535 members",
        "a zip within a zip",
    ],
)
def test_a_bomb_costs_little(name: str) -> None:
    data, reason = bombs()[name]
    tracemalloc.start()
    assert reason_of(data) == reason
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


FLOODS = {
    "as many keys as may be": (b"\x3a\x20\x0a\x10" + b"k" * 16 + bytes.fromhex("100018c0d7a10120900128013001"), None),
    "more keys than may be": (b"\x3a\x14\x0a\x10" + b"k" * 16 + b"\x18\x01", "key_count"),
    "unknown fields": (b"\x48\x00", "field_count"),
}
MEASURED = """
import resource, sys
from tocsin.formats.gaen.inspect import inspect
from tocsin.formats.gaen.refusals import ExportInvalid
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    found = inspect(open(sys.argv[1], "rb").read(), {}).keys.count
except ExportInvalid as invalid:
    found = invalid.reason
print(found, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("flood", ["as many keys as may be", "more keys than may be", "unknown fields"])
def test_the_largest_files_stay_below_200_mib(flood: str, tmp_path: Path) -> None:
    """Measured as the resident memory of a process of its own: the library's memory is not Python's."""
    unit, reason = FLOODS[flood]
    count = (MAX_EXPORT_BYTES - len(HEADER)) // len(unit)
    path = tmp_path / "export.bin"
    path.write_bytes(HEADER + unit * count)
    told = subprocess.run([sys.executable, "-c", MEASURED, path], capture_output=True, check=True, text=True).stdout
    found, mebibytes = told.split()
    assert found == (reason or str(min(count, MAX_KEYS)))
    assert int(mebibytes) < 200


def test_pieces_are_small_and_together_the_whole() -> None:
    """Time and memory go with the size: each piece is read once, and none is much longer than the others."""
    unit = FLOODS["as many keys as may be"][0]
    for count in (1, 7_709, 7_710, 7_711, 30_000):
        data = HEADER + unit * count
        pieces = list(reader._pieces(data))
        assert b"".join(pieces) == data[len(HEADER) :]
        assert all(len(piece) < reader._PIECE_BYTES + len(unit) for piece in pieces)
        assert len(pieces) <= 1 + len(data) // reader._PIECE_BYTES


def test_every_reason_stands_in_its_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "formats" / "gaen.md").read_text(encoding="utf-8")
    behind = page.partition("## What a reader refuses")[2]
    assert [reason for reason in ExportReason if f"`{reason}`" not in behind] == []
