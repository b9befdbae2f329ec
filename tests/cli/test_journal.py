"""`tocsin journal verify` and `backup`."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.cli.conftest import Run
from tests.sites import Site
from tocsin.formats.wire import decode_answer
from tocsin.model.calls import Verdict
from tocsin.model.times import floor_quarter
from tocsin.service.deployment import Deployment
from tocsin.service.perform import Arrival


def test_a_whole_journal_is_proven_without_keys(run: Run, site: Site) -> None:
    site.report("one", 0)
    tip = site.deployment.journal.tip()
    shutil.rmtree(site.deployment.folders.keys)
    done = run("journal", "verify", "--json")
    assert done.code == 0
    assert (done.json["whole"], done.json["sequence"], done.json["digest"]) == (True, tip.sequence, tip.digest.hex())
    assert "whole: 5 events" in run("journal", "verify").words


def test_the_first_broken_event_is_named(run: Run, site: Site) -> None:
    site.report("one", 0)
    site.deployment.close()
    with closing(sqlite3.connect(site.deployment.folders.journal)) as connection, connection:
        changed = "CAST(replace(CAST(body AS TEXT), 'St.', 'St!') AS BLOB)"
        connection.execute(f"UPDATE event SET body = {changed} WHERE sequence = 2")
    done = run("journal", "verify")
    assert done.code == 1 and "event 2" in done.err
    told = run("journal", "verify", "--json")
    assert (told.code, told.json["whole"], told.json["first_broken"]) == (1, False, 2)


def test_a_copy_stands_in_for_the_journal(run: Run, site: Site, tmp_path: Path) -> None:
    pending = site.report("one", 0)
    made = run("journal", "backup", str(tmp_path / "copy.sqlite"), "--json")
    tip = site.deployment.journal.tip()
    assert made.code == 0 and (made.json["sequence"], made.json["digest"]) == (tip.sequence, tip.digest.hex())
    again = run("journal", "backup", str(tmp_path / "copy.sqlite"))
    assert again.code == 1 and "never overwritten" in again.err
    site.deployment.close()
    shutil.rmtree(site.top / "journal")
    (site.top / "journal").mkdir(mode=0o700)
    (tmp_path / "copy.sqlite").rename(site.deployment.folders.journal)
    assert run("journal", "verify").code == 0 and run("status", "--json").json["reports"]["total"] == 1
    again_up = Deployment(site.top, site.clock)
    [answer] = again_up.performer().answer([Arrival(pending.body, floor_quarter(site.clock.now()))])
    assert decode_answer(answer).verdict is Verdict.TAKEN
    again_up.close()
