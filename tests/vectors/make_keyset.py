"""Vectors of ``docs/formats/keys.md`` and ``docs/formats/keyset.md``, restated with nothing but struct and hashlib.

Records are written as in JSON: [key data, start, period, report type, onset, risk]; removals: [day, key data]. A key's
length tells its kind: 16 bytes are GAEN's, 32 DP-3T's.
"""

import hashlib
import struct
from typing import Any

Record = tuple[str, int, int, int, int, int]
Removal = tuple[int, str]

DAY = 18_300
AT = (DAY + 15) * 86_400
FIRST_DAY = DAY + 1


def key(number: int) -> str:
    return hashlib.sha256(b"key %d" % number).hexdigest()[:32]


def record(number: int, day: int, period: int = 144, type_: int = 1, onset: int = -128, risk: int = 0) -> Record:
    return (key(number), day * 144, period, type_, onset, risk)


def dp3t(first: int, day: int, days: int) -> list[Record]:
    """The day keys of one chain."""
    chain = [hashlib.sha256(b"day key %d" % first).digest()]
    while len(chain) < days:
        chain.append(hashlib.sha256(chain[-1]).digest())
    return [(each.hex(), (day + number) * 144, 144, 1, -128, 0) for number, each in enumerate(chain)]


def kind_of(key_data: str) -> int:
    return 2 if len(key_data) == 64 else 1


def section_of(entry: Record) -> tuple[int, int]:
    return kind_of(entry[0]), day_of(entry)


def in_order(entry: Record) -> tuple[tuple[int, int], str]:
    return section_of(entry), entry[0]


def day_of(entry: Record) -> int:
    return (entry[1] + entry[2] - 1) // 144


def packed(entry: Record) -> bytes:
    return bytes.fromhex(entry[0]) + struct.pack(">IBBbB", *entry[1:])


def digest(region: str, records: list[Record]) -> bytes:
    body = bytes([len(region)]) + region.encode()
    for kind, day in sorted({section_of(entry) for entry in records}):
        of_day = sorted(packed(entry) for entry in records if section_of(entry) == (kind, day))
        body += struct.pack(">BII", kind, day, len(of_day)) + b"".join(of_day)
    return hashlib.sha256(b"\x0dtocsin/v1/set" + body).digest()


def section(
    day: int, added: list[Record], removed: list[str], kind: int = 1, counts: tuple[int, int] | None = None
) -> bytes:
    """A section with its entries in the order given."""
    head = struct.pack(">BIII", kind, day, *(counts or (len(added), len(removed))))
    keys = b"".join(bytes.fromhex(entry[0]) for entry in added)
    columns = (struct.pack(">" + code, entry[i]) for i, code in enumerate("IBBbB", 1) for entry in added)
    return head + keys + b"".join(columns) + b"".join(map(bytes.fromhex, removed))


def file(
    sections: list[bytes],
    *,
    kind: int = 1,
    codec: int = 0,
    magic: bytes = b"TKS1",
    region: bytes = b"utopia",
    versions: tuple[int, int] = (3, 9),
    first_day: int = FIRST_DAY,
    set_digest: bytes = bytes(range(32)),
) -> bytes:
    body = magic + bytes([codec, kind, len(region)]) + region
    body += struct.pack(">QQQI", *versions, AT, first_day) + set_digest + b"".join(sections)
    return body + hashlib.sha256(body).digest()


def by_day(added: list[Record], removed: list[Removal]) -> list[bytes]:
    places = sorted({*map(section_of, added), *((kind_of(gone), day) for day, gone in removed)})
    return [
        section(
            place[1],
            sorted(entry for entry in added if section_of(entry) == place),
            sorted(gone for day, gone in removed if (kind_of(gone), day) == place),
            kind=place[0],
        )
        for place in places
    ]


ONE = record(1, DAY + 3)
PLAIN = [record(number, DAY + 1 + number % 3) for number in range(7)]
FULL = [
    record(1, DAY + 1, period=1, type_=2, onset=-14, risk=7),
    record(2, DAY + 14, period=100, type_=3, onset=14, risk=8),
    record(2000, DAY + 5, onset=0, risk=255),
    (key(3), (DAY + 1) * 144 - 1, 2, 1, -128, 0),  # starts the day before: the last interval makes the day
]
CHAINS = dp3t(1, DAY + 2, 4) + dp3t(2, DAY + 4, 2)
REMOVED = [(DAY + 1, key(50)), (DAY + 2, key(51)), (DAY + 1, key(52))]


def good_files() -> list[dict[str, Any]]:
    cases: list[tuple[str, int, tuple[int, int], list[Record], list[Removal]]] = [
        ("empty dump", 0, (0, 1), [], []),
        ("dump", 0, (0, 9), PLAIN, []),
        ("dump with every attribute", 0, (0, 2**64 - 1), FULL, []),
        ("empty delta", 1, (3, 9), [], []),
        ("delta from the empty set", 1, (0, 1), PLAIN, []),
        ("delta that adds and removes", 1, (3, 9), FULL, REMOVED),
        ("delta that only removes", 1, (8, 9), [], REMOVED),
        ("dump of DP-3T keys alone", 0, (0, 9), CHAINS, []),
        ("dump of both kinds", 0, (0, 9), PLAIN + CHAINS, []),
        ("delta of both kinds", 1, (3, 9), FULL + CHAINS[:3], [*REMOVED, (DAY + 5, CHAINS[3][0])]),
    ]
    return [
        {
            "name": name,
            "kind": "delta" if kind else "dump",
            "region": "utopia",
            "from": versions[0],
            "to": versions[1],
            "at": AT,
            "first_day": FIRST_DAY,
            "set_digest": digest("utopia", added).hex(),
            "additions": sorted(added, key=in_order),
            "removals": sorted(removed, key=lambda gone: (kind_of(gone[1]), gone)),
            "file": file(
                by_day(added, removed), kind=kind, versions=versions, set_digest=digest("utopia", added)
            ).hex(),
        }
        for name, kind, versions, added, removed in cases
    ]


def bad_files() -> list[dict[str, Any]]:
    day, other = DAY + 3, sorted([ONE, record(4, DAY + 3)])
    backwards = other[::-1]
    good = file([section(day, [ONE], [])])
    checksum, end = "the checksum is wrong", "the file ends too early"
    ranges = "a key's start or period is impossible"
    foreign_day = "a key stands under another day than its own"
    [one_day], whole = dp3t(1, day, 1), "a DP-3T key is not of a whole day"
    unsorted_keys, twice = "the keys of a section are not ascending", "a key is named twice"
    cases = [
        ("nothing", b"", "not a keyset file"),
        ("magic alone", b"TKS1", "not a keyset file"),
        ("another magic", file([], magic=b"TKS2"), "not a keyset file"),
        ("a bit of a key", good[:-70] + bytes([good[-70] ^ 1]) + good[-69:], checksum),
        ("a bit of the checksum", good[:-1] + bytes([good[-1] ^ 1]), checksum),
        ("a byte too few", good[:-1], checksum),
        ("a byte after the end", good + b"\0", checksum),
        ("a byte after the last section", file([section(day, [ONE], []), b"\0"]), end),
        ("no head", b"TKS1" + hashlib.sha256(b"TKS1").digest(), end),
        ("codec", file([], codec=1), "the codec is unknown"),
        ("kind", file([], kind=2), "neither a dump nor a delta"),
        ("no region", file([], region=b""), "a region is 1 to 32 of a-z, 0-9 and -"),
        ("region in capitals", file([], region=b"DE"), "a region is 1 to 32 of a-z, 0-9 and -"),
        ("region with a line feed", file([], region=b"de\n"), "a region is 1 to 32 of a-z, 0-9 and -"),
        ("region of 33", file([], region=b"a" * 33), "a region is 1 to 32 of a-z, 0-9 and -"),
        ("window turned round", file([], versions=(9, 8)), "the window ends before it begins"),
        ("dump with a window", file([], kind=0), "a dump has no window and no removals"),
        (
            "dump with a removal",
            file([section(day, [], [key(1)])], kind=0, versions=(0, 9)),
            "a dump has no window and no removals",
        ),
        ("key kind", file([section(day, [ONE], [], kind=3)]), "the key kind is unknown"),
        ("section without keys", file([section(day, [], [])]), "a section is empty"),
        ("one key too many announced", file([section(day, [ONE], [], counts=(2, 0))]), end),
        ("all keys of the world announced", file([section(day, [ONE], [], counts=(2**32 - 1, 2**32 - 1))]), end),
        ("a removal too many announced", file([section(day, [ONE], [], counts=(1, 1))]), end),
        (
            "days descending",
            file([section(day, [ONE], []), section(day - 1, [record(2, day - 1)], [])]),
            "the sections are not ascending",
        ),
        (
            "a day twice",
            file([section(day, [other[0]], []), section(day, [other[1]], [])]),
            "the sections are not ascending",
        ),
        ("additions descending", file([section(day, backwards, [])]), unsorted_keys),
        ("an addition twice", file([section(day, [ONE, ONE], [])]), unsorted_keys),
        ("removals descending", file([section(day, [], [entry[0] for entry in backwards])]), unsorted_keys),
        ("a removal twice", file([section(day, [], [ONE[0], ONE[0]])]), unsorted_keys),
        ("added and removed", file([section(day, [ONE], [ONE[0]])]), twice),
        ("added under two days", file(by_day([ONE, record(1, day + 1)], [])), twice),
        ("removed under two days", file(by_day([], [(day, ONE[0]), (day + 1, ONE[0])])), twice),
        ("added, and removed under another day", file(by_day([ONE], [(day + 1, ONE[0])])), twice),
        ("a key of the next day", file([section(day, [record(1, day + 1)], [])]), foreign_day),
        ("a key of the day before", file([section(day, [record(1, day - 1)], [])]), foreign_day),
        ("an addition before the first day", file(by_day([record(1, DAY)], [])), "a key is older than the first day"),
        ("a removal before the first day", file(by_day([], [(DAY, key(1))])), "a key is older than the first day"),
        ("period 0", file([section(day, [(key(1), day * 144 + 5, 0, 1, -128, 0)], [])]), ranges),
        ("period 145", file([section(day, [(key(1), day * 144 - 1, 145, 1, -128, 0)], [])]), ranges),
        ("start 0", file([section(0, [(key(1), 0, 144, 1, -128, 0)], [])], first_day=0), ranges),
        ("report type 0", file([section(day, [record(1, day, type_=0)], [])]), "a report type is unknown"),
        ("report type revoked", file([section(day, [record(1, day, type_=5)], [])]), "a report type is unknown"),
        (
            "GAEN after DP-3T",
            file([section(day, [one_day], [], kind=2), section(day, [ONE], [])]),
            "the sections are not ascending",
        ),
        ("a GAEN key where DP-3T keys stand", file([section(day, [ONE], [], kind=2)]), end),
        ("a DP-3T key from noon", file(by_day([(one_day[0], day * 144 - 72, *one_day[2:])], [])), whole),
        ("a DP-3T key of half a day", file(by_day([(one_day[0], day * 144, 72, *one_day[3:])], [])), whole),
        ("a DP-3T key added and removed", file(by_day([one_day], [(day + 1, one_day[0])])), twice),
        ("onset 15", file([section(day, [record(1, day, onset=15)], [])]), "an onset is out of range"),
        ("onset -127", file([section(day, [record(1, day, onset=-127)], [])]), "an onset is out of range"),
    ]
    return [{"name": name, "file": data.hex(), "refusal": refusal} for name, data, refusal in cases]


def applied(records: list[Record], added: list[Record], removed: list[Removal], first_day: int) -> list[Record]:
    held = {entry[0]: entry for entry in records if day_of(entry) >= first_day}
    for _, gone in removed:
        held.pop(gone, None)
    held.update({entry[0]: entry for entry in added})
    return sorted(held.values(), key=in_order)


def applications() -> list[dict[str, Any]]:
    held = [record(number, DAY + number) for number in range(6)]
    changed, moved, new = record(3, DAY + 3, type_=2), record(4, DAY + 7), record(9, DAY + 9)
    cases: list[tuple[str, list[Record], list[Record], list[Removal]]] = [
        ("expiry alone", held, [], []),
        (
            "one comes, one goes, one changes, one moves to another day",
            held,
            [changed, moved, new],
            [(DAY + 2, key(2))],
        ),
        ("removing what is not held", held, [], [(DAY + 2, key(77))]),
        ("adding what is held already", held, [held[5]], []),
        ("onto nothing", [], [new], [(DAY + 2, key(2))]),
        ("both kinds", held + CHAINS, [changed, *dp3t(3, DAY + 8, 1)], [(DAY + 2, key(2)), (DAY + 3, CHAINS[1][0])]),
    ]
    return [
        {
            "name": name,
            "records": records,
            "delta": file(by_day(added, removed), set_digest=digest("utopia", result)).hex(),
            "result": result,
        }
        for name, records, added, removed in cases
        for result in [applied(records, added, removed, FIRST_DAY)]
    ]


def vectors() -> dict[str, object]:
    sets = [
        ("utopia", []),
        ("utopia", [ONE]),
        ("de-by", PLAIN),
        ("a" * 32, FULL),
        ("utopia", CHAINS),
        ("utopia", FULL + CHAINS),
    ]
    return {
        "set_digests": [
            {"region": region, "records": records, "set_digest": digest(region, records).hex()}
            for region, records in sets
        ],
        "bad_sets": [
            {
                "region": "utopia",
                "records": [ONE, PLAIN[0], record(1, DAY + 9)],
                "refusal": "a key occurs twice in a set",
            },
            {"region": "utopia", "records": [*CHAINS, CHAINS[0]], "refusal": "a key occurs twice in a set"},
            {"region": "UTOPIA", "records": [], "refusal": "a region is 1 to 32 of a-z, 0-9 and -"},
        ],
        "files": good_files(),
        "bad_files": bad_files(),
        "applications": applications(),
    }
