"""Vectors of ``docs/formats/leaf.md``: leaves, lists of files and object names, good and bad. Hashes in hexadecimal."""

import base64
import hashlib
from typing import Any

Values = dict[str, Any]
LARGEST = 2**64 - 1


def digest(seed: str) -> str:
    return hashlib.sha256(seed.encode()).hexdigest()


def named(seed: str, length: int) -> Values:
    return {"hash": digest(seed), "length": length}


def spell_hash(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


def spell_named(file: Values | None, *before: int) -> str:
    return "-" if file is None else " ".join([*map(str, before), spell_hash(file["hash"]), str(file["length"])])


def files(
    profile: str, dump: int | None, delta: tuple[int, int] | None, ladder: bool = False, size: int = 14
) -> Values:
    return {
        "profile": profile,
        "dump": None if dump is None else {"version": dump, "file": named(f"{profile} dump", size)},
        "delta": None if delta is None else {"from": delta[0], "to": delta[1], "file": named(f"{profile} delta", size)},
        "ladder": named(f"{profile} ladder", size) if ladder else None,
    }


def spell(leaf: Values) -> str:
    lines = ["tocsin/v1/leaf"]
    lines += [f"{name} {leaf[name]}" for name in ("region", "version", "at", "due", "term", "useful_days", "first_day")]
    lines += [f"set {spell_hash(leaf['set'])}", f"journal {spell_hash(leaf['journal'])}"]
    lines += [f"keys {kind} {leaf['keys'][kind]}" for kind in ("gaen", "dp3t")]
    for line in leaf["profiles"]:
        dump, delta = line["dump"], line["delta"]
        dump_text = spell_named(dump["file"], dump["version"]) if dump else "-"
        delta_text = spell_named(delta["file"], delta["from"], delta["to"]) if delta else "-"
        lines.append(
            f"profile {line['profile']} dump {dump_text} delta {delta_text} ladder {spell_named(line['ladder'])}"
        )
    return "".join(line + "\n" for line in lines)


LEAF: Values = {
    "region": "utopia",
    "version": 1343,
    "at": 1_700_000_100,
    "due": 1_700_001_000,
    "term": 1,
    "useful_days": 14,
    "first_day": 19_661,
    "set": digest("set"),
    "journal": digest("journal"),
    "keys": {"gaen": 24_131, "dp3t": 0},
    "profiles": [files("keyset", 1328, (1247, 1343), size=700_000), files("gaen", 1328, (1312, 1328), size=480)],
}
SMALLEST: Values = LEAF | {"region": "-", "version": 0, "at": 0, "due": 0, "term": 0, "useful_days": 0, "first_day": 0}
SMALLEST |= {"keys": {"gaen": 0, "dp3t": 0}, "profiles": []}
LARGEST_LEAF: Values = (
    LEAF
    | dict.fromkeys(("version", "at", "due", "term", "useful_days", "first_day"), LARGEST)
    | {
        "region": "z" * 32,
        "keys": {"gaen": LARGEST, "dp3t": LARGEST},
        "profiles": [
            files(profile, LARGEST, (LARGEST, LARGEST), True, LARGEST)
            for profile in ("keyset", "gaen", "dp3t", "coded")
        ],
    }
)


def good_leaves() -> list[Values]:
    cases = {
        "keyset and gaen": LEAF,
        "the empty set, version 0": LEAF | {"version": 0, "profiles": [files("keyset", 0, None)]},
        "smallest": SMALLEST,
        "largest": LARGEST_LEAF,
        "a delta only": LEAF | {"profiles": [files("coded", None, (7, 9))]},
        "dump at the end of the window": LEAF | {"profiles": [files("keyset", 1343, (1343, 1343))]},
    }
    return [{"name": name, "text": spell(leaf), "leaf": leaf} for name, leaf in cases.items()]


def bad_leaves() -> list[Values]:
    text = spell(LEAF)
    lines = text.splitlines(keepends=True)
    keyset, gaen = lines[-2:]
    spare = spell_hash(LEAF["set"])[:-2] + chr(ord(spell_hash(LEAF["set"])[-2]) + 1) + "="
    cases = {
        "nothing": "",
        "no line feed at the end": text[:-1],
        "empty line at the end": text + "\n",
        "space at the end": text + " ",
        "carriage returns": text.replace("\n", "\r\n"),
        "byte order mark": "\ufeff" + text,
        "other version of the format": text.replace("v1/leaf", "v2/leaf"),
        "leading zero": text.replace("version 1343", "version 01343"),
        "plus sign": text.replace("version 1343", "version +1343"),
        "underscore": text.replace("version 1343", "version 1_343"),
        "minus": text.replace("term 1", "term -1"),
        "Arabic-Indic digit": text.replace("term 1", "term \u0661"),
        "beyond 64 bits": text.replace("term 1", f"term {2**64}"),
        "21 digits": text.replace("term 1", "term " + "1" * 21),
        "two spaces": text.replace("term 1", "term  1"),
        "tab": text.replace("term 1", "term\t1"),
        "region in capitals": text.replace("utopia", "Utopia"),
        "region of 33 letters": text.replace("utopia", "u" * 33),
        "empty region": text.replace("utopia", ""),
        "base64url": text.replace(spell_hash(LEAF["set"]), "-" + spell_hash(LEAF["set"])[1:]),
        "hash without padding": text.replace("=\njournal", "\njournal"),
        "spare bits of a hash": text.replace(spell_hash(LEAF["set"]), spare),
        "hash of 31 bytes": text.replace(spell_hash(LEAF["set"]), base64.b64encode(bytes(31)).decode()),
        "due before at": text.replace("due 1700001000", "due 1700000099"),
        "unknown line": text + "colour blue\n",
        "profiles out of order": "".join([*lines[:-2], gaen, keyset]),
        "profile twice": text + gaen,
        "unknown profile": text.replace("profile gaen", "profile gean"),
        "no ladder": text.replace(" ladder -", ""),
        "delta does not reach back to the dump": text.replace("delta 1247 1343", "delta 1329 1343"),
        "window the wrong way round": text.replace("delta 1247 1343", "delta 1247 1246"),
        "window beyond the leaf's version": text.replace("delta 1247 1343", "delta 1247 1344"),
        "dump beyond the leaf's version": text.replace("dump 1328", "dump 1344"),
        "dump of no length": text.replace(" 700000 delta", " delta"),
        "too long": text + gaen * 20,
    }
    cases |= {f"line {i + 1} missing": "".join(lines[:i] + lines[i + 1 :]) for i in range(len(lines) - 2)}
    swapped = {
        f"lines {i + 1} and {i + 2} swapped": [*lines[:i], lines[i + 1], lines[i], *lines[i + 2 :]] for i in range(12)
    }
    cases |= {name: "".join(order) for name, order in swapped.items()}
    assert all(bad != text for bad in cases.values())
    return [{"name": name, "text": bad} for name, bad in cases.items()]


def listed(start: int, end: int, part: int, parts: int) -> Values:
    return {"from": start, "to": end, "part": part, "parts": parts, "file": named(f"{start} {end} {part}", 100 + part)}


def spell_list(listing: list[Values]) -> str:
    return "".join(f"{f['from']} {f['to']} {f['part']} {f['parts']} {spell_named(f['file'])}\n" for f in listing)


def file_lists() -> Values:
    one, two = listed(0, 7, 1, 1), [listed(0, 7, 1, 2), listed(0, 7, 2, 2)]
    windows = [listed(0, 16, 1, 1), listed(16, 32, 1, 2), listed(16, 32, 2, 2), listed(48, 64, 1, 1)]
    largest = listed(LARGEST, LARGEST, 1, 1) | {"file": named("x", LARGEST)}
    good = {"no file": [], "one file": [one], "two parts": two, "windows": windows, "largest": [largest]}
    text = spell_list([one])
    bad = {
        "no line feed at the end": text[:-1],
        "empty line": text + "\n",
        "space at the end": text[:-1] + " \n",
        "leading zero": "0" + text,
        "beyond 64 bits": text.replace("0 7", f"0 {2**64}"),
        "file twice": text + text,
        "part 0": spell_list([listed(0, 7, 0, 1)]),
        "no parts": spell_list([listed(0, 7, 0, 0)]),
        "second part missing": spell_list(two[:1]),
        "first part missing": spell_list(two[1:]),
        "parts out of order": spell_list(two[::-1]),
        "parts disagree on their number": spell_list([listed(0, 7, 1, 2), listed(0, 7, 2, 3), listed(0, 7, 3, 3)]),
        "part of another window between": spell_list([listed(0, 7, 1, 2), listed(7, 8, 1, 1), listed(0, 7, 2, 2)]),
        "windows out of order": spell_list([listed(16, 32, 1, 1), listed(0, 16, 1, 1)]),
        "window the wrong way round": spell_list([listed(8, 7, 1, 1)]),
        "hash without padding": text.replace("=", ""),
        "not ASCII": text.replace("7", "\u0667"),
        "no hash": "0 7 1 1 99\n",
    }
    return {
        "good": [{"name": name, "text": spell_list(listing), "files": listing} for name, listing in good.items()],
        "bad": [{"name": name, "text": spelling} for name, spelling in bad.items()],
    }


def vectors() -> dict[str, object]:
    names = [("utopia", "gaen", digest("file")), ("de-by", "keyset", "00" * 32)]
    return {
        "leaves": {"good": good_leaves(), "bad": bad_leaves()},
        "file_lists": file_lists(),
        "object_names": [
            {"region": region, "profile": profile, "hash": text, "name": f"v1/{region}/{profile}/{text}"}
            for region, profile, text in names
        ],
        "head_name": "v1/head",
    }
