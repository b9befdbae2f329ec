"""Each thing that the doctor knows, planted in a real deployment that was sound before."""

import os
import resource
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.disks import disk
from tests.service.doctor.conftest import Examine
from tests.sites import FixedClock, Site, by
from tocsin.formats.leaf import HEAD_NAME
from tocsin.journal import disk as file_systems
from tocsin.journal import sqlite_connection
from tocsin.journal.turn import turn
from tocsin.model.errors import Unavailable
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, day_of
from tocsin.rules.issuance import add_provider
from tocsin.service.deployment import Deployment
from tocsin.service.doctor import clock as clock_check
from tocsin.service.doctor import engine, machine
from tocsin.service.doctor.subject import Seen


def test_a_sound_deployment_has_nothing(examined: Examine) -> None:
    assert examined() == {}


def test_it_changes_nothing(site: Site, examined: Examine) -> None:
    def listing() -> dict[str, bytes]:
        paths = [path for path in site.top.rglob("*") if path.is_file() and not path.name.endswith(("-wal", "-shm"))]
        return {str(path): path.read_bytes() for path in paths}

    before = listing()
    examined()
    assert listing() == before


# --- settings and trust ---------------------------------------------------------------------------------------------


def test_settings_that_are_not_right(site: Site, examined: Examine) -> None:
    """All that needs no settings is looked at all the same."""
    site.deployment.folders.settings.write_text("region = ")
    (site.deployment.folders.keys / "head").unlink()
    found = examined()
    assert "tocsin.toml is not TOML" in found["settings_invalid"]
    assert set(found) == {"settings_invalid", "keys_unusable", "not_looked_at"}
    assert "bucket" in found["not_looked_at"] and "day keys" not in found["not_looked_at"]


def test_the_settings_of_a_trial(site: Site, examined: Examine) -> None:
    text = site.deployment.folders.settings.read_text()
    site.deployment.folders.settings.write_text(
        text.replace("single_machine = false", "single_machine = true").partition("[operations]")[0]
    )
    assert set(examined()) == {"single_machine", "no_operations"}


def test_a_trust_file_that_is_gone_or_none(site: Site, examined: Examine) -> None:
    site.deployment.folders.trust.write_text("{}")
    assert set(examined()) == {"trust_missing"}
    site.deployment.folders.trust.unlink()
    assert set(examined()) == {"trust_missing"}


def test_a_trust_file_of_another_address(site: Site, examined: Examine) -> None:
    path = site.deployment.folders.settings
    path.write_text(path.read_text().replace("http://127.0.0.1:8787", "https://tocsin.example"))
    assert set(examined()) == {"trust_outdated"}


def test_another_head_key_than_apps_trust(site: Site, clock: FixedClock, examined: Examine, tmp_path: Path) -> None:
    other = Site(tmp_path / "other", clock)
    shutil.copy(other.deployment.folders.keys / "head", site.deployment.folders.keys / "head")
    found = examined()
    assert set(found) == {"trust_other_key", "bucket_unusable"}
    assert "signed by the key `head`" in found["bucket_unusable"]


def test_a_key_that_was_put_in_by_hand(site: Site, clock: FixedClock, examined: Examine, tmp_path: Path) -> None:
    other = Site(tmp_path / "other", clock)
    [key] = (other.deployment.folders.keys / "gaen").iterdir()
    shutil.copy(key, site.deployment.folders.keys / "gaen" / "310-v9")
    assert "310-v9" in examined()["gaen_key_unannounced"]


# --- the journal ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("planted", [b"", b"not a database" * 1000])
def test_a_journal_that_is_none(site: Site, examined: Examine, planted: bytes) -> None:
    site.deployment.close()
    site.deployment.folders.journal.write_bytes(planted)
    found = examined()
    assert "journal_unusable" in found and "clock" in found["not_looked_at"]


def test_an_older_copy_in_the_journal_s_place(site: Site, examined: Examine, tmp_path: Path) -> None:
    journal = site.deployment.folders.journal
    site.deployment.close()
    older = tmp_path / "older"
    shutil.copy(journal, older)
    again = Deployment(site.top, site.clock)
    again.performer().act(lambda ledger, now: add_provider(ledger, "B", by("b")))
    again.close()
    for path in journal.parent.glob("journal.sqlite-[ws]*"):
        path.unlink()
    shutil.copy(older, journal)
    assert "ends at event" in examined()["journal_unusable"]


def test_a_journal_that_goes_on_elsewhere(site: Site, examined: Examine) -> None:
    with site.deployment.journal.group(site.clock.now()) as group:
        group.retire()
    assert "goes on there" in examined()["journal_unusable"]


def test_a_journal_in_memory(site: Site, examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real file system in memory, where this test may mount one."""
    site.deployment.close()
    monkeypatch.setattr(engine, "in_memory", file_systems.in_memory)
    with disk(site.deployment.folders.journal.parent, 4096):
        assert "in memory" in examined()["not_durable"]


def test_settings_of_sqlite_that_are_not_taken(site: Site, examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_connection, "_WANTED", (("synchronous", "NORMAL", 2),))
    assert "did not take the settings" in examined()["not_durable"]


def test_a_journal_on_a_network(site: Site, examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "file_system_of", lambda folder: "nfs4")
    assert "network" in examined()["not_durable"]


def test_an_sqlite_that_may_damage_the_file(examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "mends_wal_reset", lambda version: False)
    assert set(examined()) == {"sqlite_old"}


def test_a_process_that_holds_the_journal(site: Site, examined: Examine) -> None:
    with turn(site.deployment.folders.journal, 1):
        found = examined()
    assert set(found) == {"cannot_append"} and "journal.sqlite-turn" in found["cannot_append"]


def test_an_event_of_a_newer_version(site: Site, examined: Examine) -> None:
    site.deployment.close()
    with sqlite3.connect(site.deployment.folders.journal) as connection:
        connection.execute("UPDATE event SET kind = 'foretold' WHERE sequence = 3")
    connection.close()
    found = examined()
    assert set(found) == {"unknown_kind"} and "Event 3 " in found["unknown_kind"] and "Update" in found["unknown_kind"]


# --- other writers --------------------------------------------------------------------------------------------------


def _copy(site: Site, tmp_path: Path) -> Deployment:
    """A copy of the whole folder, with the same keys, that goes on by itself."""
    site.deployment.close()
    shutil.copytree(site.top, tmp_path / "copy")
    return Deployment(tmp_path / "copy", site.clock)


def _other_version(site: Site, tmp_path: Path) -> bytes:
    """The head of a version that a copy decided, after an event of its own."""
    copy = _copy(site, tmp_path)
    copy.performer().act(lambda ledger, now: add_provider(ledger, "Elsewhere", by("elsewhere")))
    site.clock.wait(QUARTER_SECONDS)
    copy.publisher().publish()
    head = (copy.folders.bucket / HEAD_NAME).read_bytes()
    copy.close()
    return head


def test_a_copy_that_publishes_into_this_bucket(site: Site, tmp_path: Path, examined: Examine) -> None:
    head = _other_version(site, tmp_path)
    shutil.copytree(tmp_path / "copy" / "bucket", site.deployment.folders.bucket, dirs_exist_ok=True)
    (site.deployment.folders.bucket / HEAD_NAME).write_bytes(head)
    found = examined()
    assert set(found) == {"second_writer"} and "the bucket" in found["second_writer"]


def test_a_copy_that_publishes_at_the_public_address(site: Site, tmp_path: Path, examined: Examine) -> None:
    """Two folders with a bucket each: only what phones are handed can tell."""
    head = _other_version(site, tmp_path)
    found = examined(lambda url: Seen(200, site.clock.now(), head))
    assert set(found) == {"second_writer"} and "http://127.0.0.1:8787/v1/head" in found["second_writer"]


def test_a_later_term_in_the_bucket(site: Site, tmp_path: Path, examined: Examine) -> None:
    """A rebuilt journal has taken over: this one is the forgotten old primary."""
    site.deployment.close()
    copy = _copy(site, tmp_path)
    with sqlite3.connect(copy.folders.journal) as connection:
        connection.execute("UPDATE tip SET term = 2")
    connection.close()
    site.clock.wait(QUARTER_SECONDS)
    copy.publisher().publish()
    copy.close()
    shutil.copytree(copy.folders.bucket, site.deployment.folders.bucket, dirs_exist_ok=True)
    assert "of term 2, and this journal of term 1" in examined()["second_writer"]


# --- the clock ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-QUARTER_SECONDS - 60, "over five minutes behind"), (-60, "is behind"), (5 * DAY_SECONDS, "5 days ahead")],
)
def test_a_clock_that_the_journal_contradicts(site: Site, examined: Examine, seconds: int, words: str) -> None:
    with site.deployment.journal.group(site.clock.now()):  # the tip is of this very quarter-hour
        pass
    site.clock.wait(seconds)
    assert words in examined()["clock_wrong"]


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_the_public_address_contradicts(site: Site, examined: Examine, hours: int) -> None:
    """What nothing in the folder can tell: a site that was off, or a clock that is hours ahead."""
    head = (site.deployment.folders.bucket / HEAD_NAME).read_bytes()
    now = site.clock.now()
    assert "One of them" not in examined().get("clock_wrong", "")
    found = examined(lambda url: Seen(200, now + hours * 3600, head))
    assert set(found) == {"clock_wrong"} and "third" in found["clock_wrong"]


def test_a_clock_that_nothing_keeps_right(examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock_check, "is_synchronised", lambda: False)
    assert set(examined()) == {"clock_unsynchronised"}


# --- disks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("free", "code"), [(150, None), (149, "disk_low"), (50, "disk_low"), (49, "disk_full")])
def test_room_on_a_disk(examined: Examine, monkeypatch: pytest.MonkeyPatch, free: int, code: str | None) -> None:
    """15 % and 5 %."""
    with monkeypatch.context() as patched:
        room = os.statvfs_result((4096, 4096, 1000, free, free, 1000, 1000, 1000, 0, 255))
        patched.setattr(os, "statvfs", lambda folder: room)
        assert set(examined()) == ({code} if code else set())


@pytest.mark.parametrize("part", ["journal", "bucket", "keys"])
def test_a_disk_that_is_full_and_then_read_only(site: Site, examined: Examine, part: str) -> None:
    site.deployment.close()
    with disk(site.top / part, 4096) as small:
        small.fill()
        assert f"/{part} has 0 MiB left" in examined()["disk_full"]
        small.free()
        small.read_only()
        assert f"/{part} can't be written" in examined()["not_writable"]
        small.writable()
        assert set(examined()) == set()


def test_a_file_of_another_user(site: Site, examined: Examine) -> None:
    """Somebody ran `tocsin publish` as another user."""
    if os.geteuid():
        pytest.skip("only root can give a file to another user")
    saved = site.deployment.folders.checkpoints / "saved"
    saved.parent.mkdir(mode=0o700, exist_ok=True)
    saved.write_bytes(b"")
    for path in (saved, site.deployment.folders.bucket / HEAD_NAME):
        os.chown(path, 12345, 12345)
        found = examined()
        assert set(found) == {"mixed_owners"} and str(path) in found["mixed_owners"]
        os.chown(path, 0, 0)


# --- keys -----------------------------------------------------------------------------------------------------------


def test_key_files_that_others_can_read(site: Site, examined: Examine) -> None:
    keys = site.deployment.folders.keys
    (keys / "head").chmod(0o640)
    (keys / "gaen").chmod(0o755)
    found = examined()
    assert set(found) == {"key_file_open"}
    assert "keys/gaen, keys/head" in found["key_file_open"] and f"chmod -R go= {keys}" in found["key_file_open"]


def test_a_key_folder_that_is_gone(site: Site, examined: Examine) -> None:
    site.deployment.folders.keys.rename(site.top / "away")
    found = examined()
    assert {"keys_unusable", "not_writable", "not_looked_at"} == set(found)


@pytest.mark.parametrize("name", ["head", "gaen/310-v1", "issuing-1"])
def test_a_key_that_is_damaged(site: Site, examined: Examine, name: str) -> None:
    (site.deployment.folders.keys / name).write_bytes(b"not a key")
    assert Path(name).name in examined()["keys_unusable"]


def test_an_issuing_secret_that_is_gone(site: Site, examined: Examine) -> None:
    (site.deployment.folders.keys / "issuing-1").unlink()
    assert "issuing-1" in examined()["keys_unusable"]


def test_a_missing_day_key(site: Site, clock: FixedClock, examined: Examine) -> None:
    """Today's; one that sealed a report; not one of a day on which nobody reported; not one that is erased by now."""
    days, founded = site.deployment.folders.keys / "days", day_of(clock.now())
    clock.wait(DAY_SECONDS)
    site.deployment.keys.make_days_ahead(day_of(clock.now()))
    site.deployment.publisher().publish()
    for day in (founded, founded + 1):
        (days / str(day)).rename(site.top / "away")
        assert f"keys/days/{day}" in examined()["day_key_missing"]
        (site.top / "away").rename(days / str(day))
    for _ in range(2):
        clock.wait(DAY_SECONDS)
        site.deployment.keys.make_days_ahead(day_of(clock.now()))
        site.deployment.publisher().publish()
    assert examined() == {}
    (days / str(founded + 1)).unlink()  # only versions were recorded that day
    assert examined() == {}
    (days / str(founded)).write_bytes(b"short")
    assert f"days/{founded}" in examined()["day_key_missing"]


def test_day_keys_that_run_out(site: Site, clock: FixedClock, examined: Examine) -> None:
    days, today = site.deployment.folders.keys / "days", day_of(clock.now())
    (days / str(today + 7)).unlink()
    assert examined() == {}  # made by the next round of a server
    (days / str(today + 3)).unlink()
    assert "reach 2 days ahead" in examined()["day_keys_short"]


def test_a_day_that_is_not_erased(site: Site, clock: FixedClock, examined: Examine) -> None:
    """T-L9: kept longer than is promised, and nobody says so."""
    days, today = site.deployment.folders.keys / "days", day_of(clock.now())
    (days / "a note").write_text("")
    (days / "a note").chmod(0o600)
    for day, late in ((today - 16, False), (today - 17, True)):
        (days / str(day)).write_bytes(bytes(32))
        (days / str(day)).chmod(0o600)
        assert ("erasure_late" in examined()) == late


def test_day_keys_that_are_not_brought_over(site: Site, clock: FixedClock, examined: Examine) -> None:
    settings = site.deployment.folders.settings
    settings.write_text("makes_day_keys = false\n" + settings.read_text())
    (site.deployment.folders.keys / "days" / str(day_of(clock.now()) + 2)).unlink()
    assert "bring them over" in examined()["day_keys_short"]


# --- what is public -------------------------------------------------------------------------------------------------


def test_a_bucket_whose_head_is_damaged(site: Site, examined: Examine) -> None:
    (site.deployment.folders.bucket / HEAD_NAME).write_bytes(b"half a he")
    assert "damaged" in examined()["bucket_unusable"]


def test_public_files_that_are_gone(site: Site, examined: Examine) -> None:
    files = sorted((site.deployment.folders.bucket / "v1" / "utopia" / "keyset").iterdir())
    files[0].unlink()
    assert files[0].name in examined()["public_file_missing"]


def test_versions_that_do_not_come(site: Site, clock: FixedClock, examined: Examine) -> None:
    clock.wait(2 * QUARTER_SECONDS)
    assert examined() == {}
    clock.wait(1)
    assert "No version for 30 minutes" in examined()["publication_late"]
    shutil.rmtree(site.deployment.folders.bucket / "v1")
    assert "none was ever out" in examined(lambda url: Seen(404, clock.now(), b""))["publication_late"]


@pytest.mark.parametrize(("status", "body"), [(404, b""), (200, b"<html>welcome</html>")])
def test_a_public_address_that_hands_out_something_else(
    site: Site, examined: Examine, status: int, body: bytes
) -> None:
    assert set(examined(lambda url: Seen(status, None, body))) == {"public_head_old"}


def test_a_public_address_that_lags(site: Site, clock: FixedClock, examined: Examine) -> None:
    old = (site.deployment.folders.bucket / HEAD_NAME).read_bytes()
    for _ in range(2):
        clock.wait(QUARTER_SECONDS)
        site.deployment.publisher().publish()
    assert examined(lambda url: Seen(200, None, old)) == {}
    clock.wait(QUARTER_SECONDS)
    site.deployment.publisher().publish()
    assert "hands out version 1" in examined(lambda url: Seen(200, None, old))["public_head_old"]


def test_a_public_address_that_does_not_answer(examined: Examine) -> None:
    def silent(url: str) -> Seen:
        raise Unavailable("nobody there")

    assert set(examined(silent)) == {"public_address_silent"}


# --- the machine ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "planted", "code"),
    [("plain_swap", lambda swaps, kind: ["/dev/sda2"], "swap_on"), ("leaves_cores", lambda: True, "cores_possible")],
)
def test_what_the_machine_keeps_of_memory(
    examined: Examine, monkeypatch: pytest.MonkeyPatch, name: str, planted: Callable[..., object], code: str
) -> None:
    monkeypatch.setattr(machine, name, planted)
    assert set(examined()) == {code}


def test_few_open_files(examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 4096))
    assert "4,096 files" in examined()["few_files"]
