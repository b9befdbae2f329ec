"""`tocsin archive`: what it holds, and bringing it up to the journal by hand; `tocsin serve` with one."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.faults.object_store import ObjectStore
from tests.faults.servers import until
from tests.sites import FixedClock, Site
from tocsin.cli import main
from tocsin.journal.archive import open_archive
from tocsin.model.times import DAY_SECONDS, QUARTER_SECONDS, day_of
from tocsin.stores.place_folder import FolderPlace

WORDS = ["--region", "xx", "--origin", "tocsin.example.org/xx", "--base-url", "http://127.0.0.1:8787"]
PAGE = Path(__file__).resolve().parents[2] / "docs/operating" / "archive.md"
COMMANDS = [["status"], ["run"], ["once"], ["compact"]]


@pytest.fixture
def folder(site: Site, tmp_path: Path) -> Path:
    """Where the archive of the site is to lie."""
    site.with_archive(str(tmp_path / "archive"))
    return tmp_path / "archive"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_where_there_is_none_it_says_how_to_have_one(site: Site, run: Run, words: list[str]) -> None:
    done = run("archive", *words)
    assert (done.code, done.out) == (1, "") and "[archive]" in done.err


def test_before_the_first_run_there_is_none(folder: Path, run: Run) -> None:
    done = run("archive", "status", "--json")
    assert (done.code, done.json["error"]) == (1, "no_archive") and not folder.exists()


def test_what_it_holds_and_lacks(folder: Path, run: Run, site: Site, clock: FixedClock) -> None:
    assert run("archive", "once").out == "The archive holds 4 events.\n"
    assert run("archive", "once", "--json").json == {"sequence": 4, "term": 1}
    site.report("ada", 0)
    found = run("archive", "status", "--json")
    assert found.code == 0
    tip = open_archive(FolderPlace(folder)).tip()
    assert found.json["digest"] == tip.digest.hex() and found.json["recorded_at"] == tip.recorded_at
    lacks = {name: found.json[name] for name in ("sequence", "journal_sequence", "behind_events", "late", "verified")}
    assert lacks == {"sequence": 4, "journal_sequence": 5, "behind_events": 1, "late": False, "verified": None}
    assert found.json["bytes"] == sum(file.stat().st_size for file in folder.glob("day=*/*.parquet"))
    clock.wait(2 * QUARTER_SECONDS)
    done = run("archive", "status")
    assert done.code == 1 and "1 event should be archived by now" in done.err and "4 events of 5" in done.words


def test_it_is_proven_on_demand_and_a_broken_one_names_the_event(folder: Path, run: Run, site: Site) -> None:
    run("archive", "once")
    site.report("ada", 0)
    run("archive", "once")
    assert "numbering and chain are whole" in run("archive", "status", "--verify").words
    assert run("archive", "status", "--verify", "--json").json["verified"] is True
    first, second = sorted(folder.glob("day=*/*.parquet"))
    first.write_bytes(second.read_bytes())
    done = run("archive", "status", "--verify")
    assert done.code == 1 and "broken at event 1" in done.err
    assert run("archive", "status").code == 0, "its end is well"


def test_days_that_are_over_are_put_together(folder: Path, run: Run, site: Site, clock: FixedClock) -> None:
    for serial in range(3):
        site.report(f"ada {serial}", serial)
        run("archive", "once")
    assert run("archive", "compact").out == "The files of 0 days were put together.\n"
    today = day_of(clock.now())
    clock.wait(DAY_SECONDS)
    assert run("archive", "status", "--json").json["days_to_compact"] == [today]
    assert "1 day to be put together" in run("archive", "status").words
    assert run("archive", "compact", "--json").json == {"days": [today]}
    found = run("archive", "status", "--json").json
    assert (found["files"], found["days_to_compact"]) == (1, []) and found["rewritten_at"] > 0
    assert "when files were last put together" in run("archive", "status").words


def test_a_server_archives_and_publishes_with_it(tmp_path: Path) -> None:
    data, archive = tmp_path / "deployment", tmp_path / "archive"
    assert main(["init", str(data), *WORDS, "--single-machine"]) == 0
    with (data / "tocsin.toml").open("a") as settings:
        settings.write(f'\n[archive]\nurl = "{archive}"\nevery_seconds = 1\n')
    for words, ready in ((["serve", "--port", "0"], "stop with"), (["archive", "run"], "stop with")):
        command = [sys.executable, "-m", "tocsin", *words, "--data", str(data)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            while ready not in process.stdout.readline():
                pass
            until("an archive", lambda: (archive / "_delta_log").is_dir() and list(archive.glob("day=*/*.parquet")))
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "") and out.endswith("Stopped.\n")


def test_a_server_does_not_start_over_an_archive_that_it_must_not_write(
    folder: Path, run: Run, site: Site, tmp_path: Path, clock: FixedClock
) -> None:
    other = Site(tmp_path / "other", clock)
    other.with_archive(str(folder)).publisher()
    assert other.deployment.archiver is not None
    other.deployment.archiver.catch_up()
    done = run("serve", "--port", "0")
    assert done.code == 1 and "is not this journal's" in done.err
    assert run("archive", "status").code == 1
    assert run("archive", "run").code == 1


def test_a_server_does_not_start_over_a_bucket_that_ignores_conditions(
    run: Run, site: Site, object_store: ObjectStore
) -> None:
    site.with_archive("s3://bucket/prefix")
    with object_store.careless() as careless, careless.opened():
        done = run("serve", "--port", "0")
    assert (done.code, done.out) == (1, "") and re.search("ignores.If-None-Match", done.err)


def test_the_page_for_setting_it_up_holds(run: Run, site: Site, object_store: ObjectStore, tmp_path: Path) -> None:
    """`archive.md`, word for word but for the bucket, the keys and where the file lies."""
    blocks = re.findall(r"(?:^    .*\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    table, variables, typed = (re.sub("^ {4}", "", block, flags=re.MULTILINE) for block in blocks)
    environment, credentials = object_store.environment, tmp_path / "archive.env"
    for line in variables.splitlines():
        name = line.partition("=")[0]
        variables = variables.replace(line, f"{name}={environment[name]}")
    credentials.touch(mode=0o600)
    credentials.write_text(f"{variables}AWS_ALLOW_HTTP=true\n", encoding="utf-8")
    for text, ours in (("s3://my-archive/utopia", object_store.new_url()), ("/etc/tocsin/archive.env", credentials)):
        assert text in table
        table = table.replace(text, str(ours))
    with site.deployment.folders.settings.open("a", encoding="utf-8") as settings:
        settings.write(f"\n{table}")
    assert run("archive", "once").code == 0
    lines = [line.partition("#")[0].split() for line in typed.splitlines()]
    assert [words[0] for words in lines] == ["tocsin", "tocsin"]
    for words in lines:
        done = run(*words[1:])
        assert done.code == 0 and "holds 4 events of 4" in done.words
