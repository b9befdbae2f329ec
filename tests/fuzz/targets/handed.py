"""What a person writes or hands over: codes, settings, key files, lists of keys, words on a command line."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec.structs import replace
from starlette.datastructures import Headers

from tests.fuzz.target import Target, foreign_files, refused, scratch, text_of, vector_texts
from tocsin.cli.day_keys import read_day_key
from tocsin.cli.handed import read_keys, read_sightings, read_trust
from tocsin.cli.reading import read_instant, read_number, read_request_id, read_selection, read_serials
from tocsin.codes.card import parse_card
from tocsin.codes.hint import hint
from tocsin.codes.phone import check_digit, parse_phone_code, spell_phone_code
from tocsin.codes.reading import read_symbols, read_values, spell
from tocsin.codes.symbols import SYMBOLS
from tocsin.model.names import folded
from tocsin.model.policy import Policy
from tocsin.model.times import Day
from tocsin.service.key_folder import KeyFolder
from tocsin.service.settings import Folders, Settings, load_settings, settings_text
from tocsin.web.addresses import caller_of_call
from tocsin.web.apps.intake import header_problem
from tocsin.web.problems import Problem

_FOLDER = scratch()
_KEYS = _FOLDER / "keys"
_FILE = _FOLDER / "handed"


def _read_card(data: bytes) -> None:
    text = text_of(data)
    found = hint(text)
    assert found is None or (found.sentence.isprintable() and found.sentence[-1] in ".!")
    symbols = read_symbols(text)
    assert len(symbols) == SYMBOLS
    assert read_symbols(spell(symbols)) == symbols
    card = parse_card(text)
    assert found is None
    assert parse_card(spell(symbols)) == card


def _read_phone_code(data: bytes) -> None:
    text = text_of(data)
    digits = parse_phone_code(text)
    assert check_digit(digits) == "0"
    assert parse_phone_code(spell_phone_code(digits)) == digits
    assert len(read_values(text)) == len(digits)
    assert refused(parse_card, text), "one text is two codes"


def _read_settings(data: bytes) -> None:
    (_FOLDER / "tocsin.toml").write_bytes(data)
    settings = load_settings(Folders(_FOLDER))
    (_FOLDER / "tocsin.toml").write_text(settings_text(settings), encoding="utf-8")
    assert load_settings(Folders(_FOLDER)) == settings


def _read_key_files(data: bytes) -> None:
    """The same bytes in the place of each key; `refused`, since each is to be tried."""
    for name in ("head", "gaen/310-v1", "issuing-1", "days/20500"):
        path = _KEYS / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(data)
        os.chmod(path, 0o600)
    keys = KeyFolder(_KEYS)
    each: list[Callable[[], object]] = [
        keys.head_key,
        keys.gaen_keys,
        keys.gaen_signs_from,
        lambda: keys.issuing_secret(1),
        lambda: keys.day_key(Day(20_500)),
    ]
    were_refused = [refused(read) for read in each]
    if all(were_refused):
        keys.head_key()


def _read_with(read: Callable[[Path], object]) -> Callable[[bytes], object]:
    def from_file(data: bytes) -> object:
        _FILE.write_bytes(data)
        return read(_FILE)

    return from_file


def _read_words(data: bytes) -> None:
    """One text as every kind of word that commands take."""
    text = text_of(data)
    if not refused(read_number, text):
        assert 0 <= read_number(text) < 10**18
    if not refused(read_request_id, text):
        assert len(read_request_id(text)) == 16
    taken = [not refused(read, text) for read in (read_instant, read_serials, read_number, read_request_id)]
    if not any(taken):
        read_selection(text.split(" "))


def _read_day_key(data: bytes) -> None:
    day, key = read_day_key(text_of(data))
    assert len(key) == 32 and 0 <= day < 10**18


def _read_name(data: bytes) -> None:
    name = folded(text_of(data))
    assert folded(name) == name


def _read_headers(data: bytes) -> None:
    """Header lines as the parser hands them on: lower-case names, any bytes."""
    lines = [line.partition(b":") for line in data.split(b"\n")]
    problem = header_problem(Headers(raw=[(name.lower(), value.strip()) for name, _, value in lines]))
    assert problem is None or problem.status in (Problem.WRONG_LENGTH.status, 411, 413, 415)


def _read_addresses(data: bytes) -> None:
    """The first byte is the number of trusted proxies; each line is a header ``X-Forwarded-For``."""
    lines = [(b"x-forwarded-for", line.strip()) for line in data[1:].split(b"\n")]
    caller = caller_of_call("127.0.0.1", lines, data[0] % 4 if data else 0)
    assert caller.own.startswith(caller.network)
    assert len(caller.own) in (4, 8)


def _settings_seeds() -> Iterator[bytes]:
    settings = Settings(region="utopia", origin="tocsin.example/utopia", base_url="http://127.0.0.1:8787")
    yield settings_text(settings).encode()
    yield settings_text(replace(settings, policy=Policy(minimum_reports=1, hold_back_quarters=0))).encode()
    yield from (path.read_bytes() for path in Path(__file__).parents[2].glob("golden/*/tocsin.toml"))


def _key_file_seeds() -> Iterator[bytes]:
    for folder in sorted(Path(__file__).parents[2].glob("golden/*/keys")):
        for path in (folder / "head", folder / "issuing-1", *sorted((folder / "gaen").iterdir())):
            yield path.read_bytes()
            yield b"signs-from: 1700000000 (2023-11-14 22:13 UTC)\n" + path.read_bytes()
    yield from foreign_files("keys/*")


def _spellings() -> Iterator[bytes]:
    yield from (text.encode() for text in vector_texts("card_code") if len(text) <= 100)


_SIGHTING = {"rpi": "00" * 16, "interval": 2_650_320}
_KEY = {"key_data": "A" * 22, "rolling_start_interval_number": 2_650_320, "rolling_period": 144}

TARGETS = (
    Target(
        "card",
        (
            "tocsin.codes.reading.read_symbols",
            "tocsin.codes.card.parse_card",
            "tocsin.codes.card.decode_card",
            "tocsin.codes.hint.hint",
        ),
        _read_card,
        _spellings,
        words=("\u2010".encode(), "\uff10".encode(), "\u0660".encode(), "\u0131".encode(), b"-", b"o", b"u"),
        most_bytes=300,
    ),
    Target(
        "phone_code",
        ("tocsin.codes.phone.parse_phone_code", "tocsin.codes.reading.read_values"),
        _read_phone_code,
        lambda: (text.encode() for text in vector_texts("phone_code") if len(text) <= 100),
        words=("\u2010".encode(), "\uff10".encode(), "\u0660".encode(), b"-", b"o", b"u", b"0000"),
        most_bytes=300,
    ),
    Target(
        "settings",
        ("tocsin.service.settings.load_settings", "tocsin.service.settings_table.read_table"),
        _read_settings,
        _settings_seeds,
        words=(b"[policy]", b'"""', b"= [", b"= 1e3", b"= nan", b"= 2026-11-25", b"= 0x10", b"\xef\xbb\xbf"),
    ),
    Target("key_files", (), _read_key_files, _key_file_seeds, words=(b"-----BEGIN PRIVATE KEY-----", b"signs-from: ")),
    Target("trust_file", ("tocsin.cli.handed.read_trust",), _read_with(read_trust), lambda: [b"{}", b"[", b"\xff"]),
    Target(
        "sightings",
        ("tocsin.cli.handed.read_sightings",),
        _read_with(read_sightings),
        lambda: [json.dumps(rows).encode() for rows in ([], [_SIGHTING], [_SIGHTING | {"aem": "01020304"}] * 3)],
        words=(b'"rpi"', b'"interval"', b'"aem"'),
    ),
    Target(
        "keys",
        ("tocsin.cli.handed.read_keys",),
        _read_with(read_keys),
        lambda: [json.dumps(rows).encode() for rows in ([], [_KEY], [_KEY] * 3)],
        words=tuple(f'"{name}"'.encode() for name in _KEY),
    ),
    Target(
        "words",
        (
            "tocsin.cli.reading.read_instant",
            "tocsin.cli.reading.read_serials",
            "tocsin.cli.reading.read_number",
            "tocsin.cli.reading.read_selection",
            "tocsin.cli.reading.read_request_id",
        ),
        _read_words,
        lambda: [b"2026-11-25T14:30Z", b"12:0-99", b"7", b"00" * 16, b"batch=1 since=2026-11-25", b"reports=5,6"],
        words=(b"since=", b"until=", b"serials=", b"reports=", b"provider=", b"0001-01-01", b"+23:59", b"W01"),
        most_bytes=128,
    ),
    Target(
        "day_key",
        ("tocsin.cli.day_keys.read_day_key",),
        _read_day_key,
        lambda: [b"tocsin-day-key 20500 " + b"A" * 43],
        most_bytes=128,
    ),
    Target(
        "name",
        ("tocsin.model.names.folded",),
        _read_name,
        lambda: [b"St. Elsewhere", "\uff33\uff34. \u0390 \u1e9e".encode(), "\u0130\u0345".encode()],
        most_bytes=128,
    ),
    Target(
        "headers",
        ("tocsin.web.apps.intake.header_problem",),
        _read_headers,
        lambda: [
            b"content-type: application/json\ncontent-length: 4096",
            b"content-type: application/json; charset=x\ncontent-length: 5000\ncontent-encoding: gzip",
            b"content-type: application/json\ntransfer-encoding: chunked",
            b"content-type: application/json\ncontent-length: " + b"9" * 5000,
        ],
        words=(b"content-type: application/json\n", b"content-length: ", b"transfer-encoding: ", b"9" * 100),
        most_bytes=16_384,
    ),
    Target(
        "addresses",
        ("tocsin.web.addresses.caller_of_call",),
        _read_addresses,
        lambda: [
            b"\x02192.0.2.7, 198.51.100.1",
            b"\x01[2001:db8::1]:4711",
            b"\x01::ffff:192.0.2.7",
            b"\x01fe80::1%eth0",
            b"\x01192.0.2.7:4711\n, ,",
        ],
        words=(b"::ffff:", b", ", b"%", b"]:", b"::"),
        most_bytes=512,
    ),
)
