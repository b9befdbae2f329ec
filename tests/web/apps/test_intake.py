"""The apps' one call on real sockets: one size and form, whatever is said (cases 32, 40, 55–57; T-P3, T-P4)."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from tests.sites import FixedClock, Site, drawn, guess, report
from tests.vectors import make
from tests.web.stubs import AwayCollector, BuggyCollector, FullCollector, served
from tests.web.wire import Reply, Wire, ask, call_bytes, request_bytes
from tocsin.client.calls import decoy_call, make_report, track_call, withdraw_call
from tocsin.formats.wire import REQUEST_BYTES, decode_answer, encode_answer
from tocsin.model.calls import Answer, SentKey, Verdict
from tocsin.model.errors import Unavailable
from tocsin.model.times import INTERVALS_PER_DAY, Instant, day_of
from tocsin.service.deployment import Deployment
from tocsin.web.apps.intake import header_problem
from tocsin.web.problems import Problem
from tocsin.web.server import running_server

ANSWER_HEADERS = {"content-type": "application/json", "content-length": "1024", "cache-control": "no-store"}


def padded(text: str) -> bytes:
    return text.encode().ljust(REQUEST_BYTES)


def other_keys(name: str, code: str | None, *sent: tuple[int, int]) -> bytes:
    """A report of keys with these starts and periods."""
    keys = [SentKey(drawn(f"{name}{start}", 16), start, period) for start, period in sent]
    secrets = {"withdrawal_secret": drawn(f"{name} w"), "continuation_secret": drawn(f"{name} c")}
    return make_report(keys, code=code, onset_day=None, test_day=None, **secrets).body


def every_kind_of_call(site: Site) -> list[tuple[bytes, Verdict]]:
    """Calls, in order, and what each is answered."""
    now, cards = site.clock.now(), site.cards
    midnight = day_of(now) * INTERVALS_PER_DAY
    ada = report("ada", cards[0], 1, now).body
    by_phone, too_late = (str(code) for code in site.phone_codes("hotline", 2))
    allowed = site.deployment.settings.policy.guesses_per_source.at_once
    wrong_mac = cards[1][:-9] + ("A" if cards[1][-9] != "A" else "B") + cards[1][-8:]
    return [
        (ada, Verdict.TAKEN),
        (report("bob", cards[1], 14, now).body, Verdict.TAKEN),
        (ada, Verdict.TAKEN),
        (report("eve", cards[0], 3, now).body, Verdict.CODE_SPENT),
        (report("eve", wrong_mac, 3, now).body, Verdict.CODE_UNKNOWN),
        (report("eve", "no code at all", 3, now).body, Verdict.CODE_UNKNOWN),
        (report("eve", None, 3, now).body, Verdict.UNSUPPORTED),
        (report("ada", cards[2], 5, now).body, Verdict.MISMATCH),
        (other_keys("old", cards[2], (midnight - 40 * INTERVALS_PER_DAY, 144)), Verdict.NO_KEY_LEFT),
        (other_keys("both", cards[2], (midnight - 288, 144), (midnight - 200, 144)), Verdict.REPORT_REFUSED),
        (track_call(drawn("ada w")), Verdict.TAKEN),
        (track_call(drawn("nobody w")), Verdict.UNKNOWN),
        (withdraw_call(drawn("nobody w")), Verdict.UNKNOWN),
        (withdraw_call(drawn("bob w")), Verdict.WITHDRAWN),
        (withdraw_call(drawn("bob w")), Verdict.WITHDRAWN),
        (report("ida", by_phone, 3, now).body, Verdict.TAKEN),
        (report("eve", by_phone, 3, now).body, Verdict.CODE_SPENT),
        *((report("eve", guess(number), 3, now).body, Verdict.CODE_UNKNOWN) for number in range(allowed)),
        (report("eve", guess(allowed), 3, now).body, Verdict.OVER_ALLOWANCE),
        (report("gil", too_late, 3, now).body, Verdict.OVER_ALLOWANCE),
        (report("gil", cards[3], 3, now).body, Verdict.TAKEN),
        (decoy_call(), Verdict.NOTED),
        (padded('{"act":"continue"}'), Verdict.MALFORMED),
        (padded('{"act":"dance"}'), Verdict.UNSUPPORTED),
        (padded('{"act":"report"}'), Verdict.MALFORMED),
        (padded('{"act":"decoy"'), Verdict.MALFORMED),
        (padded(""), Verdict.MALFORMED),
        (b"[" * REQUEST_BYTES, Verdict.MALFORMED),
        (b"\xff\x00" * (REQUEST_BYTES // 2), Verdict.MALFORMED),
    ]


def form(reply: Reply) -> tuple[object, ...]:
    """All that shows of a reply without reading its body, but the moment of its date."""
    lines = [(name, len(value) if name == "date" else value) for name, value in reply.header_lines]
    return reply.status, lines, reply.size


def test_whatever_is_said_both_ways_have_one_size_and_one_form(site: Site) -> None:  # case 32
    calls = every_kind_of_call(site)
    requests = [call_bytes(body) for body, _ in calls]
    with running_server(site.deployment, "127.0.0.1", 0) as base_url:
        port = int(base_url.rpartition(":")[2])
        with Wire(port) as wire:
            replies = []
            for request in requests:
                wire.send(request)
                replies.append(wire.reply())
        alone = ask(port, requests[-1])
    assert [decode_answer(reply.body).verdict for reply in replies] == [verdict for _, verdict in calls]
    assert len({len(request) for request in requests}) == 1
    assert len({str(form(reply)) for reply in (*replies, alone)}) == 1
    headers = replies[0].headers
    assert headers.pop("date").endswith(" GMT")
    assert headers == ANSWER_HEADERS


def test_an_answer_speaks_only_when_the_journal_holds_the_report(site: Site, port: int) -> None:
    reply = ask(port, call_bytes(report("ada", site.cards[0], 3, site.clock.now()).body))
    assert decode_answer(reply.body).verdict is Verdict.TAKEN
    [*_, stored] = site.deployment.journal.read(0)
    assert stored.kind == "reported"


# --- what is judged without reading ----------------------------------------------------------------------------------

GOOD = {"Content-Type": "application/json", "Content-Length": "4096"}


@pytest.mark.parametrize(
    "headers, problem",
    [
        (GOOD, None),
        (GOOD | {"Content-Type": "Application/JSON; charset=utf-8"}, None),
        (GOOD | {"Content-Type": "text/plain"}, Problem.WRONG_TYPE),
        (GOOD | {"Content-Type": "application/jsonx"}, Problem.WRONG_TYPE),
        ({"Content-Length": "4096"}, Problem.WRONG_TYPE),
        (GOOD | {"Content-Encoding": "gzip"}, Problem.ENCODED),
        (GOOD | {"Content-Encoding": "identity"}, Problem.ENCODED),
        ({"Content-Type": "application/json"}, Problem.LENGTH_REQUIRED),
        ({"Content-Type": "application/json", "Transfer-Encoding": "chunked"}, Problem.LENGTH_REQUIRED),
        (GOOD | {"Content-Length": "4095"}, Problem.WRONG_LENGTH),
        (GOOD | {"Content-Length": "0"}, Problem.WRONG_LENGTH),
        (GOOD | {"Content-Length": "4097"}, Problem.TOO_LONG),
        (GOOD | {"Content-Length": "10485760"}, Problem.TOO_LONG),
    ],
)
def test_what_shows_without_reading_the_body(
    standing_port: int, headers: dict[str, str], problem: Problem | None
) -> None:
    assert header_problem(Headers(headers)) is problem
    with Wire(standing_port) as wire:
        wire.send(request_bytes("POST", "/v1/reports", headers))  # no byte of the body is sent
        if problem is None:
            wire.send(decoy_call())
            assert decode_answer(wire.reply().body).verdict is Verdict.NOTED
        else:
            assert_problem(wire.reply(), problem)


@pytest.mark.parametrize("length", ["+4096", "-1", "4096.0", "0x1000", "four", "٤٠٩٦", "²", " "])
def test_a_length_that_is_no_number(length: str) -> None:
    assert header_problem(Headers(raw=[(b"content-type", b"application/json"), (b"content-length", length.encode())]))


@pytest.mark.parametrize(
    ("digits", "problem"), [("4096", None), ("9" * 19, Problem.TOO_LONG), ("7", Problem.WRONG_LENGTH)]
)
def test_any_number_of_zeros_before_a_length(standing_port: int, digits: str, problem: Problem | None) -> None:
    length = digits.rjust(5000, "0")  # a ValueError once, and so a 500
    reply = ask(standing_port, request_bytes("POST", "/v1/reports", GOOD | {"Content-Length": length}, decoy_call()))
    if problem is None:
        assert decode_answer(reply.body).verdict is Verdict.NOTED
    else:
        assert_problem(reply, problem)


def assert_problem(reply: Reply, problem: Problem) -> None:
    assert (reply.status, reply.body) == (problem.status, problem.body)
    headers = reply.headers
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == ("public, max-age=5" if problem is Problem.NOT_FOUND else "no-store")
    assert headers.get("retry-after") == ("60" if problem is Problem.NOT_NOW else None)
    assert "server" not in headers


# --- when nothing can be taken ---------------------------------------------------------------------------------------


def unread(port: int) -> Reply:
    """The answer to a call of which only the headers were sent."""
    return ask(port, request_bytes("POST", "/v1/reports", GOOD))


def test_no_day_key_for_today_is_said_before_the_body(site: Site, port: int) -> None:
    key = site.deployment.folders.keys / "days" / str(day_of(site.clock.now()))
    key.unlink()
    assert_problem(unread(port), Problem.NOT_NOW)


def test_no_room_is_said_before_the_body(site: Site) -> None:
    with served(site, FullCollector) as port:
        assert_problem(unread(port), Problem.NOT_NOW)


def test_a_clock_that_is_not_trusted_is_said_before_the_body(tmp_path: Path) -> None:
    class Jumped(FixedClock):
        def now(self) -> Instant:
            raise Unavailable("the clock was set")

    site = Site(tmp_path / "site", FixedClock())
    deployment = Deployment(site.top, Jumped())
    with running_server(deployment, "127.0.0.1", 0, grid_seconds=0) as base_url:
        assert_problem(unread(int(base_url.rpartition(":")[2])), Problem.NOT_NOW)


def test_a_journal_that_is_away_answers_all_calls_alike(site: Site) -> None:
    with served(site, AwayCollector) as port:
        replies = [ask(port, call_bytes(body)) for body, _ in every_kind_of_call(site)]
    assert_problem(replies[0], Problem.NOT_NOW)
    assert len({str(form(reply)) for reply in replies}) == 1


def test_a_bug_is_a_fixed_answer_and_its_text_stays_inside(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with served(site, BuggyCollector) as port:
        assert_problem(ask(port, call_bytes(padded('{"act":"find-me"}'))), Problem.BROKEN)
    assert "RuntimeError" in caplog.text
    assert "find-me" not in caplog.text


# --- input stays input -----------------------------------------------------------------------------------------------

PAYLOADS = [
    "${jndi:ldap://127.0.0.1/x}",
    "${{7*7}}",
    "{{7*7}}",
    "#{7*7}",
    "<script>alert(49)</script>",
    "' OR 1=1--",
    "{0.__class__}",
    "%(message)s%n%n",
    "%0d%0aSet-Cookie:%20x=1",
    "../../etc/passwd",
    "\u202egnp.exe",
    "\x1b[31mred",
    "\x00",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_comes_back_or_is_evaluated(standing_port: int, payload: str) -> None:  # case 56, T-D8
    marked = f"tocsin-marker-{payload}"
    fields = ("act", "code", "tracking_id", "continue_id", "withdrawal_secret", "onset_day", "keys", "anything", marked)
    header_safe = marked.encode("ascii", "replace").decode().translate({0: " ", 0x1B: " "})
    path_safe = header_safe.replace(" ", "%20")
    requests = [
        *(call_bytes(padded(json.dumps({"act": "report"} | {field: marked}))) for field in fields),
        request_bytes("GET", f"/{path_safe}"),
        request_bytes("GET", f"/v1/{path_safe}/keyset/{'0' * 64}"),
        request_bytes("GET", f"/v1/head/?{path_safe}"),
        request_bytes("GET", "/v1/head/", {"X-Marker": header_safe, "Cookie": header_safe}),
        request_bytes("POST", "/v1/reports", GOOD | {"Content-Type": header_safe}),
        request_bytes("POST", "/v1/reports", GOOD | {"Content-Encoding": header_safe}),
        request_bytes("GET", "/v1/head/").replace(b"tocsin.example", header_safe.encode()),
        request_bytes("MARKER", "/v1/head"),
        request_bytes("GET", "/v1/head/", {header_safe: "x"}),
        request_bytes("GET", "/v1/head/", {f"tocsin-marker-{re.sub(r'[^!-9;-~]', '', payload)}": "x"}),
    ]
    for request in requests:
        reply = ask(standing_port, request)
        whole = reply.raw_head + reply.body
        assert b"tocsin-marker" not in whole and b"MARKER" not in whole, request
        assert b"49" not in reply.body, request
        assert reply.status < 500, request


FULL_CALLS: list[dict[str, Any]] = [
    {
        "act": "report",
        "code": "C123-4567-89AB-CDEF-GH94",
        "tracking_id": "A" * 43,
        "continue_id": "A" * 43,
        "onset_day": 20_499,
        "keys": [{"key_data": "A" * 22, "rolling_start_interval_number": 2_950_000, "rolling_period": 144}],
    },
    {"act": "track", "tracking_id": "A" * 43},
    {"act": "withdraw", "withdrawal_secret": "A" * 43},
    {"act": "decoy", "code": "x"},
    {
        "act": "continue",
        "continuation_secret": "A" * 43,
        "continue_id": "A" * 43,
        "code": "C123-4567-89AB-CDEF-GH94",
        "test_day": 20_499,
        "keys": [],
    },
]


def test_each_field_absent_null_empty_and_of_a_wrong_type(standing_port: int) -> None:  # case 55
    unfit: list[Any] = [None, "", 0, -1, 1.5, 2**70, True, [], {}, [None], [[]], [{}], "A" * 44, "\ud800"]
    with Wire(standing_port) as wire:
        for call in FULL_CALLS:
            for field in call:
                without = {name: value for name, value in call.items() if name != field}
                for variant in [without, *(without | {field: value} for value in unfit)]:
                    wire.send(call_bytes(padded(json.dumps(variant))))
                    reply = wire.reply()
                    assert reply.status == 200
                    assert decode_answer(reply.body).verdict is not Verdict.TAKEN


def no_calls() -> list[bytes]:
    """Bodies of the right length that hold no call: the vectors, one cut at each byte, and what is deep or long."""
    vectors = json.loads(make.path_of("call").read_text(encoding="ascii"))["calls"]["bad"]
    starts = [
        bytes.fromhex(case["start_hex"]) if "start_hex" in case else case["start"].encode()
        for case in vectors
        if "length" not in case
    ]
    whole = json.dumps(FULL_CALLS[0]).encode()
    starts += [whole[:end] for end in range(len(whole))]
    for field in ("act", "onset_day", "keys", "anything"):
        before = b'{"act":"report","%s":' % field.encode()
        starts += [before + token * 800 for token in (b"[", b'{"a":', b"[[],", b'"', b"9", b"-", b"1e")]
        starts += [
            before + number + b"}" for number in (b"9" * 4000, b"1e999999999", b"-0", b"0." + b"0" * 3000 + b"1")
        ]
    starts += [b"[" * REQUEST_BYTES, b"{" * REQUEST_BYTES, b'"' * REQUEST_BYTES, b"\\u0000", bytes(REQUEST_BYTES)]
    return [start.ljust(REQUEST_BYTES) for start in starts]


def test_whatever_is_no_call_is_answered_by_the_same_bytes(site: Site, port: int) -> None:  # case 57, T-D6
    before, bodies = site.deployment.journal.tip().sequence, no_calls()
    assert len(bodies) > 500 and {len(body) for body in bodies} == {REQUEST_BYTES}
    forms = set()
    with Wire(port) as wire:
        for body in bodies:
            wire.send(call_bytes(body))
            reply = wire.reply()
            assert reply.body == encode_answer(Answer(Verdict.MALFORMED)), body.rstrip()[:200]
            forms.add(str(form(reply)))
    assert len(forms) == 1
    assert site.deployment.journal.tip().sequence == before


# --- nothing is written down -----------------------------------------------------------------------------------------


def test_no_log_and_no_file_names_an_address_a_code_or_a_key(  # case 40, T-P4
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    source = "127.77.201.9"
    caplog.set_level(1)
    calls = every_kind_of_call(site)
    with running_server(site.deployment, "127.0.0.1", 0, grid_seconds=0) as base_url:
        port = int(base_url.rpartition(":")[2])
        for body, _ in calls:
            ask(port, call_bytes(body), source)
        ask(port, b"nonsense\r\n\r\n", source)
        ask(port, request_bytes("GET", f"/{site.cards[0]}"), source)
    assert [record for record in caplog.records if record.levelno >= logging.INFO] == []
    secrets = [source.encode(), bytes([127, 77, 201, 9]), bytes([127, 77, 201, 9]).hex().encode()]
    secrets += [site.cards[0].encode(), drawn("ada 1", 16), drawn("ada w")]
    assert all(secret.decode("latin-1") not in caplog.text for secret in secrets)
    for path in site.top.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [secret for secret in secrets if secret in data], path
