"""Vectors of GAEN export files, encoded here field by field with nothing but integers and bytes.

Two groups were made by others and are carried over with their source: ``reference_encoding`` and ``real_files``
(google/exposure-notifications-server, Apache-2.0).
"""

import struct
import zlib
from typing import Any, NamedTuple

SERVER = "google/exposure-notifications-server"
HEADER = b"EK Export v1    "
OID = "1.2.840.10045.4.3.2"
KEY_FIELDS = (
    "key_data",
    "transmission_risk_level",
    "rolling_start_interval_number",
    "rolling_period",
    "report_type",
    "days_since_onset_of_symptoms",
)
Key = dict[str, str | int | None]


def varint(value: int) -> bytes:
    """Base 128, least significant group first."""
    low = bytes([value & 0x7F | (0x80 if value > 0x7F else 0)])
    return low + varint(value >> 7) if value > 0x7F else low


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def fixed64(field: int, value: int) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<Q", value)


def nested(field: int, value: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(value)) + value


def key_message(key: Key) -> bytes:
    """A key; None is a field that is not on the wire."""
    encoded = b""
    for field, name in enumerate(KEY_FIELDS, 1):
        value = key[name]
        if isinstance(value, str):
            encoded += nested(field, bytes.fromhex(value))
        elif value is not None:
            zigzag = 2 * value if value >= 0 else -2 * value - 1
            encoded += number(field, zigzag if name.startswith("days") else value)
    return encoded


def signature_info(key_id: str, version: str, algorithm: str = OID) -> bytes:
    return nested(3, version.encode()) + nested(4, key_id.encode()) + nested(5, algorithm.encode())


def export_bin(
    keys: list[Key], revised_keys: list[Key], infos: list[tuple[str, str]], batch: tuple[int, int] = (1, 1)
) -> bytes:
    return b"".join(
        [
            HEADER,
            fixed64(1, 1_588_291_200),
            fixed64(2, 1_588_305_600),
            nested(3, b"xx"),
            number(4, batch[0]),
            number(5, batch[1]),
            *(nested(6, signature_info(*info)) for info in infos),
            *(nested(7, key_message(key)) for key in keys),
            *(nested(8, key_message(key)) for key in revised_keys),
        ]
    )


def key(first_byte: int, **fields: int | str | None) -> Key:
    """A sound key, but for `fields`."""
    data = bytes([first_byte, *range(1, 16)]).hex()
    values: tuple[str | int | None, ...] = (data, 0, 2_646_864, 144, 1, None)
    return dict(zip(KEY_FIELDS, values, strict=True)) | fields


class Member(NamedTuple):
    """A member of a zip, sound unless told otherwise. `packed` None: stored as it is."""

    name: str
    data: bytes
    packed: bytes | None = None
    flags: int = 0
    extra: bytes = b""
    local_extra: bytes = b""
    comment: bytes = b""
    claimed_size: int | None = None
    method: int | None = None
    made_by: int = 20
    attributes: int = 0
    descriptor: bytes | None = None
    shift: int = 0


def zip_member(member: Member, offset: int) -> tuple[bytes, bytes]:
    """A member's bytes, and its entry in the central directory. `shift`: added to its place as the entry tells it."""
    name, packed = member.name.encode(), member.data if member.packed is None else member.packed
    size = len(member.data) if member.claimed_size is None else member.claimed_size
    method = (0 if member.packed is None else 8) if member.method is None else member.method
    middle = struct.pack("<5H3L", 20, member.flags, method, 0, 33, zlib.crc32(member.data), len(packed), size)
    local = b"PK\3\4" + middle + struct.pack("<2H", len(name), len(member.local_extra)) + name + member.local_extra
    lengths = struct.pack("<3H", len(name), len(member.extra), len(member.comment))
    entry = b"PK\1\2" + struct.pack("<H", member.made_by) + middle + lengths
    entry += struct.pack("<2H2L", 0, 0, member.attributes, offset + member.shift)
    return local + packed + (member.descriptor or b""), entry + name + member.extra + member.comment


def zip_file(
    *members: Member,
    prefix: bytes = b"",
    between: bytes = b"",
    padding: bytes = b"",
    disks: tuple[int, int] = (0, 0),
    here: int = 0,
    comment_bytes: int = 0,
) -> bytes:
    """A zip. `here`: added to the number of entries on this disk; `padding` follows the directory's entries."""
    body, directory = prefix, b""
    for member in members:
        data, entry = zip_member(member, len(body))
        body, directory = body + data, directory + entry
    body, directory = body + between, directory + padding
    count = len(members)
    end = struct.pack("<4H2LH", *disks, count + here, count, len(directory), len(body), comment_bytes)
    return body + directory + b"PK\5\6" + end


def deflated(data: bytes, *, whole: bool = True) -> bytes:
    """`data` as deflate packs it; not `whole`: flushed, but without the block that ends it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush(zlib.Z_FINISH if whole else zlib.Z_SYNC_FLUSH)


def good_exports() -> list[dict[str, object]]:
    """Files that a writer makes and a reader takes, with what they hold."""
    cases: list[tuple[str, list[Key], list[Key], list[tuple[str, str]], tuple[int, int]]] = [
        ("no keys at all", [], [], [("310", "v1")], (1, 1)),
        ("one key, all fields but the onset", [key(1)], [], [("310", "v1")], (1, 1)),
        (
            "keys in the order of their bytes, revised keys after them",
            [
                key(0, days_since_onset_of_symptoms=-14),
                key(127, rolling_period=1, transmission_risk_level=8, report_type=2),
                key(255, rolling_start_interval_number=2**31 - 144, days_since_onset_of_symptoms=14),
            ],
            [key(3, report_type=5), key(200, report_type=1, days_since_onset_of_symptoms=0)],
            [("310", "v2"), ("310", "v1")],
            (1, 1),
        ),
        ("second file of three", [key(9)], [], [("310", "v1")], (2, 3)),
    ]
    return [
        {
            "name": name,
            "start_timestamp": 1_588_291_200,
            "end_timestamp": 1_588_305_600,
            "region": "xx",
            "batch_num": batch[0],
            "batch_size": batch[1],
            "signature_infos": infos,
            "keys": keys,
            "revised_keys": revised_keys,
            "export_bin": export_bin(keys, revised_keys, infos, batch).hex(),
        }
        for name, keys, revised_keys, infos, batch in cases
    ]


def good_signature_lists() -> list[dict[str, object]]:
    signatures = [bytes([0x30, 2, 1, 1]), bytes([0x30, 2, 1, 2])]
    infos = [("310", "v2"), ("310", "v1")]
    entries = [
        nested(1, nested(1, signature_info(*info)) + number(2, 1) + number(3, 2) + nested(4, signature))
        for info, signature in zip(infos, signatures, strict=True)
    ]
    return [
        {
            "name": "two keys in an overlap, newest first",
            "batch_num": 1,
            "batch_size": 2,
            "signature_infos": infos,
            "signatures": [signature.hex() for signature in signatures],
            "export_sig": b"".join(entries).hex(),
        }
    ]


def bad_exports() -> list[dict[str, str]]:
    """Files that a reader must refuse, and why."""
    sound = export_bin([key(1)], [], [("310", "v1")])
    not_16 = "key_length"
    bad_period = "key_period"
    no_start = "key_start"
    bad_risk = "key_risk"
    no_header = "no_header"
    no_message = "no_export"
    text = "text"

    def with_key(**fields: int | str | None) -> bytes:
        return export_bin([key(1), key(2, **fields)], [], [("310", "v1")])

    def with_last(field: bytes) -> bytes:
        """The last field of its number counts, also in a key."""
        return HEADER + nested(7, key_message(key(1)) + field)

    cases = [
        ("empty file", b"", no_header),
        ("header cut short", HEADER[:15], no_header),
        ("message without the header", sound[16:], no_header),
        ("header of another version", sound.replace(b"v1 ", b"v2 ", 1), no_header),
        ("last byte missing", sound[:-1], "cut_short"),
        ("last two bytes missing, in the midst of a number", sound + b"\x20\x80", "cut_short"),
        ("a zero byte after the message", sound + b"\0", "cut_short"),
        ("a field of number 0", sound + b"\0\0", no_message),
        ("words after the message", sound + b"garbage", no_message),
        ("a field that is longer than the file", sound + b"\x3a\x7f", "cut_short"),
        ("a field of 2^63 bytes", sound + b"\x3a" + varint(2**63), "cut_short"),
        ("a number of eleven bytes", sound + b"\x20" + b"\x80" * 10 + b"\x01", no_message),
        ("a group, known to no export", sound + b"\x4b\x4c", no_message),
        ("nested groups", sound + b"\x4b" * 99 + b"\x4c" * 99, no_message),
        ("a key that is no message", sound + nested(7, b"\xff" * 18), no_message),
        ("keys as a number", sound + number(7, 1), "field_type"),
        ("a region of four bytes, without length", sound + b"\x1d" + b"utop", "field_type"),
        ("a batch number that is packed", sound + nested(4, b"\1"), "field_type"),
        ("unknown fields without end", sound + number(99, 0) * 1001, "field_count"),
        ("the region again and again", sound + nested(3, b"xx") * 1001, "field_count"),
        ("key of 15 bytes", with_key(key_data="11" * 15), not_16),
        ("key of 17 bytes", with_key(key_data="11" * 17), not_16),
        ("key of 53 bytes", with_key(key_data="11" * 53), not_16),
        ("no key data", with_key(key_data=None), not_16),
        ("empty key message", sound + b"\x3a\0", not_16),
        ("revised key of 15 bytes", export_bin([], [key(1, key_data="11" * 15)], []), not_16),
        ("period 0", with_key(rolling_period=0), bad_period),
        ("period 145", with_key(rolling_period=145), bad_period),
        ("negative period", with_key(rolling_period=2**64 - 1), bad_period),
        ("revised key with period 0", export_bin([], [key(1, rolling_period=0)], []), bad_period),
        ("start 0", with_key(rolling_start_interval_number=0), no_start),
        ("start absent", with_key(rolling_start_interval_number=None), no_start),
        ("negative start", with_key(rolling_start_interval_number=2**64 - 1), no_start),
        ("risk 9", with_key(transmission_risk_level=9), bad_risk),
        ("negative risk", with_key(transmission_risk_level=2**64 - 1), bad_risk),
        ("risk first sound, then 9", with_last(number(2, 9)), bad_risk),
        ("period first sound, then 0", with_last(number(4, 0)), bad_period),
        ("key data first sound, then of 15 bytes", with_last(nested(1, b"k" * 15)), not_16),
        ("batch 0 of 1", export_bin([], [], [], (0, 1)), "batch"),
        ("batch 3 of 2", export_bin([], [], [], (3, 2)), "batch"),
        (
            "window ends before it begins",
            HEADER + fixed64(1, 2) + fixed64(2, 1),
            "window",
        ),
        ("window ends after the year 9999", HEADER + fixed64(2, 2**64 - 1), "window"),
        ("region of 257 characters", HEADER + nested(3, b"x" * 257), "text_length"),
        ("region is not UTF-8", HEADER + nested(3, b"\xff"), text),
        ("region moves the cursor", HEADER + nested(3, b"\x1b[2J"), text),
        ("key id is not UTF-8", HEADER + nested(6, nested(4, b"\xff")), text),
        ("eleven signing keys", export_bin([], [], [("310", "v1")] * 11), "info_count"),
    ]
    return [{"name": name, "export_bin": data.hex(), "refusal": refusal} for name, data, refusal in cases]


def bad_zips() -> list[dict[str, str]]:
    """Zips that a reader must refuse, and why; all but the named fault is in order."""
    export = export_bin([key(1)], [], [("310", "v1")])
    first, second = Member("export.bin", export), Member("export.sig", b"")
    no_zip = "no_zip"
    wrong_name = "member_name"
    lacking = "member_missing"
    stray = "zip_stray_bytes"
    unfit = "zip_directory"
    other_descriptor = b"PK\7\x08" + struct.pack("<3L", zlib.crc32(export), len(export), len(export) + 1)
    damaged = "member_damaged"
    bad_extra = "zip_extra"
    unicode_path = struct.pack("<2H", 0x7075, 5) + b"\1abcd"
    good = zip_file(first, second)
    directory_bytes = struct.unpack("<L", good[-10:-6])[0]

    def with_bin(**changes: Any) -> bytes:
        return zip_file(first._replace(**changes), second)

    cases = [
        ("empty file", b"", no_zip),
        ("no export.sig", zip_file(first), lacking),
        ("no export.bin", zip_file(second), lacking),
        ("export.bin twice", zip_file(first, first, second), "member_twice"),
        ("upper case", with_bin(name="EXPORT.BIN"), wrong_name),
        ("in a folder", with_bin(name="a/export.bin"), wrong_name),
        ("a fourth kind of member", zip_file(first, second, Member("readme.txt", b"")), wrong_name),
        ("bytes before the first member", zip_file(first, second, prefix=b"PK\3\4"), stray),
        ("bytes after the last member", zip_file(first, second, between=b"PK"), stray),
        ("bytes in the directory", zip_file(first, second, padding=b"PK"), unfit),
        ("bytes after the end", good + b"\0", "zip_trailer"),
        ("a comment", zip_file(first, second, comment_bytes=5) + b"hello", "zip_trailer"),
        ("cut short", good[:-1], "zip_trailer"),
        ("two directories", zip_file(first, second, between=good[-22 - directory_bytes : -22]), stray),
        ("a zip behind a zip", good + good, "zip_directory"),
        ("a program before the zip", b"#!" + good, "zip_directory"),
        ("one member within the other", zip_file(first, second._replace(shift=-len(export) - 40)), "zip_overlap"),
        ("both members are the same bytes", zip_file(first, first._replace(shift=-len(export) - 40)), "zip_overlap"),
        ("a comment that is not there", zip_file(first, second, comment_bytes=5), unfit),
        ("directory of a size that it has not", good[:-10] + struct.pack("<L", 1) + good[-6:], unfit),
        ("directory cut short", good[:-40] + good[-22:], unfit),
        ("other number of members here and in all", zip_file(first, second, here=1), unfit),
        ("second disk", zip_file(first, second, disks=(1, 0)), "zip_disks"),
        ("directory on a second disk", zip_file(first, second, disks=(0, 1)), "zip_disks"),
        ("locator of Zip64", good[:-22] + b"PK\6\7" + bytes(16) + good[-22:], "zip_64"),
        ("sizes of Zip64", with_bin(extra=struct.pack("<2HQ", 1, 8, len(export))), "zip_64"),
        ("encrypted", with_bin(flags=0x0001), "zip_encrypted"),
        ("strongly encrypted", with_bin(flags=0x0041), "zip_encrypted"),
        ("directory masked", with_bin(flags=0x2000), "zip_encrypted"),
        ("patched data", with_bin(flags=0x0020), "zip_flags"),
        *((f"packed by method {method}", with_bin(method=method), "zip_method") for method in (1, 9, 12, 14, 93, 99)),
        ("member with a comment", with_bin(comment=b"hello"), "zip_comment"),
        ("another name in the directory's extra field", with_bin(extra=unicode_path), "zip_second_name"),
        ("another name in the member's extra field", with_bin(local_extra=unicode_path), "zip_second_name"),
        ("a link", with_bin(made_by=3 << 8 | 20, attributes=0o120777 << 16), "zip_no_file"),
        ("a folder", with_bin(attributes=0x10), "zip_no_file"),
        ("a descriptor that is not there", with_bin(flags=0x0008), "zip_descriptor"),
        ("a descriptor of another size", with_bin(flags=0x0008, descriptor=other_descriptor), "zip_descriptor"),
        ("seventeen members", zip_file(*[first] * 17), "member_count"),
        ("absolute name", with_bin(name="/export.bin"), wrong_name),
        ("name that leads out", with_bin(name="../export.bin"), wrong_name),
        ("name with a zero byte", with_bin(name="export.bin\0"), wrong_name),
        ("name in full-width letters", with_bin(name="\uff45xport.bin", flags=0x0800), wrong_name),
        ("extra field cut short", with_bin(extra=unicode_path[:-1]), bad_extra),
        ("extra field of three bytes", with_bin(extra=b"UT\5"), bad_extra),
        ("one byte of export.bin changed", good.replace(HEADER, b"XK Export v1    "), "member_checksum"),
        ("bytes after the end of the deflated", with_bin(packed=deflated(export) + b"PK"), damaged),
        ("deflated without an end", with_bin(packed=deflated(export, whole=False)), damaged),
        ("deflated to more than it says", with_bin(packed=deflated(export), claimed_size=len(export) - 1), damaged),
        ("not deflated at all", with_bin(packed=b"\xff" * 99), damaged),
        (
            "local record names another member",
            good.replace(b"export.bin", b"export.bim", 1),
            "zip_two_records",
        ),
        (
            "compressed beyond reason",
            with_bin(claimed_size=16_000_000),
            "member_ratio",
        ),
        ("a claim of 4 GiB", with_bin(claimed_size=2**32 - 1), "member_size"),
    ]
    return [{"name": name, "zip": data.hex(), "refusal": refusal} for name, data, refusal in cases]


def reference_encoding() -> dict[str, object]:
    """What the reference server's own encoder makes; its keys are of 3 bytes, so it tests encoders, not readers."""

    def row(data: bytes, risk: int, start: int, period: int | None, report_type: int, onset: int | None) -> Key:
        return dict(zip(KEY_FIELDS, (data.hex(), risk, start, period, report_type, onset), strict=True))

    return {
        "source": f"{SERVER} internal/export/exportfile_test.go, TestMarshalUnmarshalExportFile (Apache-2.0)",
        "start_timestamp": 1_588_291_200,
        "end_timestamp": 1_588_294_800,
        "region": "US",
        "signature_infos": [("310", "1")],
        "keys": [row(b"ABC", 8, 18, 0, 2, 0), row(b"DEF", 1, 118, 1, 1, -1), row(b"GHI", 5, 118, 1, 3, -1)],
        "revised_keys": [row(b"123", 4, 100, None, 5, None)],
        "export_bin": (
            "454b204578706f727420763120202020098066ab5e00000000119074ab5e000000001a02555320012801321d1a01312203333130"
            "2a13312e322e3834302e31303034352e342e332e323a0f0a03414243100818122000280230003a0f0a0344454610011876200128"
            "0130013a0f0a0347484910051876200128033001420b0a03313233100418642805"
        ),
        "export_bin_sha256_base64": "ho9AqUPleXoGs4wc5PEUU7MvbToDryEnQ+rJ8Fb1Hvc=",
    }


def real_files() -> list[dict[str, object]]:
    """Two small exports of the reference server, signed, each with the published key that verifies it."""
    return [
        {
            "source": f"{SERVER} examples/export/testExport-2-records-1-of-1.zip and public.pem (Apache-2.0)",
            "key_id": "some_id",
            "key_version": "1",
            "rolling_periods": [1, 114],
            "public_key": (
                "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEml59itec9qzwVojreLXdPNRsUWzf"
                "YHc1cKvIIi6/H56AJS/kZEYQnfDpxrgyGhdAm+pNN2GAJ3XdnQZ1Sk4amg=="
            ),
            "zip": (
                "UEsDBBQACAAIAAAAAAAAAAAAAAAAAAAAAAAKAAAAZXhwb3J0LmJpbnL1VnCtKMgvKlEoM1RQUFDg/PDieBwDAwODYIHVSTBDiik0"
                "WIFRg9FIUYrRUIm9OD83NT4zRUvYUM9Iz8LEQM/QwMDEVM9Ez1jPyEqaS0Bc/0jD0xmePCbiZSzGs0WdBTgk/txbyKjACJLUTma1"
                "OtKs3PuwTGxem7ztWQFGiS6QZBEgAAD//1BLBwhQGAPXhwAAAIcAAABQSwMEFAAIAAgAAAAAAAAAAAAAAAAAAAAAAAoAAABleHBv"
                "cnQuc2ln4irkUpRiNFRiL87PTY3PTNESNtQz0rMwMdAzNDAwMdUz0TPWMxJglGBU8jBwY1JkmLft5dW1WRn9Kws2PKvhaDOJe39X"
                "QjJS725LgpfMeV8mdyZFhgm59Wc/CR4X+OGlVSnOwFq878N79SXTHTXvaZStyZD8lgUIAAD//1BLBwhEY4HtfAAAAHMAAABQSwEC"
                "FAAUAAgACAAAAAAAUBgD14cAAACHAAAACgAAAAAAAAAAAAAAAAAAAAAAZXhwb3J0LmJpblBLAQIUABQACAAIAAAAAABEY4HtfAAA"
                "AHMAAAAKAAAAAAAAAAAAAAAAAL8AAABleHBvcnQuc2lnUEsFBgAAAAACAAIAcAAAAHMBAAAAAA=="
            ),
        },
        {
            "source": f"{SERVER} internal/api/export/sample-export.zip and sample/public.pem (Apache-2.0)",
            "key_id": "ExampleServer_k1",
            "key_version": "",
            "rolling_periods": [144, 144],
            "public_key": (
                "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEUczyMAkfSeoU77Nmcb1G7t7xyGCA"
                "hQqMOIVDFLFas3J+elP7CiotovigCLWj706F07j1EPL27ThRzZl7Ha9uOA=="
            ),
            "zip": (
                "UEsDBBQACAAIAAAAAAAAAAAAAAAAAAAAAAAKAAAAZXhwb3J0LmJpbnL1VnCtKMgvKlEoM1RQUFDgDNi4N46BgYFBMGE/hCHFFBqs"
                "wKjBaKSuJOBakZhbkJManFpUlloUn22oJWyoZ6RnYWKgZ2hgYGKqZ6JnrGdkJcklUD7vqKv1Xcv/jcairUvWqE8WYJQ4cH0hI0jq"
                "zq9Dccut5ovz52UdKP94vwoqBQgAAP//UEsHCI63TvaGAAAAiQAAAFBLAwQUAAgACAAAAAAAAAAAAAAAAAAAAAAACgAAAGV4cG9y"
                "dC5zaWcAeACH/wp2CiciEEV4YW1wbGVTZXJ2ZXJfazEqEzEuMi44NDAuMTAwNDUuNC4zLjIQARgBIkcwRQIgW8jkI+lc3k7zRasX"
                "Y+f7ipIqaZuy9+waAcIc3PPk0iQCIQDCEnbz+fZPaYVmmj39IUTOwRi3cPPXpvj9J3aWu7se/QEAAP//UEsHCHWBKweCAAAAeAAA"
                "AFBLAQIUABQACAAIAAAAAACOt072hgAAAIkAAAAKAAAAAAAAAAAAAAAAAAAAAABleHBvcnQuYmluUEsBAhQAFAAIAAgAAAAAAHWB"
                "KweCAAAAeAAAAAoAAAAAAAAAAAAAAAAAvgAAAGV4cG9ydC5zaWdQSwUGAAAAAAIAAgBwAAAAeAEAAAAA"
            ),
        },
    ]


def vectors() -> dict[str, object]:
    """All vectors. Bytes are hex, but for the files carried over, which are base64."""
    return {
        "exports": good_exports(),
        "signature_lists": good_signature_lists(),
        "reference_encoding": reference_encoding(),
        "real_files": real_files(),
        "refused_exports": bad_exports(),
        "refused_zips": bad_zips(),
    }
