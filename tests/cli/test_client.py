"""`tocsin client` against a running server, over HTTP."""

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import numpy as np
import pytest

from tests.cli.conftest import Run
from tests.sites import FixedClock, Site, drawn, report
from tocsin.cli import calling, client, fetch
from tocsin.cli.phone import Phone, Stage
from tocsin.client.ephemeral_ids import rolling_proximity_identifiers
from tocsin.client.schedule import Schedule
from tocsin.client.sync import next_sync_at
from tocsin.formats.wire import encode_answer
from tocsin.model.base64url import encode
from tocsin.model.calls import Answer, Verdict
from tocsin.model.errors import Unavailable
from tocsin.model.keys import RECORD
from tocsin.model.times import INTERVALS_PER_DAY, QUARTER_SECONDS, day_of


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    return tmp_path / "phone"


def _words(command: str, phone: Path, trust: Path, *more: str) -> list[str]:
    return ["client", command, "--phone", str(phone), "--trust", str(trust), *more]


def _due_at(phone: Path) -> int:
    """When the phone's next call is due."""
    schedule = Phone(phone).schedule()
    assert schedule is not None
    return schedule.due_at


def _key_file(path: Path, clock: FixedClock, key_data: bytes) -> int:
    """Writes yesterday's key and returns its first interval."""
    start = (day_of(clock.now()) - 1) * INTERVALS_PER_DAY
    key = {"key_data": encode(key_data), "rolling_start_interval_number": start, "rolling_period": 144}
    path.write_text(json.dumps([key]))
    return start


def test_report_track_withdraw(run: Run, site: Site, trust: Path, phone: Path) -> None:
    reported = run(*_words("report", phone, trust, "--code", site.cards[0]))
    assert reported.code == 0 and "taken" in reported.out
    assert (phone / "report.taken").stat().st_mode & 0o077 == 0
    assert run(*_words("report", phone, trust, "--code", site.cards[1])).code == 1
    assert run(*_words("track", phone, trust, "--json")).json["verdict"] == "taken"
    withdrawn = run(*_words("withdraw", phone, trust))
    assert withdrawn.code == 0 and "taken back" in withdrawn.out
    assert Phone(phone).report() is None
    assert run(*_words("track", phone, trust)).code == 1


def test_a_code_that_was_used_is_exit_code_1_and_the_phone_may_try_another(
    run: Run, site: Site, trust: Path, phone: Path, tmp_path: Path
) -> None:
    """Case 23, one after the other."""
    assert run(*_words("report", tmp_path / "first", trust, "--code", site.cards[0])).code == 0
    spent = run(*_words("report", phone, trust, "--code", site.cards[0], "--json"))
    assert (spent.code, spent.json["verdict"]) == (1, "code_spent")
    assert run(*_words("report", phone, trust, "--code", site.cards[1])).code == 0


def test_a_report_whose_answer_was_lost_is_sent_again_as_it_was(
    run: Run, site: Site, trust: Path, phone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []

    def lose_the_answer(url: str, body: bytes) -> bytes:
        sent.append(body)
        fetch.post(url, body)
        raise Unavailable("The server can't be reached.")

    with monkeypatch.context() as patched:
        patched.setattr(calling, "post", lose_the_answer)
        assert run(*_words("report", phone, trust, "--code", site.cards[0])).code == 1
    kept = Phone(phone).report()
    assert kept is not None and kept[0] is Stage.PENDING and [kept[1].body] == sent
    again = run(*_words("report", phone, trust, "--code", site.cards[1]))
    assert again.code == 0 and "sent again" in again.err
    site.performer.catch_up()
    assert site.performer.ledger.reports.count == 1


def test_a_withdrawn_report_is_never_posted_again(
    run: Run, site: Site, trust: Path, phone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(url: str, body: bytes) -> bytes:
        raise Unavailable("The server can't be reached.")

    with monkeypatch.context() as patched:
        patched.setattr(calling, "post", unreachable)
        run(*_words("report", phone, trust, "--code", site.cards[0]))
        run(*_words("withdraw", phone, trust))
    assert run(*_words("report", phone, trust, "--code", site.cards[0])).code == 1
    unknown = run(*_words("withdraw", phone, trust, "--json"))
    assert (unknown.code, unknown.json["verdict"]) == (1, "unknown")
    kept = Phone(phone).report()
    assert kept is not None and kept[0] is Stage.WITHDRAWING


def test_a_report_that_was_never_posted_is_dropped(run: Run, site: Site, trust: Path, phone: Path) -> None:
    """Else its withdrawal would be answered `unknown` for ever, and the phone could never report again."""
    run(*_words("report", phone, trust, "--code", site.cards[0], "--when-due"))
    kept = Phone(phone).report()
    assert kept is not None and kept[0] is Stage.STORED
    dropped = run(*_words("withdraw", phone, trust))
    assert dropped.code == 0 and "never sent" in dropped.out and Phone(phone).report() is None
    run(*_words("report", phone, trust, "--code", site.cards[0], "--when-due"))
    assert run(*_words("report", phone, trust)).code == 0
    kept = Phone(phone).report()
    assert kept is not None and kept[0] is Stage.TAKEN


def test_sync_and_match_find_who_was_near(
    run: Run, site: Site, trust: Path, phone: Path, tmp_path: Path, clock: FixedClock
) -> None:
    start = _key_file(tmp_path / "keys.json", clock, drawn("near", 16))
    ill = _words("report", tmp_path / "ill", trust, "--code", site.cards[0], "--keys", str(tmp_path / "keys.json"))
    assert run(*ill).code == 0
    clock.wait(QUARTER_SECONDS)
    run("publish")

    first = run(*_words("sync", phone, trust, "--json")).json
    assert (first["version"], first["news"], first["keys"]) == (1, True, 1)
    assert run(*_words("sync", phone, trust, "--json")).json["news"] is False

    record = np.array([(drawn("near", 16), start, 144, 1, -128, 0)], RECORD)
    rpi = rolling_proximity_identifiers(record)[0, 7].tobytes()
    seen = tmp_path / "seen.json"
    seen.write_text(json.dumps([{"rpi": rpi.hex(), "interval": start + 7}, {"rpi": "00" * 16, "interval": start}]))
    matched = run("client", "match", "--phone", str(phone), "--sightings", str(seen), "--json").json
    assert matched["matches"] == [{"rpi": rpi.hex(), "seen_interval": start + 7, "key_interval": start + 7}]
    assert "EXPOSURE: 1 sighting" in run("client", "match", "--phone", str(phone), "--sightings", str(seen)).out
    seen.write_text("[]")
    assert "No exposure" in run("client", "match", "--phone", str(phone), "--sightings", str(seen)).out


def test_a_sync_that_is_refused_says_why_and_keeps_what_there_is(
    run: Run, site: Site, trust: Path, phone: Path, clock: FixedClock
) -> None:
    clock.wait(QUARTER_SECONDS)
    run("publish")
    assert run(*_words("sync", phone, trust)).code == 0
    before = (phone / "state").read_bytes()
    clock.wait(25 * 3600)
    stale = run(*_words("sync", phone, trust))
    assert stale.code == 1 and "too old" in stale.err
    assert (phone / "state").read_bytes() == before


def test_a_damaged_state_is_fetched_anew(run: Run, site: Site, trust: Path, phone: Path, clock: FixedClock) -> None:
    clock.wait(QUARTER_SECONDS)
    run("publish")
    run(*_words("sync", phone, trust))
    (phone / "state").write_bytes(b"damaged")
    done = run(*_words("sync", phone, trust))
    assert done.code == 0 and "damaged" in done.err and "version 1" in done.out


def test_a_decoy_is_answered_and_recorded_nowhere(run: Run, site: Site, trust: Path) -> None:
    before = site.deployment.journal.tip().sequence
    assert run("client", "decoy", "--trust", str(trust), "--json").json == {"verdict": "noted", "keys": []}
    assert site.deployment.journal.tip().sequence == before


def test_the_call_that_is_due_says_what_there_is_to_say(
    run: Run, site: Site, trust: Path, phone: Path, clock: FixedClock
) -> None:
    """From the first decoy to the withdrawal, each in its turn."""
    first = run(*_words("due", phone, trust))
    assert first.code == 0 and "The next call is due at" in first.out and "answered" not in first.out

    def turn() -> tuple[str | None, str | None]:
        clock.at = _due_at(phone)
        made = run(*_words("due", phone, trust, "--json")).json
        assert made["next_call_at"] == _due_at(phone)
        return made["errand"], made["answer"] and made["answer"]["verdict"]

    assert turn() == ("decoy", "noted")
    stored = run(*_words("report", phone, trust, "--code", site.cards[0], "--when-due"))
    assert stored.code == 0 and "in its turn" in stored.out
    site.performer.catch_up()
    assert site.performer.ledger.reports.count == 0
    assert turn() == ("repeat", "taken")
    clock.wait(24 * 3600)
    assert turn() == ("track", "taken")
    assert run(*_words("withdraw", phone, trust, "--when-due", "--json")).json["errand"] is None
    assert turn() == ("withdraw", "withdrawn")
    assert turn() == ("decoy", "noted")
    assert Phone(phone).report() is None


def test_before_it_is_due_nothing_is_sent(run: Run, phone: Path, trust: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unexpected(url: str, body: bytes) -> bytes:
        raise AssertionError("a call was made")

    monkeypatch.setattr(calling, "post", unexpected)
    assert run(*_words("due", phone, trust)).code == 0
    kept = (phone / "schedule").read_bytes()
    assert run(*_words("due", phone, trust, "--json")).json["errand"] is None
    assert (phone / "schedule").read_bytes() == kept


def test_a_damaged_schedule_is_named_and_begun_anew(run: Run, phone: Path, trust: Path) -> None:
    run(*_words("due", phone, trust))
    (phone / "schedule").write_bytes(b"damaged")
    done = run(*_words("due", phone, trust))
    assert done.code == 0 and str(phone / "schedule") in done.err and "new schedule" in done.err
    assert Phone(phone).schedule() is not None


def test_whatever_the_call_is_for_the_bytes_before_the_body_are_the_same(
    run: Run, site: Site, trust: Path, tmp_path: Path, clock: FixedClock
) -> None:
    """T-P3, T-P7: a decoy, a report, a question after it and a withdrawal go to one host, with one set of headers."""
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        here = json.loads(trust.read_bytes())
        here["reports_url"] = f"http://127.0.0.1:{listening.getsockname()[1]}/v1/reports"
        trust.write_text(json.dumps(here))

        def answer_all() -> None:
            for _ in range(len(Stage) + 1):
                connection, _ = listening.accept()
                with connection:
                    received = b""
                    while len(received.partition(b"\r\n\r\n")[2]) < 4096:
                        received += connection.recv(65_536)
                    heads.append(received.partition(b"\r\n\r\n")[0])
                    answer = encode_answer(Answer(Verdict.NOTED))
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1024\r\n\r\n" + answer)

        answering = threading.Thread(target=answer_all)
        answering.start()
        for stage in (None, *Stage):
            folder = Phone(tmp_path / str(stage))
            folder.keep_schedule(Schedule(clock.now()))
            if stage is not None:
                folder.keep_report(report("ada", site.cards[0], 3, clock.now()))
                folder.move_report(Stage.STORED, stage)
            assert run(*_words("due", tmp_path / str(stage), trust)).code == 0
        answering.join()
    assert len(heads) == len(Stage) + 1 and len(set(heads)) == 1


@pytest.mark.parametrize("stage", [None, *Stage])
def test_a_sync_and_its_next_instant_do_not_depend_on_a_report(
    run: Run,
    site: Site,
    trust: Path,
    phone: Path,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
    stage: Stage | None,
) -> None:
    clock.wait(QUARTER_SECONDS)
    run("publish")
    fetched: list[str] = []

    def watched(bucket_url: str) -> Callable[[str, int], bytes]:
        real = fetch.fetcher(bucket_url)

        def fetch_it(name: str, most_bytes: int) -> bytes:
            fetched.append(name)
            return real(name, most_bytes)

        return fetch_it

    monkeypatch.setattr(client, "fetcher", watched)
    monkeypatch.setattr(client, "chance", lambda: 0.5)
    if stage is not None:
        Phone(phone).keep_report(report("ada", site.cards[0], 3, clock.now()))
        Phone(phone).move_report(Stage.STORED, stage)
    synced = run(*_words("sync", phone, trust, "--json")).json
    state = Phone(phone).state()
    assert state is not None and synced["next_sync_at"] == next_sync_at(state.due_at, clock.now(), 0.5)
    assert fetched[0] == "v1/head" and len(fetched) == 2


def test_keys_that_are_not_taken_are_named(run: Run, site: Site, trust: Path, phone: Path, tmp_path: Path) -> None:
    _key_file(tmp_path / "keys.json", site.clock, b"short")
    done = run(*_words("report", phone, trust, "--code", site.cards[0], "--keys", str(tmp_path / "keys.json")))
    assert done.code == 1 and "key 0: not taken, it is not of a length that is taken here" in done.out


@pytest.mark.parametrize("text", ["", "{}", '[{"rpi":"zz","interval":1}]', '[{"rpi":"00","interval":1}]', "[1]"])
def test_sightings_that_are_none_are_refused(
    run: Run, site: Site, trust: Path, phone: Path, tmp_path: Path, clock: FixedClock, text: str
) -> None:
    clock.wait(QUARTER_SECONDS)
    run("publish")
    run(*_words("sync", phone, trust))
    (tmp_path / "seen.json").write_text(text)
    done = run("client", "match", "--phone", str(phone), "--sightings", str(tmp_path / "seen.json"))
    assert done.code == 1 and done.err.count("\n") == 1


def test_matching_before_any_sync_says_so(run: Run, phone: Path, tmp_path: Path) -> None:
    done = run("client", "match", "--phone", str(phone), "--sightings", str(tmp_path / "seen.json"))
    assert done.code == 1 and "sync" in done.err


def test_a_server_that_is_away_is_one_sentence(run: Run, site: Site, phone: Path) -> None:
    trust = site.deployment.folders.trust
    pinned = json.loads(trust.read_bytes())
    pinned["reports_url"] = "http://127.0.0.1:9/v1/reports"
    trust.write_text(json.dumps(pinned))
    done = run(*_words("report", phone, trust, "--code", site.cards[0]))
    assert done.code == 1 and "can't be reached" in done.err and done.err.count("\n") == 1
    assert Phone(phone).report() is not None


def test_what_is_too_long_is_read_one_byte_too_far_and_no_further(trust: Path) -> None:
    base = json.loads(trust.read_bytes())["bucket_url"]
    assert len(fetch.fetcher(base)("trust.json", 10)) == 11
    with pytest.raises(Unavailable):
        fetch.fetcher(base)("no/such", 10)
    assert httpx.get(f"{base}/trust.json").status_code == 200


_ENVIRONMENTS = [
    {"HTTP_PROXY": ""},
    {"HTTP_PROXY": "garbage"},
    {"HTTP_PROXY": "ftp://127.0.0.1:9"},
    {"HTTP_PROXY": "http://127.0.0.1:x"},
    {"HTTP_PROXY": "socks5://127.0.0.1:9"},
    {"ALL_PROXY": "http://"},
    {"NO_PROXY": "[::"},
    {"SSL_CERT_FILE": "/no/such/file"},
    {"SSL_CERT_FILE": ""},
    {"SSL_CERT_DIR": "/dev/null"},
]


@pytest.mark.parametrize("environment", _ENVIRONMENTS, ids=str)
def test_what_the_environment_says_of_the_network_is_no_traceback(
    run: Run, site: Site, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = site.deployment.folders.trust
    pinned = json.loads(trust.read_bytes())
    trust.write_text(json.dumps(pinned | {"reports_url": "https://127.0.0.1:9/v1/reports"}))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    done = run("client", "decoy", "--trust", str(trust))
    assert done.code == 1 and done.err.count("\n") == 1 and "PROXY" in done.err


@pytest.mark.parametrize(
    "url",
    [
        "http://[",
        "http://a:b",
        "http://\u00fc..",
        "http://127.0.0.1:99999",
        "https://",
        "http://" + "a" * 70_000,
        "http://a\tb",
    ],
    ids=lambda url: ascii(url[:20]),
)
def test_an_address_that_is_none_is_no_traceback(run: Run, site: Site, url: str) -> None:
    trust = site.deployment.folders.trust
    trust.write_text(json.dumps(json.loads(trust.read_bytes()) | {"reports_url": url}))
    done = run("client", "decoy", "--trust", str(trust))
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)


class _Foreign(BaseHTTPRequestHandler):
    """Another web server, which knows nothing of calls."""

    answer: ClassVar[bytes] = b"<html>"

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answer)

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize("answer", [b"", b"<html>", b"{}" + b" " * 1022, b"x" * 100_000])
def test_an_answer_of_another_server_is_said_to_be_none(
    run: Run, site: Site, phone: Path, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Foreign, "answer", answer)
    trust = site.deployment.folders.trust
    with HTTPServer(("127.0.0.1", 0), _Foreign) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        pinned = json.loads(trust.read_bytes()) | {"reports_url": f"{base}/v1/reports", "bucket_url": base}
        trust.write_text(json.dumps(pinned))
        done = run(*_words("report", phone, trust, "--code", site.cards[0]))
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert "answer" in done.err and "trust file" in done.err
        assert Phone(phone).report() is not None  # it may have been taken all the same
        assert run(*_words("sync", phone, trust)).code == 1
        server.shutdown()


# --- more of a report -------------------------------------------------------------------------------------------------


def _more_keys(path: Path, clock: FixedClock, days_ago: int) -> list[str]:
    start = (day_of(clock.now()) - days_ago) * INTERVALS_PER_DAY
    key = {"key_data": encode(drawn(f"{days_ago}", 16)), "rolling_start_interval_number": start, "rolling_period": 144}
    path.write_text(json.dumps([key]))
    return ["--keys", str(path)]


def test_continue_again_and_withdraw(run: Run, site: Site, trust: Path, phone: Path, clock: FixedClock) -> None:
    keys = phone.parent / "more.json"
    assert run(*_words("report", phone, trust, "--code", site.cards[0], "--days", "3")).code == 0
    assert run(*_words("continue", phone, trust)).code == 1, "nothing to add"
    for days_ago in (5, 6):
        added = run(*_words("continue", phone, trust, *_more_keys(keys, clock, days_ago), "--json"))
        assert (added.code, added.json) == (0, {"verdict": "taken", "keys": ["taken"]})
    refused = run(*_words("continue", phone, trust, *_more_keys(keys, clock, 20), "--json"))
    assert (refused.code, refused.json["verdict"]) == (1, "no_key_left")
    same = run(*_words("continue", phone, trust, *_more_keys(keys, clock, 7), "--code", site.cards[0], "--json"))
    assert same.json["verdict"] == "taken", "the old secret opens it still, and the code says nothing new"
    site.performer.catch_up()
    assert site.performer.ledger.rows_of_person(0) == [0, 1, 2, 3]
    assert run(*_words("withdraw", phone, trust)).code == 0
    assert {path.name for path in phone.iterdir()} == {"schedule"}
    assert run(*_words("continue", phone, trust, *_more_keys(keys, clock, 8))).code == 1


def test_a_continuation_that_was_not_answered_is_sent_again_as_it_was(
    run: Run, site: Site, trust: Path, phone: Path, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server took it, and the answer was lost: the receipt is read again, and the chain goes on from there."""
    keys = phone.parent / "more.json"
    run(*_words("report", phone, trust, "--code", site.cards[0], "--days", "3"))
    posted: list[bytes] = []

    def seen(url: str, body: bytes) -> bytes:
        posted.append(body)
        return fetch.post(url, body)

    def lost(url: str, body: bytes) -> bytes:
        seen(url, body)
        raise Unavailable("The line broke.")

    with monkeypatch.context() as patched:
        patched.setattr(calling, "post", lost)
        assert run(*_words("continue", phone, trust, *_more_keys(keys, clock, 5))).code == 1
    with monkeypatch.context() as patched:
        patched.setattr(calling, "post", seen)
        again = run(*_words("continue", phone, trust, *_more_keys(keys, clock, 6), "--json"))
    assert again.json == {"verdict": "taken", "keys": ["taken"]} and posted[0] == posted[1]
    assert run(*_words("continue", phone, trust, *_more_keys(keys, clock, 6))).code == 0
    site.performer.catch_up()
    assert site.performer.ledger.rows_of_person(0) == [0, 1, 2]


def test_an_unknown_report_may_still_be_on_its_way(
    run: Run, site: Site, trust: Path, phone: Path, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:  # N1
    """What continues it is kept, and sent again as it was."""
    keys = phone.parent / "more.json"
    run(*_words("report", phone, trust, "--code", site.cards[0], "--days", "3"))
    posted: list[bytes] = []

    def unknown(url: str, body: bytes) -> bytes:
        posted.append(body)
        return encode_answer(Answer(Verdict.UNKNOWN))

    with monkeypatch.context() as patched:
        patched.setattr(calling, "post", unknown)
        told = run(*_words("continue", phone, trust, *_more_keys(keys, clock, 5), "--json"))
    assert (told.code, told.json["verdict"]) == (1, "unknown")
    assert (phone / "continuation.pending").read_bytes().endswith(posted[0])
    assert run(*_words("continue", phone, trust)).code == 0
    assert not (phone / "continuation.pending").exists()


def test_a_continuation_in_its_turn(run: Run, site: Site, trust: Path, phone: Path, clock: FixedClock) -> None:
    keys = phone.parent / "more.json"
    run(*_words("report", phone, trust, "--code", site.cards[0], "--days", "3"))
    run(*_words("continue", phone, trust, *_more_keys(keys, clock, 5), "--when-due"))
    assert (phone / "continuation.pending").exists()
    clock.wait(_due_at(phone) - clock.now())
    turn = run(*_words("due", phone, trust, "--json"))
    assert turn.json["errand"] == "continue" and turn.json["answer"]["verdict"] in ("taken", "too_old")
    assert not (phone / "continuation.pending").exists()


@pytest.mark.parametrize("name", ["continuation.pending", "continuation.taken"])
def test_a_damaged_continuation_is_named_and_stops_no_withdrawal(
    run: Run, site: Site, trust: Path, phone: Path, clock: FixedClock, name: str
) -> None:
    keys = phone.parent / "more.json"
    run(*_words("report", phone, trust, "--code", site.cards[0], "--days", "3"))
    (phone / name).write_bytes(b"damaged")
    damaged = run(*_words("continue", phone, trust, *_more_keys(keys, clock, 5)))
    assert damaged.code != 0 and name in damaged.err
    assert run(*_words("withdraw", phone, trust)).code == 0
