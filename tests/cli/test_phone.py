"""The files of a phone's folder, and those that a person hands to it: a damaged one is named, with the way out."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.sites import MORNING, FixedClock, Site, report
from tocsin.cli.phone import Phone, Stage
from tocsin.client.calls import PendingReport
from tocsin.model.times import QUARTER_SECONDS
from tocsin.web.server import running_server

Damage = Callable[[Path], object]


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _unreadable(path: Path) -> None:
    """A link to itself: it can't be read by root either, to whom modes mean nothing."""
    path.unlink()
    path.symlink_to(path)


CONTENT_DAMAGES: dict[str, Damage] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(os.urandom(4160)),
    "one bit": lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]),
    "another file": lambda path: path.write_text(json.dumps({"region": "utopia"})),
}
DAMAGES: dict[str, Damage] = {**CONTENT_DAMAGES, "folder": _folder, "unreadable": _unreadable}
_CODE = "C123-4567-89AB-CDEF-GH94"
_REPORT_COMMANDS = ("report", "track", "withdraw")


@pytest.fixture
def phone(tmp_path: Path) -> Path:
    return tmp_path / "phone"


@pytest.fixture
def pending() -> PendingReport:
    return report("ada", _CODE, 3, MORNING)


@pytest.fixture
def synced(run: Run, site: Site, trust: Path, phone: Path, clock: FixedClock) -> Path:
    """The trust file with which this phone has synced version 1."""
    clock.wait(QUARTER_SECONDS)
    run("publish")
    assert run(*_words("sync", phone, trust)).code == 0
    return trust


@pytest.fixture(scope="module")
def trust_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    site = Site(tmp_path_factory.mktemp("site"), FixedClock(), cards=1)
    site.deployment.close()
    return site.deployment.folders.trust.read_bytes()


@pytest.fixture
def pinned(tmp_path: Path, trust_bytes: bytes) -> Path:
    """A trust file of a server that nobody runs."""
    path = tmp_path / "trust.json"
    path.write_bytes(trust_bytes)
    return path


def _words(command: str, phone: Path, trust: Path) -> list[str]:
    code = ["--code", _CODE] if command == "report" else []
    return ["client", command, "--phone", str(phone), "--trust", str(trust), *code]


def _listing(folder: Path) -> list[tuple[str, bytes]]:
    return sorted((path.name, path.read_bytes() if path.is_file() else b"") for path in folder.iterdir())


@pytest.mark.parametrize("command", _REPORT_COMMANDS)
@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_report_is_named_with_the_way_out(
    run: Run, pinned: Path, phone: Path, pending: PendingReport, stage: Stage, damage: Damage, command: str
) -> None:
    folder = Phone(phone)
    folder.keep_report(pending)
    folder.move_report(Stage.STORED, stage)
    damage(phone / stage.value)
    before = _listing(phone)
    done = run(*_words(command, phone, pinned))
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert str(phone / stage.value) in done.err and "copy" in done.err and "remove it" in done.err
    assert _listing(phone) == before


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_set_is_named_with_the_way_out(
    run: Run, synced: Path, phone: Path, tmp_path: Path, damage: Damage
) -> None:
    (tmp_path / "seen.json").write_text("[]")
    damage(phone / "state")
    done = run("client", "match", "--phone", str(phone), "--sightings", str(tmp_path / "seen.json"))
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert str(phone / "state") in done.err and "tocsin client sync" in done.err and "remove it" in done.err


@pytest.mark.parametrize("damage", CONTENT_DAMAGES.values(), ids=CONTENT_DAMAGES)
def test_a_sync_replaces_a_damaged_set_and_says_so(run: Run, synced: Path, phone: Path, damage: Damage) -> None:
    damage(phone / "state")
    done = run(*_words("sync", phone, synced))
    assert done.code == 0 and str(phone / "state") in done.err and "version 1" in done.out


@pytest.mark.parametrize("damage", [_folder, _unreadable])
def test_a_sync_leaves_alone_what_is_no_file(run: Run, synced: Path, phone: Path, damage: Damage) -> None:
    damage(phone / "state")
    done = run(*_words("sync", phone, synced))
    assert (done.code, done.out) == (1, "") and str(phone / "state") in done.err and "remove it" in done.err


@pytest.mark.parametrize("command", [*_REPORT_COMMANDS, "sync"])
def test_a_phone_that_is_a_file_is_named(run: Run, pinned: Path, phone: Path, command: str) -> None:
    phone.write_text("mine")
    done = run(*_words(command, phone, pinned))
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert str(phone) in done.err and phone.read_text() == "mine"


def test_a_write_that_fails_leaves_no_draft_with_secrets(
    phone: Path, pending: PendingReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exception, match=f"{phone / 'report.stored'} can't be written"):
        Phone(phone).keep_report(pending)
    assert list(phone.iterdir()) == []


_TRUST_COMMANDS = (*_REPORT_COMMANDS, "sync", "decoy")


@pytest.mark.parametrize("command", _TRUST_COMMANDS)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_trust_file_is_named_with_where_to_get_another(
    run: Run, pinned: Path, phone: Path, pending: PendingReport, damage: Damage, command: str
) -> None:
    Phone(phone).keep_report(pending)
    damage(pinned)
    words = _words(command, phone, pinned)
    done = run(*(words if command != "decoy" else ["client", "decoy", "--trust", str(pinned)]))
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert str(pinned) in done.err
    if pinned.is_file():
        assert "tocsin init" in done.err


@pytest.mark.parametrize(
    "change",
    [
        {"region": "ruritania"},
        {"region": 7},
        {"vkeys": []},
        {"vkeys": ["x"]},
        {"reports_url": "ftp://x"},
        {"freshness_seconds": -1},
        {"gaen_keys": [["310", "v1", "no pem"]]},
        {"more": 1},
    ],
    ids=str,
)
def test_a_trust_file_with_a_wrong_field_is_named(
    run: Run, pinned: Path, phone: Path, change: dict[str, object]
) -> None:
    pinned.write_text(json.dumps(json.loads(pinned.read_text()) | change))
    done = run(*_words("sync", phone, pinned))
    assert done.code == 1 and done.err.count("\n") == 1
    assert str(pinned) in done.err or change == {"region": "ruritania"}


def test_the_set_of_another_region_is_left_and_a_folder_of_its_own_advised(run: Run, synced: Path, phone: Path) -> None:
    other = synced.with_name("other.json")
    other.write_text(json.dumps(json.loads(synced.read_text()) | {"region": "ruritania"}))
    before = (phone / "state").read_bytes()
    done = run(*_words("sync", phone, other))
    assert done.code == 1 and str(phone / "state") in done.err and "--phone" in done.err
    assert (phone / "state").read_bytes() == before


def test_a_deployment_that_was_made_anew_is_thought_of(
    run: Run, site: Site, synced: Path, phone: Path, clock: FixedClock, tmp_path: Path
) -> None:
    """The same region and a younger journal: for a phone this is an attack, and for a trial nothing of the kind."""
    anew = Site(tmp_path / "anew", clock)
    clock.wait(QUARTER_SECONDS)
    anew.deployment.publisher().publish()
    with running_server(anew.deployment, "127.0.0.1", 0, grid_seconds=0) as base_url:
        pinned = json.loads(anew.deployment.folders.trust.read_text())
        other = tmp_path / "anew.json"
        other.write_text(json.dumps(pinned | {"bucket_url": base_url}))
        done = run(*_words("sync", phone, other))
    anew.deployment.close()
    assert done.code == 1 and "made anew" in done.err and "--phone" in done.err


def _key(start: int) -> str:
    return f'{{"key_data":"AAAA","rolling_start_interval_number":{start},"rolling_period":144}}'


NO_KEYS = {
    "empty": "",
    "object": "{}",
    "numbers": "[1]",
    "no base64url": f"[{_key(1)}]".replace("AAAA", "?"),
    "deep": "[" * 100_000,
    "negative": f"[{_key(-1)}]",
    "long number": f"[{_key(10**30)}]",
    "no UTF-8": "\udcff",
    "too many": f"[{','.join([_key(1)] * 1000)}]",
}


@pytest.mark.parametrize("text", NO_KEYS.values(), ids=NO_KEYS)
def test_keys_that_are_none_are_refused_by_file_and_store_nothing(
    run: Run, pinned: Path, phone: Path, tmp_path: Path, text: str
) -> None:
    keys = tmp_path / "keys.json"
    keys.write_bytes(text.encode("utf-8", "surrogateescape"))
    done = run(*_words("report", phone, pinned), "--keys", str(keys))
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert str(keys) in done.err
    assert not phone.exists()
