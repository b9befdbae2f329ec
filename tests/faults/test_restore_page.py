"""``docs/operating/restore.md``, done word for word, on a deployment whose newest copy is older than what is public."""

import re
from pathlib import Path

import pytest

from tests.faults.pages import commands, section
from tests.faults.shell import Shell
from tests.sites import FixedClock, Site
from tocsin.model.calls import Verdict
from tocsin.service.clock import SystemClock

PAGE = "restore.md"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """The deployment was founded an hour ago by this machine's clock."""
    clock = FixedClock(SystemClock().now() - 3600)
    site = Site(tmp_path / "srv" / "tocsin", clock)
    (tmp_path / "backup").mkdir()
    site.report("before", 0)
    clock.wait(900)
    site.deployment.publisher().publish()
    return Shell(tmp_path, site)


@pytest.mark.faults
def test_a_copy_takes_the_journal_s_place(shell: Shell) -> None:
    site = shell.site
    backup, settings, delete = commands(section(PAGE, "Make copies"))
    for line in (backup, settings, delete):
        assert shell.type(line).code == 0
    [copy] = (shell.root / "backup").glob("journal-*.sqlite")
    copy.rename(copy.with_name("journal-2026-02-16T0900.sqlite"))
    assert sorted(path.name for path in (shell.root / "backup").iterdir()) == [
        "journal-2026-02-16T0900.sqlite",
        "tocsin.toml",
        "trust.json",
    ]
    site.report("since", 1)
    site.clock.wait(900)
    site.deployment.publisher().publish()
    site.deployment.close()

    stop, keep, make, put, mode, verify, doctor, later, bucket, start = commands(section(PAGE, "Go back to a copy"))
    shell.type(start)
    for line in (stop, keep, make, put, mode, verify):
        assert shell.type(line).code == 0, line
    looked = shell.type(doctor)
    assert looked.code == 1 and "second_writer" in looked.out
    shell.type(start)
    assert "did not decide" in shell.server_s_last_words(), "no server starts on it"
    for line in (later, bucket):
        assert shell.type(line).code == 0, line
    shell.type(start)
    assert shell.track("before") is Verdict.TAKEN and shell.track("since") is Verdict.UNKNOWN
    shell.type(stop)


@pytest.mark.faults
def test_an_older_copy_under_what_remembers_a_newer_one(shell: Shell) -> None:
    """The table's first row: the folder's files were left, and only one of them replaced."""
    backup, *_ = commands(section(PAGE, "Make copies"))
    shell.type(backup)
    [copy] = (shell.root / "backup").glob("journal-*.sqlite")
    shell.site.report("since", 1)
    shell.site.deployment.close()
    for log in shell.site.deployment.folders.journal.parent.glob("*-[ws]*"):
        log.unlink()
    copy.replace(shell.site.deployment.folders.journal)
    assert re.search(r"ends at event \d+, and event \d+ was stored in it", shell.type("tocsin journal verify").err)
