"""`tocsin status`, `publish`, and how stored text reaches a terminal."""

import os
import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.sites import FixedClock, Site
from tocsin.cli.status import NO_ARCHIVE, NOT_YET
from tocsin.cli.terminal import REPLACEMENT, clean
from tocsin.journal.encoding import NewEvent
from tocsin.model.events import ProviderAdded
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, day_of, floor_quarter, utc
from tocsin.stores.folder import FolderBucket


def test_it_counts_what_there_is(run: Run, site: Site, clock: FixedClock) -> None:
    site.report("one", 0)
    site.report("two", 1)
    site.withdraw("two")
    run("codes", "issue", "1", "--count", "5")
    run("rollback", "--select", "serials=1:0-0", "--why", "x")
    found = run("status", "--json").json
    assert found["batches"] == {
        "dormant": 1,
        "active": 1,
        "expired": 0,
        "cut_off": 0,
        "cards": 105,
        "live_phone_codes": 0,
    }
    counts = {name: found["reports"][name] for name in ("total", "standing", "withdrawn", "cut_off")}
    assert counts == {"total": 2, "standing": 0, "withdrawn": 1, "cut_off": 1}
    assert found["providers"] == 1 and found["sequence"] == site.deployment.journal.tip().sequence
    assert (found["engine"], found["term"]) == ("sqlite", 1) and "SQLite, 9 events, term 1" in run("status").words


def test_it_tells_the_state_of_batches_and_providers(run: Run, site: Site, clock: FixedClock) -> None:
    run("codes", "issue", "1", "--count", "1", "--valid-days", "1")
    run("codes", "issue", "1", "--count", "1")
    run("revoke", "--batch", "3", "--why", "lost")
    run("provider", "suspend", "1", "--why", "x")
    clock.wait(DAY_SECONDS)
    found = run("status", "--json").json
    assert found["batches"] == {
        "dormant": 0,
        "active": 1,
        "expired": 1,
        "cut_off": 1,
        "cards": 102,
        "live_phone_codes": 0,
    }
    assert (found["providers"], found["suspended_providers"]) == (1, 1)
    assert "1 active batch, 0 dormant, 1 expired, 1 cut off" in run("status").words


def test_it_tells_until_when_an_issuing_secret_is_needed(run: Run, site: Site, clock: FixedClock) -> None:
    """Until the last batch's end, whatever the state of that batch."""
    end = floor_quarter(clock.at) + 90 * DAY_SECONDS
    assert run("status", "--json").json["issuing_secrets"] == [{"period": 1, "there": True, "needed_until_at": end}]
    run("codes", "issue", "1", "--count", "1", "--valid-days", "91")
    run("revoke", "--batch", "2", "--why", "lost")
    assert "issuing secret 1 needed until 2026-05-18 09:00 UTC" in run("status").words
    (site.deployment.folders.keys / "issuing-1").unlink()
    assert (
        "issuing-1" in run("status").words and run("codes", "check", site.cards[0], "--json").json["state"] == "expired"
    )
    clock.wait(91 * DAY_SECONDS - 1)
    assert any("issuing-1" in warning for warning in run("status", "--json").json["warnings"])
    clock.wait(1)
    assert not any("issuing-1" in warning for warning in run("status", "--json").json["warnings"])


def test_it_tells_what_waits_what_is_out_and_how_old_that_is(run: Run, site: Site, clock: FixedClock) -> None:
    assert "none is out" in run("status").out
    site.report("one", 0, days=3)
    queue = {"reports": 1, "keys": 3, "held_keys": 0, "kept_keys": 0, "paused": False}
    assert run("status", "--json").json["queue"] == queue
    clock.wait(QUARTER_SECONDS)
    assert "version 1: 3 keys (+3 −0)" in run("publish").out
    clock.wait(300)
    versions = run("status", "--json").json["versions"]
    assert (versions["decided"], versions["out"], versions["out_age_seconds"], versions["live_keys"]) == (1, 1, 300, 3)
    assert versions["next_due_at"] == clock.at - 300 + QUARTER_SECONDS
    assert "1 is out, 5 min old" in run("status").words


def test_publishing_twice_in_a_step_says_when_the_next_is_due(run: Run, site: Site, clock: FixedClock) -> None:
    assert "Nothing is due" in run("publish").out
    clock.wait(QUARTER_SECONDS)
    first = run("publish", "--json").json
    assert (first["version"], [out["version"] for out in first["out"]]) == (1, [1])
    again = run("publish")
    assert again.code == 0 and "version 1 is out" in again.words and "2026-02-16 09:30 UTC" in again.words


def test_a_head_that_is_made_again_alone_is_told_alone(run: Run, site: Site, data: Path, clock: FixedClock) -> None:
    clock.wait(QUARTER_SECONDS)
    run("publish")
    (data / "bucket" / "v1" / "head").unlink()
    assert "(+0 −0); head" in run("publish").words


def test_it_warns_of_a_version_that_is_decided_and_not_out(run: Run, site: Site, clock: FixedClock) -> None:
    clock.wait(QUARTER_SECONDS)
    run("publish")
    head = site.deployment.folders.bucket / "v1" / "head"
    head.unlink()
    assert "NOT OUT" in run("status").out or "1 decided" in run("status").out
    assert any("not out" in warning for warning in run("status", "--json").json["warnings"])


def test_it_warns_of_stale_heads_and_missing_day_keys(run: Run, site: Site, clock: FixedClock) -> None:
    clock.wait(QUARTER_SECONDS)
    run("publish")
    clock.wait(9 * DAY_SECONDS)
    warnings = run("status", "--json").json["warnings"]
    assert any("stale" in warning for warning in warnings)
    assert any("no day key for today" in warning for warning in warnings)
    assert "MISSING" in run("status").out


def test_after_a_long_pause_it_says_how_to_go_on(run: Run, site: Site, clock: FixedClock) -> None:
    """What every command refuses then, `publish` does once it is told the date; all others go on from there."""
    clock.wait(30 * DAY_SECONDS)
    today = utc(clock.at)[:10]
    for command in (["provider", "add", "Other"], ["provider", "add", "Other", "--dry-run"], ["publish"]):
        done = run(*command)
        assert done.code == 1 and "--today" in done.err
    assert "--today" in run("status").words
    wrong = run("publish", "--today", "2026-02-16")
    assert wrong.code == 1 and "30 days ahead" in wrong.err
    assert run("publish", "--today", "yesterday").code == 1
    assert run("publish", "--today", today).code == 0
    assert run("provider", "add", "Other").code == 0
    assert not any("--today" in warning for warning in run("status", "--json").json["warnings"])


def test_a_lost_day_key_is_named_with_what_it_stops(run: Run, site: Site, clock: FixedClock) -> None:
    days, today = site.deployment.folders.keys / "days", day_of(clock.now())
    (days / str(today)).rename(days.parent / "away")
    [warning] = run("status", "--json").json["warnings"]
    assert f"days/{today} " in warning and "restore" in warning and "503" in warning
    (days.parent / "away").rename(days / str(today))
    site.report("one", 0)
    (days / str(today)).unlink()
    clock.wait(DAY_SECONDS)
    assert run("status", "--json").json["day_keys"] == {"today": True, "days_ahead": 6, "lost": [today]}


def test_it_says_what_this_version_does_not_do(run: Run, site: Site) -> None:
    words = run("status").words
    assert all(lack in words for lack in (*NOT_YET, NO_ARCHIVE))
    assert "no padding" in words


def test_where_there_is_an_archive_it_does_not_say_that_there_is_none(run: Run, site: Site, tmp_path: Path) -> None:
    site.with_archive(str(tmp_path / "archive"))
    assert NO_ARCHIVE not in run("status").words and NOT_YET[0] in run("status").words


def test_no_line_is_wider_than_the_terminal(run: Run, site: Site) -> None:
    run("revoke", "--serials", "1:0-3", "--why", "x")
    assert max(map(len, run("status").out.splitlines())) <= 80


def test_a_stored_name_cannot_act_on_a_terminal(run: Run, site: Site) -> None:
    """A rule refuses such a name today; a journal of another day may hold one."""
    name = "Evil\x1b[2J\u202eclinic\nProvider 9: fake [red]x[/red]"
    body = ProviderAdded(provider=2, name=name, who="x", why="x", approved_by=None)
    with site.deployment.journal.group(site.clock.now()) as group:
        group.append(NewEvent(body))
    out = run("provider", "list").out
    assert "\x1b" not in out and "\u202e" not in out and "[red]x[/red]" in out
    assert not any(line.startswith("Provider 9") for line in out.splitlines())
    assert clean(name).count(REPLACEMENT) == 3
    printed = run("provider", "list", "--json")
    assert printed.out.isascii() and printed.json[1]["name"] == name


def test_a_bucket_of_somebody_else_is_named(run: Run, site: Site) -> None:
    bucket = FolderBucket(site.deployment.folders.bucket)
    bucket.replace("v1/head", b"not ours", None)
    done = run("publish")
    assert done.code == 1 and "bucket" in done.err
    done = run("status")
    assert done.code == 0 and "Nothing is published: the bucket's head, v1/head, is damaged" in done.words


def test_lost_files_and_strangers_in_the_bucket_are_named(
    run: Run, site: Site, clock: FixedClock, tmp_path: Path
) -> None:
    """Strangers are neither removed nor followed, by publishing either."""
    site.report("ada", 0)
    clock.wait(900)
    assert run("publish").code == 0
    assert run("status", "--json").json["lost_files"] == run("status", "--json").json["strangers"] == []
    bucket = site.deployment.folders.bucket
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("secret")
    (bucket / "index.html").write_text("hello")
    (bucket / "v1" / "HEAD").write_text("hello")
    (bucket / "v1" / "bad\x1b[31m").write_text("hello")
    (bucket / "v1" / "\udcff").write_text("hello")
    (bucket / "linked").symlink_to(tmp_path / "elsewhere")
    (bucket / "v1" / "utopia" / "keyset" / ("a" * 64)).symlink_to("nowhere")
    os.mkfifo(bucket / "v1" / "utopia" / "keyset" / ("b" * 64))
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(bucket / "door"))
    files = sorted(path for path in (bucket / "v1" / "utopia" / "keyset").iterdir() if path.is_file())
    files[0].unlink()
    found = run("status", "--json")
    assert found.out.isascii()
    assert set(found.json["strangers"]) == {
        "index.html",
        "v1/HEAD",
        "v1/bad\x1b[31m",
        "v1/\udcff",
        "linked",
        "door",
        f"v1/utopia/keyset/{'a' * 64}",
        f"v1/utopia/keyset/{'b' * 64}",
    }
    assert found.json["lost_files"] == [str(files[0].relative_to(bucket))]
    assert "in force lost or damaged" in run("status").words and "5 more" in run("status").words
    assert "made again" in run("publish").err
    after = run("status", "--json").json
    assert (after["lost_files"], after["strangers"]) == ([], found.json["strangers"])


def test_something_in_the_place_of_a_public_file(run: Run, site: Site, clock: FixedClock, tmp_path: Path) -> None:
    """A link, a pipe or a folder is neither written through nor removed: it is named."""
    clock.wait(900)
    head = site.deployment.folders.bucket / "v1" / "head"
    head.parent.mkdir()
    target = tmp_path / "target"
    target.write_text("mine")
    for make in ("link", "pipe", "folder"):
        match make:
            case "link":
                head.symlink_to(target)
            case "pipe":
                os.mkfifo(head)
            case "folder":
                head.mkdir()
        done = run("publish")
        assert done.code == 1 and f"{head} is in the place of a public file" in done.err
        assert target.read_text() == "mine"
        head.rmdir() if head.is_dir() else head.unlink()
    head.parent.rename(head.parent.with_name("away"))
    (tmp_path / "v1").mkdir()
    head.parent.symlink_to(tmp_path / "v1")
    assert "leads out of the bucket folder" in run("publish").err
    assert list((tmp_path / "v1").iterdir()) == []


def test_a_disk_that_is_low_or_can_not_be_written(
    run: Run, site: Site, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "free some" not in run("status").words
    low = os.statvfs_result((4096, 4096, 1000, 100, 100, 1000, 1000, 1000, 0, 255))
    with monkeypatch.context() as patched:
        patched.setattr(os, "statvfs", lambda folder: low)
        assert "journal has 409.6 kB left: free some" in run("status").words
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda folder, mode: folder != site.deployment.folders.keys)
        assert "keys can't be written" in run("status").words
