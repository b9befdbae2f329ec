#!/usr/bin/env python3
"""A whole client of tocsin 0.2 in one file: Python's standard library, and `cryptography` for Ed25519 and AES.

Written from the pages in docs/ alone; it imports nothing of tocsin. It is frozen: later versions are held against it as
it is. Usage: client_0_3.py FOLDER BASE_URL ACT [WORD]

    report CODE     report a random key of yesterday; stored before it is sent, repeated as it is stored
    track           what became of the report
    withdraw        take it back
    continue        add a random key of the day before yesterday to the report
    decoy           a call that says nothing
    sync            fetch and verify what is new in the public set
    hear FOLDER     come near the phone in that other folder, for ten minutes
    match           compare what was heard with the public set
"""

import base64
import hashlib
import hmac
import json
import math
import os
import re
import struct
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

VERDICTS = {
    "taken", "provisional", "code_unknown", "code_spent", "code_expired", "code_cut_off", "no_key_left",
    "report_refused", "mismatch", "malformed", "unsupported", "over_allowance", "withdrawn", "cut_off", "unknown",
    "too_old", "noted",
}  # fmt: skip
PROFILES = ("keyset", "gaen", "dp3t", "coded")
WIDTHS = {1: 16, 2: 32}  # bytes of a GAEN key, of a DP-3T day key: the latter are kept, and not matched here
KEY_VERDICTS = {"taken", "bad_length", "bad_period", "too_old", "future"}


class Refused(Exception):
    """What came is not what it should be: the phone keeps what it has."""


class Later(Exception):
    """No answer, or a 5xx: the very same bytes are sent again later."""


def ensure(held, reason):
    if not held:
        raise Refused(reason)


# --- labels.md, call.md ---


def labelled_hash(label, data):
    text = b"tocsin/v1/" + label
    return hashlib.sha256(bytes([len(text)]) + text + data).digest()


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def call_bytes(act, **fields):
    body = json.dumps({"act": act, **fields}, separators=(",", ":")).encode()
    assert len(body) <= 4096
    return body.ljust(4096)


def key_fields(key):
    data, start, period = key
    return {"key_data": base64url(data), "rolling_start_interval_number": start, "rolling_period": period}


def report_call(keys, code, withdrawal_secret, continuation_secret):
    return call_bytes(
        "report",
        code=code,
        tracking_id=base64url(labelled_hash(b"tracking", withdrawal_secret)),
        continue_id=base64url(labelled_hash(b"continue", continuation_secret)),
        keys=[key_fields(key) for key in keys],
    )


def track_call(withdrawal_secret):
    return call_bytes("track", tracking_id=base64url(labelled_hash(b"tracking", withdrawal_secret)))


def withdraw_call(withdrawal_secret):
    return call_bytes("withdraw", withdrawal_secret=base64url(withdrawal_secret))


def continue_call(keys, continuation_secret, next_secret):
    return call_bytes(
        "continue",
        continuation_secret=base64url(continuation_secret),
        continue_id=base64url(labelled_hash(b"continue", next_secret)),
        keys=[key_fields(key) for key in keys],
    )


def decoy_call():
    return call_bytes("decoy")


def read_answer(body):
    ensure(len(body) == 1024, "malformed")
    text = body.rstrip(b" ")
    ensure(text[:1] == b"{" and text[-1:] == b"}", "malformed")

    def once(pairs):
        ensure(len(dict(pairs)) == len(pairs), "malformed")
        return dict(pairs)

    try:
        answer = json.loads(text.decode(), object_pairs_hook=once)
    except ValueError:
        raise Refused("malformed") from None
    ensure(set(answer) == {"verdict", "keys"} and answer["verdict"] in VERDICTS, "malformed")
    ensure(isinstance(answer["keys"], list) and all(key in KEY_VERDICTS for key in answer["keys"]), "malformed")
    ensure(not answer["keys"] or answer["verdict"] in ("taken", "no_key_left"), "malformed")
    return answer


# --- leaf.md ---


def read_vkey(vkey):
    name, key_id, key = vkey.split("+", 2)
    data = base64.b64decode(key, validate=True)
    ensure(data[0] == 1 and len(data) == 33, "malformed")
    own_id = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
    ensure(own_id.hex() == key_id, "malformed")
    return (name, own_id), Ed25519PublicKey.from_public_bytes(data[1:])


def verified_text(note, vkeys):
    known = dict(map(read_vkey, vkeys))
    try:
        text, signatures = note.decode().rsplit("\n\n", 1)
    except ValueError:
        raise Refused("wrong_signature") from None
    lines = signatures.split("\n")
    ensure(len(lines) <= 101 and lines.pop() == "" and text, "wrong_signature")
    ensure(all(c >= " " or c == "\n" for c in text + signatures), "wrong_signature")
    text += "\n"
    by_known = 0
    for line in lines:
        words = line.split(" ")
        ensure(len(words) == 3 and words[0] == "\u2014" and words[1], "wrong_signature")
        name = words[1]
        ensure("+" not in name and not any(c.isspace() for c in name), "wrong_signature")
        try:
            data = base64.b64decode(words[2], validate=True)
        except ValueError:
            raise Refused("wrong_signature") from None
        ensure(len(data) > 4, "wrong_signature")
        key = known.get((name, data[:4]))
        if key is not None:
            try:
                key.verify(data[4:], text.encode())
            except InvalidSignature:
                raise Refused("wrong_signature") from None
            by_known += 1
    ensure(by_known, "wrong_signature")
    return text


def number(text):
    ensure(text.isascii() and text.isdigit() and str(int(text)) == text and int(text) < 2**64, "malformed")
    return int(text)


def digest(text):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused("malformed") from None
    ensure(len(data) == 32 and base64.b64encode(data).decode() == text, "malformed")
    return data


def read_head(text, origin):
    ensure(text.isascii() and len(text) <= 2048 + len(f"{origin}\nhead\n"), "malformed")
    lines = text[:-1].split("\n")
    ensure(lines[:3] == [origin, "head", "tocsin/v1/leaf"] and len(lines) >= 14, "malformed")
    leaf = {"profiles": {}}
    names = ("region", "version", "at", "due", "term", "useful_days", "first_day", "set", "journal", "keys gaen")
    for name, line in zip((*names, "keys dp3t"), lines[3:14], strict=True):
        ensure(line.startswith(name + " "), "malformed")
        word = line[len(name) + 1 :]
        leaf[name] = word if name == "region" else digest(word) if name in ("set", "journal") else number(word)
    ensure(re.fullmatch("[a-z0-9-]{1,32}", leaf["region"]) and leaf["due"] >= leaf["at"], "malformed")
    for line in lines[14:]:
        name, profile = read_profile(line, leaf["version"])
        later = PROFILES[PROFILES.index(name) :]
        ensure(not any(known in later for known in leaf["profiles"]), "malformed")
        leaf["profiles"][name] = profile
    return leaf


def read_profile(line, version):
    words = line.split(" ")[::-1]
    ensure(len(words) >= 8 and words.pop() == "profile" and words[-1] in PROFILES, "malformed")
    name, profile = words.pop(), {}
    for part, count in (("dump", 3), ("delta", 4), ("ladder", 2)):
        ensure(len(words) > 1 and words.pop() == part, "malformed")
        if words[-1] == "-":
            words.pop()
            continue
        ensure(len(words) >= count, "malformed")
        given = [words.pop() for _ in range(count)]
        digest(given[-2])
        profile[part] = [*map(number, given[:-2]), given[-2], number(given[-1])]
    ensure(not words, "malformed")
    dump, delta = profile.get("dump"), profile.get("delta")
    ensure(not dump or dump[0] <= version, "malformed")
    ensure(not delta or delta[0] <= delta[1] <= version, "malformed")
    ensure(not dump or not delta or delta[0] <= dump[0], "malformed")
    return name, profile


# --- keyset.md, keys.md: a set is a dictionary from (key kind, key_data) to (start, period, type, onset, risk) ---


def day_of(record):
    return (record[0] + record[1] - 1) // 144


def read_keyset(data, region):
    ensure(len(data) >= 100 and hashlib.sha256(data[:-32]).digest() == data[-32:], "malformed")
    ensure(data[:5] == b"TKS1\0" and data[5] in (0, 1), "malformed")
    place = 7 + data[6]
    ensure(data[7:place] == region.encode(), "malformed")
    first, last, at, first_day = struct.unpack_from(">QQQI", data, place)
    file = {"kind": data[5], "from": first, "to": last, "at": at, "first_day": first_day}
    file["set"] = data[place + 28 : place + 60]
    place, end, before = place + 60, len(data) - 32, (0, -1)
    file["added"], file["removed"] = {}, set()
    while place < end:
        ensure(place + 13 <= end, "malformed")
        kind, day, a, r = struct.unpack_from(">BIII", data, place)
        ensure(kind in WIDTHS and (kind, day) > before and a + r > 0 and day >= first_day, "malformed")
        before, place, width = (kind, day), place + 13, WIDTHS[kind]
        ensure(place + (width + 8) * a + width * r <= end, "malformed")
        keys = [data[place + width * i : place + width * (i + 1)] for i in range(a)]
        columns = struct.unpack_from(f">{a}I{a}B{a}B{a}b{a}B", data, place + width * a)
        place += (width + 8) * a
        gone = [data[place + width * i : place + width * (i + 1)] for i in range(r)]
        place += width * r
        ensure(keys == sorted(set(keys)) and gone == sorted(set(gone)), "malformed")
        for i, key in enumerate(keys):
            record = tuple(columns[a * column + i] for column in range(5))
            start, period, report_type, onset, _ = record
            ensure(start > 0 and 1 <= period <= 144 and day_of(record) == day, "malformed")
            ensure(kind == 1 or (start % 144 == 0 and period == 144), "malformed")
            ensure(1 <= report_type <= 3 and (onset == -128 or -14 <= onset <= 14), "malformed")
            ensure((kind, key) not in file["added"], "malformed")
            file["added"][kind, key] = record
        for key in gone:
            ensure((kind, key) not in file["removed"], "malformed")
            file["removed"].add((kind, key))
    ensure(place == end and not file["removed"] & set(file["added"]), "malformed")
    ensure(first <= last and (file["kind"] == 1 or (first == 0 and not file["removed"])), "malformed")
    return file


def applied(held, file):
    live = {key: record for key, record in held.items() if day_of(record) >= file["first_day"]}
    return {key: record for key, record in live.items() if key not in file["removed"]} | file["added"]


def set_digest(region, held):
    sections = {}
    for (kind, key), record in held.items():
        sections.setdefault((kind, day_of(record)), []).append(key + struct.pack(">IBBbB", *record))
    data = bytes([len(region)]) + region.encode()
    for (kind, day), records in sorted(sections.items()):
        data += struct.pack(">BII", kind, day, len(records)) + b"".join(sorted(records))
    return labelled_hash(b"set", data)


# --- client.md §3 ---


def sync(held, trust, now, fetch):
    """The state that the head leads to: `held` itself if there is no news. `fetch(name, most)` gives bytes."""
    note = fetch("v1/head", 8192)
    ensure(len(note) <= 8192, "oversize")
    leaf = read_head(verified_text(note, trust["vkeys"]), trust["origin"])
    ensure(leaf["region"] == trust["region"], "other_region")
    ensure(leaf["at"] >= now - trust["freshness_seconds"], "stale_head")
    ensure(leaf["at"] <= now + 300, "clock_wrong")
    if held is not None:
        ensure(leaf["version"] >= held["version"] and leaf["term"] >= held["term"], "older_version")
        if leaf["version"] == held["version"]:
            ensure((leaf["set"], leaf["journal"]) == (held["set"], held["journal"]), "forked")
            return held
        ensure(leaf["at"] > held["at"], "forked")
    profile = leaf["profiles"].get("keyset", {})
    delta = profile.get("delta")
    if held is not None and delta and delta[1] == leaf["version"] and delta[0] <= held["version"]:
        records = applied(held["records"], keyset_file(leaf, "delta", fetch))
        if set_digest(leaf["region"], records) == leaf["set"]:
            return new_state(leaf, records)
    ensure("dump" in profile, "malformed")
    dump = keyset_file(leaf, "dump", fetch)
    records = dump["added"]
    if dump["to"] < leaf["version"]:
        ensure(delta and delta[1] == leaf["version"] and delta[0] <= dump["to"], "malformed")
        records = applied(records, keyset_file(leaf, "delta", fetch))
    ensure(set_digest(leaf["region"], records) == leaf["set"], "wrong_digest")
    return new_state(leaf, records)


def keyset_file(leaf, part, fetch):
    words = leaf["profiles"]["keyset"][part]
    name, length = digest(words[-2]).hex(), words[-1]
    data = fetch(f"v1/{leaf['region']}/keyset/{name}", length)
    ensure(len(data) <= length, "oversize")
    ensure(len(data) == length and hashlib.sha256(data).hexdigest() == name, "wrong_digest")
    file = read_keyset(data, leaf["region"])
    window = [0, words[0]] if part == "dump" else words[:2]
    ensure([file["from"], file["to"]] == window and file["kind"] == (part == "delta"), "malformed")
    if file["to"] == leaf["version"]:
        ensure(all(file[name] == leaf[name] for name in ("at", "first_day", "set")), "malformed")
    return file


def new_state(leaf, records):
    ensure(all((record[0] + record[1]) * 600 + 7200 <= leaf["at"] for record in records.values()), "early_key")
    return {name: leaf[name] for name in ("region", "version", "term", "at", "first_day", "set", "journal")} | {
        "records": records
    }


# --- client.md §4; GAEN Cryptography Specification v1.2 ---


def identifiers(key, start, period):
    prk = hmac.digest(bytes(32), key, "sha256")
    rpik = hmac.digest(prk, b"EN-RPIK\x01", "sha256")[:16]
    encrypt = Cipher(algorithms.AES(rpik), modes.ECB()).encryptor()
    return [encrypt.update(b"EN-RPI" + bytes(6) + struct.pack("<I", start + i)) for i in range(period)]


def matches(records, heard):
    """`heard`: pairs of identifier and interval. The pairs that were of a key in the set."""
    found = []
    for (kind, key), (start, period, *_) in records.items():
        if kind != 1:
            continue
        own = {identifier: start + i for i, identifier in enumerate(identifiers(key, start, period))}
        found += [(rpi, at) for rpi, at in heard if rpi in own and abs(own[rpi] - at) <= 12]
    return found


# --- a phone: a folder and a network ---


class Phone:
    def __init__(self, folder, base_url):
        self.folder, self.base_url = Path(folder), base_url
        self.folder.mkdir(parents=True, exist_ok=True)

    def load(self, name):
        path = self.folder / name
        return json.loads(path.read_text()) if path.exists() else None

    def keep(self, name, value):
        draft = self.folder / f".{name}"
        with draft.open("w") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / name)

    def post(self, body):
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        request = urllib.request.Request(f"{self.base_url}/v1/reports", body, headers)
        return read_answer(self._read(request, 1024))

    def fetch(self, name, most):
        return self._read(urllib.request.Request(f"{self.base_url}/{name}"), most)

    @staticmethod
    def _read(request, most):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                data = answer.read(most + 1)
        except (urllib.error.URLError, OSError) as error:
            raise Later(f"no answer: {getattr(error, 'code', 'none')}") from None
        return data

    def report(self, code):
        kept = self.load("report")
        if kept is None:
            today = int(time.time()) // 86400
            key = (os.urandom(16), (today - 1) * 144, 144)
            secrets = os.urandom(32), os.urandom(32)
            body = report_call([key], code, *secrets)
            kept = {
                "withdrawal_secret": secrets[0].hex(),
                "continuation_secret": secrets[1].hex(),
                "key": [key[0].hex(), *key[1:]],
                "body": body.decode(),
            }
            self.keep("report", kept)
        answer = self.post(kept["body"].encode())
        if answer["verdict"] not in ("taken", "provisional", "over_allowance"):
            (self.folder / "report").unlink()
        return answer

    def secret(self, name):
        return bytes.fromhex(self.load("report")[name])

    def more(self):
        kept = self.load("report")
        if "continuation" not in kept:
            today = int(time.time()) // 86400
            following = os.urandom(32)
            key = (os.urandom(16), (today - 2) * 144, 144)
            body = continue_call([key], self.secret("continuation_secret"), following)
            kept["continuation"] = {"next_secret": following.hex(), "body": body.decode()}
            self.keep("report", kept)
        answer = self.post(kept["continuation"]["body"].encode())
        if answer["verdict"] not in ("provisional", "over_allowance", "unknown"):
            used = kept.pop("continuation")
            if answer["verdict"] == "taken":
                kept["continuation_secret"] = used["next_secret"]
            self.keep("report", kept)
        return answer

    def state(self):
        kept = self.load("state")
        if kept is None:
            return None
        records = {(kind, bytes.fromhex(key)): tuple(record) for kind, key, record in kept["records"]}
        return kept | {"set": digest(kept["set"]), "journal": digest(kept["journal"]), "records": records}

    def sync(self):
        trust = self.load("trust.json")
        if trust is None:  # a real app is built with it, and never fetches it
            trust = json.loads(self.fetch("trust.json", 65536))
            self.keep("trust.json", trust)
        before = self.state()
        after = sync(before, trust, int(time.time()), self.fetch)
        if after is not before:
            hashes = {name: base64.b64encode(after[name]).decode() for name in ("set", "journal")}
            records = [[kind, key.hex(), record] for (kind, key), record in after["records"].items()]
            self.keep("state", after | hashes | {"records": records})
        return after

    def hear(self, other):
        key, start, period = Phone(other, self.base_url).load("report")["key"]
        rpi = identifiers(bytes.fromhex(key), start, period)[72]
        self.keep("heard", [[rpi.hex(), start + 72]])

    def match(self):
        return matches(self.state()["records"], [(bytes.fromhex(rpi), at) for rpi, at in self.load("heard") or []])


def next_call_after(u):
    """Seconds to the next call; `u` drawn evenly from [0, 1). client.md §5."""
    return -math.log(1 - u) * 21_600


def main(folder, base_url, act, *words):
    phone = Phone(folder, base_url)
    try:
        if act == "sync":
            state = phone.sync()
            print(f"version {state['version']}: {len(state['records'])} keys")
        elif act == "hear":
            phone.hear(*words)
        elif act == "match":
            print(f"EXPOSURE: {len(found)}" if (found := phone.match()) else "no exposure")
        else:
            acts = {
                "report": phone.report,
                "track": lambda: phone.post(track_call(phone.secret("withdrawal_secret"))),
                "withdraw": lambda: phone.post(withdraw_call(phone.secret("withdrawal_secret"))),
                "continue": phone.more,
                "decoy": lambda: phone.post(decoy_call()),
            }
            print(" ".join((lambda answer: [answer["verdict"], *answer["keys"]])(acts[act](*words))))
    except Refused as reason:
        return f"refused: {reason}"
    except Later as reason:
        return f"repeat later: {reason}"
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
